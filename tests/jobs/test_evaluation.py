"""What a job may say of a model on test data, and in which words it is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mnist_tune import Classes, Evaluation, GreyImage, Mistake, Reference
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.jobs.description import Source
from mnist_tune.jobs.evaluation import SavedModel
from mnist_tune.jobs.fields import first_mistake
from mnist_tune.jobs.hyperparameters import Hyperparameters
from mnist_tune.jobs.interface import Evaluate, Job, Trial, job
from mnist_tune.jobs.measuring import measure

TWO = Classes(names=["cat", "dog"], confusion_matrix=[[3, 1], [0, 0]])


def measuring(evaluate: Evaluate | None) -> Job:
    @job(objective="error", direction="minimize", evaluate=evaluate)
    def train(_settings: Hyperparameters, trial: Trial) -> None:
        trial.report(error=1.0)

    return train


def returned(value: Any, tmp_path: Any) -> Evaluation:
    return measure(measuring(lambda *_: value), Hyperparameters(), SavedModel(tmp_path, "cpu"))


def test_metrics_alone_are_an_evaluation(tmp_path: Any) -> None:
    found = returned({"error": torch.tensor(0.5), "loss": np.float32(0.25), "rows": 3}, tmp_path)
    assert found.metrics == {"error": 0.5, "loss": 0.25, "rows": 3.0}
    assert found.first == ("error", 0.5)
    assert found.as_json() == {
        "metrics": {"error": 0.5, "loss": 0.25, "rows": 3.0},
        "cases": "cases",
        "mistakes": (),
        "problems": [],
    }


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (0.5, "evaluate returns metrics by name, or an Evaluation, not float"),
        (None, "evaluate returns metrics by name, or an Evaluation, not NoneType"),
        ({}, "evaluate: metrics: Dictionary should have at least 1 item after validation, not 0"),
        ({"error": "low"}, "evaluate: metrics.error: Input should be a valid number"),
        ({"error": True}, "evaluate: metrics.error: Input should be a valid number"),
        ({"error": torch.zeros(2)}, "evaluate: metrics.error: it has more than one element"),
        ({"error": None}, "evaluate: metrics.error: Input should be a valid number"),
        ({"seconds": 1.0}, "evaluate: metrics.seconds.[key]: 'seconds' has another meaning in tables"),
    ],
)
def test_what_is_no_evaluation_is_the_jobs_mistake(value: Any, says: str, tmp_path: Any) -> None:
    with pytest.raises(MnistTuneError) as refused:
        returned(value, tmp_path)
    assert str(refused.value).startswith(f"the job's mistake: {says}")


def test_a_job_that_cannot_measure_or_leaves_says_so(tmp_path: Any) -> None:
    model = SavedModel(tmp_path, "cpu")
    with pytest.raises(
        UserError, match=r"cannot measure a model; give it a function: @job\(evaluate=\.\.\.\)"
    ):
        measure(measuring(None), Hyperparameters(), model)

    def leave(*_: Any) -> Evaluation:
        raise SystemExit(3)

    with pytest.raises(MnistTuneError, match=r"the job called sys\.exit\(3\)"):
        measure(measuring(leave), Hyperparameters(), model)


def test_what_is_measured_is_the_same_when_it_is_read_again() -> None:
    image = GreyImage(width=2, pixels=b"\x00\xff\xfe\xfd")
    index: Any = torch.tensor(7)
    wrong = Mistake(index=index, label=0, predicted=1, confidence=math.nan, image=image)
    whole = Evaluation(
        metrics={"accuracy": 75.0, "loss": math.inf}, n_cases=4, dataset="pets", classes=TWO, mistakes=[wrong]
    )
    again = Evaluation.model_validate_json(whole.model_dump_json())
    assert again.mistakes[0].image == image
    assert (again.mistakes[0].index, again.classes, again.n_cases) == (7, TWO, 4)
    assert math.isnan(again.mistakes[0].confidence)
    assert math.isnan(again.metrics["loss"])  # JSON has neither inf nor nan
    assert whole.problems == ["the loss is inf"]
    assert "image" not in whole.as_json()["mistakes"][0]


def test_a_confusion_matrix_of_numpy_is_taken() -> None:
    matrix: Any = np.array([[3, 1], [0, 2]])
    assert Classes(names=["a", "b"], confusion_matrix=matrix).confusion_matrix == [[3, 1], [0, 2]]


def test_the_accuracy_of_a_class_without_cases_is_not_known() -> None:
    first, second = TWO.accuracies
    assert (first, math.isnan(second)) == (75.0, True)
    assert (TWO.label(0), Classes(names=["0", "1"], confusion_matrix=[[1, 0], [0, 1]]).label(1)) == (
        "0 cat",
        "1",
    )


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        (Classes, {"names": ["a"], "confusion_matrix": [[1]]}, "names: Value should have at least 2 items"),
        (Classes, {"names": ["a", "b\n"], "confusion_matrix": [[1, 0]] * 2}, "is shown within a line"),
        (Classes, {"names": ["a", "b"], "confusion_matrix": [[1, 0]]}, "should have 2 rows of 2 counts"),
        (Classes, {"names": ["a", "b"], "confusion_matrix": [[1, -1], [0, 0]]}, "greater than or equal to 0"),
        (Classes, {"names": ["a", "a"], "confusion_matrix": [[1, 0]] * 2}, "two classes have the same name"),
        (Classes, {"names": ["a", "b"], "confusion_matrix": [[10**30, 0]] * 2}, "less than or equal to"),
        (GreyImage, {"width": 3, "pixels": b"1234"}, "4 pixels are not whole rows of 3"),
        (Evaluation, {"metrics": {"a": 1.0}, "n_cases": 0}, "n_cases: Input should be greater than"),
        (
            Evaluation,
            {
                "metrics": {"a": 1.0},
                "classes": TWO,
                "mistakes": [Mistake(index=0, label=2, predicted=0, confidence=1.0)],
            },
            "a mistake is of a class that is not among the 2 classes",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(kind: Any, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        kind(**fields)
    assert says in first_mistake(refused.value)


@pytest.mark.parametrize(("table", "known"), [("training", "[training]"), ("data", "[data]")])
def test_a_reference_names_fields_that_there_are(table: str, known: str) -> None:
    reference = Reference(metric="error", value=0.5, training={}, words="Somebody's.")
    wrong = measuring(None)
    wrong.reference = reference.model_copy(update={table: {"lr": 0.1}})
    with pytest.raises(UserError) as refused:
        wrong.describe("fit", Source())
    assert str(refused.value) == f"job fit: its reference names 'lr', which is no field of {known}"
