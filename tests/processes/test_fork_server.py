"""The fork server: how it shows, when it is killed, and when it cannot start."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import tempfile
from pathlib import Path

import pytest

from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import ChildProcess, Ending
from tests.support.child_processes import START_ONE, command_line_of, run_python_in, told_by_a_child
from tests.support.process_tree import descendants
from tests.support.specs import STUDIES
from tests.support.waiting import wait_until


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


def test_children_of_children_come_from_the_same_server(fork_server_pid: int) -> None:
    assert told_by_a_child()["parent"] == fork_server_pid
    assert told_by_a_child("start_another")["parent"] == fork_server_pid


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_killed_server_costs_its_processes_nothing_and_the_next_start_makes_a_new_one(
    fork_server_pid: int,
) -> None:
    running = ChildProcess("tests.support.child_functions:sleep", [2.0])
    killed = ChildProcess("tests.support.child_functions:sleep", [600.0])
    for child in (running, killed):
        child.start()
    os.kill(fork_server_pid, signal.SIGKILL)
    wait_until(lambda: not command_line_of(fork_server_pid))
    assert (running.poll(), killed.poll()) == (None, None)
    wait_until(
        lambda: told_by_a_child()["parent"] not in (fork_server_pid, os.getpid())
    )  # by exec, until its end is known
    assert running.wait(60) == Ending(0)  # its own word
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_server_of_a_killed_process_leaves_nothing_behind(tmp_path: Path) -> None:
    listens = "print(forkserver._forkserver._forkserver_address, flush=True)"
    end = "os.kill(os.getpid(), signal.SIGKILL)"
    script = f"import os, signal\nfrom multiprocessing import forkserver\n{START_ONE}\n{listens}\n{end}"
    answer = run_python_in(tmp_path, "-c", script, TMPDIR=str(tmp_path))
    said, socket_file = answer.stdout.splitlines()
    assert (answer.returncode, said) == (-signal.SIGKILL, "exited with 7")
    assert Path(socket_file).parent.parent == tmp_path
    wait_until(lambda: not list(tmp_path.iterdir()))


@pytest.mark.slow
def test_a_server_that_ended_because_a_client_was_killed_while_it_asked_is_replaced(tmp_path: Path) -> None:
    script = f"""
import os, socket, time
from multiprocessing import forkserver
{START_ONE}
server = forkserver._forkserver
with socket.socket(socket.AF_UNIX) as client:
    client.connect(server._forkserver_address)  # and asks for nothing
while os.waitid(os.P_PID, server._forkserver_pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
    time.sleep(0.05)
child = ChildProcess("sys:exit", [7])
child.start()
print(child.wait(60), type(child._process).__name__)
"""
    answer = run_python_in(tmp_path, "-c", script, TMPDIR=str(tmp_path))
    assert answer.stdout.splitlines() == ["exited with 7", "exited with 7 ForkServerProcess"], answer.stderr


@pytest.mark.slow
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
