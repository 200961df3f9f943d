"""The folder of a model: its job's files, its configuration, and the metrics of its training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_tune.errors import UserError
from mnist_tune.files.output_folder import write_files
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.hyperparameters import MOST
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.model_files import CONFIGURATION_FILE, METRICS_FILE, OURS, beside_ours
from mnist_tune.results.exports import Configuration
from mnist_tune.spec.documents import dump


def write_model(
    folder: Path,
    configuration: Configuration,
    job: JobDescription,
    files: Mapping[str, bytes],
    history: Sequence[EpochMetrics],
    environment: Mapping[str, Any],
) -> None:
    """Write a model into a folder that is there.

    Raises:
        MnistTuneError: a file cannot be written.
    """
    metrics = {
        **_trained_on(job, history),
        "environment": dict(environment),
        "history": [epoch.as_json() for epoch in history],
    }
    ours = {
        METRICS_FILE: dump(metrics, "json").encode(),
        CONFIGURATION_FILE: dump(configuration.document(), "toml").encode(),
    }
    write_files(folder, {**beside_ours(files), **ours})


def trained_on(folder: Path, unit: str | None) -> int | None:
    """How much of the job's unit an epoch went through; None if the folder does not say.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        stored = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise UserError(f"{folder / METRICS_FILE}: cannot be read; train or export the model again") from None
    count = stored.get(unit) if isinstance(stored, dict) else None
    return count if type(count) is int and 0 < count <= MOST else None


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256, in hex, of each file of the job. Raises OSError."""
    return {path.name: sha256_of(path) for path in _files(folder)}


def sha256_of(path: Path) -> str:
    """The SHA-256, in hex, of a file's content. Raises OSError."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """The files that the job has saved, in the order of their names."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in OURS and not path.name.startswith("."):
            yield path


def _trained_on(job: JobDescription, history: Sequence[EpochMetrics]) -> dict[str, int]:
    if job.unit is None or job.rate is None or not history:
        return {}
    rate, seconds = history[-1][job.rate], history[-1].seconds
    return {} if rate is None or seconds is None else {job.unit: round(rate * seconds)}
