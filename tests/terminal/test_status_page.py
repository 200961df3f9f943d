"""The output of `status` fits 80 columns and shows what matters, however long the study is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.terminal.glyphs import ASCII, UNICODE
from mnist_tune.terminal.status_page import status_page
from tests.support.commands import Command
from tests.support.made_studies.cells import complete_cell, fail_cell
from tests.support.made_studies.results import EIGHT_CELLS, THOUSAND_CELLS, made_attempt, made_results
from tests.support.specs import SEEDS_SPEC
from tests.support.studies import new_study

WIDE = EIGHT_CELLS | {
    "epochs": [10, 15],
    "label_smoothing": [0.0, 0.05],
    "augmentation_rotation": [0.0, 7.5],
    "seed": [0, 1, 2],
}


def page(results: Results, width: int = 80, **options: Any) -> list[str]:
    """The lines of the page."""
    return [line.plain for line in status_page(results, UNICODE, width, **options)]


def rows(lines: list[str], state: str) -> list[str]:
    """The lines of the cells in this state."""
    return [line for line in lines if f" {UNICODE.symbols[State(state)]} {state}" in line]


def test_six_trials_of_fifteen_epochs_take_a_line_each_with_the_last_value_and_a_sketch() -> None:
    lines = page(made_results({"seed": list(range(6))}, done=5, running=1, failed=0, epochs=15))
    done = rows(lines, "complete")
    assert len(done) == 5
    assert all("15/15" in line and "87.50 %" in line and "█" in line for line in done)
    (runs,) = rows(lines, "running")
    assert "4/15" in runs
    assert len(lines) < 25
    assert "provisional: the only configuration has 5 of 6 seeds" in lines


@pytest.mark.parametrize("grid", [EIGHT_CELLS, THOUSAND_CELLS, WIDE])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_tables_fit_the_terminal(grid: dict[str, list[Any]], width: int) -> None:
    lines = page(made_results(grid, done=4, failed=1, running=2), width)
    tables = lines[: lines.index("", lines.index("") + 1)]
    assert max(map(cell_len, tables)) <= width
    assert any("validation" in line for line in tables)


def test_a_long_study_shows_what_runs_the_holes_the_best_and_what_ended_last() -> None:
    results = made_results(THOUSAND_CELLS, done=500, failed=30, running=40)
    best = replace(results.attempts[7], value=99.5)
    results = replace(results, attempts=[*results.attempts[:7], best, *results.attempts[8:]])
    lines = page(results)
    shown = [rows(lines, state) for state in ("running", "failed", "complete")]
    assert sum(map(len, shown)) == 20
    assert min(map(len, shown)) >= 6
    (folded,) = [line for line in lines if line.startswith("... and 980 more cells")]
    assert "430 waiting" in folded
    assert sum(line.startswith("missing: cell ") for line in lines) == 10
    assert "missing: ... and 20 more cells; all of them: mnist-tune status grid --all" in lines
    everything = page(results, everything=True)
    assert len(rows(everything, "complete")) == 500
    assert sum(line.startswith("missing: cell ") for line in everything) == 30


def many_configurations(n: int) -> Results:
    """A finished search of one field."""
    results = made_results({"batch_size": list(range(1, n + 1))}, done=n, failed=0, running=0)
    attempts = [replace(one, value=90.0 + one.number / n) for one in results.attempts]
    return replace(results, attempts=attempts)


def test_the_ranking_stands_below_the_cells_best_first() -> None:
    lines = page(many_configurations(30))
    at = next(index for index, line in enumerate(lines) if line.startswith("rank"))
    assert lines[at + 1].split() == ["1", "30", "90.97", "%", "29", "best"]
    assert len(lines[at + 1 : lines.index("... and 20 more configurations")]) == 10
    assert not any(line.startswith("... and 20 more conf") for line in page(many_configurations(10)))
    assert sum("tied" in line for line in page(many_configurations(30), everything=True)) >= 29


def test_one_more_configuration_is_one() -> None:
    assert "... and 1 more configuration" in page(many_configurations(11))


def failed(number: int, kind: str) -> TrialResult:
    """An attempt that failed and was tried again."""
    attempt = made_attempt(number, "failed", {"seed": 0}, 2)
    return replace(attempt, cell=0, failure={"class": kind, "reason": f"reason {number}"})


def test_of_many_failures_the_last_are_named_and_the_others_counted() -> None:
    results = made_results({"seed": [0]}, done=0, failed=0, running=1)
    kinds = ["lost"] * 4 + ["timeout"] * 2 + ["lost"]
    attempts = [failed(number, kind) for number, kind in enumerate(kinds)]
    runs = replace(results.attempts[0], number=7, attempt=8)
    results = replace(results, attempts=[*attempts, runs])
    lines = page(results)
    assert "2 earlier attempts failed: 2 lost; --all names each" in lines
    assert [line for line in lines if line.startswith("trial ") and "failed" in line] == [
        *(f"trial {number} failed: {kinds[number]}: reason {number}" for number in range(2, 7))
    ]
    assert len([line for line in page(results, everything=True) if line.startswith("trial 0 failed")]) == 1


def test_on_a_terminal_without_unicode_nothing_else_is_printed() -> None:
    results = made_results(EIGHT_CELLS, done=4, failed=1, running=2)
    assert all(line.plain.isascii() for line in status_page(results, ASCII, 80))


def test_pruned_configurations_stand_below_the_ranking_with_their_epoch(
    tmp_path: Path, command: Command
) -> None:
    study = new_study(tmp_path, SEEDS_SPEC)
    complete_cell(study, 90.0)
    queue = study.queue()
    claim = queue.claim("worker")
    assert claim is not None
    queue.prune(claim, 40.0)
    lines = command("status", study.name).out.splitlines()
    assert any(line.endswith("pruned after epoch 0") for line in lines)


def test_status_all_shows_each_attempt_of_a_cell(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path, SEEDS_SPEC)
    fail_cell(study, Failure("lost", "gone"))
    complete_cell(study, 90.0)
    assert len(read_results(study).attempts) == 9
    short, full = (command("status", study.name, *options).out for options in ((), ("--all",)))
    assert "✗ failed" not in short
    assert "trial 0 failed: lost: gone" in short
    assert "✗ failed" in full
