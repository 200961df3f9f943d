"""Work goes on when nothing can be printed: closed terminal, unread pipe, full disk, no output."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.study.store import open_study
from mnist_tune.terminal.display import Display
from tests.support.specs import STUDIES, TINY_SPEC, write_spec
from tests.support.studies import new_study, open_file
from tests.support.waiting import wait_until

MNIST_TUNE = [sys.executable, "-m", "mnist_tune"]
FULL = Path("/dev/full")
SAYS_IN_EVERY_WAY = """
import sys, warnings
from pathlib import Path
from mnist_tune.processes import standard_streams
standard_streams.take_over()
standard_streams.work_on()
import typer
from rich.console import Console
from rich.live import Live
for line in ("said", "\\u2713 said again"):
    typer.echo(line)
    typer.echo(line, err=True)
    Console(force_terminal=True).print(line)
    print(line, flush=True)
    print(line, flush=True, file=sys.stderr)
    warnings.warn(line)
    with Live(line, console=Console(force_terminal=True), screen=True) as live:
        live.refresh()
with Path("database").open("w") as opened:
    assert opened.fileno() > 2, "the next file is taken for a standard stream"
Path("done").touch()
"""
ONE_CELL = TINY_SPEC.replace("[0.001, 0.0001]", "[0.001]").replace("[64, 128]", "[64]").replace(', "SGD"', "")
SLOW_CELL = ONE_CELL.replace("epochs = 2", "epochs = 200") + "\n[retry]\nlost = 0\n"


@contextmanager
def closed_terminal() -> Iterator[int]:
    """A terminal whose window is gone: writing to it is an input/output error."""
    window, terminal = pty.openpty()
    os.close(window)
    yield terminal
    os.close(terminal)


@contextmanager
def unread_pipe() -> Iterator[int]:
    """A pipe whose reader is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@contextmanager
def full_disk() -> Iterator[int]:
    """A file on a full disk."""
    with FULL.open("wb") as full:
        yield full.fileno()


Output = Callable[[], AbstractContextManager[int]]
every_output = pytest.mark.parametrize(
    "output", [closed_terminal, unread_pipe, full_disk], ids=lambda output: output.__name__
)


def run_script(script: str, folder: Path, *, environment: dict[str, str] | None = None, output: int) -> int:
    """The exit code of a script with this output."""
    needed = os.environ | {"PYTHONPATH": str(STUDIES.parent)} | (environment or {})
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, cwd=folder, env=needed, stdout=output, stderr=output, check=False
    ).returncode


@every_output
def test_work_goes_on_though_nothing_can_be_printed(tmp_path: Path, output: Output) -> None:
    with output() as descriptor:
        assert run_script(SAYS_IN_EVERY_WAY, tmp_path, output=descriptor) == 0
    assert (tmp_path / "done").exists()


def test_a_letter_that_the_terminal_has_not_ends_nothing(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        ascii_only = {"PYTHONIOENCODING": "ascii"}
        assert run_script(SAYS_IN_EVERY_WAY, tmp_path, environment=ascii_only, output=log.fileno()) == 0
    assert b"\\u2713 said again" in (tmp_path / "log").read_bytes()


def test_work_goes_on_without_any_standard_stream(tmp_path: Path) -> None:
    command = ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, SAYS_IN_EVERY_WAY]
    environment = os.environ | {"PYTHONPATH": str(STUDIES.parent)}
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode == 0
    assert (tmp_path / "done").exists()


