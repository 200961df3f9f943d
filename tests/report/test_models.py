"""The report's models: measured, compared with the reference, and refused if they are not the winner's."""

from __future__ import annotations

import base64
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mnist_tune.errors import UserError
from mnist_tune.jobs.evaluation import Classes
from mnist_tune.jobs.mnist.network import MODEL_FILE
from mnist_tune.jobs.model_files import EVALUATION_FILE
from mnist_tune.models.evaluation_file import Measured, read_evaluated
from mnist_tune.report import test_data
from mnist_tune.results.reading import read_results
from mnist_tune.study.open_study import OpenStudy
from tests.support.made_studies.cells import complete_cell
from tests.support.made_studies.models import made_image, made_model
from tests.support.report_contents import picture_of, report_of, traces_of
from tests.support.specs import ONE_CELL, TWO_CELLS
from tests.support.studies import new_study


def test_models_are_averaged_over_seeds_beside_the_reference(study: OpenStudy, tmp_path: Path) -> None:
    complete_cell(study, 90.0)
    models = [
        made_model(study, tmp_path / f"seed-{seed}", seed=seed, accuracy=accuracy)
        for seed, accuracy in enumerate((98.0, 98.5, 99.0))
    ]
    report = report_of(study, *models)
    test = report.headline.numbers[1]
    assert (test.label, test.value) == ("test accuracy, mean of 3 seeds", "98.50 %")
    assert test.interval == "95 % interval 97.26 to 99.74 %"
    assert "Standard deviation 0.50 points, n = 3." in test.words
    assert "reference" not in test.words  # another recipe
    assert report.headline.next_step == ""
    assert "the first of 3 models" in picture_of(report, "confusion").answer


def test_the_reference_is_compared_with_one_more_run_of_its_recipe(tmp_path: Path) -> None:
    study = new_study(tmp_path, ONE_CELL)
    complete_cell(study, 90.0)
    models = [
        made_model(study, tmp_path / f"seed-{seed}", seed=seed, accuracy=accuracy)
        for seed, accuracy in enumerate((98.4, 98.5, 98.6))
    ]
    test = report_of(study, *models).headline.numbers[1]
    # The mean is known better than that: 4.303 * 0.1 * sqrt(1 / 3), against 4.303 * 0.1 * sqrt(1 + 1 / 3).
    assert test.interval == "95 % interval 98.25 to 98.75 %"
    assert test.words.endswith(
        " One more run of this configuration would fall between 98.00 and 99.00 % (95 %); the reference, one "
        "run, is within that."
    )
    assert "reference" not in report_of(study, models[0]).headline.numbers[1].words


def test_the_confusion_matrix_and_the_digits_are_those_of_the_first_model(
    study: OpenStudy, tmp_path: Path
) -> None:
    complete_cell(study, 90.0)
    report = report_of(study, made_model(study, tmp_path / "model", accuracy=98.0))
    wrong, right = traces_of(picture_of(report, "confusion"))
    assert wrong["z"][4][9] == 20
    assert right["z"][4][4] == 80
    (points,) = traces_of(picture_of(report, "classes"))
    assert points["x"][points["y"].index("4")] == 80.0
    # Wilson's interval of 80 right answers of 100.
    assert points["error_x"]["arrayminus"][points["y"].index("4")] == pytest.approx(80 - 71.11, abs=0.01)


def test_the_gallery_shows_the_very_images_the_most_confident_first(study: OpenStudy, tmp_path: Path) -> None:
    complete_cell(study, 90.0)
    gallery = report_of(study, made_model(study, tmp_path / "model", accuracy=99.0)).gallery
    assert gallery is not None
    assert gallery.examples[0].alt == "test image 9: a 4 read as 9 with 59 %"
    for example, index in zip(gallery.examples, reversed(range(10)), strict=True):
        file = io.BytesIO(base64.b64decode(example.source.removeprefix("data:image/png;base64,")))
        with Image.open(file) as image:
            assert (image.size, image.mode, image.tobytes()) == ((28, 28), "L", made_image(index))


