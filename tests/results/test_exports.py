"""The document of one configuration of any job."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.results.exports import best_configuration, configuration_class
from mnist_tune.results.reading import read_results
from mnist_tune.spec.documents import content_of, dump, validate
from mnist_tune.study.open_study import OpenStudy
from tests.support.commands import Command
from tests.support.made_studies.cells import complete_cell
from tests.support.regression import complete_with, regression_study
from tests.support.studies import new_study


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    study = regression_study(tmp_path)
    for error in (4.0, 2.0, 1.0, 3.0):
        complete_with(study, error)
    return study


def test_a_configuration_names_its_job_and_its_objective(study: OpenStudy) -> None:
    best = best_configuration(read_results(study), "sqlite:///studies.db")
    document = best.document()
    assert document["job"] == {"file": "regression.py:train"}
    searched = {"learning_rate": 0.1, "width": 64}
    # The trial ran in fp32, which has nothing to do with the job's own field of that name.
    assert document["training"] == {"epochs": 3, "seed": 0, "precision": "double"} | searched
    assert document["origin"]["validation_error"] == 1.0
    assert "data" not in document
    read = tomllib.loads(dump(document, "toml"))
    again = validate(configuration_class(study.spec.description), read, "best.toml")
    assert again == best
    assert again.training_config(seed=7).seed == 7


def test_the_jobs_own_fields_are_checked(study: OpenStudy) -> None:
    kind = configuration_class(study.spec.description)
    with pytest.raises(UserError, match=r"best\.toml: training\.width"):
        validate(kind, {"training": {"width": 0}}, "best.toml")
    with pytest.raises(UserError, match=r"best\.toml: training\.optimizer"):
        validate(kind, {"training": {"optimizer": "Adam"}}, "best.toml")
    with pytest.raises(UserError, match=r"best\.toml: data\.train_size"):
        validate(kind, {"training": {}, "data": {"train_size": 10}}, "best.toml")


@pytest.mark.parametrize("format_", ["toml", "json", "yaml"])
@pytest.mark.usefixtures("study")
def test_an_export_of_a_file_is_trained_only_if_somebody_vouches_for_the_file(
    tmp_path: Path, command: Command, format_: str
) -> None:
    written = command("export", "regression", "--output", f"best.{format_}")
    assert written.code == 0, written.err
    train = f"mnist-tune train best.{format_} --job regression.py:train"
    assert written.out.splitlines()[-1] == f"wrote best.{format_}; train it with: {train}"
    content = content_of(tmp_path / f"best.{format_}")
    assert content["job"] == {"file": "regression.py:train"}
    assert content["training"]["learning_rate"] == 0.1
    answer = command("train", f"best.{format_}")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"mnist-tune: best.{format_}: the configuration's job is regression.py:train, a file; say where it "
        "is on this machine, if you trust it: --job PATH/regression.py:train\n"
    )
    answer = command("evaluate", f"best.{format_}")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"mnist-tune: best.{format_}: is a configuration, not a model; train it first: mnist-tune train "
        f"best.{format_} --job regression.py:train\n"
    )
    assert not (tmp_path / "models").exists()


def test_evaluate_takes_a_model_and_no_configuration(tmp_path: Path, command: Command) -> None:
    (tmp_path / "best.toml").write_text("[training]\nlearning_rate = 0.01\n", encoding="utf-8")
    answer = command("evaluate", "best.toml")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "mnist-tune: best.toml: is a configuration, not a model; train it first: mnist-tune train best.toml\n"
    )


@pytest.mark.slow
def test_the_built_in_job_is_not_named(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    complete_cell(study, 90.0)
    document = best_configuration(read_results(study), "here").document()
    assert list(document) == ["training", "data", "origin"]
    assert document["origin"]["validation_accuracy"] == 90.0