def test_a_pipe_that_takes_no_more_for_now_gets_everything(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # as other programs leave a terminal behind
    received: list[bytes] = []

    def read() -> None:
        while content := os.read(reading, 65_536):
            received.append(content)

    reader = threading.Thread(target=read)
    reader.start()
    script = (
        "from mnist_tune.processes import standard_streams\n"
        "standard_streams.take_over()\nprint('x' * 1_000_000, end='')"
    )
    assert run_script(script, tmp_path, output=writing) == 0
    os.close(writing)
    reader.join()
    os.close(reading)
    assert b"".join(received) == b"x" * 1_000_000


def test_the_live_view_is_for_a_terminal_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    results = read_results(new_study(tmp_path))
    with (tmp_path / "out.log").open("w") as log:
        console = Console(file=log, highlight=False)
        assert console.is_terminal  # so it says
        with Display(results, console) as display:
            display.show(results)
            display.say("stopping")
    (line,) = (tmp_path / "out.log").read_text(encoding="utf-8").splitlines()
    assert line.endswith(" stopping")
    assert line.isprintable()


def test_a_job_in_the_background_of_a_terminal_draws_no_screen(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom mnist_tune.processes.standard_streams import is_screen\n"
        "before = is_screen(sys.stdout)\n"
        "if os.fork() == 0:\n    os.setpgid(0, 0)\n    os._exit(is_screen(sys.stdout))\n"
        "sys.exit(0 if before and os.wait()[1] == 0 else 1)"
    )
    window, terminal = pty.openpty()
    job = started([sys.executable, "-c", script], tmp_path, terminal, terminal=True)
    os.close(terminal)
    assert job.wait(timeout=60) == 0
    os.close(window)


def started(
    arguments: list[str], folder: Path, output: int, *, terminal: bool = False
) -> subprocess.Popen[str]:
    """A command with this output; a terminal may be made the command's own."""
    environment = os.environ | {
        "MNIST_TUNE_STORAGE": f"sqlite:///{folder}/studies.db",
        "PYTHONPATH": str(STUDIES.parent),
    }

    def own_it() -> None:
        fcntl.ioctl(output, termios.TIOCSCTTY, 0)

    return subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment,
        stdin=output if terminal else subprocess.DEVNULL,
        stdout=output,
        stderr=output if terminal else subprocess.PIPE,
        start_new_session=True,
        preexec_fn=own_it if terminal else None,
        text=True,
    )


def results_of(folder: Path) -> Results:
    return read_results(open_study(open_file(folder), "tiny"))


@pytest.mark.slow
@pytest.mark.usefixtures("mnist_directory")
def test_a_worker_whose_terminal_is_closed_gives_its_cell_back(tmp_path: Path) -> None:
    new_study(tmp_path, SLOW_CELL)
    window, terminal = pty.openpty()
    worker = started([*MNIST_TUNE, "worker", "tiny"], tmp_path, terminal, terminal=True)
    os.close(terminal)
    wait_until(lambda: bool(results_of(tmp_path).attempts[0].history))
    os.close(window)
    assert worker.wait(timeout=120) == 3
    stopped, waiting = results_of(tmp_path).attempts
    assert waiting.state == "waiting"
    assert stopped.failure is not None
    assert stopped.failure["class"] == "preempted"
    assert stopped.failure["reason"].startswith("the worker was stopped by SIGHUP; stopped after epoch ")


@pytest.mark.slow
@pytest.mark.usefixtures("mnist_directory")
@every_output
def test_a_run_finishes_its_study_though_nothing_can_be_printed(tmp_path: Path, output: Output) -> None:
    with output() as descriptor:
        run = started([*MNIST_TUNE, "run", str(write_spec(tmp_path, ONE_CELL))], tmp_path, descriptor)
        _, said = run.communicate(timeout=120)
    lost = "mnist-tune: not all output could be written: No space left on device\n"
    assert (run.returncode, said) == (0, lost if output is full_disk else "")
    assert results_of(tmp_path).cells.complete == 1


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("options", [(), pytest.param(("--json",), marks=pytest.mark.slow)])
def test_an_answer_that_cannot_be_printed_is_a_failure_in_one_line(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    new_study(tmp_path, ONE_CELL)
    with full_disk() as descriptor:
        status = started([*MNIST_TUNE, "status", "tiny", *options], tmp_path, descriptor)
        _, said = status.communicate(timeout=120)
    assert said == "mnist-tune: standard output cannot be written: No space left on device\n"
    assert status.returncode == 1
