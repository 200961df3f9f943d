"""Which studies a storage has, and on which of them somebody works, in one statement for all of them."""

from __future__ import annotations

import json
from typing import NamedTuple

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import select

from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import SPEC, UID
from mnist_tune.storage.optuna_internals import studies, study_attributes, trials


class Present(NamedTuple):
    """A study that is there now."""

    uid: str | None
    """As it is stored, as JSON; None for a study of version 0.1."""
    is_at_work: bool
    """Whether a trial of it runs."""

    def is_the_one(self, name: str, uid: str) -> bool:
        """Whether it is the study that was opened with this name and uid, and no other that has its name."""
        return uid == name if self.uid is None else self.uid == json.dumps(uid)


def present_studies(storage: GuardedStorage) -> dict[str, Present]:
    """The studies that this program made, by their names, oldest first."""
    spec, uid = study_attributes.alias("spec"), study_attributes.alias("uid")
    runs = sqlalchemy.exists().where(
        trials.c.study_id == studies.c.study_id, trials.c.state == TrialState.RUNNING
    )
    ours = (
        select(studies.c.study_name, uid.c.value_json, runs.label("runs"))
        .join(spec, sqlalchemy.and_(spec.c.study_id == studies.c.study_id, spec.c.key == SPEC))
        .outerjoin(uid, sqlalchemy.and_(uid.c.study_id == studies.c.study_id, uid.c.key == UID))
        .order_by(studies.c.study_id)
    )
    with storage.transaction() as session:
        rows = session.execute(ours).all()
    # A damaged name that is no text belongs to a study that nobody can open.
    return {
        row.study_name: Present(row.value_json, bool(row.runs))
        for row in rows
        if isinstance(row.study_name, str)
    }
