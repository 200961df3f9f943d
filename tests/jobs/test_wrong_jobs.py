"""Mistakes in a job get one line each; a job that misbehaves fails its trial and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.study.store import open_study
from tests.support.commands import Command, finish, start_command
from tests.support.own_jobs import FIT, FIT_SPEC, own_job
from tests.support.studies import open_file

JOB = '@job(objective="error", direction="minimize", unit="rows")'
SETTINGS = "    learning_rate: float = 0.1\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("def train", "def fit", "there is no 'train' in it; its jobs are fit"),
        (JOB, "", "'train' is no job; decorate it with @job(objective=..., ...)"),
        (
            "import random",
            "import no_such_module",
            "cannot be imported: ModuleNotFoundError: No module",
        ),
        ("import random", "raise SystemExit(3)", "it leaves with sys.exit(3) when it is imported"),
        (
            "settings: Settings, trial",
            "settings, trial",
            "annotate its argument 'settings' with a class",
        ),
        ("settings: Settings, trial: Trial", "settings: Settings", "must take two arguments"),
        ('objective="error"', 'objective="seconds"', "'seconds' has another meaning in tables and exports"),
        (
            "import random",
            "import random\nfrom mnist_tune.jobs.metric import Metric\nMetric(unit='m\\n')",
            r"cannot be imported: Metric: unit: 'm\n' is shown within a line: leave out line breaks",
        ),
        (
            "import random",
            "import random\nfrom mnist_tune.jobs.metric import Metric\nMetric(title='\\x1b[31mred')",
            r"Metric: title: '\x1b[31mred' is shown within a line",
        ),
        (
            "import random",
            "import random\nfrom mnist_tune.jobs.metric import Metric\nMetric(unit='%{x}')",
            "Metric: unit: '%{x}' has a {, which means something else in figures; leave it out",
        ),
        (JOB, JOB[:-1] + ', metrics=["error", "a\\nb"])', r"metrics.a\nb.[key]: String should match pattern"),
        ('unit="rows"', 'unit="rows\\n"', "unit: String should match pattern"),
        ('direction="minimize"', 'direction="down"', "direction: Input should be 'minimize' or 'maximize'"),
        (
            SETTINGS,
            "    learning_rate: list[int] = []\n",
            "can only be fixed in [training]: its type",
        ),
        (
            SETTINGS,
            "    rate: float = 0.1\n",
            "learning_rate: unknown training field; write one of",
        ),
        (SETTINGS, SETTINGS + "    width: int\n", "training.width: missing: the job has no default for it"),
        (
            "(Hyperparameters)",
            "",
            "annotate its argument 'settings' with a class",
        ),
    ],
)
def test_a_wrong_job_is_one_line_when_the_study_is_made(
    tmp_path: Path, command: Command, old: str, new: str, says: str
) -> None:
    assert old in FIT
    answer = command("create-study", str(own_job(tmp_path, FIT.replace(old, new))))
    assert (answer.code, answer.out) == (2, ""), answer.err
    assert says in answer.err
    assert answer.err.count("\n") == 1
    assert "a bug of mnist-tune" not in answer.err


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ('file = "none.py:train"', "job none.py:train: no such file"),
        ('file = "fit.py"', "should be FILE.py:FUNCTION"),
        ('name = "no-such-job"', "job no-such-job: not installed here; installed are: mnist"),
        ('name = "mnist"\nfile = "fit.py:train"', 'write either name = "..." or file'),
        ("", 'write either name = "..." or file'),
        ('nmae = "mnist"', "job: nmae: unknown key; did you mean 'name'?"),
    ],
)
def test_a_job_that_cannot_be_found_is_one_line(
    tmp_path: Path, command: Command, job: str, says: str
) -> None:
    spec = own_job(tmp_path, spec=FIT_SPEC.replace('file = "fit.py:train"', job))
    answer = command("create-study", str(spec))
    assert (answer.code, answer.out) == (2, ""), answer.err
    assert says in answer.err
    assert answer.err.count("\n") == 1


MISTAKES = {
    "undeclared": ("trial.report(error=1.0, typo=2.0)", "'typo' is none of the job's metrics"),
    "misnamed": ("trial.report(**{'a\\n': 1.0})", r"'a\n' is no name of a metric"),
    "text": ('trial.report(error="low")', "error should be a number, not str"),
    "truth": ("trial.report(error=True)", "error should be a number, not bool"),
    "without": ("trial.report(loss=1.0)", "'error', the job's objective, is missing"),
    "nan": ("trial.report(error=float('nan'))", "error is nan in epoch 1"),
    "twice": ("trial.report(error=1.0); trial.report(error=1.0)", "comes once in each turn of the loop"),
    "a negative count": ("trial.report(error=1.0, rows=-5)", "rows = -5 is a count, which is not negative"),
    "never": ("pass", "epoch 1 ended without trial.report"),
    "keeps late": ("trial.keep(this=1)", "trial.keep comes before trial.epochs"),
    "raises": ("raise ValueError('of the user')", "ValueError: of the user"),
    "exits": ("import sys; sys.exit(4)", "the job called sys.exit(4)"),
    "dies": ("import os; os._exit(7)", "the training process exited with 7"),
    "returns": ("return", "the training ended before its first epoch"),
    "saves nonsense": ("trial.save('../x', b''); trial.report(error=1.0)", "is no file name"),
}
BODY = "\n".join(
    f'        if settings.mistake == "{name}":\n            {code}' for name, (code, _) in MISTAKES.items()
)
WRONG = f"""
from typing import Literal
from mnist_tune import Hyperparameters, Trial, job

