"""Reads the results of a study of Optuna's in another storage. Writes nothing there."""

from __future__ import annotations

from math import nan
from pathlib import Path

from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import func, select

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.spec.documents import did_you_mean
from mnist_tune.spec.imports import LONGEST_SOURCE, Import, checked_result
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.engine import parse_url, shown
from mnist_tune.storage.guarded import GuardedStorage, open_storage
from mnist_tune.storage.optuna_internals import studies, trials
from mnist_tune.storage.statements import studies_with
from mnist_tune.text.visible import visible
from mnist_tune.text.wording import listed

OPTION = "--from-optuna"


def results_at(spec: Spec, uid: str, text: str, name: str | None = None) -> tuple[Import, int]:
    """The results of complete trials of a study at the URL `text`, and how many trials are left out.

    `spec` and `uid` are those of the study that is to have them. The name may be left out where there is one
    study only.

    Raises:
        UserError: there is no such storage or study, it is that study itself, it has another direction or
            several objectives, or a result does not fit.
        MnistTuneError: the study there is damaged.
    """
    url = parse_url(text, OPTION)
    if url.drivername == "sqlite" and not Path(url.database or "").is_file():
        raise UserError(f"{shown(url)}: no such file; correct {OPTION}")
    storage = open_storage(url)
    try:
        return _results_in(storage, spec, uid, name)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _results_in(storage: GuardedStorage, spec: Spec, uid: str, name: str | None) -> tuple[Import, int]:
    where = shown(storage.engine.url)
    study_id, found = _study(storage, where, name)
    told = f"study '{visible(found)}' in {where}"
    try:
        directions, wanted = storage.get_study_directions(study_id), spec.description.direction
    except (LookupError, TypeError, ValueError) as error:
        raise MnistTuneError(f"{told}: is damaged: Optuna cannot open it: {error}") from None
    if len(directions) != 1:
        raise UserError(f"{told}: has {len(directions)} objectives; only a study of one can be imported")
    if directions[0] is not StudyDirection[wanted.upper()]:
        other = directions[0].name.lower()
        raise UserError(
            f"{told}: is to {other}, and this study is to {wanted}: their values have another meaning"
        )
    with storage.transaction() as session:
        if study_id in studies_with(session, uid):
            raise UserError(f"{told}: is the study itself, which has its own results; name another one")
        in_study = select(func.count()).select_from(trials).where(trials.c.study_id == study_id)
        n_trials = session.execute(in_study).scalar_one()
    readable = storage.readable_trials(study_id, set(), -1)
    complete = [trial for trial in readable if trial.state is TrialState.COMPLETE]
    results = [
        checked_result(spec, trial.params, (trial.values or [nan])[0], f"{told}: trial {trial.number}")
        for trial in sorted(complete, key=lambda trial: trial.number)
    ]
    source = f"study '{visible(found)[: LONGEST_SOURCE - 10]}'"
    return Import(source=source, results=results), n_trials - len(results)


def _study(storage: GuardedStorage, where: str, name: str | None) -> tuple[int, str]:
    """The id and name of the study of this name, or of the only one. Raises UserError."""
    with storage.transaction() as session:
        rows = session.execute(select(studies.c.study_id, studies.c.study_name).order_by(studies.c.study_id))
        named = {str(row.study_name): row.study_id for row in rows}
    if name is None and len(named) == 1:
        ((only, study_id),) = named.items()
        return study_id, only
    if not named:
        raise UserError(f"{where}: holds no studies")
    if name is None:
        raise UserError(f"{where}: has several studies; name one with --study: {listed(list(named), 10)}")
    if name not in named:
        raise UserError(f"no study '{name}' in {where}; {did_you_mean(name, named)}")
    return named[name], name
