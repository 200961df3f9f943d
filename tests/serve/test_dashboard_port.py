"""optuna-dashboard at the second port of a head: for whom the head lets in, and for reading only."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mnist_tune.serve import sessions
from mnist_tune.serve.roles import Role
from mnist_tune.serve.tokens import Tokens
from mnist_tune.study.open_study import OpenStudy
from tests.support.dashboard_routes import CONTENT_OF_ANY_ROUTE, all_routes
from tests.support.heads import RunningHead, running, said
from tests.support.made_studies.cells import complete_cell
from tests.support.process_tree import descendants
from tests.support.served import served
from tests.support.stored_content import stored_rows
from tests.support.studies import new_study, opened_again
from tests.support.waiting import wait_until

READING = ("GET", "HEAD")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> OpenStudy:
    """A study with a complete cell."""
    study = new_study(tmp_path_factory.mktemp("study"))
    complete_cell(study, 80.0, 90.0)
    return study


@pytest.fixture(scope="module")
def head(study: OpenStudy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHead]:
    """A head with a token for each role, which shows the dashboard. It logs nothing but wrong tokens."""
    with running(
        opened_again(study).storage, tmp_path_factory.mktemp("head"), roles=tuple(Role), dashboard=True
    ) as head:
        yield head
        assert head.is_well()
        assert [line for line in head.lines if "a token that is not known was refused" not in line] == []


@pytest.fixture
def browser(head: RunningHead) -> Iterator[httpx.Client]:
    """A browser at the dashboard; nobody has logged in."""
    with head.dashboard() as client:
        yield client


def log_in(client: httpx.Client, token: str, at: str = "") -> httpx.Response:
    return client.post(f"{at}/login", data={"token": token})


def test_who_has_not_logged_in_is_led_to_the_login_and_sees_nothing(
    browser: httpx.Client, study: OpenStudy, tmp_path: Path
) -> None:
    for path in ("/", "/dashboard", "/dashboard/studies/1"):
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["location"], answer.content) == (303, "/login", b""), path
    asked_for = browser.get("/login")
    assert re.search('<input [^>]*name="token"', asked_for.text)
    for route in all_routes(study, tmp_path):
        answer = browser.request(route.method, route.path, json=CONTENT_OF_ANY_ROUTE)
        assert answer.status_code in (303, 401), route
        assert "tiny" not in answer.text


def test_a_viewers_token_opens_the_page_with_the_studies_in_it(
    head: RunningHead, browser: httpx.Client
) -> None:
    answer = log_in(browser, head.tokens[Role.VIEWER])
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.get("/").headers["location"] == "/dashboard"
    assert "<title>Optuna Dashboard</title>" in browser.get("/dashboard").text
    (summary,) = browser.get("/api/studies").json()["study_summaries"]
    assert summary["study_name"] == "tiny"
    detail = browser.get(f"/api/studies/{summary['study_id']}")
    assert [trial["state"] for trial in detail.json()["trials"]].count("Complete") == 1
    assert detail.headers["cache-control"] == "no-store"
    script = browser.get("/static/bundle.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert len(script.content) > 1_000_000


def test_one_login_opens_both_ports(head: RunningHead, browser: httpx.Client) -> None:
    name = log_in(browser, head.tokens[Role.VIEWER]).headers["set-cookie"].partition("=")[0]
    assert name == f"mnist-tune-{head.port}"
    assert browser.get(head.address.url).status_code == 200
    browser.post(f"{head.address.url}/logout")
    assert browser.get("/dashboard").status_code == 303
    log_in(browser, head.tokens[Role.WORKER], at=head.address.url)
    assert browser.get("/dashboard").status_code == 200
    browser.post("/logout")
    assert browser.get(head.address.url).status_code == 303


@pytest.mark.parametrize("role", Role)
def test_a_program_shows_its_token_of_any_role(head: RunningHead, role: Role) -> None:
    with head.dashboard(role) as client:
        assert client.get("/api/studies").status_code == 200
        assert client.head("/dashboard").content == b""


def test_no_session_that_is_wrong_over_or_of_a_revoked_token_opens_it(
    head: RunningHead, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log_in(browser, "mnt_" + "x" * 43).status_code == 401
    cookie = f"mnist-tune-{head.port}"
    for word in ("", "x" * 43, head.tokens[Role.ADMIN]):
        assert browser.get("/api/studies", headers={"Cookie": f"{cookie}={word}"}).status_code == 401
    assert browser.get("/api/studies", headers={"Authorization": "Bearer x"}).status_code == 401
    tokens = Tokens(head.opening.tokens.path)
    log_in(browser, tokens.add("for-a-while", Role.VIEWER))
    assert browser.get("/api/studies").status_code == 200
    tokens.revoke("for-a-while")
    assert browser.get("/api/studies").status_code == 401
    monkeypatch.setattr(sessions, "SECONDS", 0)
    word = log_in(browser, head.tokens[Role.VIEWER]).headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert browser.get("/api/studies", headers={"Cookie": f"{cookie}={word}"}).status_code == 401


def test_pages_of_other_sites_get_nothing(head: RunningHead) -> None:
    with head.dashboard(Role.ADMIN) as client:
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": head.address.url},  # another port is another site's page too
            {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-site"},
        ):
            answer = client.get("/api/studies", headers=headers)
            assert (answer.status_code, said(answer)) == (403, "this comes from a page of another site")
        linked = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-site"}
        assert client.get("/dashboard", headers=linked).status_code == 200
        own = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Mode": "cors"}
        assert client.get("/api/studies", headers={**own, "Sec-Fetch-Site": "same-origin"}).status_code == 200
        for host in ("", "[", "a b"):  # nothing that is a name
            assert client.get("/api/studies", headers={"Host": host}).status_code in (400, 403)


def test_nothing_can_be_changed_with_any_token(head: RunningHead, study: OpenStudy, tmp_path: Path) -> None:
    before = stored_rows(study)
    writing = [route for route in all_routes(study, tmp_path) if route.method not in READING]
    assert len(writing) > 15
    with head.dashboard(Role.ADMIN) as client:
        for route in writing:
            answer = client.request(route.method, route.path, json=CONTENT_OF_ANY_ROUTE)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD"), route
            assert answer.text == "mnist-tune: this dashboard is read-only\n"
        assert client.request("TRACE", "/api/studies").status_code == 405
    assert stored_rows(study) == before


def test_the_heads_page_links_to_it_by_the_name_that_the_browser_uses(head: RunningHead) -> None:
    with head.client(Role.VIEWER) as client:
        assert f'<a href="//127.0.0.1:{head.dashboard_port}/">Dashboard</a>' in client.get("/").text
        for host, link in (
            ("gpu-1:80", f'"//gpu-1:{head.dashboard_port}/"'),
            ("[::1]:8080", f'"//[::1]:{head.dashboard_port}/"'),
            ('"><script>', "&#34;&gt;&lt;script&gt;"),
        ):
            assert link in client.get("/", headers={"Host": host}).text
        assert "Dashboard" not in client.get("/", headers={"Host": "["}).text


def test_neither_port_answers_for_the_other(head: RunningHead) -> None:
    with head.dashboard(Role.ADMIN) as client:
        assert client.get("/api/v1/studies").status_code == 404
        assert client.get("/metrics").status_code == 404
    with head.client(Role.ADMIN) as client:
        assert client.get("/dashboard").status_code == 404
        assert client.get("/static/bundle.js").status_code == 404


@pytest.mark.slow
def test_without_tokens_it_is_for_this_machine_by_its_own_names(study: OpenStudy, tmp_path: Path) -> None:
    with running(opened_again(study).storage, tmp_path, dashboard=True) as head, head.dashboard() as client:
        assert client.get("/login").headers["location"] == "/"
        assert client.get("/api/studies").status_code == 200
        answer = client.get("/api/studies", headers={"Host": "evil.example"})
        assert (answer.status_code, "by the name localhost" in said(answer)) == (403, True)
        assert client.delete(f"/api/studies/{study.study_id}").status_code == 405


def test_a_head_without_it_has_no_link_to_it(study: OpenStudy, tmp_path: Path) -> None:
    with running(opened_again(study).storage, tmp_path) as head, head.client() as client:
        assert "Dashboard" not in client.get("/").text


@pytest.mark.slow
def test_when_its_process_dies_the_head_goes_on_and_starts_it_again(study: OpenStudy, tmp_path: Path) -> None:
    others = processes(os.getpid())
    with running(opened_again(study).storage, tmp_path, dashboard=True) as head, head.dashboard() as client:
        assert client.get("/api/studies").status_code == 200
        (pid,) = set(processes(os.getpid())) - set(others)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: bool(head.lines))
        assert head.is_well()
        assert head.lines == ["dashboard: has ended (-9); it is started again"]
        assert client.get("/api/studies").status_code == 200
    assert processes(os.getpid()) == others


def processes(parent: int) -> list[int]:
    """The dashboards' processes that this one has started."""
    return [
        each
        for each in descendants(parent)
        if b"mnist_tune.serve.dashboard_process" in Path(f"/proc/{each}/cmdline").read_bytes()
    ]


