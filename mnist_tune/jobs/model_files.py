"""How the files that a job has saved are called in the folder of a model, beside ours."""

from __future__ import annotations

from collections.abc import Mapping

CONFIGURATION_FILE = "config.toml"
"""The configuration with which the model was trained. It is written last: with it, the folder is whole."""
METRICS_FILE = "metrics.json"
"""The metrics of the model's training."""
EVALUATION_FILE = "evaluation.json"
"""The results of the model on test data."""
OURS = (CONFIGURATION_FILE, METRICS_FILE, EVALUATION_FILE)


def beside_ours(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The job's files; one that has the name of one of ours is called job-NAME."""
    # Not every file system tells capital letters from small ones.
    return {f"job-{name}" if name.casefold() in OURS else name: files[name] for name in files}
