"""Every output about an unfinished study says that its best may change."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mnist_tune.report.contents import contents
from mnist_tune.results.exports import load_configuration
from mnist_tune.results.reading import read_results
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.terminal.live_view import live_view
from tests.support.commands import Command
from tests.support.made_studies.cells import complete_cell
from tests.support.specs import SEEDS_SPEC
from tests.support.studies import new_study

MAY_CHANGE = "not finished: 6 of 8 cells have not ended; the best so far may change"
PROVISIONAL = "provisional: no configuration has all its 2 seeds yet"


@pytest.fixture
def begun(tmp_path: Path) -> OpenStudy:
    """Two of eight cells are complete: one seed each of two configurations."""
    study = new_study(tmp_path, SEEDS_SPEC)
    complete_cell(study, 75.5)
    complete_cell(study, 11.5)
    return study


def test_an_export_of_an_unfinished_study_says_so_in_the_file_and_aloud(
    begun: OpenStudy, tmp_path: Path, command: Command
) -> None:
    answer = command("export", begun.name, "--output", "best.toml")
    assert answer.code == 0
    assert answer.err.splitlines() == [f"warning: {MAY_CHANGE}", f"warning: {PROVISIONAL}"]
    assert MAY_CHANGE not in answer.out
    origin = load_configuration(tmp_path / "best.toml").origin
    assert (origin["study_finished"], origin["provisional"]) == (False, True)
    assert origin["evidence"][:2] == [MAY_CHANGE, PROVISIONAL]
    assert command("export", begun.name).err == answer.err


def test_an_export_of_a_finished_study_is_silent(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path, SEEDS_SPEC)
    for number in range(8):
        complete_cell(study, 90.0 + number)
    answer = command("export", study.name, "--output", "best.toml")
    assert (answer.code, answer.err) == (0, "")
    origin = load_configuration(tmp_path / "best.toml").origin
    assert (origin["study_finished"], origin["provisional"]) == (True, False)


def test_status_the_live_view_and_the_report_call_it_the_best_so_far(
    begun: OpenStudy, command: Command
) -> None:
    results = read_results(begun)
    said = command("status", begun.name).out
    assert "best so far 75.50 % (trial 0, 1 of 2 seeds)" in said
    for line in (MAY_CHANGE, PROVISIONAL):
        assert line in said
    assert "best so far 75.50 % (trial 0, 1 of 2 seeds)" in live_view(results, 120, 30).plain
    headline = contents(results, [], "sqlite:///studies.db", datetime.now(UTC)).headline
    assert list(headline.evidence) == results.evidence
    assert headline.ranking is not None
    assert [row[-1] for row in headline.ranking.rows] == [results.verdict(place) for place in results.ranking]
    assert results.verdict(results.ranking[0]) == "best so far"


def test_status_in_json_says_that_the_best_may_change(begun: OpenStudy, command: Command) -> None:
    told = command("status", begun.name, "--json").json
    assert (told["finished"], told["best"]["provisional"]) == (False, True)
    assert told["evidence"][:2] == [MAY_CHANGE, PROVISIONAL]