@pytest.mark.slow
def test_it_ends_with_a_head_that_is_killed_and_leaves_nothing(tmp_path: Path) -> None:
    new_study(tmp_path)
    with served(tmp_path, "--dashboard-port", "0") as head:
        url = head.until(r"dashboard on (http://127\.0\.0\.1:\d+)$")[1]
        assert httpx.get(f"{url}/api/studies", timeout=90).status_code == 200
        (pid,) = processes(head.process.pid)
        (folder,) = {
            Path(line.split()[-1]).parent
            for line in Path("/proc/net/unix").read_text("utf-8").splitlines()
            if line.endswith("/dashboard") and "mnist-tune-" in line and is_of(pid, line.split()[6])
        }
        assert folder.stat().st_mode & 0o077 == 0
        assert b"sqlite" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        head.end(signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists() and not folder.exists())


def is_of(pid: int, inode: str) -> bool:
    """Whether a process has the socket with this inode."""
    links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]  # noqa: PTH115
    return f"socket:[{inode}]" in links


@pytest.mark.slow
def test_it_has_the_heads_certificate_and_login_where_others_reach_it(tmp_path: Path) -> None:
    new_study(tmp_path)
    token = Tokens(tmp_path / "studies.db.tokens").add("looks", Role.VIEWER)
    with served(tmp_path, "--host", "0.0.0.0", "--dashboard-port", "0") as head:
        port = head.until(r"dashboard on https://\S+:(\d+)$")[1]
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=False, timeout=90) as client:
            assert client.get("/api/studies").status_code == 401
            assert "; secure" in log_in(client, token).headers["set-cookie"].lower()
            assert client.get("/").headers["location"] == "/dashboard"
            assert client.get("/api/studies").status_code == 200
            assert client.get(f"https://127.0.0.1:{head.port}/").status_code == 200
        ended = head.end()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
