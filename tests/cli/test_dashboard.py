"""`dashboard`: the address that it prints, where it listens, and which browser it opens."""

from __future__ import annotations

import json
import signal
import socket
import sys
import urllib.request
import webbrowser
from pathlib import Path

import pytest

from mnist_tune.dashboard.server import open_browser
from tests.support.commands import Command, finish, start_command
from tests.support.running_dashboard import address_of, running_dashboard
from tests.support.studies import new_study


@pytest.mark.slow
def test_the_dashboard_says_where_it_is_and_leaves_at_once_when_told(tmp_path: Path) -> None:
    new_study(tmp_path)
    for number in (signal.SIGTERM, signal.SIGINT):
        process = start_command("dashboard", "--port", "0", folder=tmp_path)
        url = address_of(process)
        with urllib.request.urlopen(f"{url}api/studies", timeout=30) as reply:
            assert json.load(reply)["study_summaries"][0]["study_name"] == "tiny"
        process.send_signal(number)
        done = finish(process)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_the_dashboard_listens_on_any_address_of_this_machine_only(tmp_path: Path, host: str) -> None:
    new_study(tmp_path)
    with running_dashboard(tmp_path, "--host", host) as url:
        assert url.startswith(f"http://{'[::1]' if ':' in host else host}:")
        assert urllib.request.urlopen(f"{url}dashboard", timeout=30).status == 200


@pytest.mark.slow
def test_other_machines_are_let_in_only_if_that_is_said_and_with_a_warning(
    command: Command, tmp_path: Path
) -> None:
    new_study(tmp_path)
    answer = command("dashboard", "--host", "0.0.0.0")
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "--allow-remote" in answer.err
    for options, may in ([], "see and delete every study"), (["--read-only"], "see every study"):
        process = start_command(
            *["dashboard", "--host", "0.0.0.0", "--allow-remote", "--port", "0", *options], folder=tmp_path
        )
        assert process.stdout is not None
        warning = process.stdout.readline()
        address_of(process)
        process.terminate()
        assert finish(process).returncode == 0
        assert "has no login" in warning
        assert warning.endswith(f" may {may}\n")


def test_a_port_that_is_taken_is_a_mistake_of_one_line(command: Command, tmp_path: Path) -> None:
    new_study(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = command("dashboard", "--port", str(port))
    assert answer.code == 2
    assert answer.err == (
        f"mnist-tune: --port: cannot listen on http://127.0.0.1:{port}/: address already in use; "
        "write another, or 0 for any that is free\n"
    )


@pytest.mark.parametrize("host", ["no-such-name.invalid", "", "300.0.0.1", "192.0.2.1"])
def test_a_host_that_is_not_this_machine_is_a_mistake_of_one_line(
    command: Command, tmp_path: Path, host: str
) -> None:
    new_study(tmp_path)
    answer = command("dashboard", "--host", host, "--allow-remote", "--port", "0")
    assert answer.code == 2
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("browser", "terminal", "display", "opened"),
    [
        (webbrowser.Mozilla, True, ":0", True),
        (webbrowser.BackgroundBrowser, True, ":0", True),
        (webbrowser.Mozilla, True, "", False),
        (webbrowser.Mozilla, False, ":0", False),
        (webbrowser.GenericBrowser, True, ":0", False),
        (webbrowser.Elinks, True, ":0", False),
    ],
)
def test_a_browser_opens_in_a_window_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
    browser: type[webbrowser.BaseBrowser],
    terminal: bool,
    display: str,
    opened: bool,
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(browser, "open", lambda _, url: shown.append(url))
    monkeypatch.setattr(webbrowser, "get", lambda: browser("some-browser"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    if thread := open_browser("http://127.0.0.1:8080/"):
        thread.join()
    assert shown == (["http://127.0.0.1:8080/"] if opened else [])
