"""`run` on a machine that reaches nothing but a head: as with a database, but no file stays there."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from mnist_tune.contract.study import Control
from mnist_tune.queue.control import set_control
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.study.store import open_study, study_names
from tests.support.commands import STORED, finish, start_command
from tests.support.own_jobs import FIT_SPEC, own_job, with_line
from tests.support.served import serving
from tests.support.studies import open_file
from tests.support.waiting import wait_until

SLOW = with_line("__import__('time').sleep(0.3)")
SPEC = FIT_SPEC.replace("[limits]", "[limits]\nfailures_in_a_row = 0")  # else a note would say so
LONG_SPEC = SPEC.replace("[0.1, 0.01]", "[0.1]").replace("epochs = 3", "epochs = 30")
FAILS = with_line("raise ValueError('this cannot be trained')")
FAILS_SPEC = SPEC.replace("lost = -1", "exception = 0")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of the head and its database."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def head(home: Path) -> Iterator[str]:
    """The address of a head in a process of its own."""
    with serving(home) as address:
        yield address


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a person works on another machine."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return folder


def run(
    folder: Path, url: str, *options: str, environment: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    return finish(start_command("run", "fit.toml", *options, folder=folder, url=url, environment=environment))


def results_of(home: Path) -> Results:
    """The study as the head's own machine has it."""
    return read_results(open_study(open_file(home), "fit"))


def files_in(folder: Path) -> set[str]:
    """The files in a folder, without those in which Python keeps what it has compiled."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("__pycache__/")}


@pytest.mark.slow
def test_the_study_is_made_and_finished_there_by_workers_here(home: Path, head: str, elsewhere: Path) -> None:
    own_job(elsewhere, spec=SPEC)
    done = run(elsewhere, head, "--workers", "2", "--json")
    assert done.returncode == 0, done.stderr
    first, *_ = done.stderr.splitlines()
    assert first == f"study 'fit' created in {head}: 2 cells, 2 workers"
    assert " trial 0 complete; " in done.stderr
    told = json.loads(done.stdout)
    results = results_of(home)
    assert told["trials"] == json.loads(json.dumps(results.as_json()["trials"]))
    assert results.cells.complete == 2
    assert {worker.departure for worker in results.workers} == {"the study is finished"}
    verified = finish(start_command("verify", "fit", folder=home))
    assert verified.stdout.splitlines()[-1].startswith(
        "study 'fit' keeps every promise: 2 cells (2 complete)"
    )
    assert len(files_in(home / f"{STORED}.artifacts")) == 4  # weights and a log of each
    assert files_in(elsewhere) == {"fit.py", "fit.toml"}
    again = run(elsewhere, head)
    assert (again.returncode, again.stderr) == (0, "")
    said = f"study 'fit' is finished already in {head}: all of its 2 cells have ended\n"
    assert again.stdout.startswith(said)


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_where_it_was_from_any_machine(
    home: Path, head: str, elsewhere: Path, tmp_path: Path
) -> None:
    own_job(elsewhere, SLOW, LONG_SPEC)
    first = start_command("run", "fit.toml", folder=elsewhere, url=head)
    wait_until(
        lambda: (
            "fit" in study_names(open_file(home)) and any(one.history for one in results_of(home).attempts)
        )
    )
    first.send_signal(signal.SIGINT)
    stopped = finish(first)
    assert (stopped.returncode, stopped.stderr) == (3, "")
    assert "stopping: the workers finish their epochs; " in stopped.stdout
    assert stopped.stdout.endswith("not finished: 0/1 cell, 1 waiting; the same command goes on\n")

    other = own_job(tmp_path / "other", SLOW, LONG_SPEC).parent
    done = run(other, head, "--checkpoints", str(tmp_path / "spool"))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith(f"study 'fit' goes on in {head}: 1 cell, 1 worker\n")
    given_back, complete = results_of(home).attempts
    assert complete.resumed is not None
    assert complete.resumed["epoch"] == len(given_back.history) > 0
    assert len(complete.history) == 30
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.slow
def test_a_run_ends_with_the_same_words_and_code_as_on_a_database(
    home: Path, head: str, elsewhere: Path
) -> None:
    """With cells that fail, which have no figures that differ each time."""
    own_job(elsewhere, FAILS, FAILS_SPEC)
    there = run(elsewhere, head, "--workers", "1")
    here = run(elsewhere, f"sqlite:///{elsewhere}/own.db", "--workers", "1")
    assert (there.returncode, there.stderr) == (here.returncode, here.stderr) == (1, "")
    assert without_the_place(there.stdout) == without_the_place(here.stdout)
    assert results_of(home).cells.failed == 2
    again = run(elsewhere, head)
    assert again.returncode == 1
    assert " missing" in again.stdout


def without_the_place(said: str) -> list[str]:
    """What a run has said before its workers came and after they left, without the storage."""
    lines = re.sub(r"(sqlite|http)://\S+", "", said).splitlines()
    return [line for line in lines if not re.match(r"\d{4}-\d\d-\d\d ", line)]


@pytest.mark.slow
def test_a_study_that_is_cancelled_meanwhile_is_not_finished(home: Path, head: str, elsewhere: Path) -> None:
    own_job(elsewhere, spec=SPEC)
    made = finish(start_command("create-study", "fit.toml", folder=elsewhere, url=head))
    assert made.returncode == 0, made.stderr
    study = open_study(open_file(home), "fit")
    set_control(study.storage, study.study_id, Control.CANCELLED)
    done = run(elsewhere, head)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("not finished: 0/2 cells, 2 waiting, cancelled; the same command goes on\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "folder", "told"),
    [
        ("--artifacts", "kept", "--artifacts: the head keeps the files of trials; leave it out"),
        (
            "--checkpoints",
            "fit.py",
            r"--checkpoints: \S+/fit.py cannot keep states on their way to the head ",
        ),
    ],
)
def test_folders_that_cannot_serve_are_refused_before_the_study_is_made(
    head: str, home: Path, elsewhere: Path, option: str, folder: str, told: str
) -> None:
    own_job(elsewhere, spec=SPEC)
    for command in (("run", "fit.toml"), ("worker", "fit")):
        answer = finish(start_command(*command, option, folder, folder=elsewhere, url=head))
        assert (answer.returncode, answer.stdout) == (2, ""), command
        assert re.fullmatch(f"mnist-tune: {told}.*\n", answer.stderr), command
    assert study_names(open_file(home)) == []


@pytest.mark.slow
def test_the_token_reaches_the_workers_and_nobody_else(home: Path, head: str, elsewhere: Path) -> None:
    made = finish(start_command("token", "add", "me", "--role", "admin", folder=home))
    token = made.stdout.strip()
    own_job(elsewhere, spec=SPEC)
    refused = run(elsewhere, head)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"mnist-tune: {head}: ")
    assert "set $MNIST_TUNE_TOKEN to a token of this head" in refused.stderr
    environment = {"MNIST_TUNE_STORAGE": head, "MNIST_TUNE_TOKEN": token}
    done = run(elsewhere, head, environment=environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert token not in done.stdout
    assert results_of(home).cells.complete == 2
