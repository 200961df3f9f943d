"""A study and its head, as a browser and Prometheus see them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import httpx
from sqlalchemy import text, update

from mnist_tune.serve.roles import Role
from mnist_tune.serve.tokens import Tokens
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.optuna_internals import studies
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from tests.support.heads import running_head

HOSTILE = """</script><script>alert('1')</script><img src=x onerror="alert(2)">"""
"""A name that is a page's undoing where it is not shown as text."""


class Tags(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def tokens_of(folder: Path) -> Tokens:
    """The tokens of a head that keeps its files in this folder."""
    return Tokens(folder / "head.tokens")


@contextmanager
def visited(study: OpenStudy, folder: Path, *roles: Role) -> Iterator[tuple[httpx.Client, dict[Role, str]]]:
    """A client without a token of a head over the study's storage, and a token for each of these roles."""
    tokens = {role: tokens_of(folder).add(f"of-{role}", role) for role in roles}
    with (
        running_head(open_storage(study.storage.engine.url), folder) as address,
        httpx.Client(base_url=address.url, timeout=300) as client,
    ):
        yield client, tokens


def bearer(token: str) -> dict[str, str]:
    """The header by which a program shows its token."""
    return {"Authorization": f"Bearer {token}"}


def renamed(study: OpenStudy, name: str = HOSTILE) -> OpenStudy:
    """Give the study a name that `create-study` would refuse, as whoever can write to the database may."""
    with study.storage.transaction() as session:
        session.execute(update(studies).values(study_name=name))
    return open_study(study.storage, name)


def damaged_spec(study: OpenStudy) -> None:
    """Put into the database what is no spec of the study."""
    spec = "key = 'mnist_tune:spec' AND study_id = :id"
    damage = f"UPDATE study_user_attributes SET value_json = '[]' WHERE {spec}"
    with study.storage.transaction() as session:
        session.execute(text(damage), {"id": study.study_id})
