"""What people may change of our studies on the dashboard, and how they delete one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.contract.study import WorkerFacts
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.storage.artifacts import ArtifactFolder
from mnist_tune.storage.tables import workers
from mnist_tune.study.open_study import OpenStudy
from tests.support.dashboard_client import Client
from tests.support.dashboard_routes import CONTENT_OF_ANY_ROUTE, all_routes


def test_of_our_studies_only_notes_and_their_own_files_can_be_changed(
    worked_on: OpenStudy, client: Client, tmp_path: Path
) -> None:
    def kept() -> Any:
        trials = worked_on.storage.get_all_trials(worked_on.study_id)
        return trials, worked_on.storage.get_study_name_from_id(worked_on.study_id)

    before, done = kept(), set()
    address = f"/api/studies/{worked_on.study_id}"
    for target in all_routes(worked_on, tmp_path):
        about_ours = target.path.startswith((f"{address}/", "/api/trials/", "/api/artifacts/"))
        if target.method != "GET" and about_ours:
            reply = client(target.method, target.path, CONTENT_OF_ANY_ROUTE)
            assert reply.status in (200, 201, 403, 404), (target, reply)
            if reply.status < 300:
                done.add((target.method, re.sub("[0-9]+/note$", "N/note", target.path)))
            assert kept() == before, target
    assert done == {
        ("PUT", "/api/studies/N/note"),
        ("PUT", f"{address}/N/note"),
        ("POST", f"/api/artifacts/{worked_on.study_id}"),
    }


def test_a_file_is_removed_only_through_what_it_was_added_to(worked_on: OpenStudy, client: Client) -> None:
    ours = worked_on.study_id
    trial = client.detail(worked_on)["trials"][0]
    weights = trial["artifacts"][0]["artifact_id"]
    other = worked_on.storage.create_new_study(worked_on.optuna_study().directions, "other")
    of_other = worked_on.storage.create_new_trial(other)
    for place in (ours, other, 99, f"{other}/{of_other}", f"{other}/99", f"{ours}/{trial['trial_id']}"):
        assert client("DELETE", f"/api/artifacts/{place}/{weights}").status == 403
    assert client("GET", f"/artifacts/{ours}/{trial['trial_id']}/{weights}").status == 200
    for place in (str(ours), f"{other}/{of_other}"):
        added = client("POST", f"/api/artifacts/{place}", CONTENT_OF_ANY_ROUTE).json["artifact_id"]
        assert client("DELETE", f"/api/artifacts/{place}/{added}").status == 200
        assert client("DELETE", f"/api/artifacts/{place}/{added}").status == 403


@pytest.mark.parametrize("with_files", [True, False])
def test_a_study_is_deleted_with_all_that_belongs_to_it_also_under_its_workers(
    worked_on: OpenStudy, client: Client, files: ArtifactFolder, tmp_path: Path, with_files: bool
) -> None:
    Registration(worked_on.storage, worked_on.study_id, WorkerFacts.of_this_process("cpu"))
    checkpoints = tmp_path / "checkpoints" / worked_on.uid
    checkpoints.mkdir(parents=True)
    upload_to_study = client("POST", f"/api/artifacts/{worked_on.study_id}", CONTENT_OF_ANY_ROUTE)
    assert upload_to_study.status == 201
    asked = {"remove_associated_artifacts": with_files}
    assert client("DELETE", f"/api/studies/{worked_on.study_id}", asked).status == 200
    assert client("GET", "/api/studies").json == {"study_summaries": []}
    with worked_on.storage.engine.connect() as connection:
        assert connection.execute(workers.select()).all() == []
    assert checkpoints.exists() != with_files
    assert (tmp_path / "artifacts").exists() != with_files or not any((tmp_path / "artifacts").iterdir())
