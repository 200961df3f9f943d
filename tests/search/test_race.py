"""The race over seeds: who is out, when it is over, and how many seeds it takes."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from mnist_tune.search.race import (
    POWER,
    Ending,
    Judgement,
    Rival,
    judge,
    level_of,
    seeds_to_decide,
    seeds_to_tell,
)
from mnist_tune.spec.sections import Replicates

RULES = Replicates(start=2, max=10, level=0.05, indifference=0.05)


def judged(
    *values: list[float], rules: Replicates = RULES, sign: int = 1, step: float = 0.0
) -> Judgement[str]:
    """The judgement on configurations a, b, c... with these values for seeds 0, 1, 2..."""
    of = {name: dict(enumerate(seeds)) for name, seeds in zip("abcdefgh", values, strict=False)}
    return judge(of, rules, max(map(len, values)), len(values) - 1, sign=sign, step=step)


CLEAR = [90.0, 90.2, 90.1, 90.3]
BEHIND = [80.1, 80.0, 80.3, 80.2]


def test_who_is_clearly_behind_is_out_and_the_last_one_left_is_best() -> None:
    judgement = judged(BEHIND, CLEAR)
    assert (judgement.best, judgement.still_in, judgement.ending) == ("b", ["b"], Ending.BEST)
    (rival,) = judgement.rivals
    assert (rival.key, rival.shared) == ("a", 4)
    assert rival.difference == pytest.approx(10.0)


def test_lower_values_win_where_lower_is_better() -> None:
    assert judged(BEHIND, CLEAR, sign=-1).still_in == ["a"]


def test_out_is_who_is_behind_by_scipys_paired_test_at_the_rounds_level() -> None:
    first, second = [3.0, 2.9, 3.4, 3.3, 3.1], [2.7, 2.8, 3.0, 3.2, 2.6]
    chance = stats.ttest_rel(first, second, alternative="greater").pvalue
    for total, is_out in ((1.02, True), (0.98, False)):
        # The level of the only look is the whole level.
        rules = Replicates(start=5, max=5, level=chance * total)
        assert judged(first, second, rules=rules).rivals[0].is_out is is_out


def test_a_comparison_has_its_part_of_the_level() -> None:
    assert level_of(RULES, 2, 1) == pytest.approx(0.05 / 9)
    assert level_of(RULES, 2, 7) == pytest.approx(0.05 / 9 / 7)
    assert level_of(RULES, 50, 1) == level_of(RULES, 10, 1)


def test_two_that_differ_by_less_than_matters_are_equal() -> None:
    wide = Replicates(start=2, max=10, indifference=1.0)
    values = [90.0, 90.2, 90.1, 90.3, 90.0, 90.1], [90.1, 90.1, 90.2, 90.2, 90.1, 90.0]
    assert judged(*values, rules=wide).ending is Ending.EQUAL
    assert judged(*values).ending is None


def test_at_the_last_seed_those_that_are_left_are_tied() -> None:
    values = [90.0, 91.0] * 5, [90.5, 90.4] * 5, [10.0, 10.1] * 5
    judgement = judged(*values)
    assert (judgement.ending, judgement.still_in) == (Ending.TIED, ["a", "b"])


def test_equal_differences_on_two_seeds_are_no_certainty_where_values_move_in_steps() -> None:
    assert judged([98.51, 98.61], [98.50, 98.60], step=0.01).ending is None
    assert judged([98.51, 98.61], [98.50, 98.60]).ending is Ending.BEST


def test_without_two_common_seeds_nothing_is_known() -> None:
    judgement = judge({"a": {0: 9.0, 1: 9.1}, "b": {2: 1.0}, "c": {0: 1.0}}, RULES, 3, 2)
    assert judgement.still_in == ["a", "b", "c"]
    assert math.isnan(next(rival for rival in judgement.rivals if rival.key == "b").difference)
    assert all(seeds_to_decide(rival, RULES, 2) is None for rival in judgement.rivals)


def test_one_configuration_alone_is_best_at_once() -> None:
    assert judged([1.0, 2.0]).ending is Ending.BEST


def test_a_race_without_a_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a configuration with a value"):
        judge({}, RULES, 2, 1)


def test_the_seeds_that_are_told_decide_if_nothing_changes() -> None:
    far = Rival("b", 4, difference=0.3, deviation=0.2, low=-0.1, high=0.7)
    n = seeds_to_decide(far, RULES, 1)
    assert n is not None
    for seeds, is_out in ((n, True), (n - 1, False)):
        t = 0.3 / (0.2 / math.sqrt(seeds))
        assert bool(stats.t.sf(t, seeds - 1) < level_of(RULES, seeds, 1)) is is_out
    near = Rival("b", 4, difference=0.0, deviation=0.2, low=-1.0, high=1.0)
    n = seeds_to_decide(near, RULES, 1)
    assert n is not None
    assert stats.t.isf(level_of(RULES, n, 1), n - 1) * 0.2 / math.sqrt(n) <= 0.05
    hopeless = Replicates(start=2, max=10)
    assert seeds_to_decide(near, hopeless, 1) is None


@pytest.mark.parametrize(("difference", "level"), [(0.5, 0.05), (1.0, 0.005), (0.05, 0.01)])
def test_the_seeds_that_tell_a_difference_have_the_power_that_is_said(
    difference: float, level: float
) -> None:
    n = seeds_to_tell(difference, 1.0, level)
    assert n is not None

    def power(seeds: int) -> float:
        bound = stats.t.isf(level, seeds - 1)
        return float(stats.nct.sf(bound, seeds - 1, difference * math.sqrt(seeds)))

    assert power(n) >= POWER > power(n - 1)


def test_no_number_of_seeds_tells_no_difference() -> None:
    assert seeds_to_tell(0.0, 1.0, 0.05) is None
    assert seeds_to_tell(1e-9, 1.0, 0.05) is None
    assert seeds_to_tell(1.0, 0.0, 0.05) == 2
