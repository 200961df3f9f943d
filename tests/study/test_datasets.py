"""The images that a study names: MNIST, which need not be named, or another set of its shape."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from optuna.trial import TrialState
from rich.console import Console

from mnist_tune.errors import UserError
from mnist_tune.jobs.mnist.image_sets import FASHION_MNIST, image_set
from mnist_tune.jobs.mnist.raw_files import data_fingerprint
from mnist_tune.results.reading import read_results
from mnist_tune.spec.differences import differences
from mnist_tune.spec.stored import as_stored_spec
from mnist_tune.storage.keys import SPEC
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.reuse import finished_cells
from mnist_tune.study.store import create_study, open_study
from mnist_tune.terminal.evaluation_table import evaluation_tables
from tests.support.commands import Command
from tests.support.image_files import write_set
from tests.support.made_studies.cells import complete_cell
from tests.support.made_studies.models import made_model
from tests.support.report_contents import report_of
from tests.support.specs import TINY_SPEC, TWO_CELLS, tiny_spec, write_spec
from tests.support.stored_content import files_in
from tests.support.studies import new_study, open_file, states

FASHION_SPEC = f'{TINY_SPEC}dataset = "FashionMNIST"\n'
ONE_EPOCH = f"""{TWO_CELLS}
[training]
epochs = 1

