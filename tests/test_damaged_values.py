"""Whatever stands in a column of a study: each command says a line of it, and shows all the rest as it is."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mnist_tune import worker
from mnist_tune.attributes import CELL
from mnist_tune.errors import MnistTuneError
from mnist_tune.results import read_results
from mnist_tune.studies import open_study
from tests.conftest import STORED, Answer, Command
from tests.damages import DAMAGED, WHOLE, Case, cases, damaged_storage
from tests.support import open_file, work

LONGEST = 120
"""Seconds after which a command hangs."""
READING = {
    "status": ["status", DAMAGED],
    "status --workers": ["status", DAMAGED, "--workers"],
    "verify": ["verify", DAMAGED],
    "verify --json": ["verify", DAMAGED, "--json"],
    "export": ["export", DAMAGED],
    "logs": ["logs", DAMAGED],
    "logs --json": ["logs", DAMAGED, "--json"],
    "studies": ["studies"],
    "studies --json": ["studies", "--json"],
    "report": ["report", DAMAGED],
    "copy-study": ["copy-study", DAMAGED, "--to", "sqlite:///copy.db"],
    "retry": ["retry", DAMAGED],
    "pause": ["pause", DAMAGED],
    "delete-study": ["delete-study", DAMAGED, "--files", "--yes"],
}
"""Every command that reads a study, but `status --json`, which is compared; what deletes is last."""
CLAIMED = ("trials", "trial_params", "trial_system_attributes", "trial_heartbeats", "study_user_attributes")
"""The tables that a worker reads at a claim, or when it puts a lost cell back."""
SEED = 13


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a storage that nobody has damaged yet."""
    return damaged_storage(tmp_path_factory.mktemp("template")).parent


@pytest.fixture
def afresh(template: Path, tmp_path: Path) -> Callable[[], Path]:
    """Puts a copy of it in the place of the last one; its file."""

    def copy() -> Path:
        for old in tmp_path.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        shutil.copytree(template, tmp_path, dirs_exist_ok=True)
        return tmp_path / STORED

    return copy


@contextmanager
def in_time(case: Case) -> Iterator[None]:
    """Fail, instead of waiting for ever."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"hangs: {case}")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def assert_answered(answer: Answer, what: str, case: Case) -> None:
    """It ended as a command may, with one line if with an error, and without a word about a bug."""
    said = f"{what}: {case}\n{answer.err}"
    assert answer.code in (0, 1, 2), said
    assert "a bug of mnist-tune" not in answer.err, said
    lines = answer.err.splitlines()
    assert len(lines) <= 1, said
    assert answer.code != 2 or len(lines) == 1, said


def strict(text: str) -> Any:
    """JSON as it is defined: without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def trials_of(status: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """What `status --json` says of each trial but what depends on the time and on trials before it."""
    return {trial["number"]: trial | {"stale": None, "attempt": None} for trial in status["trials"]}


def assert_the_others_are_shown(status: dict[str, Any], whole: dict[str, Any], case: Case) -> None:
    """At most one trial is another than before, or not there; then it is said what is wrong with it.

    Whether it can be seen at all depends on the value: it may be another that is as good.
    """
    before, now = trials_of(whole), trials_of(status)
    differing = {number for number in before if now.get(number) != before[number]}
    assert len(differing) <= 1, f"{case}: {differing}"
    assert len(now.keys() - before.keys()) <= 1, case  # another number
    is_hidden = before.keys() - now.keys() and not now.keys() - before.keys()
    # Without the mark that it is for a cell, it is somebody else's, of which `verify` speaks.
    if is_hidden and (case.column, case.key) != ("key", CELL):
        assert status["problems"], case
    for place in status["ranking"]:
        assert 0 <= place["mean"] <= 100, case


@pytest.mark.parametrize("each", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_one_damaged_value_hides_no_other(
    template: Path, afresh: Callable[[], Path], command: Command, each: int
) -> None:
    afresh()
    whole = strict(command("status", DAMAGED, "--json").out)
    other = strict(command("status", WHOLE, "--json").out)
    assert len(whole["trials"]) == 8
    assert whole["problems"] == other["problems"] == []
    commands = list(READING.items())
    n_seen = 0
    for case in cases(template / STORED, SEED, each):
        if not case.apply(afresh()):
            continue
        n_seen += 1
        with in_time(case):
            answer = command("status", DAMAGED, "--json")
            assert_answered(answer, "status --json", case)
            if answer.code == 0:
                assert_the_others_are_shown(strict(answer.out), whole, case)
            # All of them in the long run; what deletes comes last.
            chosen = commands if each > 1 else [commands[n_seen % len(commands)]]
            for what, line in chosen:
                answer = command(*line)
                assert_answered(answer, what, case)
                if "--json" in line and answer.code != 2:
                    strict(answer.out)
            if each > 1 or n_seen % 10 == 0:
                assert trials_of(strict(command("status", WHOLE, "--json").out)) == trials_of(other), case
    assert n_seen > 50


@pytest.mark.parametrize("each", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_a_worker_runs_the_other_cells_of_a_damaged_study(
    template: Path, afresh: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, each: int
) -> None:
    monkeypatch.setattr(worker, "STAND_BY_SECONDS", 0.05)
    n_seen = 0
    for case in cases(template / STORED, SEED + 1, each):
        if case.table not in CLAIMED or (each == 1 and case.column == "key"):
            continue
        if not case.apply(afresh()):
            continue
        n_seen += 1
        with in_time(case):
            refused = worked_off(tmp_path)
        if refused is not None:  # of the study itself
            assert len(refused.splitlines()) == 1, case
            continue
        states = [
            attempt.state for attempt in read_results(open_study(open_file(tmp_path), DAMAGED)).attempts
        ]
        assert states.count("complete") >= 4, f"{case}: {states}"
    assert n_seen > 15


def worked_off(folder: Path) -> str | None:
    """Have a worker run what waits in the damaged study; what it says if it cannot."""
    try:
        study = open_study(open_file(folder), DAMAGED)
        work(study, lambda _: 95.0, log=lambda _: None, max_trials=20)
    except MnistTuneError as error:
        return str(error)
    return None