@pytest.mark.parametrize(
    ("training", "complaint"),
    [
        (
            {"learning_rate": 0.5},
            "learning_rate=0.5, and the winner has learning_rate=0.0001",
        ),
        ({"epochs": 7}, "was trained with epochs=7, and the winner has epochs=2"),
    ],
)
def test_a_model_of_another_configuration_is_refused(
    study: OpenStudy, tmp_path: Path, training: dict[str, Any], complaint: str
) -> None:
    complete_cell(study, 90.0)
    with pytest.raises(UserError, match=complaint):
        report_of(study, made_model(study, tmp_path / "model", **training))


def test_a_model_in_another_precision_is_the_winners(study: OpenStudy, tmp_path: Path) -> None:
    complete_cell(study, 90.0)
    assert report_of(study, made_model(study, tmp_path / "model", precision="bf16")).gallery is not None


def test_models_that_are_no_replicates_are_refused(study: OpenStudy, tmp_path: Path) -> None:
    complete_cell(study, 90.0)
    first = made_model(study, tmp_path / "first")
    with pytest.raises(UserError, match=r"has the same seed as .*first, 0"):
        report_of(study, first, made_model(study, tmp_path / "again"))
    with pytest.raises(UserError, match=r"was trained on 50,000 images and .*first on 60,000"):
        report_of(study, first, made_model(study, tmp_path / "split", seed=1, images=50_000))


def test_a_model_of_another_study_is_refused(study: OpenStudy, tmp_path: Path) -> None:
    complete_cell(study, 90.0)
    model = made_model(study, tmp_path / "model")
    (tmp_path / "other").mkdir()
    other = new_study(tmp_path / "other", TWO_CELLS.replace('"tiny"', '"other"'))
    complete_cell(other, 90.0)
    with pytest.raises(UserError, match="was exported from study 'tiny', not from 'other'"):
        report_of(other, model)


def test_a_damaged_image_is_one_line(study: OpenStudy, tmp_path: Path) -> None:
    complete_cell(study, 90.0)
    folder = made_model(study, tmp_path / "model").folder
    stored = json.loads((folder / EVALUATION_FILE).read_text(encoding="utf-8"))
    stored["evaluation"]["mistakes"][0]["image"]["pixels"] = "AAAA"
    (folder / EVALUATION_FILE).write_text(json.dumps(stored), encoding="utf-8")
    says = r"mistakes\.0\.image: 3 pixels are not whole rows of 28\); run: mnist-tune evaluate"
    with pytest.raises(UserError, match=says):
        read_evaluated(folder, study.spec.description)


def test_an_evaluation_is_kept_only_beside_the_model_it_is_of(study: OpenStudy, tmp_path: Path) -> None:
    complete_cell(study, 90.0)
    model = made_model(study, tmp_path / "model", images=50_000)
    kept = read_evaluated(model.folder, study.spec.description)
    assert (kept.evaluation, kept.trained_on) == (model.evaluation, 50_000)
    assert Measured(study.spec.description, model.evaluation, None, {}).keep() is None
    (model.folder / MODEL_FILE).write_bytes(b"trained anew")
    with pytest.raises(UserError, match=r"evaluation\.json is of another model; run: mnist-tune evaluate"):
        read_evaluated(model.folder, study.spec.description)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_result_that_is_no_number_is_said_and_no_interval_is_given(
    study: OpenStudy, tmp_path: Path, value: float
) -> None:
    complete_cell(study, 90.0)
    model = made_model(study, tmp_path / "model")
    wrong = model.evaluation.model_copy(update={"metrics": {"accuracy": value}})
    for models in ([replace(model, evaluation=wrong)], [model, replace(model, evaluation=wrong)]):
        test = test_data.test_figure(models, read_results(study))
        assert test.interval == "no interval"
        assert test.words == f"The result of {model.folder} is no number."


def test_without_a_case_no_class_is_shown_as_hard(study: OpenStudy, tmp_path: Path) -> None:
    complete_cell(study, 90.0)
    model = made_model(study, tmp_path / "model")
    none = Classes(names=["<b>a", "b"], confusion_matrix=[[0, 0], [0, 0]])
    evaluation = model.evaluation.model_copy(update={"classes": none, "mistakes": ()})
    report = report_of(study, replace(model, evaluation=evaluation))
    assert "classes" not in [picture.key for picture in report.pictures]
    assert report.gallery is None
    confusion, _ = traces_of(picture_of(report, "confusion"))
    assert confusion["x"] == ["&lt;b&gt;a", "b"]
