"""The ranking of a study in progress, or with seeds missing."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from mnist_tune.results.candidates import seeds_wanted
from mnist_tune.results.evidence import evidence
from mnist_tune.results.ranking import rank
from mnist_tune.results.significance import p_value
from mnist_tune.results.standing import totals
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State
from mnist_tune.terminal.tables import ranking
from tests.support.made_studies.results import completed_attempt, grid_spec, mnist_spec
from tests.support.ranked_attempts import MEASURE, ranked_by_accuracies


def test_a_configuration_that_lacks_seeds_is_named() -> None:
    places = ranked_by_accuracies({64: [98.7, 98.8, 98.9], 128: [98.7]}, n_seeds=3)
    assert [place.candidate.is_provisional for place in places] == [False, True]
    assert list(evidence(places, grid_spec(batch_size=[64, 128], seed=[0, 1, 2]))) == [
        "provisional, ranked below what has all: batch_size=128 has 1 of 3 seeds",
        "batch_size 64 and 128 are tied on one seed",
        "one seed: differences below 0.26 points are within the noise of 10,000 validation images and are no "
        "evidence",
    ]


def test_a_lucky_first_seed_does_not_outrank_what_has_all_its_seeds() -> None:
    places = ranked_by_accuracies({64: [74.0, 74.1], 128: [75.5], 256: [11.5]}, n_seeds=2)
    assert [place.candidate.parameters["batch_size"] for place in places] == [64, 128, 256]
    none_has_all = ranked_by_accuracies({64: [74.0], 128: [75.5]}, n_seeds=2)
    assert [place.candidate.parameters["batch_size"] for place in none_has_all] == [128, 64]


def test_a_configuration_beside_the_grid_is_final_with_as_many_seeds_as_the_grid_has() -> None:
    search = {
        "grid": {"batch_size": [64], "seed": [0, 1, 2]},
        "enqueue": [{"batch_size": 128, "seed": 0}, *({"batch_size": 32, "seed": seed} for seed in range(4))],
    }
    wanted = seeds_wanted(mnist_spec({"study": {"name": "study"}, "search": search}))
    assert [wanted({"batch_size": size}) for size in (64, 128, 32)] == [3, 3, 4]
    cells = [(64, 0, 98.0), (64, 1, 98.0), (64, 2, 98.0), (128, 0, 99.0)]
    attempts = [
        completed_attempt(number, value, batch_size=size, seed=seed)
        for number, (size, seed, value) in enumerate(cells)
    ]
    first, second = rank(attempts, 0, MEASURE, wanted)
    assert (first.candidate.parameters, second.candidate.is_provisional) == ({"batch_size": 64}, True)


def test_those_that_are_tied_on_one_seed_are_told_from_those_that_are_tied_on_more() -> None:
    places = ranked_by_accuracies({64: [98.7, 98.8, 98.9], 128: [98.8, 98.7, 98.8], 256: [98.7]})
    assert list(evidence(places, grid_spec(batch_size=[64, 128, 256], seed=[0, 1, 2]))) == [
        "batch_size 64 and 128 are tied on these 3 seeds",
        "batch_size 64 and 256 are tied on one seed",
        "one seed: differences below 0.26 points are within the noise of 10,000 validation images and are no "
        "evidence",
    ]


def unfinished_study(*cells: tuple[float | None, int, int]) -> Results:
    """A study in progress from (value, batch size, seed) of each cell; a cell without a value waits."""
    attempts = [
        replace(
            completed_attempt(number, value or 0.0, batch_size=size, seed=seed),
            state=State.WAITING if value is None else State.COMPLETE,
        )
        for number, (value, size, seed) in enumerate(cells)
    ]
    sizes, seeds = {size for _, size, _ in cells}, {seed for _, _, seed in cells}
    return Results(grid_spec(batch_size=sorted(sizes), seed=sorted(seeds)), attempts)


def test_before_the_end_the_first_is_the_best_so_far_and_why_is_said() -> None:
    results = unfinished_study((74.0, 64, 0), (75.5, 128, 1), (None, 64, 1), (None, 128, 0))
    assert [results.verdict(place) for place in results.ranking] == ["best so far", "no common seed yet"]
    assert results.evidence == [
        "not finished: 2 of 4 cells have not ended; the best so far may change",
        "provisional: no configuration has all its 2 seeds yet",
        "one seed: differences below 1.00 points are within the noise of 10,000 validation images and are no "
        "evidence",
        "no common seed yet with the best, so nothing is known of how they compare: batch_size=64",
    ]
    assert totals(results).endswith("best so far 75.50 % (trial 1, 1 of 2 seeds)")
    assert results.as_json()["finished"] is False
    assert results.as_json()["best"]["provisional"] is True


def test_at_the_end_the_first_is_the_best() -> None:
    results = unfinished_study((74.0, 64, 0), (70.0, 128, 0), (74.1, 64, 1), (70.2, 128, 1))
    assert [results.verdict(place) for place in results.ranking] == ["best", "behind"]
    assert results.reservations == []
    assert totals(results).endswith("best 74.05 ± 0.05 % (2 seeds)")


def test_one_cell_that_has_not_ended_is_one() -> None:
    results = unfinished_study((74.0, 64, 0), (None, 128, 0))
    assert results.evidence[0] == "not finished: 1 of 2 cells has not ended; the best so far may change"


def test_the_table_shows_how_many_seeds_each_has() -> None:
    results = unfinished_study((74.0, 64, 0), (75.5, 128, 1), (None, 64, 1), (None, 128, 0))
    console = Console(width=200, file=StringIO(), record=True)
    console.print(ranking(results))
    rows = console.export_text().splitlines()
    assert [row.split()[0] for row in rows if "1 of 2" in row] == ["1", "2"]
    assert "no common seed yet" in rows[-2]


def test_one_common_seed_is_compared_at_that_seed() -> None:
    """Means over different seeds cannot be compared: here the second is ahead on the common seeds."""
    places = ranked_by_accuracies({64: [98.0, 99.5, 99.5], 128: [98.3]})
    assert places[0].candidate.parameters == {"batch_size": 64}
    assert places[1].verdict == "tied"
    chance = p_value(places[0].candidate, places[1].candidate, MEASURE)
    assert chance is not None
    assert chance > 0.5


def test_without_a_common_seed_nothing_is_known() -> None:
    attempts = [
        completed_attempt(0, 99.0, batch_size=64, seed=0),
        completed_attempt(1, 50.0, batch_size=128, seed=1),
        completed_attempt(2, 90.0, batch_size=256, seed=0),
    ]
    places = rank(attempts, 0, MEASURE, 2)
    assert [(place.candidate.parameters["batch_size"], place.verdict) for place in places] == [
        (64, "best"),
        (256, "behind"),
        (128, "no common seed"),
    ]
    assert places[2].p_value is None
    assert places[1].p_value == p_value(places[0].candidate, places[1].candidate, MEASURE)  # one comparison
    stated = list(evidence(places, grid_spec(batch_size=[64, 128, 256], seed=[0, 1])))
    assert stated[1] == (
        "batch_size=64 is ahead, by more than the images' noise, of the one it has a seed in common with on "
        "one seed"
    )
    assert stated[-1] == (
        "no common seed with the best, so nothing is known of how they compare: batch_size=128"
    )
