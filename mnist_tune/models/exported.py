"""Takes the files of the best configuration's first trial out of a study, as the folder of a model."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.files import stored_names
from mnist_tune.files.atomic_write import read_file
from mnist_tune.files.locations import Folders
from mnist_tune.files.output_folder import output_folder
from mnist_tune.models.folder import write_model
from mnist_tune.results.exports import Configuration
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import TrialResult
from mnist_tune.storage.artifacts import ArtifactFolder
from mnist_tune.worker.attempt_record import LOG_FILE


def export_files(results: Results, configuration: Configuration, folders: Folders, output: Path) -> list[str]:
    """Write what the trial has saved, whose configuration is the best; returns the names of its files.

    Raises:
        UserError: it has saved nothing, its files are not on this machine, or `output` is not empty.
        MnistTuneError: a file cannot be written.
    """
    assert results.best is not None  # there is a configuration
    trial = results.best.first
    store = ArtifactFolder(folders.artifacts.path)
    files = {name: _content(store, trial, name) for name in trial.artifacts if name != LOG_FILE}
    if not files:
        raise UserError(f"--files: trial {trial.number} has saved no file (trial.save)")
    with output_folder(output, "name a new folder with --files", must_be_empty=True):
        write_model(output, configuration, results.job, files, trial.history, trial.environment)
    return list(files)


def _content(store: ArtifactFolder, trial: TrialResult, name: str) -> bytes:
    try:
        stored_names.file_name(name)
        path = store.path(trial.artifacts[name])
        return read_file(path)
    except ValueError as error:
        raise MnistTuneError(f"--files: trial {trial.number}: {error}") from None
    except FileNotFoundError:
        raise UserError(
            f"--files: trial {trial.number} has saved {name}, which is not in {path.parent}; run this where "
            "it is, or name its folder with --artifacts"
        ) from None
    except OSError as error:
        raise UserError(f"--files: {error.filename}: cannot be read: {error.strerror}") from None
