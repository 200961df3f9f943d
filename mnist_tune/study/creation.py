"""Makes a study from a spec, or finds it if it exists, with notes for its author."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from mnist_tune.search.own_samplers import check_options
from mnist_tune.spec.differences import differences
from mnist_tune.spec.idle_settings import idle_settings
from mnist_tune.spec.reading import GivenSpec
from mnist_tune.spec.revisions import Revision
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.reuse import create_study_reusing
from mnist_tune.study.store import create_study, open_study, study_names


@dataclass(frozen=True)
class Creation:
    """A study, and whether it was created or found."""

    study: OpenStudy
    is_new: bool
    """Whether the study was made now; if not, the same study existed already."""
    n_reused: int
    """How many cells of a new study have taken over results of another study."""
    notes: list[str]
    """Settings of the spec without effect, and settings that the study keeps though the spec differs."""
    added: Revision | None = None
    """What a study that was there was given in addition."""


def find_or_create(
    storage: GuardedStorage, given: GivenSpec, reuse: str | None = None, *, extend: bool = False
) -> Creation:
    """The study of this spec; it is made with all its cells unless it exists.

    A new study takes over the results that the study `reuse` has for its cells. With `extend`, a study that
    has less than the spec is given what it lacks.

    Raises:
        UserError: another study has this name, `reuse` has no result that can be taken over, or the search's
            sampler is another package's and is not installed here, where it would run.
    """
    spec = given.spec
    unused = check_options(spec)
    added = _extended(storage, spec) if extend else None
    if reuse is None:
        is_new, n_reused = create_study(storage, spec), 0
    else:
        is_new, n_reused = create_study_reusing(storage, spec, reuse)
    study = open_study(storage, spec.study.name)
    notes = [*idle_settings(spec), *unused, *given.remarks]
    if kept := differences(study.spec, spec, in_settings=True):
        notes.append(f"the study keeps its own settings: {'; '.join(kept)}; change them with mnist-tune set")
    return Creation(study, is_new, n_reused, notes, added)


def _extended(storage: GuardedStorage, spec: Spec) -> Revision | None:
    """Give the study of this name what it lacks of the spec, if it differs in nothing else; what that was."""
    if spec.study.name not in study_names(storage):
        return None
    study = open_study(storage, spec.study.name)
    return extend_study(study, spec, secrets.token_hex(16)).revision
