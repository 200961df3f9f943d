"""Who may ask a head for what: each route without a token, with wrong ones, and with each role's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from mnist_tune.serve.failed_logins import MOST_FAILURES
from mnist_tune.serve.roles import Role
from mnist_tune.study.open_study import OpenStudy
from tests.support.heads import ASKS, NAMES, RunningHead, routes_of, running, said
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study, opened_again

NEEDED: dict[tuple[str, str], Role | None] = {
    ("GET", "/healthz"): None,
    ("POST", "/api/v1/open"): Role.VIEWER,
    ("POST", "/api/v1/calls/{call}"): Role.WORKER,
    ("GET", "/api/v1/states"): Role.WORKER,
    ("PUT", "/api/v1/states"): Role.WORKER,
    ("PUT", "/api/v1/files"): Role.WORKER,
    ("GET", "/api/v1/kept"): Role.VIEWER,
    ("GET", "/api/v1/copies"): Role.ADMIN,
    ("PUT", "/api/v1/copies"): Role.ADMIN,
    **{
        ("POST", f"/api/v1/people/{call}"): Role.VIEWER
        for call in ("study_names", "overview", "find", "spec", "uid", "missing", "results", "verify")
    },
    **{
        ("POST", f"/api/v1/people/{call}"): Role.ADMIN
        for call in (
            "create",
            "extend",
            "import_trials",
            "set_control",
            "drain",
            "retry",
            "change_settings",
            "delete",
        )
    },
    **{(method, "/api/v1/{rest:path}"): Role.VIEWER for method in ("DELETE", "GET", "POST", "PUT")},
    **{(method, "/api/{rest:path}"): Role.VIEWER for method in ("DELETE", "GET", "POST", "PUT")},
}
"""The role that each route takes. HEAD is as GET."""
PAGES = {
    *(("GET", path) for path in ("/", "/studies", "/events", "/metrics", "/login")),
    *(("POST", path) for path in ("/login", "/logout")),
}
"""What browsers ask for, by a cookie; see test_login.py."""
REFUSED = {401, 403}
WRONG = ("mnt_" + "x" * 43, "nonsense", "x" * 5000, "\u00e4")
FOREIGN = (
    *(
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "[",
        "[::1",
    ),
    *("127.0.0.1@evil.example", "192.0.2.1", "0.0.0.0", "evil.example#@localhost", "localhost, evil.example"),
)
ADDRESSES = count(2)


def elsewhere(head: RunningHead, headers: dict[str, str] | None = None) -> httpx.Client:
    """A client at an address of its own, whose failures count for no other."""
    number = next(ADDRESSES)
    transport = httpx.HTTPTransport(local_address=f"127.0.{number // 250}.{number % 250 + 2}")
    return httpx.Client(base_url=head.address.url, headers=headers, transport=transport, timeout=20)


def sendable(path: str) -> str:
    return path.replace("{call}", "standing").replace("{rest:path}", "v9/other")


def test_every_route_says_here_who_may_use_it(study: OpenStudy, tmp_path: Path) -> None:
    routes = routes_of(study.storage, tmp_path)
    assert {(method.replace("HEAD", "GET"), path) for method, path in routes} == NEEDED.keys() | PAGES


@pytest.mark.parametrize(("method", "path"), [each for each, role in NEEDED.items() if role is not None])
def test_a_route_answers_those_whose_token_has_its_role(head: RunningHead, method: str, path: str) -> None:
    needed = NEEDED[method, path]
    assert needed is not None
    with elsewhere(head) as client:
        without = client.request(method, sendable(path))
        assert (without.status_code, said(without)) == (401, "this head wants a token")
        for wrong in WRONG:
            headers = [(b"Authorization", b"Bearer " + wrong.encode())]
            answer = client.request(method, sendable(path), headers=headers)
            assert answer.status_code == 401
            assert wrong not in answer.text
        for role, token in head.tokens.items():
            answer = client.request(method, sendable(path), headers={"Authorization": f"Bearer {token}"})
            assert (answer.status_code in REFUSED) is not role.allows(needed)
            assert token not in answer.text + str(answer.headers)


def test_whether_it_is_well_is_told_to_everybody(head: RunningHead) -> None:
    with elsewhere(head, {"Authorization": "Bearer nonsense"}) as client:
        assert client.get("/healthz").text == "ok\n"


@pytest.mark.parametrize(
    "path", ["/index.html", "/healthz/", "/api", "/api/v1/../../healthz", "/%2e%2e/", "//evil/"]
)
def test_nothing_else_is_answered_and_nobody_is_sent_elsewhere(head: RunningHead, path: str) -> None:
    answer = head.answer_to(f"GET {path} HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n".encode())
    assert answer.split()[1] in (b"401", b"404")
    assert b"location" not in answer.lower()


def test_a_browser_is_sent_to_the_login_of_this_head_alone(head: RunningHead) -> None:
    answer = head.answer_to(b"GET / HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n")
    assert answer.split()[1] == b"303"
    assert b"\r\nlocation: /login\r\n" in answer.lower()


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic YTpi", "Bearer a b", "token"])
def test_what_is_no_token_is_none(head: RunningHead, authorization: str) -> None:
    with elsewhere(head, {"Authorization": authorization}) as client:
        assert client.post(NAMES, content=ASKS).status_code == 401


def test_wrong_tokens_are_few_and_the_right_one_never_waits_for_them(head: RunningHead) -> None:
    with elsewhere(head) as client:
        wrong = {"Authorization": f"Bearer {WRONG[0]}"}
        answers = [client.post(NAMES, content=ASKS, headers=wrong) for _ in range(MOST_FAILURES + 2)]
        assert [answer.status_code for answer in answers] == [401] * MOST_FAILURES + [429] * 2
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        right = {"Authorization": f"Bearer {head.tokens[Role.ADMIN]}"}  # of another client of the same proxy
        assert client.post(NAMES, content=ASKS, headers=right).json() == ["tiny"]
        assert client.post(NAMES, content=ASKS, headers=wrong).status_code == 429


def test_a_page_of_another_site_can_embed_nothing(head: RunningHead) -> None:
    embedded = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"}
    with elsewhere(head, {"Authorization": f"Bearer {head.tokens[Role.ADMIN]}"}) as client:
        answer = client.get("/api/v1/copies?study=tiny", headers=embedded)
    assert (answer.status_code, said(answer)) == (403, "this comes from a page of another site")


def test_a_revoked_token_is_refused_at_once(head: RunningHead) -> None:
    token = head.opening.tokens.add("for-a-while", Role.VIEWER)
    with elsewhere(head, {"Authorization": f"Bearer {token}"}) as client:
        assert client.post(NAMES, content=ASKS).status_code == 200
        head.opening.tokens.revoke("for-a-while")
        assert client.post(NAMES, content=ASKS).status_code == 401


def test_a_page_of_another_site_is_refused_even_with_a_token(head: RunningHead) -> None:
    with head.client(Role.ADMIN) as client:
        for origin in ("http://evil.example", "null", "", f"http://localhost:{head.port}"):
            answer = client.post(NAMES, content=ASKS, headers={"Origin": origin})
            assert (answer.status_code, said(answer)) == (403, "this comes from a page of another site")
        own = client.post(NAMES, content=ASKS, headers={"Origin": head.address.url})
        assert own.status_code == 200


@pytest.fixture(scope="module")
def open_head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHead]:
    """A head without tokens."""
    folder = tmp_path_factory.mktemp("open")
    with running(opened_again(new_study(folder, TWO_CELLS)).storage, folder) as head:
        yield head


@pytest.mark.parametrize("host", FOREIGN)
def test_without_tokens_a_foreign_name_for_this_machine_leads_nowhere(
    open_head: RunningHead, host: str
) -> None:
    answer = open_head.answer_to(open_head.asks(f"Host: {host}\r\n"))
    assert answer.split()[1] in (b"403", b"400")
    assert b"tiny" not in answer


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:8080", "LOCALHOST:1", "127.0.0.9"])
def test_without_tokens_this_machine_is_let_in_by_its_own_names(open_head: RunningHead, host: str) -> None:
    assert open_head.answer_to(open_head.asks(f"Host: {host}\r\n")).endswith(b'["tiny"]')


def test_two_names_or_none_are_unclear_and_refused(open_head: RunningHead) -> None:
    for hosts in ("Host: localhost\r\nHost: evil.example\r\n", ""):
        answer = open_head.answer_to(open_head.asks(hosts))
        assert answer.split()[1] == b"403"


def test_who_asks_for_another_version_hears_so_and_the_head_logs_it_once(head: RunningHead) -> None:
    with head.client(Role.WORKER) as client:
        for _ in range(3):
            answer = client.post("/api/v2/open", json={"study": "tiny"})
            assert answer.status_code == 426
            assert "answers version 1; install the same one" in said(answer)
    logged = [line for line in head.lines if "/api/v2/open" in line]
    assert len(logged) == 1
    assert "answers /api/v1 only" in logged[0]
