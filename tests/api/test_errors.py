"""Errors are one line in the words of somebody who writes Python."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnist_tune
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study

SPEC: dict[str, Any] = {"study": {"name": "tiny"}, "search": {"grid": {"learning_rate": [0.001]}}}


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_TUNE_STORAGE", raising=False)
    new_study(tmp_path, TWO_CELLS)


def test_numbers_and_lists_of_numpy_and_tuples_are_what_they_mean() -> None:
    grid = {
        "learning_rate": (np.float64(0.001), np.float32(0.5)),
        "batch_size": [np.int64(64)],
        "nesterov": [False, True],
        "momentum": [0.9],
        "optimizer": ["SGD"],
    }
    spec = mnist_tune.create_study({"study": {"name": "numbers"}, "search": {"grid": grid}}).spec
    assert spec["search"]["grid"]["learning_rate"] == [0.001, 0.5]
    assert spec["search"]["grid"]["batch_size"] == [64]
    assert spec["search"]["grid"]["nesterov"] == [False, True]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            None,
            "spec: None is none; name a file or a study that comes with mnist-tune, or .*",
        ),
        ("quikstart", "quikstart: no such file, nor a study .*; did you mean 'quickstart'\\?"),
        ({}, "spec: is empty"),
        ({"study": {"name": "x"}}, "spec: search: missing"),
        ({**SPEC, "trainig": {}}, "spec: trainig: unknown key; did you mean 'training'\\?"),
        ({**SPEC, "training": {"epochs": None}}, "spec: training.epochs: null is no value; remove the key"),
        (
            {**SPEC, "training": {"epochs": True}},
            "spec: training.epochs: should be a valid integer, not True",
        ),
        (
            {**SPEC, "training": {"dropout": float("nan")}},
            "spec: training.dropout: should be a finite number, .*",
        ),
        ({**SPEC, "training": {"epochs": {1}}}, "spec: training.epochs: is no text, number, list or table"),
        (dict([*SPEC.items(), (3, {})]), "spec: the key 3 is no text; write it in quotes"),
        (
            {**SPEC, "study": {"name": "\x1b[31m"}},
            r"spec: study.name: '\\x1b\[31m' is not allowed; use letters, digits, .*",
        ),
    ],
)
def test_a_spec_that_cannot_be_meant_is_one_line(spec: Any, told: str) -> None:
    with pytest.raises(mnist_tune.UserError, match=f"^{told}$"):
        mnist_tune.create_study(spec)
    assert not Path("mnist-tune.db").exists()


def test_tables_within_themselves_are_refused() -> None:
    spec = dict(SPEC)
    spec["training"] = spec
    with pytest.raises(mnist_tune.UserError, match=r"^spec: is nested more than 20 deep$"):
        mnist_tune.create_study(spec)


@pytest.mark.parametrize(
    ("storage", "told"),
    [
        (None, r"sqlite:////.*/mnist-tune\.db: no such file; correct 'storage', or make a study with .*"),
        ("nothing.db", r"sqlite:////.*/nothing\.db: no such file; correct 'storage', or .*"),
        (3, "storage: should be a database URL, the path of an SQLite file, or None"),
        ("mysql://me:secret@host/db", "storage: mysql:// is not supported; .*"),
        ("postgres:secret", "storage: is not a database URL; .*"),
        (":memory:", "storage: is not a database URL; .*"),
        ("sqlite://", "storage: workers share a file, not memory; write sqlite:///FILE.db"),
        ("spec.toml", r"sqlite:////.*/spec\.toml: is not an SQLite database; name another file"),
        ("studies.db", "no study 'x' in this storage; write one of tiny"),
    ],
)
def test_a_storage_that_is_none_is_one_line(storage: Any, told: str) -> None:
    with pytest.raises(mnist_tune.UserError, match=f"^{told}$"):
        mnist_tune.open_study("x", storage)


def test_what_a_command_calls_an_option_is_an_argument_here() -> None:
    with pytest.raises(mnist_tune.UserError, match=r"; give this one another name with 'name'$"):
        mnist_tune.create_study(SPEC, "studies.db")
    Path("kept").write_text("")
    with pytest.raises(
        mnist_tune.UserError, match=r"^'checkpoints': .*/kept cannot keep states to go on from"
    ):
        mnist_tune.run(SPEC, checkpoints="kept")
    with pytest.raises(mnist_tune.UserError, match=r"^'reuse' tiny: has no finished cell of this study; "):
        mnist_tune.create_study(SPEC, "studies.db", name="other", reuse="tiny")
    study = mnist_tune.open_study("tiny", "studies.db")
    with pytest.raises(mnist_tune.UserError, match=r"; run 'mnist-tune worker tiny' first$"):
        study.export()
    with pytest.raises(mnist_tune.UserError, match=r"^kept/report\.html: cannot be written: .*with 'path'$"):
        study.report("kept/report.html")


def test_numbers_of_workers_below_one_are_refused() -> None:
    for argument in ("workers", "per_gpu", "threads"):
        with pytest.raises(mnist_tune.UserError, match=f"^{argument}: should be at least 1, not 0$"):
            mnist_tune.run("quickstart", **{argument: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"workers": "my.db"}, "workers: should be a whole number, not 'my.db'"),
        ({"workers": True}, "workers: should be a whole number, not True"),
        ({"workers": 1.5}, "workers: should be a whole number, not 1.5"),
        ({"per_gpu": None}, "per_gpu: should be a whole number, not None"),
        ({"threads": "2"}, "threads: should be a whole number, not '2'"),
        ({"name": 3}, "name: should be a text, not 3"),
        ({"device": None}, "device: should be a text, not None"),
        ({"storage": 2}, "storage: should be a database URL, the path of an SQLite file, or None"),
        ({"data_dir": 3}, "data_dir: should be a path, not 3"),
        ({"checkpoints": b"here"}, "checkpoints: should be a path, not b'here'"),
        ({"artifacts": ["here"]}, "artifacts: should be a path, not a list"),
        ({"spec": 3}, "spec: 3 is none; name a file or a study that comes with mnist-tune, or .*"),
    ],
)
def test_an_argument_of_a_wrong_type_is_one_line(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(mnist_tune.UserError, match=f"^{told}$"):
        mnist_tune.run(**{"spec": "quickstart"} | arguments)
    assert not Path("mnist-tune.db").exists()


def test_a_name_or_a_path_of_a_wrong_type_is_one_line_wherever_it_is_asked_for() -> None:
    wrong: Any = 3
    with pytest.raises(mnist_tune.UserError, match=r"^name: should be a text, not 3$"):
        mnist_tune.open_study(wrong, "studies.db")
    with pytest.raises(mnist_tune.UserError, match=r"^name: should be a text, not 3$"):
        mnist_tune.create_study(SPEC, "studies.db", name=wrong)
    with pytest.raises(mnist_tune.UserError, match=r"^reuse: should be a text, not 3$"):
        mnist_tune.create_study(SPEC, "studies.db", name="other", reuse=wrong)
    study = mnist_tune.open_study("tiny", "studies.db")
    with pytest.raises(mnist_tune.UserError, match=r"^path: should be a path, not 3$"):
        study.report(wrong)


def test_all_that_take_a_storage_take_it_second_and_the_rest_by_name() -> None:
    for function in (mnist_tune.create_study, mnist_tune.open_study, mnist_tune.run):
        _, second, *rest = inspect.signature(function).parameters.values()
        assert (second.name, second.kind) == ("storage", second.POSITIONAL_OR_KEYWORD)
        assert {one.kind for one in rest} <= {second.KEYWORD_ONLY}


def test_a_storage_that_breaks_under_an_open_study_is_one_line() -> None:
    study = mnist_tune.open_study("tiny", "studies.db")
    Path("studies.db").write_bytes(b"garbage" * 1_000)
    with pytest.raises(
        mnist_tune.MnistTuneError, match=r"^the storage cannot be used: .*; put back a copy of the file; .*$"
    ) as raised:
        study.status  # noqa: B018
    assert raised.value.__suppress_context__
    assert "cannot be read: the storage cannot be used: " in repr(study)
