"""The report's headline: the winner, with its interval, and how to measure it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.results.intervals import Reading, read
from mnist_tune.results.significance import Measure
from mnist_tune.study.open_study import OpenStudy
from tests.support.made_studies.cells import complete_cell
from tests.support.report_contents import report_of


def test_the_headline_is_the_winner_with_an_interval_and_the_reference(study: OpenStudy) -> None:
    complete_cell(study, 90.0)
    winner = complete_cell(study, 94.0)
    head = report_of(study).headline
    assert all(f"{name}={value}" in head.winner for name, value in winner.items())
    validation, reference = head.numbers
    assert validation.value == "94.00 %"
    # Wilson's interval of 94 right answers of 100.
    assert validation.interval == "95 % interval 87.52 to 97.22 %"
    assert "not the luck of the seed" in validation.words
    assert "a little optimistic" in validation.words
    assert (reference.value, reference.interval) == ("98.94 %", "one run")
    assert 'study = "tiny"' in head.configuration
    assert head.standing == "Not finished: 2 of 8 cells complete, 6 waiting."


def read_images(accuracies: list[float], n_images: int) -> Reading:
    reading = read(accuracies, Measure(n_cases=n_images), "images")
    assert reading is not None
    return reading


def test_the_interval_over_seeds_is_students(tmp_path: Path) -> None:
    two = read_images([98.0, 99.0], 10_000)
    assert (two.value, two.high) == (98.5, 100.0)
    assert two.low == pytest.approx(98.5 - 12.706 * 0.5, abs=0.001)
    three = read_images([98.0, 98.5, 99.0], 10_000)
    assert three.high - three.value == pytest.approx(4.303 * 0.5 / 3**0.5, abs=0.001)


def test_seeds_that_agree_to_the_image_are_not_certain() -> None:
    reading = read_images([98.5, 98.5], 1_000)
    assert reading.high - reading.low == pytest.approx(2 * 12.706 * 0.1 / 2**0.5, abs=0.001)


def test_without_a_model_the_report_says_how_to_measure_the_test_accuracy(study: OpenStudy) -> None:
    complete_cell(study, 90.0)
    steps = report_of(study).headline.next_step.splitlines()
    assert [step.split()[1] for step in steps] == ["confirm", "worker", "report"]
