"""A study's TOML file: what it may contain, and the error for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.spec.differences import differences
from mnist_tune.spec.documents import validate
from mnist_tune.spec.reading import load_spec
from mnist_tune.text.log_handler import FormerName
from tests.support.made_studies.results import mnist_spec
from tests.support.specs import STUDIES, TINY_SPEC, MnistSpec, tiny_spec, write_spec

SAMPLED = """
[study]
name = "sampled"

[search]
sampler = "tpe"
n_trials = 5
seed = 1

[search.space]
learning_rate = {low = 1e-5, high = 1e-2, log = true}
batch_size = [64, 128]
"""


def test_the_reference_grid_is_the_one_of_the_reference_result() -> None:
    spec = load_spec(STUDIES / "seed-grid.toml")
    assert spec.search.grid == {
        "learning_rate": [0.001, 0.0001],
        "batch_size": [64, 128],
        "optimizer": ["Adam", "SGD"],
    }
    assert (spec.n_cells, spec.training.epochs, spec.data.train_size) == (8, 10, 50_000)


def test_the_quickstart_has_the_same_eight_cells() -> None:
    quickstart, reference = (load_spec(STUDIES / f"{name}.toml") for name in ("quickstart", "seed-grid"))
    assert quickstart.search == reference.search


def test_a_spec_that_says_nothing_of_training_has_the_recipe_of_the_reference() -> None:
    recipe = TrainingConfig(learning_rate=0.001, batch_size=64, optimizer="Adam", epochs=10, seed=0)
    spec = mnist_spec({"study": {"name": "study"}, "search": {"grid": {"dropout": [0.1]}}})
    assert spec.training.model_dump() == recipe.model_dump()


def test_a_stored_spec_reads_back_as_the_same_spec(tmp_path: Path) -> None:
    for text in (TINY_SPEC, SAMPLED):
        spec = tiny_spec(tmp_path, text)
        assert validate(MnistSpec, spec.document(), "stored") == spec


def test_a_sampled_search_has_as_many_cells_as_trials(tmp_path: Path) -> None:
    assert tiny_spec(tmp_path, SAMPLED).n_cells == 5


def test_a_default_written_out_is_the_same_spec(tmp_path: Path) -> None:
    written_out = TINY_SPEC.replace("[training]", "[training]\nseed = 0")
    assert not differences(tiny_spec(tmp_path, written_out), tiny_spec(tmp_path))
    without = SAMPLED.replace("seed = 1\n", "")
    assert not differences(
        tiny_spec(tmp_path, without), tiny_spec(tmp_path, SAMPLED.replace("seed = 1", "seed = 0"))
    )


def test_seeds_as_an_axis_make_replicates(tmp_path: Path) -> None:
    text = TINY_SPEC.replace("[search.grid]", "[search.grid]\nseed = [0, 1, 2]")
    assert tiny_spec(tmp_path, text).n_cells == 24


def test_differences_name_the_key_and_both_values(tmp_path: Path) -> None:
    one, other = tiny_spec(tmp_path), tiny_spec(tmp_path, TINY_SPEC.replace("epochs = 2", "epochs = 3"))
    assert differences(one, other) == ["training.epochs is 2 there and 3 here"]


MISTAKES = [
    ("epochs = 2", "epoch = 2", "training.epoch: unknown key; did you mean 'epochs'?"),
    ("epochs = 2", 'epochs = "2"', "training.epochs: should be a valid integer, not '2'"),
    ("epochs = 2", "epochs = 2.5", "training.epochs: should be a valid integer"),
    ("epochs = 2", "epochs = true", "training.epochs: should be a valid integer, not True"),
    ("epochs = 2", "epochs = 0", "training.epochs: should be greater than or equal to 1, not 0"),
    ("[64, 128]", "[]", "search.grid.batch_size: has no values"),
    ("[64, 128]", "[64, 64]", "search.grid.batch_size: has the value 64 twice"),
    (
        "[64, 128]",
        "64",
        "search.grid.batch_size: should be a list of values, not 64; write batch_size = [64]",
    ),
    ("[64, 128]", "[64, -1]", "search.grid.batch_size: should be greater than or equal to 1, not -1"),
    ("[0.001,", "[nan,", "search.grid.learning_rate: should be a finite number"),
    ("[0.001,", "[0.0,", "search.grid.learning_rate: should be greater than 0"),
    ('"SGD"', '"sgd"', "search.grid.optimizer: 'sgd' is not known; did you mean 'SGD'?"),
    ("learning_rate =", "learning_rat =", "search.grid.learning_rat: unknown training field; did you mean"),
    ("[training]", "[trainin]", "trainin: unknown key; did you mean 'training'?"),
    ("[training]", "[training]\nbatch_size = 3", "training.batch_size: is also searched in [search.grid]"),
    ("200", "59950", "data: train_size + validation_size is 60,050, but there are 60,000"),
    ("name =", "nme =", "study.nme: unknown key; did you mean 'name'?"),
    ('"tiny"', '"a/b"', "study.name: 'a/b' is not allowed"),
    (
        "[search.grid]",
        "[search]\nsampler = 'tpe'\n[search.grid]",
        'search.grid: sampler = "tpe" samples from',
    ),
    (
        "[search.grid]",
        "[search]\nsampler = 'tpi'\n[search.grid]",
        "search.sampler: 'tpi' is not known; did you",
    ),
    (
        "[search.grid]",
        "[search]\nn_trials = 3\n[search.grid]",
        'search.n_trials: sampler = "grid" tries every',
    ),
    ("[training]", "[lease]\ngrace_period = 10\n[training]", "lease.grace_period: must be at least 3"),
    (
        "[training]",
        "[lease]\ngrace_period = inf\n[training]",
        "lease.grace_period: should be a finite",
    ),
    (
        "[training]",
        "[limits]\ntimeout = nan\n[training]",
        "limits.timeout: should be a finite number",
    ),
    (
        "[training]",
        "[lease]\nstorage_timeout = 1e300\n[training]",
        "lease.storage_timeout: should be less than or",
    ),
    ("[training]", f"[retry]\nlost = {10**30}\n[training]", "retry.lost: should be less than or equal to"),
    ("[training]", "[[training]]", "training: should be a valid table, not a list"),
    ("epochs = 2", "epochs = 2024-01-01", "training.epochs: should be a valid integer, not 2024-01-01"),
    ("[0.001, 0.0001]", "[1, 1.0]", "search.grid.learning_rate: has the value 1.0 twice; remove one"),
    ("[64, 128]", "[1, true]", "search.grid.batch_size: should be a valid integer, not True"),
    (
        "[training]",
        "[pruner]\nname = ['median']\n[training]",
        "pruner.name: a list is not known; did you mean 'median'?",
    ),
    ("[study]", "[study", "is not valid TOML"),
    ("[64, 128]", str(list(range(1, 1002))), "search.grid.batch_size: has 1,001 values, more than 1,000"),
]


@pytest.mark.parametrize(("right", "wrong", "answer"), MISTAKES, ids=[wrong for _, wrong, _ in MISTAKES])
def test_a_mistake_gets_one_line_with_file_key_and_remedy(
    tmp_path: Path, right: str, wrong: str, answer: str
) -> None:
    assert right in TINY_SPEC
    path = write_spec(tmp_path, TINY_SPEC.replace(right, wrong, 1))
    with pytest.raises(UserError) as caught:
        load_spec(path)
    assert answer in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


SAMPLED_MISTAKES = [
    (
        "batch_size = [64, 128]",
        "batch_size = {low = 16, high = 128, step = 0.5}",
        "search.space.batch_size.step: should be a whole number, not 0.5",
    ),
    ("n_trials = 5\n", "", "search.n_trials: missing"),
    ("high = 1e-2, ", "", "search.space.learning_rate.high: missing"),
    ("log =", "logg =", "search.space.learning_rate.logg: unknown key; did you mean 'log'?"),
    ("low = 1e-5", "low = 1", "search.space.learning_rate: low = 1 must be less than high"),
    ("low = 1e-5", "low = -1", "search.space.learning_rate.low: should be greater than 0, not -1"),
    ("low = 1e-5", "low = 'x'", "search.space.learning_rate.low: should be a valid number, not 'x'"),
    ("high = 1e-2", "high = inf", "search.space.learning_rate.high: should be a finite number, not inf"),
    ("log = true", "step = nan", "search.space.learning_rate.step: should be a finite number, not nan"),
    (
        "log = true",
        "step = 1e-30",
        "search.space.learning_rate: step = 1e-30 is so small that",
    ),
    (
        "batch_size = [64, 128]",
        "optimizer = {low = 0, high = 1}",
        "search.space.optimizer: has no range, as it is no number; write a list of its values",
    ),
]


@pytest.mark.parametrize(("right", "wrong", "answer"), SAMPLED_MISTAKES)
def test_a_mistake_in_a_sampled_search_gets_one_line_too(
    tmp_path: Path, right: str, wrong: str, answer: str
) -> None:
    with pytest.raises(UserError) as caught:
        tiny_spec(tmp_path, SAMPLED.replace(right, wrong, 1))
    assert answer in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_spec_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_spec(tmp_path / "nothing.toml")


def test_a_field_of_sgd_needs_sgd(tmp_path: Path) -> None:
    fixed = TINY_SPEC.replace("[training]", "[training]\nmomentum = 0.9")
    searched = TINY_SPEC.replace("[search.grid]", "[search.grid]\nnesterov = [true, false]")
    for text, key in ((fixed, "training.momentum"), (searched, "search.grid.nesterov")):
        tiny_spec(tmp_path, text)  # the optimizer is an axis
        without_sgd = text.replace('optimizer = ["Adam", "SGD"]', "seed = [0, 1]")
        with pytest.raises(UserError, match=rf"{key}: is a field of SGD and the optimizer is Adam"):
            tiny_spec(tmp_path, without_sgd)
        fixed_to_sgd = without_sgd.replace("[training]", '[training]\noptimizer = "SGD"')
        assert tiny_spec(tmp_path, fixed_to_sgd).training.optimizer == "SGD"


def test_a_stored_spec_of_a_version_without_the_later_fields_is_still_the_same_spec(tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path)
    old = spec.document()
    of_then = ("learning_rate", "batch_size", "optimizer", "epochs", "seed", "precision")
    old["training"] = {name: value for name, value in old["training"].items() if name in of_then}
    assert len(spec.document()["training"]) > len(old["training"])
    assert differences(validate(MnistSpec, old, "stored"), spec) == []


def test_the_former_name_of_a_field_is_read_and_its_name_now_is_told(tmp_path: Path) -> None:
    former = write_spec(tmp_path, TINY_SPEC + "\n[lease]\npatience = 30\n")
    with pytest.warns(
        FormerName, match=r"^lease\.patience is called lease\.storage_timeout now; write that$"
    ):
        spec = load_spec(former)
    assert spec.lease.storage_timeout == 30.0
    assert "patience" not in spec.document()["lease"]


def test_a_field_has_one_name_at_a_time(tmp_path: Path) -> None:
    both = write_spec(tmp_path, TINY_SPEC + "\n[lease]\npatience = 30\nstorage_timeout = 40\n")
    with pytest.raises(UserError, match=r"lease\.patience: unknown key"):
        load_spec(both)
