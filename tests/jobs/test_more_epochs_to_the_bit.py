"""A trial of three epochs that is given more ends as one that had them all at once, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from mnist_tune.results.eta import own_epochs
from mnist_tune.results.trial_result import TrialResult
from mnist_tune.storage.artifacts import ArtifactFolder
from tests.support.command_jobs import DECAY, DECAY_SPEC, results_in, run
from tests.support.commands import run_command
from tests.support.own_jobs import FIT, FIT_SPEC, own_job

EVERY_STATE = "[limits]\ncheckpoint_interval = 0"
MNIST_SPEC = """
[study]
name = "digits"

[search.grid]
optimizer = ["Adam", "SGD"]

[training]
epochs = 3
momentum = 0.9
weight_decay = 0.01
dropout = 0.2
augmentation_shift = 1.0
ema_decay = 0.9
precision = "fp32"

[data]
train_size = 300
validation_size = 100

[limits]
checkpoint_interval = 0
"""
JOBS = {
    "fit": (FIT.replace('unit="rows")', 'unit="rows", more_epochs=True)'), FIT_SPEC),
    "decay": (
        DECAY,
        DECAY_SPEC.replace('direction = "minimize"\n', 'direction = "minimize"\nmore_epochs = true\n'),
    ),
    "digits": ("", MNIST_SPEC),
}


def numbers(attempt: TrialResult) -> list[dict[str, Any]]:
    """What it has reported, without times."""
    return [
        {name: value for name, value in epoch.numbers.items() if "second" not in name}
        for epoch in attempt.history
    ]


def by_cell(folder: Path, name: str) -> dict[int, TrialResult]:
    return {attempt.cell: attempt for attempt in results_in(folder, name).complete}


def files_of(folder: Path, attempt: TrialResult) -> dict[str, Any]:
    """The content of the files that a trial has left, without its log."""
    kept = ArtifactFolder(folder / "studies.db.artifacts")
    paths = {name: kept.path(one) for name, one in attempt.artifacts.items() if name != "log.txt"}
    return {
        name: {key: value.tolist() for key, value in load_file(path).items()}
        if name.endswith(".safetensors")
        else path.read_bytes()
        for name, path in paths.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", list(JOBS))
@pytest.mark.usefixtures("mnist_directory")
def test_what_goes_on_has_the_numbers_and_the_files_of_a_longer_training(tmp_path: Path, name: str) -> None:
    script, spec = JOBS[name]
    keeping = spec.replace(EVERY_STATE, "[limits]\nkeep_last = true")
    assert keeping != spec
    longer, given = tmp_path / "longer", tmp_path / "given"
    run(own_job(longer, script, spec.replace("epochs = 3", "epochs = 5"), name), longer)
    path = own_job(given, script, keeping, name)
    run(path, given)
    assert [len(one.history) for one in by_cell(given, name).values()] == [3, 3]
    extended = run_command("extend", name, "--epochs", "5", folder=given)
    assert (extended.returncode, extended.stderr) == (0, "")
    run(own_job(given, script, keeping.replace("epochs = 3", "epochs = 5"), name), given)
    at_once, after_all = by_cell(longer, name), by_cell(given, name)
    assert at_once.keys() == after_all.keys() == {0, 1}
    for cell, attempt in after_all.items():
        assert numbers(attempt) == numbers(at_once[cell])
        assert attempt.final_value == at_once[cell].final_value
        assert files_of(given, attempt) == files_of(longer, at_once[cell])
        assert [epoch.epoch for epoch in own_epochs(attempt)] == [4, 5]
    verified = run_command("verify", name, folder=given)
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize(
    ("name", "kept", "complaint"),
    [
        (
            "fit",
            FIT,
            "the job does not say by 'more_epochs' that a trial of few epochs is the beginning of a ",
        ),
        (
            "fit",
            JOBS["fit"][0].replace("more_epochs=True", 'more_epochs={"learning_rate": [0.01]}'),
            "with learning_rate = 0.01 a trial of few epochs is not the beginning of a longer one; make ",
        ),
    ],
    ids=["not said", "not with a value"],
)
def test_a_job_that_does_not_say_so_is_given_no_more(
    tmp_path: Path, name: str, kept: str, complaint: str
) -> None:
    path = own_job(tmp_path, kept, FIT_SPEC.replace(EVERY_STATE, "[limits]\nkeep_last = true"), name)
    created = run_command("create-study", str(path), folder=tmp_path)
    assert created.returncode == 0
    note = "note: limits.keep_last: nothing goes on from what is kept: the job does not say so"
    assert (note in created.stdout + created.stderr) is (kept is FIT)
    refused = run_command("extend", name, "--epochs", "+2", folder=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"mnist-tune: extend: epochs: {complaint}")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("job", "spec", "complaint"),
    [
        (
            FIT.replace('unit="rows")', 'unit="rows", more_epochs={"rate": [1.0]})'),
            FIT_SPEC,
            "job fit: its more_epochs names 'rate', which is no field of [training]",
        ),
        (
            DECAY,
            DECAY_SPEC.replace("[job]", "[job]\nmore_epochs = {rate = [1.0]}"),
            "job: more_epochs names 'rate', which is no field of [training]",
        ),
    ],
    ids=["function", "command"],
)
def test_a_field_that_is_not_there_is_refused_in_one_line(
    tmp_path: Path, job: str, spec: str, complaint: str
) -> None:
    path = own_job(tmp_path, job, spec, "fit" if job is not DECAY else "decay")
    refused = run_command("create-study", str(path), folder=tmp_path)
    assert refused.returncode == 2
    assert complaint in refused.stderr
    assert refused.stderr.count("\n") == 1
