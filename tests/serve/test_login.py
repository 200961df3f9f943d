"""Who logs in to a head with a browser: by a token once, then by a cookie that only opens pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from mnist_tune.serve import sessions
from mnist_tune.serve.failed_logins import MOST_FAILURES
from mnist_tune.serve.login import LONGEST_FORM
from mnist_tune.serve.roles import Role
from mnist_tune.serve.sessions import Sessions
from mnist_tune.serve.tokens import Known, Tokens
from mnist_tune.study.open_study import OpenStudy
from tests.support.clocks import Clock
from tests.support.head_pages import bearer, tokens_of, visited
from tests.support.served import serving
from tests.support.studies import new_study

PAGES = ("/", "/studies?name=tiny", "/metrics")
KNOWN = Known("name", Role.VIEWER, datetime(2026, 1, 1, tzinfo=UTC), "0" * 8)


@dataclass
class Browser:
    """A browser at a head that wants tokens, with what a person has to type in."""

    client: httpx.Client
    token: str

    def log_in(self, token: str | None = None, **headers: str) -> httpx.Response:
        typed = self.token if token is None else token
        return self.client.post("/login", data={"token": typed}, headers=headers)

    def status(self, page: str) -> int:
        return self.client.get(page).status_code


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path)


@pytest.fixture
def browser(study: OpenStudy, tmp_path: Path) -> Iterator[Browser]:
    with visited(study, tmp_path, Role.ADMIN) as (client, tokens):
        yield Browser(client, tokens[Role.ADMIN])


def test_who_has_not_logged_in_is_led_to_the_login(browser: Browser) -> None:
    for page in PAGES[:2]:
        answer = browser.client.get(page)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert browser.status("/events") == browser.status("/metrics") == 401
    asked_for = browser.client.get("/login")
    assert asked_for.status_code == 200
    assert re.search('<input [^>]*name="token"', asked_for.text)


@pytest.mark.slow
def test_a_token_opens_the_pages(browser: Browser) -> None:
    answer = browser.log_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert [browser.status(page) for page in PAGES] == [200] * len(PAGES)
    assert browser.client.get("/login").headers["location"] == "/"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_says_nothing(browser: Browser) -> None:
    name, _, rest = browser.log_in().headers["set-cookie"].partition("=")
    word, *attributes = rest.split("; ")
    assert name == f"mnist-tune-{browser.client.base_url.port}"
    assert {each.lower() for each in attributes} == {
        "httponly",
        "samesite=strict",
        "path=/",
        f"max-age={sessions.SECONDS}",
    }
    assert len(word) >= 43, "as many bits as a token has"
    assert browser.token not in word
    assert browser.log_in().headers["set-cookie"].partition("=")[2].split(";")[0] != word


def test_the_cookie_is_for_encrypted_connections_where_the_browser_has_one(browser: Browser) -> None:
    host = browser.client.base_url.netloc.decode()
    answer = browser.log_in(Origin=f"https://{host}")  # through a proxy that ends the encryption
    assert "; secure" in answer.headers["set-cookie"].lower()


def test_a_cookie_changes_nothing_and_works_on_nothing(browser: Browser) -> None:
    browser.log_in()
    for method, path in (
        ("POST", "/api/v1/people/delete"),
        ("POST", "/api/v1/people/results"),
        ("POST", "/api/v1/calls/claim"),
        ("PUT", "/api/v1/copies"),
        ("POST", "/api/v1/people/study_names"),
    ):
        assert browser.client.request(method, path, content=b'{"name": "tiny"}').status_code == 401, path


def test_a_wrong_token_is_refused_without_being_shown(browser: Browser) -> None:
    wrong = "mnt_" + "wrong" * 8
    answer = browser.log_in(wrong)
    assert answer.status_code == 401
    assert "does not know the token" in answer.text
    assert wrong not in answer.text
    assert "set-cookie" not in answer.headers


def test_wrong_tokens_are_counted_together_with_those_of_programs(browser: Browser) -> None:
    for _ in range(MOST_FAILURES // 2):
        browser.log_in("wrong")
        browser.client.get("/", headers=bearer("wrong"))
    refused = browser.log_in("wrong")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert browser.client.get("/metrics", headers=bearer("wrong")).status_code == 429
    assert browser.client.get("/metrics", headers=bearer(browser.token)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 401),
        (b"token=", 401),
        (b"token=a&token=b", 401),
        (b"password=a", 401),
        (b"token=%ff%00%f0%9f", 401),
        (b"\xff\xfe\x00", 401),
        (b"token=" + b"a" * LONGEST_FORM, 413),
    ],
)
def test_a_form_that_is_none_logs_nobody_in(browser: Browser, body: bytes, status: int) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = browser.client.post("/login", content=body, headers=form)
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, False)


def test_a_login_is_a_form_and_no_json(browser: Browser) -> None:
    assert browser.client.post("/login", json={"token": browser.token}).status_code == 415


def test_a_page_of_another_site_logs_nobody_in_or_out(browser: Browser) -> None:
    other = {"Origin": "http://other.invalid"}
    assert browser.log_in(**other).status_code == 403
    browser.log_in()
    assert browser.client.post("/logout", headers=other).status_code == 403
    assert browser.client.get("/", headers=other).status_code == 403
    assert browser.status("/") == 200


def test_a_page_of_another_site_may_link_to_a_page_but_embed_none(browser: Browser) -> None:
    browser.log_in()
    other = {"Sec-Fetch-Site": "cross-site"}
    for path in (*PAGES, "/events"):
        embedded = browser.client.get(path, headers={**other, "Sec-Fetch-Mode": "no-cors"})
        assert embedded.status_code == 403, path
    linked = browser.client.get("/", headers={**other, "Sec-Fetch-Mode": "navigate"})
    assert linked.status_code == 200


def test_who_logs_out_is_out_even_with_a_copy_of_the_cookie(browser: Browser) -> None:
    browser.log_in()
    copied = dict(browser.client.cookies)
    answer = browser.client.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert not browser.client.cookies
    browser.client.cookies.update(copied)
    assert browser.status("/") == 303


def test_a_session_ends_when_its_token_is_revoked(browser: Browser, tmp_path: Path) -> None:
    browser.log_in()
    tokens = tokens_of(tmp_path)
    tokens.revoke("of-admin")
    assert browser.status("/") == 303
    tokens.add("of-admin", Role.ADMIN)  # another one of the same name
    assert browser.status("/") == 303


@pytest.mark.slow
def test_a_stream_ends_when_its_token_is_revoked(browser: Browser, tmp_path: Path) -> None:
    browser.log_in()
    with browser.client.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("data: ")
        tokens_of(tmp_path).revoke("of-admin")
        assert not any(line.startswith("data: ") for line in lines), "it ended"


def test_the_tokens_of_all_roles_open_the_pages(study: OpenStudy, tmp_path: Path) -> None:
    with visited(study, tmp_path, *Role) as (client, tokens):
        for token in tokens.values():
            client.cookies.clear()
            assert client.post("/login", data={"token": f"  {token}\n"}).status_code == 303
            assert client.get("/").status_code == 200


def test_a_head_without_tokens_needs_no_login(study: OpenStudy, tmp_path: Path) -> None:
    with visited(study, tmp_path) as (client, _):
        assert client.get("/").status_code == 200
        assert "/logout" not in client.get("/").text
        for method, path in (("GET", "/login"), ("POST", "/login"), ("POST", "/logout")):
            answer = client.request(method, path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
        # A foreign name that leads here, and a page of another site.
        assert client.get("/", headers={"Host": "other.invalid"}).status_code == 403
        assert client.get("/events", headers={"Origin": "http://other.invalid"}).status_code == 403


def test_a_session_ends_after_twelve_hours() -> None:
    clock = Clock(1000.0)
    made = Sessions(clock.monotonic)
    word = made.begin(KNOWN)
    clock.seconds += 12 * 3600 - 1
    assert made.find(word) == KNOWN
    clock.seconds += 1
    assert made.find(word) is None
    clock.seconds -= 1
    assert made.find(word) is None, "it is forgotten"


def test_sessions_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 3)
    made = Sessions()
    words = [made.begin(KNOWN) for _ in range(4)]
    assert len(set(words)) == 4
    assert [made.find(word) is not None for word in words] == [False, True, True, True]


@pytest.mark.slow
def test_the_cookie_is_for_encrypted_connections_of_a_head_that_has_them(tmp_path: Path) -> None:
    token = Tokens(tmp_path / "tokens").add("one", Role.VIEWER)
    with serving(tmp_path, "--host", "0.0.0.0", "--tokens", "tokens") as address:
        url = address.partition("#")[0]
        assert url.startswith("https://")
        with httpx.Client(base_url=url, verify=False) as client:
            answer = client.post("/login", data={"token": token})
            assert "; secure" in answer.headers["set-cookie"].lower()
            assert client.get("/").status_code == 200
