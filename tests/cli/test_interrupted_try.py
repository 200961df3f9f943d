"""`try` on a terminal: the debugger asks there, and Ctrl-C ends it quietly."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import BY_EXEC, finish, start_command
from tests.support.own_jobs import own_job, with_line
from tests.support.waiting import wait_until

TRY = ("try", "fit.py:train", "--epochs", "3")
STAY = """
def stay() -> None:
    import time
    try:
        (Path(__file__).parent / "waits").touch()
        time.sleep(600)
    finally:
        print("tidies up")

class Settings"""


@pytest.mark.slow
def test_ctrl_c_ends_it_without_a_traceback_after_the_jobs_own_tidying_up(tmp_path: Path) -> None:
    own_job(tmp_path, with_line("stay()").replace("class Settings", STAY))
    process = start_command(*TRY, "--save", "kept", folder=tmp_path, environment=BY_EXEC)
    wait_until((tmp_path / "waits").exists)
    process.send_signal(signal.SIGINT)
    answer = finish(process)
    assert (answer.returncode, answer.stdout) == (3, "tidies up\n")
    assert answer.stderr == "stopped before the last epoch\n"
    assert not (tmp_path / "kept").exists()


def on_terminal(folder: Path, typed: str) -> tuple[int, str]:
    """Try the job on a terminal where this is typed; the exit code, and all that the screen has shown."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "mnist_tune", *TRY]
    process = subprocess.Popen(command, cwd=folder, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    shown = b""
    try:
        while part := os.read(leader, 1 << 16):
            shown += part
            if shown.endswith(b"(Pdb) "):
                line, _, typed = typed.partition("\n")
                os.write(leader, f"{line}\n".encode())
    except OSError:  # the terminal has no process any more
        pass
    finally:
        os.close(leader)
    return process.wait(120), shown.decode()


@pytest.mark.slow
def test_a_breakpoint_asks_on_the_terminal(tmp_path: Path) -> None:
    own_job(tmp_path, with_line("if epoch == 2: breakpoint()"))
    code, shown = on_terminal(tmp_path, "p 6 * 7, epoch\ncontinue\n")
    assert code == 0, shown
    assert "(42, 2)" in shown
    assert "epoch 3/3: " in shown


@pytest.mark.slow
def test_leaving_the_debugger_ends_it_without_a_traceback(tmp_path: Path) -> None:
    own_job(tmp_path, with_line("if epoch == 2: breakpoint()"))
    code, shown = on_terminal(tmp_path, "quit\n")
    assert code == 3, shown
    assert "Traceback" not in shown
    assert "stopped before the last epoch" in shown
