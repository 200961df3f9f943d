"""The simulation of races over seeds, with few studies: a race holds its level, and naive tests break it."""

from __future__ import annotations

import numpy
import pytest

from mnist_tune.results.significance import LEVEL
from mnist_tune.search.race import Ending
from tests.benchmarks.settling import RULES, Row, Setting, drawn, raced, simulated, table

pytestmark = pytest.mark.slow

STUDIES = 200
MARGIN = 0.03
"""Two standard deviations of a share of 0.05 of so many studies."""


@pytest.fixture(scope="module")
def equals() -> Row:
    """Four configurations that are equally good: the hardest case for the level."""
    return simulated(Setting(4, 0.0), STUDIES)


def test_a_race_drops_one_of_the_best_no_more_often_than_its_level_says(equals: Row) -> None:
    assert equals.dropped < LEVEL + MARGIN
    # It is not so careful that it would never find anything either.
    assert simulated(Setting(2, 5.0), STUDIES).right > 0.9


def test_testing_at_the_whole_level_in_each_round_drops_it_more_often(equals: Row) -> None:
    assert equals.naive_dropped > LEVEL + 5 * MARGIN


def test_a_race_takes_fewer_trainings_than_a_fixed_number_of_seeds_that_is_right_as_often() -> None:
    row = simulated(Setting(8, 2.0), 40)
    assert row.trainings_at_once is not None
    assert row.trainings < row.trainings_at_once


def test_a_clear_winner_is_found_alone_and_the_table_says_so() -> None:
    outcome = raced(drawn(Setting(3, 50.0), RULES.max, numpy.random.default_rng(0)), RULES)
    assert (outcome.ending, outcome.has_dropped_the_best, outcome.is_right) == (Ending.BEST, False, True)
    row = simulated(Setting(2, 5.0, is_unequal=True), 5)
    assert table([row], 5).splitlines()[-1].startswith("| 2 | 5 | unequal | 0.0 % |")
