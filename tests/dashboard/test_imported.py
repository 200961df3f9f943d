"""A result from elsewhere on the dashboard's page: named in a note, and never the best trial there."""

from __future__ import annotations

from mnist_tune.contract.study import new_token
from mnist_tune.dashboard.snapshots import SnapshotStorage
from mnist_tune.spec.imports import Import, ResultElsewhere
from mnist_tune.spec.revisions import Point
from mnist_tune.storage.keys import IMPORTED
from mnist_tune.storage.optuna_internals import system_attributes
from mnist_tune.study.imports import import_results
from mnist_tune.study.open_study import OpenStudy
from tests.support.dashboard_client import Client


def test_what_was_imported_is_named_and_is_not_the_best(worked_on: OpenStudy, client: Client) -> None:
    parameters: Point = {"learning_rate": 0.001, "batch_size": 64, "optimizer": "Adam"}
    found = ResultElsewhere(parameters=parameters, value=99.5)
    import_results(worked_on, Import(source="known *best*.csv", results=[found]), new_token())
    detail = client.detail(worked_on)
    shown = detail["trials"][-1]
    assert (shown["state"], shown.get("values")) == ("Fail", None)
    note = shown["note"]["body"]
    assert note.startswith(
        f"Trial {shown['number']} **did not run here**: a validation accuracy of **99.50 %**"
    )
    assert "was imported from `known *best*.csv` at `20" in note
    assert "- `optimizer`: `Adam`" in note
    assert SnapshotStorage(worked_on.storage).get_best_trial(worked_on.study_id).value == 90.0
    with worked_on.storage.transaction() as session:
        which = system_attributes.c.key == IMPORTED
        session.execute(system_attributes.update().where(which).values(value_json="5"))
    assert len(client.detail(worked_on)["trials"]) == len(detail["trials"])
