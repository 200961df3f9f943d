"""Whatever stands in a column of a study: each command says a line of it, and shows all the rest as it is."""

from __future__ import annotations

import json
import math
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from mnist_tune.errors import MnistTuneError
from mnist_tune.jobs.mnist.network import ConvNet, save_model
from mnist_tune.results.reading import read_results
from mnist_tune.results.trial_result import State
from mnist_tune.spec.documents import to_json
from mnist_tune.storage.keys import CELL
from mnist_tune.study.store import open_study
from mnist_tune.worker import loop
from tests.support.commands import STORED, Answer, Command
from tests.support.damaged_values import DAMAGED, WHOLE, Case, cases, damaged_storage
from tests.support.studies import open_file, work

HANGS_AFTER = 120
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
EACH_DAMAGE = pytest.mark.parametrize(
    "each",
    [
        1,
        pytest.param(3, marks=pytest.mark.slow),
        pytest.param(12, marks=[pytest.mark.slow, pytest.mark.campaign, pytest.mark.timeout(3600)]),
    ],
)
"""How many damages of each column and attribute."""


@pytest.fixture(scope="session")
def undamaged_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a storage that nobody has damaged yet."""
    return damaged_storage(tmp_path_factory.mktemp("template")).parent


@pytest.fixture
def fresh_copy(undamaged_folder: Path, tmp_path: Path) -> Callable[[], Path]:
    """Puts a copy of it in the place of the last one; its file."""

    def copy() -> Path:
        for old in tmp_path.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        shutil.copytree(undamaged_folder, tmp_path, dirs_exist_ok=True)
        return tmp_path / STORED

    return copy


@contextmanager
def fails_if_it_hangs(case: Case) -> Iterator[None]:
    """Fail, instead of waiting for ever."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"hangs: {case}")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(HANGS_AFTER)
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


