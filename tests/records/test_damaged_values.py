"""Damage in any column: each command tells of it in one line, and shows everything else unchanged."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from mnist_tune.storage.keys import CELL
from tests.support.commands import STORED, Answer, Command
from tests.support.damaged_studies import EACH_DAMAGE, SEED, fails_if_it_hangs, parse_strict_json
from tests.support.damaged_values import DAMAGED, WHOLE, Case, cases

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
"""Every command that reads a study, except `status --json`, which is compared; deletion is last."""


def assert_answered(answer: Answer, what: str, case: Case) -> None:
    """Check that a command ended well or with a one-line error, which is not about a bug."""
    said = f"{what}: {case}\n{answer.err}"
    assert answer.code in (0, 1, 2), said
    assert "a bug of mnist-tune" not in answer.err, said
    lines = answer.err.splitlines()
    assert len(lines) <= 1, said
    assert answer.code != 2 or len(lines) == 1, said


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


@pytest.mark.slow
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
            # All of them in the long run; else a third of them, or every third time the next one. What
            # deletes is last.
            alone = [commands[n_seen // 3 % len(commands)]][n_seen % 3 :]
            chosen = commands if each > 3 else commands[n_seen % 3 :: 3] if each > 1 else alone
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
