"""The levels of repeated t-tests: all looks together are wrong as often as was stated."""

from __future__ import annotations

import math

import numpy
import pytest
from numpy.typing import NDArray
from scipy.special import stdtr

from mnist_tune.search.spending import levels


def share_wrong(of_looks: tuple[float, ...], first: int, studies: int, shift: float = 0.0) -> list[float]:
    """The share of simulated studies in which some look so far was below its level, after each look."""
    values = numpy.random.default_rng(0).standard_normal((studies, first + len(of_looks) - 1)) - shift
    is_wrong: NDArray[numpy.bool_] = numpy.zeros(studies, dtype=bool)
    shares = []
    for n, level in enumerate(of_looks, start=first):
        seen = values[:, :n]
        t = seen.mean(axis=1) / seen.std(axis=1, ddof=1) * math.sqrt(n)
        is_wrong |= stdtr(n - 1, -t) < level
        shares.append(float(is_wrong.mean()))
    return shares


@pytest.mark.parametrize(
    ("first", "last", "total"),
    [
        (2, 10, 0.05),
        pytest.param(2, 10, 0.05 / 7, marks=pytest.mark.slow),
        (5, 8, 0.2),
        pytest.param(2, 30, 0.05, marks=pytest.mark.slow),
    ],
)
def test_a_level_is_spent_evenly_over_the_looks(first: int, last: int, total: float) -> None:
    """With 400,000 studies: as exact as these can say, by three standard errors."""
    studies = 400_000
    of_looks = levels(first, last, total)
    assert len(of_looks) == last - first + 1
    for look, share in enumerate(share_wrong(of_looks, first, studies), start=1):
        expected = total * look / len(of_looks)
        assert share == pytest.approx(expected, abs=3 * math.sqrt(expected / studies) + 0.01 * expected)


def test_what_is_truly_worse_is_found_better_less_often() -> None:
    of_looks = levels(2, 10, 0.05)
    assert share_wrong(of_looks, 2, 100_000, shift=0.3)[-1] < 0.025


def test_one_look_is_the_usual_test() -> None:
    assert levels(5, 5, 0.05) == (0.05,)


def test_many_looks_are_each_less_strict_than_an_even_split() -> None:
    """What earlier looks have seen already is not paid twice: each look but the first has more than 1/n."""
    of_looks = levels(2, 10, 0.05)
    assert of_looks[0] == pytest.approx(0.05 / 9)
    assert all(level > 0.05 / 9 for level in of_looks[1:])
    assert list(of_looks) == sorted(of_looks)


@pytest.mark.parametrize(("first", "last"), [(1, 5), (0, 5), (5, 4)])
def test_no_look_is_an_error(first: int, last: int) -> None:
    with pytest.raises(ValueError, match=f"at {first} to {last} values"):
        levels(first, last, 0.05)