def parse_strict_json(text: str) -> Any:
    """JSON as it is defined: without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def comparable_trials(status: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """What `status --json` says of each trial but what depends on the time and on trials before it."""
    return {trial["number"]: trial | {"stale": None, "attempt": None} for trial in status["trials"]}


def assert_the_others_are_shown(status: dict[str, Any], whole: dict[str, Any], case: Case) -> None:
    """At most one trial is another than before, or not there; then it is said what is wrong with it.

    Whether it can be seen at all depends on the value: it may be another that is as good.
    """
    before, now = comparable_trials(whole), comparable_trials(status)
    told = [*status["problems"], *status["warnings"]]
    differing = {number for number in before if now.get(number) != before[number]}
    # A trial that is back in its cell, by its damaged state, leaves no room for the one that came after it.
    displaced = {
        number
        for number in differing - now.keys()
        if any(line.startswith(f"trial {number} does not count: ") for line in told)
    }
    assert len(differing - displaced) <= 1, f"{case}: {differing}"
    assert len(now.keys() - before.keys()) <= 1, case  # another number
    is_hidden = before.keys() - now.keys() and not now.keys() - before.keys()
    # Without the mark that it is for a cell, it is somebody else's, of which `verify` speaks.
    if is_hidden and (case.column, case.key) != ("key", CELL):
        assert told, case
    for place in status["ranking"]:
        assert 0 <= place["mean"] <= 100, case


@EACH_DAMAGE
def test_one_damaged_value_hides_no_other(
    undamaged_folder: Path, fresh_copy: Callable[[], Path], command: Command, each: int
) -> None:
    fresh_copy()
    whole = parse_strict_json(command("status", DAMAGED, "--json").out)
    other = parse_strict_json(command("status", WHOLE, "--json").out)
    assert len(whole["trials"]) == 8
    assert whole["problems"] == other["problems"] == []
    commands = list(READING.items())
    n_seen = 0
    for case in cases(undamaged_folder / STORED, SEED, each):
        if not case.apply(fresh_copy()):
            continue
        n_seen += 1
        with fails_if_it_hangs(case):
            answer = command("status", DAMAGED, "--json")
            assert_answered(answer, "status --json", case)
            if answer.code == 0:
                assert_the_others_are_shown(parse_strict_json(answer.out), whole, case)
            # All of them in the long run, and every third time the next of them here; what deletes is last.
            chosen = commands if each > 1 else [commands[n_seen // 3 % len(commands)]][n_seen % 3 :]
            for what, line in chosen:
                answer = command(*line)
                assert_answered(answer, what, case)
                if "--json" in line and not (
                    answer.err and not answer.out
                ):  # that it cannot be read is a line
                    parse_strict_json(answer.out)
            if each > 1 or n_seen % 10 == 0:
                assert comparable_trials(
                    parse_strict_json(command("status", WHOLE, "--json").out)
                ) == comparable_trials(other), case
    assert n_seen > 50


@EACH_DAMAGE
def test_a_worker_runs_the_other_cells_of_a_damaged_study(
    undamaged_folder: Path,
    fresh_copy: Callable[[], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    each: int,
) -> None:
    monkeypatch.setattr(loop, "STAND_BY_SECONDS", 0.05)
    n_seen = 0
    for case in cases(undamaged_folder / STORED, SEED + 1, each):
        if case.table not in CLAIMED or (each == 1 and case.column == "key"):
            continue
        if not case.apply(fresh_copy()):
            continue
        n_seen += 1
        with fails_if_it_hangs(case):
            refused = work_off(tmp_path)
        if refused is not None:  # of the study itself
            assert len(refused.splitlines()) == 1, case
            continue
        states = [
            attempt.state for attempt in read_results(open_study(open_file(tmp_path), DAMAGED)).attempts
        ]
        assert states.count(State.COMPLETE) >= 4, f"{case}: {states}"
    assert n_seen > 15


def work_off(folder: Path) -> str | None:
    """Have a worker run what waits in the damaged study; what it says if it cannot."""
    try:
        study = open_study(open_file(folder), DAMAGED)
        work(study, lambda _: 95.0, log=lambda _: None, max_trials=20)
    except MnistTuneError as error:
        return str(error)
    return None


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e9, -1.0])
def test_a_value_that_is_no_accuracy_is_named_and_ranked_nowhere(
    fresh_copy: Callable[[], Path], command: Command, value: float
) -> None:
    url = f"sqlite:///{fresh_copy()}"
    stock = optuna.load_study(study_name=DAMAGED, storage=url)
    stock.tell(stock.ask(), value)
    assert WHOLE in command("studies").out
    told = parse_strict_json(command("studies", "--json").out)
    assert [study["study"] for study in told] == [DAMAGED, WHOLE]
    for what in ("status", "export", "report", "logs", "verify"):
        answer = command(what, DAMAGED)
        assert answer.code == (1 if what == "verify" else 0), what
        assert "bug" not in answer.err, what
    status = parse_strict_json(command("status", DAMAGED, "--json").out)
    assert all(place["mean"] in (90.0, 91.0) for place in status["ranking"])
    assert command("delete-study", DAMAGED, "--yes").code == 0
    assert [study["study"] for study in parse_strict_json(command("studies", "--json").out)] == [WHOLE]


@pytest.mark.parametrize("spec", ["null", "[", '{"study": {"name": 5}}', "[" * 100_000])
def test_a_study_whose_spec_cannot_be_read_hides_no_other_and_can_be_deleted(
    fresh_copy: Callable[[], Path], command: Command, spec: str
) -> None:
    assert Case("study_user_attributes", "value_json", 1, None, spec).apply(fresh_copy())
    lines = command("studies").out.splitlines()
    assert lines[0].startswith(f"{DAMAGED}: cannot be read: the stored spec of study")
    assert lines[1].startswith(f"{WHOLE}: 2/6 cells")
    answer = command("status", DAMAGED)
    assert answer.code in (1, 2)
    assert len(answer.err.splitlines()) == 1
    assert command("delete-study", DAMAGED, "--yes", "--files").code == 0
    assert [study["study"] for study in parse_strict_json(command("studies", "--json").out)] == [WHOLE]


def test_a_damaged_cell_fails_with_its_reason_and_is_a_hole(
    fresh_copy: Callable[[], Path], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "STAND_BY_SECONDS", 0.05)
    file = fresh_copy()
    (waiting,) = first_column(file, "SELECT trial_id FROM trials WHERE number = 5 AND study_id = 1")
    (parameter,) = first_column(
        file,
        f"SELECT param_id FROM trial_params WHERE trial_id = {waiting} AND param_name = 'learning_rate'",
    )
    assert Case("trial_params", "param_value", parameter, None, "x").apply(file)
    assert work_off(tmp_path) is None
    answer = command("status", DAMAGED)
    assert answer.code == 1
    reason = "what is stored of it cannot be read: its learning_rate should be a number of its distribution"
    assert f"cell 5 (optimizer=Adam) failed for good: {reason}, not 'x'" in answer.out
    assert "5/6 cells, 1 failed" in answer.out
    answer = command("retry", DAMAGED, "--trial", "5")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("trial 5: its cell is not put back: its learning_rate should be a number of")


def first_column(file: Path, query: str) -> list[int]:
    """The first column of each row."""
    connection = sqlite3.connect(file)
    found = [row[0] for row in connection.execute(query)]
    connection.close()
    return found


def test_json_is_strict_whatever_is_in_it() -> None:
    content = {"a": [math.nan, (1.5, -math.inf)], "when": datetime(2026, 1, 1, tzinfo=UTC), "path": Path("x")}
    plain = {"a": [None, [1.5, None]], "when": "2026-01-01T00:00:00+00:00", "path": "x"}
    assert parse_strict_json(to_json(content)) == plain


def test_the_evaluation_of_a_model_of_nan_says_so_in_strict_json(
    command: Command, tmp_path: Path, mnist_directory: Path
) -> None:
    network = ConvNet()
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(math.nan)
    save_model(network, tmp_path / "model.safetensors")
    answer = command("evaluate", str(tmp_path / "model.safetensors"), "--json")
    assert answer.code == 0
    measured = parse_strict_json(answer.out)
    assert measured["loss"] is None
    assert measured["problems"] == ["the loss is nan: the model's answers are no numbers"]
