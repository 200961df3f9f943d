"""A study made of a spec, or found if it is there already; and what its author should know of it."""

from __future__ import annotations

from dataclasses import dataclass

from mnist_tune.spec.idle_settings import idle_settings
from mnist_tune.spec.study_spec import Spec, differences
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.reuse import create_study_reusing
from mnist_tune.study.store import create_study, open_study


@dataclass(frozen=True)
class Creation:
    """A study, and what became of the wish to create it."""

    study: OpenStudy
    is_new: bool
    """Whether it was made now; else the very same study was there already."""
    n_reused: int
    """How many cells of a new one have taken over the results of another study."""
    notes: list[str]
    """What the spec says to no effect, and which settings the study keeps though the spec says otherwise."""


def find_or_create(storage: GuardedStorage, spec: Spec, reuse: str | None = None) -> Creation:
    """The study of this spec, made with all its cells unless it is there already.

    A new one takes over what the study `reuse` has finished of it.

    Raises:
        UserError: another study has this name, or `reuse` has nothing that can be taken over.
    """
    if reuse is None:
        is_new, n_reused = create_study(storage, spec), 0
    else:
        is_new, n_reused = create_study_reusing(storage, spec, reuse)
    study = open_study(storage, spec.study.name)
    notes = idle_settings(spec)
    if kept := differences(study.spec, spec, in_settings=True):
        notes.append(f"the study keeps its own settings: {'; '.join(kept)}; change them with mnist-tune set")
    return Creation(study, is_new, n_reused, notes)
