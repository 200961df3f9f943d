"""The figures that the papers show are those of the stored results."""

from __future__ import annotations

import json
import statistics
from typing import Any

from mnist_tune.text.wording import parameter
from tests.papers.papers import README, RESULTS_PAPER, text_of
from tests.support.specs import STUDIES


def stored(study: str) -> dict[str, Any]:
    """What a shipped study has found."""
    found: dict[str, Any] = json.loads((STUDIES / f"{study}-results.json").read_text(encoding="utf-8"))
    return found


def on_the_test_images(found: dict[str, Any]) -> tuple[list[float], float, float]:
    """Of the winner on the test images: each seed's, their mean and standard deviation."""
    accuracies = [run["test_accuracy"] for run in found["winner_on_all_images"]]
    return accuracies, statistics.mean(accuracies), statistics.stdev(accuracies)


def test_the_results_of_the_reference_grid_are_the_stored_ones() -> None:
    found = stored("seed-grid")
    for trial in found["trials"]:
        parameters, last = trial["parameters"], trial["history"][-1]
        row = (
            f"| {parameters['learning_rate']} | {parameters['batch_size']} | {parameters['optimizer']} "
            f"| {trial['value']:.2f} % | {last['validation_loss']:.4f} | {last['training_loss']:.4f} |"
        )
        assert row in text_of(RESULTS_PAPER)
    accuracies, mean, deviation = on_the_test_images(found)
    assert f"**{mean:.2f} % test accuracy on average**" in text_of(RESULTS_PAPER)
    assert f"standard deviation {deviation:.2f}, n = {len(accuracies)}" in text_of(RESULTS_PAPER)


def test_the_results_beyond_the_grid_are_the_stored_ones() -> None:
    found = stored("beyond")
    for trial in found["trials"]:
        if trial["state"] == "complete":
            values = " | ".join(parameter(value) for value in trial["parameters"].values())
            row = f"| {trial['number']} | {values} | {trial['value']:.2f} % |"
            assert row in text_of(RESULTS_PAPER)
    assert found["cells"]["complete"] == 3
    accuracies, mean, deviation = on_the_test_images(found)
    each = ", ".join(f"{accuracy:.2f}" for accuracy in accuracies)
    row = f"| beyond | **{mean:.2f} %** | {each} | {deviation:.2f} |"
    assert row in text_of(RESULTS_PAPER)
    epochs = sum(len(trial["history"]) for trial in found["trials"])
    assert f"| {epochs} epochs of {len(found['trials']) * 15}, " in text_of(RESULTS_PAPER)


def test_the_readmes_table_has_the_best_of_each_study_and_what_it_reaches_on_the_test_images() -> None:
    rows = [line for line in text_of(README).splitlines() if line.startswith("| [")]
    for study in ("seed-grid", "beyond"):
        found = stored(study)
        (row,) = (row for row in rows if row.startswith(f"| [{study}]"))
        best = max(trial["value"] for trial in found["trials"] if trial.get("state") != "pruned")
        _, mean, deviation = on_the_test_images(found)
        assert f"| {best:.2f} % | {mean:.2f} ± {deviation:.2f} % |" in row.replace("**", "")
