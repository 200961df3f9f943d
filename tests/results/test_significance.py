"""The statistics of the ranking: what is tied with the winner, and what is not."""

from __future__ import annotations

import math

import numpy
import pytest
from scipy import stats

from mnist_tune.results.evidence import evidence
from mnist_tune.results.significance import LEVEL, binomial_noise, holm, p_value
from tests.support.made_studies.results import grid_spec, mnist_spec
from tests.support.ranked_attempts import IMAGES, LUCKY, MEASURE, ranked_by_accuracies


def test_the_paired_test_is_scipys() -> None:
    places = ranked_by_accuracies(LUCKY)
    best = places[0].candidate
    for place in places[1:]:
        theirs = LUCKY[place.candidate.parameters["batch_size"]]
        expected = stats.ttest_rel(LUCKY[64], theirs, alternative="greater").pvalue
        assert p_value(best, place.candidate, MEASURE) == pytest.approx(expected, rel=1e-9)


def test_p_values_are_corrected_as_holm_does() -> None:
    """The example of R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    places = ranked_by_accuracies(LUCKY)
    raw = [p_value(places[0].candidate, place.candidate, MEASURE) for place in places[1:]]
    known = [chance for chance in raw if chance is not None]
    assert len(known) == len(raw)
    assert [place.p_value for place in places[1:]] == holm(known)


def test_pairing_sees_what_the_spread_of_the_seeds_hides() -> None:
    """Seeds differ by points, the configurations by a tenth on each of them."""
    seeds = [97.0, 98.0, 99.0, 96.0]
    places = ranked_by_accuracies({64: [seed + 0.10 for seed in seeds], 128: [seeds[0] + 0.01, *seeds[1:]]})
    assert stats.ttest_ind([seed + 0.1 for seed in seeds], seeds).pvalue > 0.9
    assert places[1].verdict == "behind"


def test_the_same_difference_on_two_seeds_is_no_certainty() -> None:
    places = ranked_by_accuracies({64: [98.51, 98.61], 128: [98.50, 98.60]})
    assert places[1].verdict == "tied"
    chance = p_value(places[0].candidate, places[1].candidate, MEASURE)
    assert chance is not None
    assert 0.1 < chance < 0.5


def test_one_seed_is_judged_by_the_noise_of_the_images() -> None:
    places = ranked_by_accuracies({64: [98.68], 128: [98.65], 256: [98.20], 512: [90.00]})
    assert [place.verdict for place in places] == ["best", "tied", "behind", "behind"]
    noise = math.sqrt(2 * 0.9868 * 0.0132 / IMAGES)
    expected = 2 * stats.norm.sf((0.9868 - 0.9820) / noise)
    assert places[2].p_value == pytest.approx(expected, rel=0.1)
    stated = list(evidence(places, grid_spec(batch_size=[64, 128, 256, 512])))
    assert stated == [
        "batch_size 64 and 128 are tied on one seed",
        "one seed: differences below 0.27 points are within the noise of 10,000 validation images and are no "
        "evidence; more seeds tell more: add seed = [0, 1, 2] to [search.grid]",
    ]


def test_the_stated_margin_is_where_the_verdict_turns() -> None:
    grid = grid_spec(batch_size=[64, 128, 256, 512])
    for difference, verdict in ((0.26, "tied"), (0.28, "behind")):
        places = ranked_by_accuracies({64: [98.68], 128: [98.68 - difference], 256: [90.0], 512: [90.0]})
        assert places[1].verdict == verdict
        assert "differences below 0.27 points" in list(evidence(places, grid))[-1]


def test_a_perfect_score_is_not_taken_for_certain() -> None:
    assert 0 < binomial_noise(100.0, 100) < 2
    assert binomial_noise(98.7, IMAGES) == pytest.approx(
        100 * stats.binom.std(IMAGES, 0.987) / IMAGES, rel=0.02
    )


def test_a_clear_winner_is_called_one() -> None:
    seeds = {64: [98.7, 98.8, 98.75], 128: [95.0, 95.2, 95.1]}
    grid = grid_spec(batch_size=[64, 128], seed=[0, 1, 2])
    assert list(evidence(ranked_by_accuracies(seeds), grid)) == [
        "batch_size=64 is better than the other on these 3 seeds (95 % confidence)"
    ]


def test_confidence_is_claimed_only_over_several_common_seeds() -> None:
    places = ranked_by_accuracies({64: [98.7, 98.8, 98.75], 128: [90.0]}, n_seeds=3)
    assert list(evidence(places, grid_spec(batch_size=[64, 128], seed=[0, 1, 2])))[-1] == (
        "batch_size=64 is ahead, by more than the images' noise, of the other on one seed"
    )


def test_one_seed_claims_no_confidence_and_advises_seeds_only_where_they_would_help() -> None:
    places = ranked_by_accuracies({64: [98.7], 128: [90.0]})
    first, second = evidence(places, grid_spec(batch_size=[64, 128]))
    assert first == "batch_size=64 is ahead, by more than the images' noise, of the other on one seed"
    assert second.endswith("add seed = [0, 1, 2] to [search.grid]")
    assert list(evidence(places, grid_spec(batch_size=[64, 128], seed=[0, 1])))[1].endswith("are no evidence")
    search = {"sampler": "random", "n_trials": 2, "space": {"batch_size": [64, 128]}}
    sampled = mnist_spec({"study": {"name": "study"}, "search": search})
    assert list(evidence(places, sampled))[1].endswith("are no evidence")


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(
    "means",
    [
        [98.8] * 8,
        [98.80, 98.79, 98.79, 98.79, 97.0, 97.0, 92.0, 90.0],
        [98.80, 98.79, *[90.0] * 6],
        [98.80, *[98.8] * 3, *[95.0] * 12],
    ],
)
def test_the_truly_best_one_is_hardly_ever_left_out(means: list[float], seeds: int) -> None:
    """500 studies in which the first is the best, or as good as the best: the promised 95 %."""
    generator = numpy.random.default_rng(0)
    noise = numpy.where(numpy.array(means) > 98, 0.1, 0.5)
    left_out = 0
    for _ in range(500):
        lucky_seeds = generator.normal(0, 0.15, seeds)
        drawn = (
            numpy.array(means)[:, None]
            + lucky_seeds
            + noise[:, None] * generator.normal(size=(len(means), seeds))
        )
        places = ranked_by_accuracies({size: list(values) for size, values in enumerate(drawn)})
        verdicts = {place.candidate.parameters["batch_size"]: place.verdict for place in places}
        left_out += verdicts[0] == "behind"
    # 500 studies at 5 % have 25, give or take 5.
    assert left_out <= 500 * LEVEL + 5


def test_three_seeds_tell_a_point_from_a_tenth() -> None:
    """The corrected test still finds clear differences."""
    seeds = [96.65, 96.55, 95.3]
    places = ranked_by_accuracies(
        {64: seeds, 128: [96.45, 95.9, 95.2], 256: [91.35, 90.3, 91.4], 512: [49.7, 43.9, 51.4]}
    )
    assert [place.verdict for place in places] == ["best", "tied", "behind", "behind"]
