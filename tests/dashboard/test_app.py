"""What the dashboard's page is given of a study: filled in, escaped, and whole where something is damaged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import create_trial

from mnist_tune.dashboard.notes import block, code
from mnist_tune.storage.keys import ENVIRONMENT, HISTORY, SPEC
from mnist_tune.storage.optuna_internals import study_attributes, user_attributes
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study
from tests.support.dashboard_client import REASON, Client, app_of
from tests.support.made_studies.epochs import made_epochs
from tests.support.specs import TINY_SPEC, tiny_spec
from tests.support.stored_content import stored_rows
from tests.support.studies import new_study, take


def test_metric_names_learning_curves_notes_and_files_are_filled_in(
    worked_on: OpenStudy, client: Client
) -> None:
    detail = client.detail(worked_on)
    assert detail["objective_names"] == ["validation_accuracy"]
    assert detail["has_intermediate_values"]
    complete, failed, running, waiting, *_, retry = detail["trials"]
    assert complete["intermediate_values"] == [{"step": 1, "value": 80.0}, {"step": 2, "value": 90.0}]
    for trial, state in (complete, "is complete"), (running, "is running"), (waiting, "waits for a worker"):
        assert f"**{state}**" in trial["note"]["body"]
        for parameter in trial["params"]:
            assert f"- `{parameter['name']}`: `{parameter['param_external_value']}`" in trial["note"]["body"]
    assert "**90.00 %**" in complete["note"]["body"]
    assert "- `torch`: `2.15`" in complete["note"]["body"]
    assert "by worker `worker`" in complete["note"]["body"]
    assert "`exception`" in failed["note"]["body"]
    assert failed["note"]["body"].endswith(f"\n````text\n{REASON}\n````")
    assert "Attempt 2 at cell 1." in retry["note"]["body"]
    (file,) = complete["artifacts"]
    assert file["filename"] == "log.txt"
    address = f"/artifacts/{worked_on.study_id}/{complete['trial_id']}/{file['artifact_id']}"
    assert client("GET", address).body == b"all went well\n"


def test_a_study_says_what_it_searches_and_how_to_go_on(worked_on: OpenStudy, client: Client) -> None:
    note = client.detail(worked_on)["note"]["body"]
    assert "mnist-tune status tiny\n" in note
    assert 'optimizer = [\n    "Adam",\n    "SGD",\n]' in note


def test_looking_at_a_study_stores_nothing(worked_on: OpenStudy, client: Client) -> None:
    before = stored_rows(worked_on)
    for path in ("studies", "studies/1", "studies/1/param_importances", "studies/1/plot/timeline"):
        assert client("GET", f"/api/{path}").status == 200
    assert stored_rows(worked_on) == before


@pytest.mark.parametrize("of_a_trial", [True, False])
def test_a_persons_note_takes_the_place_of_ours_and_stays(
    worked_on: OpenStudy, client: Client, of_a_trial: bool
) -> None:
    def note() -> Any:
        detail = client.detail(worked_on)
        return (detail["trials"][0] if of_a_trial else detail)["note"]

    trial = f"/{client.detail(worked_on)['trials'][0]['trial_id']}" if of_a_trial else ""
    address = f"/api/studies/{worked_on.study_id}{trial}/note"
    ours = note()
    mine = {"version": ours["version"] + 1, "body": f"{ours['body']}\n\nas expected"}
    assert client("PUT", address, mine).status == 200
    assert note() == mine
    assert client("PUT", address, mine).status == 409
    empty = {"version": mine["version"] + 1, "body": ""}
    assert client("PUT", address, empty).status == 200
    assert note() == empty


@pytest.mark.parametrize("text", ["plain", "`", "a ``` b", "```\n# no\n````", "", "\x1b[31mred", "` `` ` "])
def test_stored_text_cannot_leave_its_code(text: str) -> None:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, *inside, end = block(text).splitlines()
    assert fence == f"{end}text"
    assert set(end) == {"`"}
    assert len(end) > max(longest, 2)
    assert "\x1b" not in "".join(inside)
    quoted = code(text)
    ticks = re.match("`+", quoted)
    assert ticks is not None
    assert quoted.endswith(ticks[0])
    assert "\n" not in quoted
    assert len(ticks[0]) > longest


def test_epochs_are_counted_to_what_the_trial_is_to_have(tmp_path: Path) -> None:
    study = new_study(tmp_path, '[study]\nname = "tiny"\n\n[search.grid]\nepochs = [20]\n')
    queue = study.queue()
    queue.complete(take(queue), 90.0, epochs=made_epochs([90.0] * 20))
    (complete,) = Client(app_of(study, tmp_path)).detail(study)["trials"]
    assert "epoch 20/20" in complete["note"]["body"]


def test_a_damaged_trial_does_not_hide_the_others(study: OpenStudy, tmp_path: Path) -> None:
    queue = study.queue()
    queue.complete(take(queue), 50.0, user={HISTORY: [{"epoch": "many"}], ENVIRONMENT: "none"})
    first, second, *_ = Client(app_of(study, tmp_path)).detail(study)["trials"]
    assert "damaged" in first["note"]["body"]
    assert "waits" in second["note"]["body"]


@pytest.mark.slow
def test_a_study_of_others_is_shown_as_it_is(study: OpenStudy, tmp_path: Path) -> None:
    other = study.storage.create_new_study(study.optuna_study().directions, "other")
    study.storage.create_new_trial(other, create_trial(value=1.0))
    client = Client(app_of(study, tmp_path))
    detail = client("GET", f"/api/studies/{other}").json
    assert detail["note"]["body"] == detail["trials"][0]["note"]["body"] == ""
    assert client("DELETE", f"/api/studies/{other}").status == 200
    assert [one.study_name for one in study.storage.get_all_studies()] == ["tiny"]


def test_what_cannot_be_read_hides_no_other_trial_and_no_other_study(
    worked_on: OpenStudy, client: Client, tmp_path: Path
) -> None:
    other = tiny_spec(tmp_path, TINY_SPEC.replace('"tiny"', '"other"'))
    assert create_study(worked_on.storage, other)
    before = [trial["number"] for trial in client.detail(worked_on)["trials"]]
    with worked_on.storage.transaction() as session:
        of_the_first = user_attributes.c.trial_id == 1, user_attributes.c.key == ENVIRONMENT
        session.execute(user_attributes.update().where(*of_the_first).values(value_json="[{"))
    again = Client(app_of(worked_on, tmp_path))
    assert [trial["number"] for trial in again.detail(worked_on)["trials"]] == before[1:]
    with worked_on.storage.transaction() as session:
        spec = study_attributes.c.study_id == worked_on.study_id, study_attributes.c.key == SPEC
        session.execute(study_attributes.update().where(*spec).values(value_json="[{"))
    shown = again("GET", "/api/studies").json["study_summaries"]
    assert [study["study_name"] for study in shown] == ["other"]
