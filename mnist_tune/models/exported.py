"""Takes the files of the best configuration's first trial out of a study, as the folder of a model."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.errors import FileElsewhere, FileUnavailable, MnistTuneError, UserError
from mnist_tune.files import stored_names
from mnist_tune.files.output_folder import output_folder
from mnist_tune.models.folder import write_model
from mnist_tune.results.exports import Configuration
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import TrialResult
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.worker.attempt_record import LOG_FILE


def export_files(
    results: Results, configuration: Configuration, service: StudiesForPeople, output: Path
) -> list[str]:
    """Write what the trial has saved, whose configuration is the best; returns the names of its files.

    Raises:
        UserError: it has saved nothing, its files are elsewhere, or `output` is not empty.
        MnistTuneError: a file cannot be written.
    """
    assert results.best is not None  # there is a configuration
    trial = results.best.first
    files = {name: _content(service, trial, name) for name in trial.artifacts if name != LOG_FILE}
    if not files:
        raise UserError(f"--files: trial {trial.number} has saved no file (trial.save)")
    with output_folder(output, "name a new folder with --files", must_be_empty=True):
        write_model(output, configuration, results.job, files, trial.history, trial.environment)
    return list(files)


def _content(service: StudiesForPeople, trial: TrialResult, name: str) -> bytes:
    try:
        stored_names.file_name(name)
        with service.kept_file(stored_names.artifact_id(trial.artifacts[name])) as kept:
            return kept.read()
    except ValueError as error:
        raise MnistTuneError(f"--files: trial {trial.number}: {error}") from None
    except FileElsewhere as elsewhere:
        raise UserError(
            f"--files: trial {trial.number} has saved {name}, which is not in {elsewhere.folder}; run this "
            "where it is, or name its folder with --artifacts"
        ) from None
    except FileUnavailable as error:
        raise UserError(f"--files: {error}") from None
    except OSError as error:
        raise UserError(
            f"--files: {name} of trial {trial.number}: cannot be read: {error.strerror}"
        ) from None