[data]
train_size = 600
validation_size = 100
dataset = "FashionMNIST"
"""


def test_a_study_that_names_mnist_is_the_one_that_names_nothing(tmp_path: Path) -> None:
    silent = tiny_spec(tmp_path)
    named = tiny_spec(tmp_path, f'{TINY_SPEC}dataset = "MNIST"\n')
    assert "dataset" not in json.dumps(silent.document())
    assert named.document() == silent.document()
    assert named.stored() == silent.stored()
    assert (differences(silent, named), differences(named, silent)) == ([], [])
    storage = open_file(tmp_path, create=True)
    assert create_study(storage, silent)
    assert not create_study(storage, named)


def test_a_study_of_before_there_were_several_sets_is_on_mnist(tmp_path: Path) -> None:
    now = tiny_spec(tmp_path)
    stored = json.loads(json.dumps(now.stored()))
    del stored["job"]["description"]["data_options"]["properties"]["dataset"]
    before = as_stored_spec(stored)
    assert not hasattr(before.data, "dataset")
    assert image_set(before.data).name == "MNIST"
    assert before.document() == now.document()
    assert differences(before, now) == []
    assert differences(before, tiny_spec(tmp_path, FASHION_SPEC)) == [
        "data.dataset is absent there and FashionMNIST here"
    ]


def test_another_set_is_stored_and_is_another_study(tmp_path: Path) -> None:
    study = new_study(tmp_path, FASHION_SPEC)
    assert study.spec.document()["data"]["dataset"] == "FashionMNIST"
    assert study.storage.get_study_user_attrs(study.study_id)[SPEC]["data"]["dataset"] == "FashionMNIST"
    with pytest.raises(UserError, match=r"data\.dataset is FashionMNIST there and absent here"):
        create_study(study.storage, tiny_spec(tmp_path))


def test_results_are_taken_over_from_a_study_on_the_same_images_only(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    complete_cell(study, 90.0)
    named = tiny_spec(tmp_path, TINY_SPEC.replace('"tiny"', '"more"') + 'dataset = "MNIST"\n')
    other = tiny_spec(tmp_path, FASHION_SPEC.replace('"tiny"', '"more"'))
    assert len(finished_cells(study, named)) == 1
    with pytest.raises(UserError, match=r"data\.dataset is absent there and FashionMNIST here"):
        finished_cells(study, other)


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ('"FMNIST"', "'FMNIST' is not known; did you mean 'MNIST'?"),
        ('"fashionmnist"', "'fashionmnist' is not known; did you mean 'FashionMNIST'?"),
        ('"CIFAR10"', "'CIFAR10' is not known; write one of MNIST, FashionMNIST, KMNIST, QMNIST"),
    ],
)
def test_a_set_that_is_not_known_is_one_line(
    tmp_path: Path, command: Command, given: str, answer: str
) -> None:
    write_spec(tmp_path, f"{TINY_SPEC}dataset = {given}\n", "spec.toml")
    told = command("create-study", "spec.toml")
    assert (told.code, told.out) == (2, "")
    assert told.err.splitlines() == [f"mnist-tune: spec.toml: data.dataset: {answer}"]


@pytest.mark.slow
def test_a_search_over_another_set_ends_in_a_model_and_a_report_of_it(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    write_set(data, FASHION_MNIST)
    monkeypatch.setenv("MNIST_TUNE_DATA", str(data))
    write_spec(tmp_path, ONE_EPOCH, "spec.toml")
    ran = command("run", "spec.toml", "--workers", "1")
    assert (ran.code, ran.err) == (0, "")
    results = read_results(open_study(open_file(tmp_path), "tiny"))
    used = {attempt.environment["data_sha256"] for attempt in results.complete}
    assert used == {data_fingerprint(data, FASHION_MNIST)}
    assert results.warnings == []
    files = (path for path in files_in(tmp_path / "studies.db.artifacts") if path.is_file())
    kept = [path.read_bytes() for path in files]
    starts = [content[:2_000] for content in kept if b"conv1.weight" in content]
    assert [b'"__metadata__":{"dataset":"FashionMNIST"}' in start for start in starts] == [True, True]

    assert command("export", "tiny", "--output", "best.toml").code == 0
    assert 'dataset = "FashionMNIST"' in (tmp_path / "best.toml").read_text(encoding="utf-8")
    assert command("train", "best.toml", "--split", "--output", "out").code == 0
    environment = json.loads((tmp_path / "out" / "metrics.json").read_text())["environment"]
    assert {environment["data_sha256"]} == used
    measured = command("evaluate", "out", "--json").json
    assert (measured["dataset"], measured["n_cases"]) == ("FashionMNIST", 10_000)
    assert (
        measured["metrics"]["accuracy"] > 50
    )  # the made-up images are easy; on those of MNIST it would be chance
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["evaluation"]["dataset"] == (
        "FashionMNIST"
    )
    assert command("report", "tiny", "--model", "out", "--output", "report.html").code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Ankle boot" in page
    assert "98.94" not in page


@pytest.mark.slow
@pytest.mark.usefixtures("without_network")
@pytest.mark.parametrize("arguments", [("worker", "tiny"), ("run", "spec.toml", "--workers", "1")])
def test_without_its_images_a_study_is_refused_in_one_line(
    tmp_path: Path, command: Command, arguments: tuple[str, ...]
) -> None:
    study = new_study(tmp_path, FASHION_SPEC)
    write_spec(tmp_path, FASHION_SPEC, "spec.toml")
    told = command(*arguments, "--data-dir", str(tmp_path / "data"))
    assert (told.code, told.out) == (2, "")
    assert told.err.count("\n") == 1
    assert told.err.startswith(
        f"mnist-tune: {tmp_path}/data/FashionMNIST/raw: FashionMNIST is not here whole, and cannot be "
        "downloaded (Error downloading train-images-idx3-ubyte.gz: Tried http://"
    )
    assert "; put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-" in told.err
    assert set(states(study)) == {TrialState.WAITING}


def on_fashion(folder: Path) -> OpenStudy:
    study = new_study(folder, FASHION_SPEC)
    complete_cell(study, 94.0)
    return study


def test_a_report_names_the_classes_and_leaves_out_the_reference(tmp_path: Path) -> None:
    study = on_fashion(tmp_path)
    model = made_model(study, tmp_path / "best", of=FASHION_MNIST)
    console = Console(width=200, file=StringIO(), record=True)
    console.print(evaluation_tables(model.evaluation, study.spec.description))
    said = " ".join(console.export_text().split())
    assert "4 Coat 80.00 %" in said
    assert "test accuracy 98.00 % on 1,000 images of FashionMNIST, loss" in said
    report = report_of(study, model)
    assert [figure.label for figure in report.headline.numbers] == [
        "validation accuracy, one seed",
        "test accuracy, one seed",
    ]
    pictures = {picture.key: picture for picture in report.pictures}
    assert pictures["confusion"].question == "Which classes are taken for which?"
    assert "most often Coat as Ankle boot (20)" in pictures["confusion"].answer
    assert pictures["confusion"].tables[0].columns[:2] == ["true class", "read as T-shirt/top"]
    assert "worst the Coat with 80.00 %" in pictures["classes"].answer
    assert report.gallery is not None
    assert (report.gallery.examples[0].label, report.gallery.examples[0].predicted) == ("Coat", "Ankle boot")


def test_a_model_of_other_images_is_not_the_winners(tmp_path: Path) -> None:
    study = on_fashion(tmp_path)
    model = made_model(study, tmp_path / "best")
    with pytest.raises(
        UserError, match="best: was evaluated on MNIST, and 'tiny' is a study on FashionMNIST; "
    ):
        report_of(study, model)
