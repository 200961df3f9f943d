"""A study that takes over cells of an older one."""

from __future__ import annotations

from mnist_tune.spec.study_spec import Spec
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.reuse import finished_cells
from mnist_tune.study.store import create_study, open_study
from tests.support.specs import TINY_SPEC

MORE_SEEDS = TINY_SPEC.replace('"tiny"', '"more"').replace("[training]", "seed = [0, 1, 2]\n\n[training]")


def reuse_results(old_study: OpenStudy, spec: Spec) -> OpenStudy:
    assert create_study(old_study.storage, spec, finished_cells(old_study, spec))
    return open_study(old_study.storage, spec.study.name)
