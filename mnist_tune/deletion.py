"""Removing a study, and the files that were kept for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import sqlalchemy
from optuna.artifacts._upload import ARTIFACTS_ATTR_PREFIX
from sqlalchemy import select

from mnist_tune.cells import delete_rows
from mnist_tune.rows import system_attributes, trials
from mnist_tune.studies import OpenStudy


def delete_study(study: OpenStudy) -> None:
    """Remove a study with all its trials, also while workers write to it: they find their leases lost."""
    # Optuna's own loads everything first, and silently deletes nothing if a row is added meanwhile.
    with study.storage.transaction() as session:
        delete_rows(session, study.study_id)


def delete_study_and_files(study: OpenStudy, checkpoints: Path, artifacts: Path) -> int:
    """Remove a study, its checkpoints, and its trials' weights and logs; how many of those were there.

    What a study in the same storage has taken over stays; a copy in another storage loses these files too.
    """
    of_trials = (
        select(system_attributes.c.key)
        .join(trials, trials.c.trial_id == system_attributes.c.trial_id)
        .where(
            trials.c.study_id == study.study_id,
            system_attributes.c.key.startswith(ARTIFACTS_ATTR_PREFIX, autoescape=True),
        )
    )
    with study.storage.transaction() as session:
        keys = list(session.execute(of_trials).scalars())
    delete_study(study)  # first: no trial ever points to a file that is gone
    shutil.rmtree(checkpoints / study.uid, ignore_errors=True)
    with study.storage.transaction() as session:
        still_used = {key for some in _batches(keys) for key in session.execute(_in_use(some)).scalars()}
    files = [artifacts / key.removeprefix(ARTIFACTS_ATTR_PREFIX) for key in keys if key not in still_used]
    there = [file for file in files if file.is_file()]
    for file in there:
        file.unlink(missing_ok=True)
    for folder in (checkpoints, artifacts):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return len(there)


def _batches(keys: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    # Databases limit how many values a statement may have.
    return (keys[start : start + size] for start in range(0, len(keys), size))


def _in_use(keys: Sequence[str]) -> sqlalchemy.Select[tuple[str]]:
    return select(system_attributes.c.key).where(system_attributes.c.key.in_(keys)).distinct()
