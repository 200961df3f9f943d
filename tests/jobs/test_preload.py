"""`preload` in [job]: modules that `run` imports once for all training processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.study.store import open_study
from tests.support.commands import Command, finish, start_command
from tests.support.own_jobs import FIT_SPEC, own_job
from tests.support.studies import open_file

JOB = """
import os, sys
was_loaded = "sklearn" in sys.modules
import sklearn
from mnist_tune import Hyperparameters, Trial, job

@job(objective="error", direction="minimize")
def train(settings: Hyperparameters, trial: Trial) -> None:
    trial.note(was_loaded=str(was_loaded))
    for epoch in trial.epochs():
        trial.report(error=1.0)
"""
SPEC = FIT_SPEC.replace("learning_rate = [0.1, 0.01]", "seed = [0]").replace(
    'file = "fit.py:train"', 'file = "fit.py:train"\npreload = ["sklearn"]'
)


@pytest.mark.slow
@pytest.mark.parametrize("preload", [True, False])
def test_a_module_that_is_preloaded_is_there_before_the_job_imports_it(tmp_path: Path, preload: bool) -> None:
    spec = own_job(tmp_path, JOB, SPEC if preload else SPEC.replace('preload = ["sklearn"]', ""))
    answer = finish(start_command("run", str(spec), "--workers", "1", folder=tmp_path, environment={}))
    assert answer.returncode == 0, answer.stderr
    [attempt] = read_results(open_study(open_file(tmp_path), "fit")).complete
    assert attempt.environment["was_loaded"] == str(preload)


@pytest.mark.slow
def test_what_is_preloaded_is_no_part_of_the_study(tmp_path: Path, command: Command) -> None:
    spec = own_job(tmp_path, JOB, SPEC)
    assert command("create-study", str(spec)).code == 0
    spec.write_text(SPEC.replace('preload = ["sklearn"]', ""), encoding="utf-8")
    again = command("create-study", str(spec))
    assert again.code == 0, again.err
    assert "preload" not in str(open_study(open_file(tmp_path), "fit").spec.stored())


@pytest.mark.parametrize(
    ("preload", "says"),
    [
        ('["no_such_module"]', "job.preload: there is no module no_such_module here; install or remove it"),
        ('["fit"]', "job.preload: fit is beside the spec: only its job imports it"),
        ('["os; evil"]', "job.preload"),
        ('"sklearn"', "job.preload: should be a valid list, not 'sklearn'"),
    ],
)
def test_a_module_that_cannot_be_preloaded_is_one_line(
    tmp_path: Path, command: Command, preload: str, says: str
) -> None:
    spec = own_job(tmp_path, JOB, SPEC.replace('["sklearn"]', preload))
    answer = command("create-study", str(spec))
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err.replace("job: preload", "job.preload")
    assert answer.err.count("\n") == 1