class Settings(Hyperparameters):
    mistake: Literal[{", ".join(map(repr, MISTAKES))}] = "text"

@job(objective="error", direction="minimize", unit="rows", metrics=["error", "loss"])
def train(settings: Settings, trial: Trial) -> None:
    for _ in trial.epochs():
{BODY}
"""
WRONG_SPEC = f"""
[study]
name = "fit"
[job]
file = "fit.py:train"
[search.grid]
mistake = [{", ".join(f'"{name}"' for name in MISTAKES)}]
[training]
epochs = 1
[retry]
exception = 0
lost = 0
[limits]
failures_in_a_row = 0
"""


@pytest.mark.slow
def test_each_mistake_fails_its_own_trial_with_one_clear_reason(tmp_path: Path) -> None:
    spec = own_job(tmp_path, WRONG, WRONG_SPEC)
    answer = finish(start_command("run", str(spec), "--workers", "1", folder=tmp_path))
    assert answer.returncode == 1, answer.stderr
    results = read_results(open_study(open_file(tmp_path), "fit"))
    reasons = {
        attempt.parameters["mistake"]: (attempt.failure or {}).get("reason", "")
        for attempt in results.attempts
    }
    for name, (_, says) in MISTAKES.items():
        assert says in reasons[name].split("\n")[0], (name, reasons[name])
    classes = {one.parameters["mistake"]: (one.failure or {})["class"] for one in results.attempts}
    assert classes.pop("nan") == "non_finite"
    assert set(classes.values()) == {"exception"}
    assert "raise ValueError" in reasons["raises"], "the traceback is kept"


ODD = """
import subprocess, sys, threading, time
from mnist_tune import Hyperparameters, Trial, job

@job(objective="error", direction="minimize")
def train(settings: Hyperparameters, trial: Trial) -> None:
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    for epoch in trial.epochs():
        print("x" * 1_000_000)
        print("y" * 1_000_000, file=sys.stderr)
        subprocess.run([sys.executable, "-c", "print(1)"], check=True)
        try:
            trial.report(error=1.0 / epoch)
        except Exception:
            raise AssertionError("what ends a trial is no Exception")
"""


@pytest.mark.slow
def test_a_job_that_prints_forks_and_leaves_threads_completes(tmp_path: Path) -> None:
    spec = own_job(tmp_path, ODD, FIT_SPEC.replace("learning_rate = [0.1, 0.01]", "seed = [0, 1]"))
    answer = finish(start_command("run", str(spec), "--workers", "1", folder=tmp_path))
    assert answer.returncode == 0, answer.stderr
    assert read_results(open_study(open_file(tmp_path), "fit")).cells.complete == 2


@pytest.mark.slow
def test_a_job_that_is_imported_slowly_is_waited_for(tmp_path: Path) -> None:
    seconds = 30  # longer than a worker waits for an answer, and than a lease's grace period below
    job = f"import time\ntime.sleep({seconds})\n{FIT}"
    spec = FIT_SPEC.replace("[0.1, 0.01]", "[0.1]")
    lease = "[lease]\nheartbeat_interval = 1.0\ngrace_period = 10.0\n"
    path = own_job(tmp_path, job, spec + lease)
    answer = finish(start_command("run", str(path), "--workers", "1", folder=tmp_path))
    assert answer.returncode == 0, answer.stderr
    results = read_results(open_study(open_file(tmp_path), "fit"))
    assert (len(results.attempts), results.cells.complete) == (1, 1)
