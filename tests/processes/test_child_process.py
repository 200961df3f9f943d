"""A child process: what it gets, what it does not inherit, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import ChildProcess, Ending, NotStarted
from tests.support.child_processes import METHODS, START_ONE, run_python_in, told_by_a_child


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of starting: each must keep the same promises."""
    chosen: str = request.param
    monkeypatch.setattr(fork_server, "start_method", lambda: chosen)
    fork_server.begin(fork_server.WORKERS)
    return chosen


@pytest.mark.parametrize(
    ("target", "arguments", "said"),
    [
        ("tests.support.child_functions:sleep", [0.0], "exited with 0"),
        ("tests.support.child_functions:leave", [3], "exited with 3"),
        ("tests.support.child_functions:leave", [None], "exited with 0"),
        ("tests.support.child_functions:raise_an_error", [], "exited with 1"),
        ("tests.support.child_functions:die", [signal.SIGSEGV], "was killed by SIGSEGV"),
        (
            "tests.support.child_functions:die",
            [signal.SIGRTMIN + 3],
            f"was killed by signal {signal.SIGRTMIN + 3}",
        ),
        ("os:_exit", [4], "exited with 4"),
        ("os:execv", ["/bin/sh", ["sh", "-c", "exit 5"]], "exited with 5"),
    ],
)
def test_the_end_of_a_process_is_read_as_it_was(
    method: str, target: str, arguments: list[Any], said: str
) -> None:
    with tempfile.TemporaryFile() as output:
        child = ChildProcess(target, arguments, stderr=output.fileno())
        child.start()
        assert str(child.wait(60)) == said
        output.seek(0)
        assert (b"ValueError: as it was asked to" in output.read()) == ("raise_an_error" in target)


def test_a_process_has_the_folder_the_environment_and_the_cores_of_who_starts_it(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONLY_NOW", "secret")
    core = max(os.sched_getaffinity(0))
    answer = told_by_a_child(argv=["mnist-tune", "worker", "tiny"], cores={core}, own_session=True)
    assert answer["folder"] == str(tmp_path)
    assert answer["environment"] == dict(os.environ)
    assert answer["cores"] == {core}
    assert answer["argv"] == ["mnist-tune", "worker", "tiny"]
    assert answer["shown"] == [b"mnist-tune", b"worker", b"tiny"]
    assert answer["session"] != os.getsid(0)
    assert told_by_a_child()["session"] == os.getsid(0)
    assert told_by_a_child()["cores"] == os.sched_getaffinity(0)


@pytest.mark.parametrize(("zone", "hour"), [("UTC+0", 0), ("EAST-5", 5), ("WEST+7", 17)])
def test_a_process_is_in_the_time_zone_that_it_is_given(method: str, zone: str, hour: int) -> None:
    assert told_by_a_child(environment=os.environ | {"TZ": zone})["hour"] == hour


def test_a_process_begins_without_threads_or_a_gpu_and_deaf_to_who_stops_all(method: str) -> None:
    first, second = told_by_a_child(), told_by_a_child()
    assert (first["threads"], first["gpu"], first["ctrl-c"]) == (1, False, True)
    if method == "forkserver":
        assert first["tasks"] == 1
        assert first["random"] != second["random"]
    assert first["blocked"] == {"SIGINT", "SIGTERM", "SIGHUP"}


def test_a_process_inherits_no_file_and_no_socket(method: str, tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file, socket.socket() as listening:
        os.set_inheritable(file.fileno(), False)
        listening.bind(("127.0.0.1", 0))
        files = told_by_a_child()["files"]
        network = f"socket:[{os.fstat(listening.fileno()).st_ino}]"
        assert not {str(tmp_path / "open"), network} & set(files.values())
        assert sum(name.startswith("socket:") for name in files.values()) == 1  # the connection it was given


def test_a_process_reads_and_writes_what_it_was_given(method: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as output:
        child = ChildProcess(
            "tests.support.child_functions:talk",
            stdin=reading,
            stdout=output.fileno(),
            stderr=output.fileno(),
        )
        child.start()
        os.close(reading)
        os.write(writing, b"a line")
        os.close(writing)  # nobody else holds it open
        assert child.wait(60) == Ending(0)
        output.seek(0)
        assert sorted(output.read().split(b"\n")) == [b"", b"complained", b"read: a line"]


def test_a_process_goes_on_when_nobody_reads_its_complaints(method: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with tempfile.TemporaryFile() as output:
        child = ChildProcess("tests.support.child_functions:talk", stdout=output.fileno(), stderr=writing)
        child.start()
        os.close(writing)
        assert child.wait(60) == Ending(0)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_process_does_not_run_again_the_script_that_began_it_all(tmp_path: Path, name: str) -> None:
    script = tmp_path / "launcher.py"  # without a guard, as short ones are
    script.write_text(
        f"print('begun')\nfrom mnist_tune.processes import fork_server\n"
        f"fork_server.start_method = lambda: {name!r}\n{START_ONE}",
        encoding="utf-8",
    )
    answer = run_python_in(tmp_path, str(script))
    assert (answer.stdout, answer.stderr) == ("begun\nexited with 7\n", "")


def test_a_process_whose_folder_is_gone_says_so(method: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with tempfile.TemporaryFile() as output, pytest.MonkeyPatch.context() as patch:
        child = ChildProcess("sys:exit", [0], stderr=output.fileno())
        patch.setattr(os, "getcwd", lambda: str(gone))
        gone.rmdir()  # once it was asked for, and before it begins
        child.start()
        assert child.wait(60) == Ending(1)
        output.seek(0)
        assert output.read().decode() == f"mnist-tune: the current folder {gone}: No such file or directory\n"


def test_in_a_folder_that_is_gone_no_process_starts_and_it_is_said_why(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(
        NotStarted, match=r"^cannot be started: the current folder: No such file or directory$"
    ):
        ChildProcess("sys:exit", [0]).start()


def test_what_a_fresh_interpreter_is_to_find_is_in_no_other_environment() -> None:
    before = dict(os.environ)
    found = []

    def look() -> None:
        found.append(ChildProcess("sys:exit").environment)
        with fork_server.fresh_interpreter():  # as when two processes are started by exec
            found.append(dict(os.environ))

    other = threading.Thread(target=look)
    with fork_server.fresh_interpreter():
        needed = dict(os.environ)
        other.start()
        other.join(0.5)
    other.join()
    assert found == [before, needed]
    assert dict(os.environ) == before != needed
