"""A head for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mnist_tune.serve.notify import notifier, receiver
from mnist_tune.serve.roles import Role
from mnist_tune.study.open_study import OpenStudy
from tests.support.heads import RunningHead, running
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study, opened_again
from tests.support.webhooks import Webhook, webhook


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> OpenStudy:
    """A study of two cells as those who look at it see it."""
    return new_study(tmp_path_factory.mktemp("study"), TWO_CELLS)


@pytest.fixture(scope="module")
def head(study: OpenStudy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHead]:
    """A head with a token for each role. It must be well at the end, and has printed no traceback."""
    folder = tmp_path_factory.mktemp("head") / "its own"
    folder.mkdir()
    with running(opened_again(study).storage, folder, roles=tuple(Role)) as head:
        yield head
        assert head.is_well()
        assert [line for line in head.lines if "Traceback" in line or "\n" in line] == []
        assert not any(token in line for token in head.tokens.values() for line in head.lines)


@pytest.fixture(autouse=True)
def nothing_on_standard_error(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """A head in this process prints nothing by itself, least of all tracebacks, whatever clients do."""
    yield
    assert capfd.readouterr().err == ""


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head looks for events and tells of them without pauses, and has little patience with receivers."""
    monkeypatch.setattr(notifier, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(notifier, "PAUSES", (0.05,))
    monkeypatch.setattr(receiver, "SECONDS", 3.0)


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """A web server that receives events."""
    with webhook() as hook:
        yield hook
