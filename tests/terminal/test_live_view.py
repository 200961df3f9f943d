"""The live view: a study on a screen of any size."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from mnist_tune.contract.study import Control
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.results.study_results import Results
from mnist_tune.terminal.glyphs import UNICODE
from mnist_tune.terminal.live_view import live_view
from tests.support.made_studies.epochs import made_epoch
from tests.support.made_studies.results import (
    EIGHT_CELLS,
    HOST,
    NOW,
    THOUSAND_CELLS,
    Grid,
    made_results,
    made_worker,
)

SIZES = [(80, 24), (200, 50), (60, 15)]
ALL_AXES: Grid = EIGHT_CELLS | {"seed": [0, 2**32 - 1], "precision": ["bf16", "fp32"], "epochs": [100, 300]}


def lines(results: Results, width: int = 80, height: int = 24, **options: Any) -> list[str]:
    """The lines on a screen of that size."""
    return live_view(results, width, height, now=NOW, **options).plain.split("\n")


def row(of: list[str], trial: int) -> str:
    (found,) = [line for line in of if re.match(rf" *{trial} ", line)]
    return found


@cache
def studies() -> dict[str, Results]:
    idle_workers = [
        made_worker(f"a-host-with-a-long-name.example.org:{pid}", None, "idle") for pid in range(64)
    ]
    return {
        "8 cells": made_results(),
        "1,000 cells": made_results(THOUSAND_CELLS, done=500, failed=7, running=64),
        "all axes": made_results(ALL_AXES),
        "64 workers": made_results(THOUSAND_CELLS, done=500, running=1, workers=idle_workers),
        "nothing yet": made_results(THOUSAND_CELLS, done=0, failed=0, running=0),
        "a long name": made_results(name="n" * 100),
    }


@pytest.mark.parametrize(("width", "height"), [*SIZES, (40, 10), (20, 5), (1, 1)])
@pytest.mark.parametrize("name", studies())
@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("notice", ["", "stopping: the workers finish their epochs and leave " * 2])
def test_no_line_is_wider_than_the_screen_and_no_line_is_below_it(
    width: int, height: int, name: str, ascii_only: bool, notice: str
) -> None:
    drawn = lines(studies()[name], width, height, ascii_only=ascii_only, notice=notice)
    assert len(drawn) <= height
    if width >= 40:
        assert max(map(cell_len, drawn)) <= width
    assert "".join(drawn).isascii() or not ascii_only
    assert "".join(drawn).isprintable()


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("grid", [EIGHT_CELLS, THOUSAND_CELLS])
def test_totals_the_time_left_and_what_runs_are_always_there(width: int, height: int, grid: Grid) -> None:
    results = made_results(grid)
    drawn = lines(results, width, height)
    assert drawn[0].startswith("grid ")
    assert f" 3/{len(results.attempts)} cells " in drawn[0]
    assert re.search(r" ETA \d+ (min \d+ s|h \d+ min)$", drawn[0])
    assert drawn[1].startswith(f"2 running, {len(results.attempts) - 6} waiting, 1 failed")
    assert width < 80 or re.search(r" best so far 86\.36 .*\)$", drawn[1])
    for trial in (4, 5):
        assert "▶ running" in row(drawn, trial)
        assert " 4/10 " in row(drawn, trial)
        assert " 82.00 %" in row(drawn, trial)


def test_80_columns_show_what_matters_most() -> None:
    assert row(lines(made_results()), 4).split() == (
        ["4", "0.0001", "64", "Adam", "▶", "running", "━━━─────", "4/10", "82.00", "%", "▄▆", "2:00"]
    )


def test_200_columns_show_everything() -> None:
    drawn = lines(made_results(), 200, 50)
    assert " ".join(drawn[4].split()) == (
        "trial rate size optimizer state attempt epoch loss loss accuracy images/s ETA worker"
    )
    assert " ".join(row(drawn, 4).split()) == (
        f"4 0.0001 64 Adam ▶ running 1 {'━' * 8}{'─' * 12} 4/10 0.5000 0.3750 82.00 % ▁▄▅▆ 1,234 2:00 "
        f"{HOST}:1004"
    )


def test_nothing_moves_when_numbers_grow() -> None:
    early = made_results(done=0, failed=0, running=2, epochs_done=0)
    late = made_results(done=3, failed=1, running=4, epochs_done=9)
    for width in (60, 80, 120, 200):
        before, after = lines(early, width), lines(late, width)
        assert before[3:5] == after[3:5]
        symbols = {before[5].index("▶"), *(line.index("·") for line in before[7:13])}
        assert symbols == {
            row(after, trial).index(symbol) for trial, symbol in ((0, "✓"), (3, "✗"), (7, "▶"))
        }
        assert before[0].index("cells") == after[0].index("cells")


def test_a_crowded_screen_keeps_what_runs_then_what_ended_last_and_counts_the_rest() -> None:
    drawn = lines(made_results(THOUSAND_CELLS, done=500, failed=2, running=3))
    shown = [int(line.split()[0]) for line in drawn[5:] if re.match(r" *\d+ ", line)]
    assert shown == [502, 503, 504, *range(501, 501 - len(shown) + 3, -1)]
    hidden = 1_000 - len(shown)
    (folded,) = [line for line in drawn if "more cells" in line]
    assert folded == f"... and {hidden} more cells: {505 - len(shown)} complete, 495 waiting"


def test_cells_that_all_have_a_place_stand_in_their_order() -> None:
    drawn = lines(made_results())
    assert [int(line.split()[0]) for line in drawn[5:13]] == list(range(8))
    assert "more cells" not in "".join(drawn)


def test_workers_take_at_most_a_third_of_the_screen() -> None:
    drawn = lines(studies()["64 workers"])
    (head,) = [index for index, line in enumerate(drawn) if line.startswith("worker ")]
    assert len(drawn) - head <= 24 // 3
    assert drawn[-1] == f"... and {64 - (len(drawn) - head - 2)} more workers: 59 idle"


def test_a_worker_shows_the_trial_that_names_it_before_its_next_heartbeat() -> None:
    idle = [made_worker(f"{HOST}:1004", None, "idle"), made_worker(f"{HOST}:1", None, "left")]
    drawn = lines(made_results(workers=idle))
    assert " ".join(drawn[-1].split()).startswith(f"{HOST}:1004 working 4 1,234 3 s ago cpu (")
    assert drawn[-2].startswith("worker ")


def test_long_names_of_workers_keep_their_ends() -> None:
    name = "ip-10-0-0-1.a-region.compute.internal:12345"
    drawn = lines(made_results(workers=[made_worker(name, 4)]))
    assert re.match(r"ip-10-0-0\S*…\S*l:12345 ", drawn[-1])


@pytest.mark.parametrize(
    ("results", "outlook"),
    [
        (made_results(control=Control.PAUSED), "paused"),
        (made_results(control=Control.CANCELLED), "cancelled"),
        (made_results(running=0), "waiting for workers"),
        (made_results(done=0, failed=0, epochs_done=0), "ETA after the first epoch"),
        (made_results(done=8, failed=0, running=0), "8/8 cells"),
    ],
)
def test_why_there_is_no_time_left_is_said(results: Results, outlook: str) -> None:
    assert lines(results)[0].endswith(f" {outlook}")


def test_a_silent_workers_cell_is_stale() -> None:
    results = made_results()
    stale = replace(results.attempts[4], stale=True)
    drawn = lines(replace(results, attempts=[*results.attempts[:4], stale, *results.attempts[5:]]))
    assert "▶ stale " in row(drawn, 4)
    assert not row(drawn, 4).endswith("2:00")


def test_stored_text_cannot_steer_the_terminal() -> None:
    results = made_results(workers=[replace(made_worker("a\x1b[2J:1", 4), device="\x1b]0;x\x07cpu")])
    attempts = [replace(attempt, worker="w\r\x1b[31m:1") for attempt in results.attempts]
    text = live_view(replace(results, attempts=attempts), 200, 50, now=NOW).plain
    assert text.replace("\n", "").isprintable()


def test_a_loss_that_explodes_stays_in_its_column() -> None:
    results = made_results()
    loss = {"training_loss": 1.5e300, "validation_loss": float("nan")}
    exploded = EpochMetrics(1, {**made_epoch(1, 9.8).numbers, **loss})
    attempt = replace(results.attempts[4], history=[exploded])
    drawn = lines(replace(results, attempts=[*results.attempts[:4], attempt, *results.attempts[5:]]), 200)
    assert " 1.5e+300 " in row(drawn, 4)
    assert row(drawn, 4).index("9.80 %") == row(drawn, 5).index("82.00 %") + 1


def test_colour_says_nothing_that_words_do_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    console = Console(file=file, width=80, height=24, force_terminal=True, color_system="truecolor")
    console.print(live_view(made_results(), 80, 24, now=NOW))
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", file.getvalue())
    assert all(state in file.getvalue() for state in ("✓ complete", "✗ failed", "▶ running", "· waiting"))


@pytest.mark.parametrize(
    ("share", "bar"), [(0.0, "────"), (0.01, "╸───"), (0.5, "━━──"), (0.99, "━━━╸"), (1.0, "━━━━")]
)
def test_a_bar_is_full_when_all_is_done_and_empty_when_nothing_is(share: float, bar: str) -> None:
    assert UNICODE.bar(share, 4).plain == bar


def test_a_sparkline_has_a_place_for_every_epoch_to_come() -> None:
    assert UNICODE.sparkline([10.0, 55.0, 100.0], 10.0, 100.0, width=5, epochs=5) == "▁▅█"
    assert len(UNICODE.sparkline([50.0] * 30, 10.0, 100.0, width=5, epochs=60)) == 3
    assert UNICODE.sparkline([50.0], 50.0, 50.0, width=5, epochs=5) == "▄"
