"""The winner is the one with the best mean."""

from __future__ import annotations

import pytest
from scipy import stats

from mnist_tune.results.evidence import evidence
from mnist_tune.results.ranking import rank
from tests.support.made_studies.results import completed_attempt, grid_spec
from tests.support.ranked_attempts import LUCKY, MEASURE, ranked_by_accuracies


def test_a_lucky_seed_does_not_win() -> None:
    places = ranked_by_accuracies(LUCKY)
    naive = max((value, size) for size, values in LUCKY.items() for value in values)
    assert naive[1] == 128
    assert [place.candidate.parameters["batch_size"] for place in places] == [64, 128, 256]
    assert [place.verdict for place in places] == ["best", "tied", "behind"]


def test_the_tie_is_stated_in_words() -> None:
    stated = list(evidence(ranked_by_accuracies(LUCKY), grid_spec(batch_size=[64, 128, 256], seed=[0, 1, 2])))
    assert stated == ["batch_size 64 and 128 are tied on these 3 seeds"]


def test_means_and_standard_errors_are_those_of_the_seeds() -> None:
    first = ranked_by_accuracies(LUCKY)[0].candidate
    assert first.n == 3
    assert first.mean == pytest.approx(98.75)
    assert first.standard_error == pytest.approx(stats.sem(LUCKY[64]))


def test_equal_configurations_are_tied_and_the_earlier_comes_first() -> None:
    places = ranked_by_accuracies({128: [98.5, 98.5], 64: [98.5, 98.5]})
    assert places[0].candidate.parameters == {"batch_size": 128}
    assert places[1].p_value == pytest.approx(0.5)


def test_configurations_that_differ_in_more_than_one_field_are_named_in_full() -> None:
    attempts = [
        completed_attempt(2 * index + seed, value, learning_rate=rate, batch_size=size, seed=seed)
        for index, (rate, size, values) in enumerate(
            [(0.001, 64, (98.7, 98.9)), (0.001, 128, (98.8, 98.7)), (0.0001, 128, (98.9, 98.5))]
        )
        for seed, value in enumerate(values)
    ]
    grid = grid_spec(learning_rate=[0.001, 0.0001], batch_size=[64, 128], seed=[0, 1])
    assert list(evidence(rank(attempts, 0, MEASURE), grid)) == [
        "batch_size 64 and 128 are tied on these 2 seeds (at learning_rate=0.001)",
        "learning_rate=0.0001, batch_size=128 is tied with the best on these 2 seeds",
    ]


def test_the_same_training_twice_counts_once() -> None:
    """A sampled search may draw a point twice; with the same seed it gets the same result."""
    (place,) = rank(
        [completed_attempt(0, 98.7, batch_size=64), completed_attempt(1, 98.7, batch_size=64)], 0, MEASURE
    )
    assert (place.candidate.n, place.candidate.first.number) == (1, 0)
