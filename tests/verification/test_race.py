"""`verify` judges a race over seeds again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.storage.keys import SPEC
from mnist_tune.storage.optuna_internals import study_attributes
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.terminal.glyphs import UNICODE
from mnist_tune.terminal.live_view import live_view
from mnist_tune.terminal.status_page import status_page
from tests.support.settling_studies import CLEAR, alike_value, broken, run_through, worker_of
from tests.support.studies import new_study, opened_again


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (lambda race: race.update(best=race["rivals"][0]["cell"]), "best is "),
        (lambda race: race["rivals"][0].update(low=1.0), "out is "),
        (lambda race: race["rivals"][0].update(difference=50.0), "the comparison of cell"),
        (lambda race: race.update(ending="tied"), "ending is "),
        (lambda race: race["rivals"].pop(), "other configurations were compared"),
        (lambda race: race.update(dropped=[0]), "dropped is "),
        (lambda race: race.update(seeds=3), "seeds is 3; it should be 2"),
        (lambda race: race.update(best=99, ending="one is best", rivals=[], dropped=[77]), "best is 99"),
        (lambda race: race.update(seeds=1, missing=[5]), "seeds is 1; it should be 2"),
    ],
)
def test_verify_judges_again(tmp_path: Path, what: Callable[[dict[str, Any]], object], told: str) -> None:
    study = new_study(tmp_path, CLEAR)
    run_through(worker_of(study, tmp_path), alike_value, most=7)
    change_spec(study, lambda spec: what(spec["search"]["revisions"][0]["race"]))
    found = " ".join(broken(study, tmp_path))
    assert "step 1, the judgement after" in found
    assert told in found
    results = read_results(opened_again(study))  # others go on with what can be used of it
    assert results.as_json()["race"]["rounds"] == 1
    assert list(status_page(results, UNICODE, 80)) != []
    assert live_view(results, 80, 40).plain


def test_verify_misses_a_seed_that_was_not_given(tmp_path: Path) -> None:
    study = new_study(tmp_path, CLEAR)
    run_through(worker_of(study, tmp_path), alike_value, most=7)

    def change(spec: dict[str, Any]) -> None:
        spec["search"]["enqueue"][0]["seed"] = 5

    change_spec(study, change)
    assert any("the seeds that were added are " in found for found in broken(study, tmp_path))


def change_spec(study: OpenStudy, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the stored spec as somebody does who has the database."""
    spec = opened_again(study).spec.stored()
    change(spec)
    with study.storage.transaction() as session:
        of_spec = study_attributes.c.study_id == study.study_id, study_attributes.c.key == SPEC
        session.execute(study_attributes.update().where(*of_spec).values(value_json=json.dumps(spec)))
