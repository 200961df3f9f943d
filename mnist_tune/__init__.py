"""A hyperparameter search service around a PyTorch job: the MNIST classifier, or your own training code.

From Python it takes three lines:

    >>> import mnist_tune
    >>> study = mnist_tune.run("quickstart", workers=2)  # local processes work on it until it is finished
    >>> study  # shows itself in a notebook: progress, ranking, verdicts

`study.status`, `.ranking` and `.best` are plain values; `.trials_dataframe()` and `.history_dataframe()` are
tables for pandas; `.report(path)` and `.export(path)` write files; `.extend` and `.enqueue` give it more to
try. `create_study` stores a study without working on it, and `open_study` finds one that others work on. A
job is a function with `@job`, which takes `Hyperparameters` and a `Trial`; studies/own_jobs.md shows one, and
`try_job` runs one without a study. An error is a `MnistTuneError` of one line; its subclass `UserError` also
says what to write instead.

The wings, from top to bottom. Each imports only from those below it; tests/test_house.py checks that:

    cli/           one file a command: parse, one call, print
    api/           studies from Python, for scripts and notebooks: what this module hands out
    serve/         a head, which hands out the cells of its storage over HTTP, and its client
    dashboard/     optuna-dashboard over our storage, filled in and guarded
    report/        a study as one HTML file
    terminal/      a study as text for a terminal
    models/        a chosen configuration trained, kept and measured on its job's test data
    service/       what people ask of a storage, call by call, wherever it is
    results/       a study as frozen rows: its trials, its ranking, and the evidence for it
    launch/        workers on an engine: Ray, Slurm
    worker/        one worker and its training process
    verification/  checks that a stored study keeps every promise
    doctor/        checks of this machine and of a database
    study/         make, open, copy, delete, reuse and change a study
    search/        Optuna's part: samplers and pruners
    queue/         each cell exactly once: claim, heartbeat, give back, put back
    contract/      what a worker asks of a study, and what it is told, wherever the study is
    records/       the stored rows of a study as typed values
    spec/          a study's TOML file: its tables, ranges and errors
    jobs/          the code that is trained: what a job is, how it is found and run, and the MNIST job
    storage/       the database: connections, schema, statements, Optuna's private parts
    files/         files that are written whole or not at all, and their folders
    hardware/      devices and cores, and which worker uses which
    processes/     processes: how they start, what they are called, their streams
    errors         the errors that end a command with one line
    failures       the reasons why an attempt did not complete
    text/          times and stored text as people read them
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_tune.api.running import run
    from mnist_tune.api.studies import create_study, open_study, study_names
    from mnist_tune.api.study import Study
    from mnist_tune.api.values import RaceStatus, RankedConfiguration, StudyStatus
    from mnist_tune.errors import MnistTuneError, UserError
    from mnist_tune.jobs.description import Binomial, Normal, Reference
    from mnist_tune.jobs.evaluation import Classes, Evaluation, GreyImage, Mistake, SavedModel
    from mnist_tune.jobs.hyperparameters import DataOptions, Hyperparameters
    from mnist_tune.jobs.interface import Trial, job
    from mnist_tune.jobs.metric import Metric
    from mnist_tune.jobs.trying import try_job
    from mnist_tune.results.cell_counts import Cells
    from mnist_tune.spec.shipped import shipped_specs

__version__ = "0.6.0.dev0"

__all__ = [
    "Binomial",
    "Cells",
    "Classes",
    "DataOptions",
    "Evaluation",
    "GreyImage",
    "Hyperparameters",
    "Metric",
    "Mistake",
    "MnistTuneError",
    "Normal",
    "RaceStatus",
    "RankedConfiguration",
    "Reference",
    "SavedModel",
    "Study",
    "StudyStatus",
    "Trial",
    "UserError",
    "__version__",
    "create_study",
    "job",
    "open_study",
    "run",
    "shipped_specs",
    "study_names",
    "try_job",
]

_LIES_IN = {
    "Binomial": "mnist_tune.jobs.description",
    "Cells": "mnist_tune.results.study_results",
    "Classes": "mnist_tune.jobs.evaluation",
    "DataOptions": "mnist_tune.jobs.hyperparameters",
    "Evaluation": "mnist_tune.jobs.evaluation",
    "GreyImage": "mnist_tune.jobs.evaluation",
    "Hyperparameters": "mnist_tune.jobs.hyperparameters",
    "Metric": "mnist_tune.jobs.metric",
    "Mistake": "mnist_tune.jobs.evaluation",
    "MnistTuneError": "mnist_tune.errors",
    "Normal": "mnist_tune.jobs.description",
    "RaceStatus": "mnist_tune.api.values",
    "RankedConfiguration": "mnist_tune.api.values",
    "Reference": "mnist_tune.jobs.description",
    "SavedModel": "mnist_tune.jobs.evaluation",
    "Study": "mnist_tune.api.study",
    "StudyStatus": "mnist_tune.api.values",
    "Trial": "mnist_tune.jobs.interface",
    "UserError": "mnist_tune.errors",
    "create_study": "mnist_tune.api.studies",
    "job": "mnist_tune.jobs.interface",
    "open_study": "mnist_tune.api.studies",
    "run": "mnist_tune.api.running",
    "shipped_specs": "mnist_tune.spec.shipped",
    "study_names": "mnist_tune.api.studies",
    "try_job": "mnist_tune.jobs.trying",
}
"""The module of each public name. It is imported at first use, since commands must not wait for others."""


if not TYPE_CHECKING:  # a type checker would take every name for defined

    def __getattr__(name: str) -> Any:
        if name not in _LIES_IN:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(_LIES_IN[name]), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__") and name.endswith("__"))})
