"""A process of ours: what it is given, what it has not, how it ends; and a fork server that is killed."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import ChildProcess, Ending, NotStarted
from tests.support.process_tree import descendants
from tests.support.specs import STUDIES
from tests.support.waiting import wait_until

METHODS = ["forkserver", "spawn"]
START_ONE = """
from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import ChildProcess
fork_server.begin(fork_server.TRAINING)
child = ChildProcess("sys:exit", [7])
child.start()
print(child.wait(60))
"""


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of starting: what a process is promised, it is promised by each."""
    chosen: str = request.param
    monkeypatch.setattr(fork_server, "start_method", lambda: chosen)
    fork_server.begin(fork_server.WORKERS)
    return chosen


@pytest.fixture
def fork_server_pid() -> int:
    """The fork server of this process."""
    fork_server.begin(fork_server.WORKERS)
    child = ChildProcess("sys:exit", [0])
    child.start()  # so it is loaded
    assert child.wait() == Ending(0)
    [pid] = [
        pid for pid in descendants(os.getpid()) if command_line_of(pid)[:2] == ["mnist-tune", "fork-server"]
    ]
    return pid


def command_line_of(pid: int) -> list[str]:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").rstrip("\0")
        return line.split("\0") if line else []  # of one that has ended
    except OSError:
        return []


def told_by_a_child(target: str = "tell", **options: Any) -> dict[str, Any]:
    ours, theirs = multiprocessing.Pipe()
    child = ChildProcess(f"tests.support.child_functions:{target}", [theirs], **options)
    child.start()
    theirs.close()
    answer: dict[str, Any] = ours.recv()
    assert child.wait() == Ending(0)
    return answer


def run_python_in(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder: an interpreter of its own, which has no fork server yet."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(STUDIES.parent)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


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


def test_children_of_children_come_from_the_same_server(fork_server_pid: int) -> None:
    assert told_by_a_child()["parent"] == fork_server_pid
    assert told_by_a_child("start_another")["parent"] == fork_server_pid


def test_what_is_shown_of_the_server_has_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, fork_server_pid: int
) -> None:
    os.kill(fork_server_pid, signal.SIGKILL)
    wait_until(lambda: not command_line_of(fork_server_pid))
    monkeypatch.setenv("MNIST_TUNE_STORAGE", "postgresql://tuner:not-to-be-seen@host/studies")
    lines: list[list[str]] = []

    def is_loading() -> bool:
        fork_server.begin(fork_server.WORKERS)  # once the kernel has told of the end of the last
        lines.extend(command_line_of(pid) for pid in descendants(os.getpid()))
        return any("multiprocessing.forkserver" in " ".join(line) for line in lines)

    wait_until(is_loading)
    assert told_by_a_child()["environment"]["MNIST_TUNE_STORAGE"].endswith("not-to-be-seen@host/studies")
    lines += [command_line_of(pid) for pid in descendants(os.getpid())]
    assert "not-to-be-seen" not in str(lines)


def test_a_killed_server_costs_its_processes_nothing_and_the_next_start_makes_a_new_one(
    fork_server_pid: int,
) -> None:
    lives = ChildProcess("tests.support.child_functions:sleep", [2.0])
    killed = ChildProcess("tests.support.child_functions:sleep", [600.0])
    for child in (lives, killed):
        child.start()
    os.kill(fork_server_pid, signal.SIGKILL)
    wait_until(lambda: not command_line_of(fork_server_pid))
    assert (lives.poll(), killed.poll()) == (None, None)
    wait_until(
        lambda: told_by_a_child()["parent"] not in (fork_server_pid, os.getpid())
    )  # by exec, until its end is known
    assert lives.wait(60) == Ending(0)  # its own word
    killed.kill()
    assert killed.wait(60) == Ending(None)  # nobody was there to see
    assert str(killed.poll()) == "ended without a word"


def test_a_child_whose_server_was_killed_starts_its_own(fork_server_pid: int) -> None:
    ours, theirs = multiprocessing.Pipe()
    child = ChildProcess("tests.support.child_functions:start_when_told", [theirs])
    child.start()
    theirs.close()
    assert ours.recv() == "here"
    os.kill(fork_server_pid, signal.SIGKILL)
    wait_until(lambda: not command_line_of(fork_server_pid))
    ours.send("go on")
    assert ours.recv() == "exited with 7"
    assert child.wait(60) == Ending(0)


def test_what_keeps_a_server_from_loading_shows_in_the_process_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fork_server_pid: int
) -> None:
    os.kill(fork_server_pid, signal.SIGKILL)
    wait_until(lambda: not command_line_of(fork_server_pid))
    (tmp_path / "torch.py").write_text("raise OSError('libgomp.so.1: cannot open shared object file')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with tempfile.TemporaryFile() as output:
        child = ChildProcess("mnist_tune.worker.child_main:main", [None], stderr=output.fileno())
        child.start()
        assert child.wait(60) == Ending(1)
        output.seek(0)
        assert output.read().endswith(b"OSError: libgomp.so.1: cannot open shared object file\n")
    monkeypatch.undo()
    fork_server.begin(fork_server.WORKERS)


def test_without_a_folder_that_a_server_can_listen_in_a_process_starts_by_exec(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)  # the name of a socket has 107 letters at most
    long.mkdir()
    answer = run_python_in(tmp_path, "-c", START_ONE, TMPDIR=str(long))
    assert (answer.stdout, answer.stderr) == ("exited with 7\n", "")


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


def test_where_each_server_ends_itself_only_one_is_ever_loaded(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(  # as what watches all Python programs of a machine does
        """
import os, sys, threading
if "forkserver" in str(sys.orig_argv):
    with open("servers", "a") as servers:
        print(os.getpid(), file=servers)
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
    )
    script = """
import multiprocessing
from mnist_tune.processes.child_process import ChildProcess
for _ in range(2):
    ours, theirs = multiprocessing.Pipe()
    child = ChildProcess("tests.support.child_functions:start_when_told", [theirs])
    child.start()
    ours.recv()
    ours.send("go on")
    print(ours.recv(), child.wait(60))
"""
    path = os.pathsep.join([str(tmp_path), str(STUDIES.parent)])
    answer = run_python_in(
        tmp_path,
        "-c",
        f"from mnist_tune.processes import fork_server; fork_server.begin(fork_server.TRAINING)\n{script}",
        PYTHONPATH=path,
    )
    assert (answer.stdout, answer.stderr) == ("exited with 7 exited with 0\n" * 2, "")
    assert len((tmp_path / "servers").read_text().splitlines()) == 1


def test_the_server_of_a_killed_process_leaves_nothing_behind(tmp_path: Path) -> None:
    listens = "print(forkserver._forkserver._forkserver_address, flush=True)"
    end = "os.kill(os.getpid(), signal.SIGKILL)"
    script = f"import os, signal\nfrom multiprocessing import forkserver\n{START_ONE}\n{listens}\n{end}"
    answer = run_python_in(tmp_path, "-c", script, TMPDIR=str(tmp_path))
    said, socket_file = answer.stdout.splitlines()
    assert (answer.returncode, said) == (-signal.SIGKILL, "exited with 7")
    assert Path(socket_file).parent.parent == tmp_path
    wait_until(lambda: not list(tmp_path.iterdir()))


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


def test_a_process_that_nobody_asks_for_any_more_leaves_no_descriptor_behind(fork_server_pid: int) -> None:
    def count() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    def start() -> None:
        child = ChildProcess("tests.support.child_functions:sleep", [0.0])
        child.start()
        child.wait()

    start()
    before = count()
    for _ in range(5):
        start()
    assert count() == before
