"""The dashboard behind its address: what it shows, whom it answers, and what it leaves alone."""

from __future__ import annotations

import io
import json
import re
import signal
import socket
import sys
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
import sqlalchemy
from optuna.distributions import FloatDistribution
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState, create_trial

from mnist_tune.dashboard.app import dashboard_app, forbid_writes, guarded_app
from mnist_tune.dashboard.guards import local_names, remote_names
from mnist_tune.dashboard.notes import block, code
from mnist_tune.dashboard.server import open_browser
from mnist_tune.dashboard.snapshots import SnapshotStorage
from mnist_tune.failures import Failure
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.keys import ENVIRONMENT, HISTORY, SPEC
from mnist_tune.storage.optuna_internals import study_attributes, user_attributes
from mnist_tune.storage.schema import workers
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study
from tests.support.commands import Command, finish, start_command
from tests.support.report_studies import history
from tests.support.running_dashboard import address_of, running_dashboard
from tests.support.specs import TINY_SPEC, tiny_spec
from tests.support.studies import folders, new_study, opened_again, states, take
from tests.support.waiting import wait_until

HOME = "127.0.0.1:8080"
HERE = local_names("127.0.0.1")
REASON = "ValueError: <script>alert(1)</script>\n  ```\n# not a headline\n![](http://elsewhere/x.png) $x$"


@dataclass(frozen=True)
class Reply:
    """What the application says to one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks a WSGI application as a browser on this machine would."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, method: str, path: str, content: Any = None, **headers: str) -> Reply:
        body = b"" if content is None else json.dumps(content).encode()
        path, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "HTTP_HOST": HOME,
            "HTTP_ACCEPT_ENCODING": "gzip",
        }
        environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        setup_testing_defaults(environ)
        said: list[Any] = []
        parts = self.app(environ, lambda *head: said.append(head))
        return Reply(int(said[0][0].split()[0]), dict(said[0][1]), b"".join(parts))

    def detail(self, study: OpenStudy) -> Any:
        """All that the page asks about a study."""
        return self("GET", f"/api/studies/{study.study_id}").json


@pytest.fixture
def files(tmp_path: Path) -> ArtifactFolder:
    return ArtifactFolder(tmp_path / "artifacts")


@pytest.fixture
def worked_on(study: OpenStudy, files: ArtifactFolder) -> OpenStudy:
    """A study with a complete trial, a failed one, one that runs, others that wait, and the retry."""
    queue = study.queue()
    complete, failed = take(queue), take(queue)
    numbers = {"training_loss": 0.5, "validation_loss": 0.25, "images_per_second": 1234.5, "seconds": 1.0}
    history = [
        {"epoch": 1, "validation_accuracy": 80.0} | numbers,
        {"epoch": 2, "validation_accuracy": 90.0} | numbers,
    ]
    queue.complete(
        complete,
        90.0,
        user={HISTORY: history, ENVIRONMENT: {"device": "cpu", "torch": "2.15"}},
        reports={1: 80.0, 2: 90.0},
        system=upload(files, complete.token, {"log.txt": b"all went well\n"}),
    )
    queue.give_back(failed, Failure("exception", REASON))
    take(queue)
    return study


def app_of(study: OpenStudy, folder: Path) -> Any:
    """The dashboard without its guard, in a storage of its own, as another process would have it."""
    return dashboard_app(opened_again(study).storage, folders(folder))


@pytest.fixture
def client(worked_on: OpenStudy, tmp_path: Path) -> Client:
    return Client(app_of(worked_on, tmp_path))


def stored_rows(study: OpenStudy) -> list[Any]:
    """Everything that is stored."""
    metadata = sqlalchemy.MetaData()
    with study.storage.engine.connect() as connection:
        metadata.reflect(connection)
        return [sorted(map(repr, connection.execute(table.select()))) for table in metadata.sorted_tables]


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
    queue.complete(take(queue), 90.0, user={HISTORY: history([90.0] * 20)})
    (complete,) = Client(app_of(study, tmp_path)).detail(study)["trials"]
    assert "epoch 20/20" in complete["note"]["body"]


def test_a_damaged_trial_does_not_hide_the_others(study: OpenStudy, tmp_path: Path) -> None:
    queue = study.queue()
    queue.complete(take(queue), 50.0, user={HISTORY: [{"epoch": "many"}], ENVIRONMENT: "none"})
    first, second, *_ = Client(app_of(study, tmp_path)).detail(study)["trials"]
    assert "damaged" in first["note"]["body"]
    assert "waits" in second["note"]["body"]


def test_a_study_of_others_is_shown_as_it_is(study: OpenStudy, tmp_path: Path) -> None:
    other = study.storage.create_new_study(study.optuna_study().directions, "other")
    study.storage.create_new_trial(other, create_trial(value=1.0))
    client = Client(app_of(study, tmp_path))
    detail = client("GET", f"/api/studies/{other}").json
    assert detail["note"]["body"] == detail["trials"][0]["note"]["body"] == ""
    assert client("DELETE", f"/api/studies/{other}").status == 200
    assert [one.study_name for one in study.storage.get_all_studies()] == ["tiny"]


# What it costs, and that it stays right.


@pytest.fixture
def every_answer_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer is a new reading."""
    monkeypatch.setattr("mnist_tune.dashboard.snapshots.READING_SHARE", float("inf"))


@pytest.mark.usefixtures("every_answer_is_read_anew")
def test_a_trial_is_read_again_only_while_it_can_change(worked_on: OpenStudy) -> None:
    snapshots = SnapshotStorage(opened_again(worked_on).storage)
    before = snapshots.get_all_trials(worked_on.study_id, deepcopy=False)
    after = snapshots.get_all_trials(worked_on.study_id, deepcopy=False)
    read_again = [now.state for then, now in zip(before, after, strict=True) if then is not now]
    assert read_again == [TrialState.RUNNING]


def test_a_study_is_not_read_more_often_than_its_workers_can_bear(
    study: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = SnapshotStorage(opened_again(study).storage)
    monkeypatch.setattr("mnist_tune.dashboard.snapshots.READING_SHARE", 1e-9)
    assert len(snapshots.get_all_trials(study.study_id)) == 8
    take(study.queue())
    assert [trial.state for trial in snapshots.get_all_trials(study.study_id)] == [TrialState.WAITING] * 8


@pytest.mark.usefixtures("every_answer_is_read_anew")
def test_what_workers_do_meanwhile_is_seen(study: OpenStudy) -> None:
    snapshots = SnapshotStorage(opened_again(study).storage)
    queue = study.queue()

    def seen() -> list[tuple[TrialState, Any]]:
        found = snapshots.get_all_trials(study.study_id, deepcopy=False)
        assert found == study.storage.get_all_trials(study.study_id)
        return [(trial.state, trial.intermediate_values) for trial in found]

    assert seen() == [(TrialState.WAITING, {})] * 8
    claim = take(queue)
    assert seen()[0] == (TrialState.RUNNING, {})
    queue.record(claim, reports={1: 10.0})
    assert seen()[0] == (TrialState.RUNNING, {1: 10.0})
    queue.complete(claim, 20.0, reports={2: 20.0})
    assert seen()[0] == (TrialState.COMPLETE, {1: 10.0, 2: 20.0})
    queue.give_back(take(queue), Failure("preempted", "told to"))
    assert len(seen()) == 9
    assert snapshots.get_best_trial(study.study_id).value == 20.0


def test_what_was_being_read_of_a_study_when_it_was_deleted_is_forgotten(
    study: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = SnapshotStorage(opened_again(study).storage)
    is_read, is_deleted = threading.Event(), threading.Event()
    read = snapshots._read

    def slow(study_id: int) -> dict[int, FrozenTrial]:
        trials = read(study_id)
        is_read.set()
        assert is_deleted.wait(60)
        time.sleep(0.2)  # long enough for a forgetting that does not wait
        return trials

    monkeypatch.setattr(snapshots, "_read", slow)
    reader = threading.Thread(target=snapshots.get_all_trials, args=(study.study_id,))
    reader.start()
    assert is_read.wait(60)
    deleting = threading.Thread(target=snapshots.delete_study, args=(study.study_id,))
    deleting.start()
    wait_until(lambda: study.storage.get_all_studies() == [])
    is_deleted.set()
    for thread in (reader, deleting):
        thread.join()
    assert snapshots.last_seen(study.study_id) == {}


def test_a_study_that_has_the_id_of_a_deleted_one_is_not_taken_for_it(tmp_path: Path) -> None:
    first = new_study(tmp_path)
    client = Client(app_of(first, tmp_path))

    def work_off(study: OpenStudy) -> None:
        queue = study.queue()
        while claim := queue.claim("worker"):
            queue.complete(claim, 90 + 10 * study.storage.get_trial(claim.trial_id).params["learning_rate"])

    def shown() -> Any:
        importances = client("GET", "/api/studies/1/param_importances").json["param_importances"]
        return client.detail(first), {one["name"] for one in importances[0]}

    work_off(first)
    assert shown()[1] == {"learning_rate", "batch_size", "optimizer"}
    delete_study(first)
    assert client("GET", "/api/studies/1").status == 404

    lines = "\nlearning_rate = [0.1, 0.2, 0.3, 0.4]\nseed = [0, 1]\n"
    spec = tiny_spec(tmp_path, f'[study]\nname = "tiny"\n\n[search.grid]{lines}')
    create_study(first.storage, spec)
    work_off(opened_again(first))
    detail, important = shown()
    assert {axis["name"] for axis in detail["union_search_space"]} == {"learning_rate", "seed"}
    assert important == {"learning_rate", "seed"}
    for trial in detail["trials"]:
        assert f"`{trial['params'][0]['param_external_value']}`" in trial["note"]["body"]


@pytest.mark.usefixtures("every_answer_is_read_anew")
def test_a_stock_study_made_again_under_its_name_is_read_anew(tmp_path: Path) -> None:
    storage = new_study(tmp_path).storage
    snapshots, url = SnapshotStorage(storage), str(storage.engine.url)

    def made(value: float) -> int:
        stock = optuna.create_study(study_name="stock", storage=url)
        stock.tell(stock.ask({"x": FloatDistribution(0, 1)}), value)
        return stock._study_id

    def seen(study_id: int) -> list[Any]:
        snapshots.get_all_studies()
        return [(trial._trial_id, trial.value) for trial in snapshots.get_all_trials(study_id)]

    first = made(1.0)
    ((trial_id, _),) = seen(first)
    optuna.delete_study(study_name="stock", storage=url)
    assert made(2.0) == first
    assert seen(first) == [(trial_id, 2.0)]


def test_pages_that_ask_at_the_same_time_are_all_answered(worked_on: OpenStudy, client: Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        details = list(pool.map(lambda _: client.detail(worked_on), range(64)))
    assert all(len(detail["trials"]) == 9 for detail in details)


# Whom it answers.


@pytest.fixture
def guarded(worked_on: OpenStudy, tmp_path: Path) -> Callable[..., Client]:
    """A dashboard behind its guard, on this machine only unless told otherwise."""

    def make(is_our_name: Callable[[str], bool] = HERE, read_only: bool = False) -> Client:
        storage = opened_again(worked_on).storage
        return Client(guarded_app(storage, folders(tmp_path), is_our_name, read_only=read_only))

    return make


@pytest.mark.parametrize(
    "host", [HOME, "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "127.0.0.1", "localhost:9000"]
)
def test_this_machine_is_answered_by_any_of_its_names_also_through_a_tunnel(
    guarded: Callable[..., Client], host: str
) -> None:
    assert guarded()("GET", "/api/studies", host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example:8080",
        "10.0.0.1:8080",
        "[::1",
        "@localhost",
    ],
)
def test_a_request_under_another_name_is_refused_with_one_line(
    guarded: Callable[..., Client], host: str
) -> None:
    for method in ("GET", "DELETE"):
        reply = guarded()(method, "/api/studies/1", host=host)
        assert reply.status == 403
        assert reply.body.count(b"\n") == 1
        assert b"--host" in reply.body


def test_a_dashboard_for_others_goes_by_addresses_and_the_machines_own_names(
    guarded: Callable[..., Client],
) -> None:
    client = guarded(remote_names("0.0.0.0"))
    for name in (socket.gethostname(), "10.1.2.3", "[fe80::1]", "localhost"):
        assert client("GET", "/api/studies", host=f"{name}:8080").status == 200
    assert client("GET", "/api/studies", host="evil.example:8080").status == 403
    named = guarded(remote_names("Tuner.example"))
    assert named("GET", "/api/studies", host="tuner.example:8080").status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:3000", "null", f"http://{HOME}0", "garbage"]
)
def test_another_sites_page_may_neither_read_nor_write(
    guarded: Callable[..., Client], worked_on: OpenStudy, origin: str
) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert guarded()(method, f"/api/studies/{worked_on.study_id}", origin=origin).status == 403
    assert len(states(worked_on)) == 9


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_link_to_the_dashboard_but_not_write(
    guarded: Callable[..., Client], site: str
) -> None:
    client = guarded()
    assert client("GET", "/dashboard", sec_fetch_site=site).status == 200
    assert client("DELETE", "/api/studies/1", sec_fetch_site=site).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("mode", ["cors", "no-cors"])
def test_another_sites_page_may_not_have_the_dashboard_compute(
    guarded: Callable[..., Client], site: str, mode: str
) -> None:
    client, costly = guarded(), "/api/studies/1/param_importances"
    for method in ("GET", "HEAD"):
        assert client(method, costly, sec_fetch_site=site, sec_fetch_mode=mode).status == 403
    assert client("GET", "/dashboard", sec_fetch_site=site, sec_fetch_mode="navigate").status == 200
    assert client("GET", costly, sec_fetch_site="same-origin", sec_fetch_mode=mode).status == 200


def test_the_dashboards_own_page_may_write(guarded: Callable[..., Client], worked_on: OpenStudy) -> None:
    client, address = guarded(), f"/api/studies/{worked_on.study_id}/note"
    own = {"origin": f"http://{HOME}", "sec_fetch_site": "same-origin"}
    assert client("PUT", address, {"version": 1, "body": "mine"}, **own).status == 200


def test_a_file_of_a_trial_is_no_page_of_the_dashboard_and_not_for_other_sites(
    guarded: Callable[..., Client], worked_on: OpenStudy
) -> None:
    client = guarded()
    trial = client.detail(worked_on)["trials"][0]
    file = trial["artifacts"][0]["artifact_id"]
    reply = client("GET", f"/artifacts/{worked_on.study_id}/{trial['trial_id']}/{file}")
    assert reply.status == 200
    assert reply.headers["Content-Security-Policy"] == "sandbox"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in reply.headers


# Reading only.


@dataclass(frozen=True)
class Route:
    """A route of the installed optuna-dashboard, filled in with a study, a trial and a file."""

    method: str
    path: str


def all_routes(study: OpenStudy, folder: Path) -> list[Route]:
    """Every route there is, about a study and its first trial that waits."""
    values = {
        "study_id": str(study.study_id),
        "trial_id": str(
            study.storage.get_all_trials(study.study_id)[states(study).index(TrialState.WAITING)]._trial_id
        ),
        "plot_type": "timeline",
        "history_id": "0",
        "artifact_id": "0",
        "filename": "bundle.js",
    }
    routes = [(route.method, route.rule) for route in app_of(study, folder).routes]
    return [
        Route(method, re.sub("<([a-z_]*)(:[^>]*)?>", lambda match: values.get(match[1], ""), rule))
        for method, rule in routes
    ]


CONTENT_OF_ANY_ROUTE = {
    "study_name": "renamed",
    "directions": ["maximize"],
    "version": 1,
    "body": "mine",
    "state": "Complete",
    "values": [99.9],
    "user_attrs": {"a": "b"},
    "file": "data:text/plain;base64,aGVsbG8=",
    "filename": "page.html",
    "mode": "ChooseWorst",
    "candidates": [0, 1],
    "clicked": 1,
    "output_type": "note",
    "user_query": "all",
}
"""Content with which each writing route does something."""


def test_reading_only_refuses_every_route_that_is_not_for_reading(
    guarded: Callable[..., Client], worked_on: OpenStudy, tmp_path: Path
) -> None:
    client, before = guarded(read_only=True), stored_rows(worked_on)
    writing = [target for target in all_routes(worked_on, tmp_path) if target.method not in ("GET", "HEAD")]
    assert len(writing) > 15
    some = [Route(method, "/api/studies") for method in ("PATCH", "OPTIONS", "TRACE", "get", "")]
    for target in (*writing, *some):
        reply = client(target.method, target.path, CONTENT_OF_ANY_ROUTE)
        assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD"), target
        assert reply.body == b"mnist-tune: this dashboard is read-only\n"
    assert stored_rows(worked_on) == before


def test_reading_only_answers_every_route_for_reading(
    guarded: Callable[..., Client], worked_on: OpenStudy, tmp_path: Path
) -> None:
    client = guarded(read_only=True)
    reading = [target for target in all_routes(worked_on, tmp_path) if target.method == "GET"]
    assert len(reading) > 8
    for target in reading:
        assert client("GET", target.path).status < (500 if "artifacts" in target.path else 400), target
        assert client("HEAD", target.path).body == b""


def test_reading_only_holds_in_the_database_too(worked_on: OpenStudy, tmp_path: Path) -> None:
    storage = opened_again(worked_on).storage
    forbid_writes(storage)
    with pytest.raises((sqlalchemy.exc.DBAPIError, StorageInternalError)):
        storage.set_study_user_attr(worked_on.study_id, "a", "b")
    with pytest.raises((sqlalchemy.exc.DBAPIError, StorageInternalError)):
        delete_study(OpenStudy(storage, worked_on.study_id, worked_on.spec, worked_on.uid))
    assert len(storage.get_all_trials(worked_on.study_id)) == 9


# What people may change.


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
    Registration(worked_on.storage, worked_on.study_id, "cpu")
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


# The command.


@pytest.mark.slow
def test_the_dashboard_says_where_it_is_and_leaves_at_once_when_told(tmp_path: Path) -> None:
    new_study(tmp_path)
    for number in (signal.SIGTERM, signal.SIGINT):
        process = start_command("dashboard", "--port", "0", folder=tmp_path)
        url = address_of(process)
        with urllib.request.urlopen(f"{url}api/studies", timeout=30) as reply:
            assert json.load(reply)["study_summaries"][0]["study_name"] == "tiny"
        process.send_signal(number)
        done = finish(process)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_the_dashboard_listens_on_any_address_of_this_machine_only(tmp_path: Path, host: str) -> None:
    new_study(tmp_path)
    with running_dashboard(tmp_path, "--host", host) as url:
        assert url.startswith(f"http://{'[::1]' if ':' in host else host}:")
        assert urllib.request.urlopen(f"{url}dashboard", timeout=30).status == 200


@pytest.mark.slow
def test_other_machines_are_let_in_only_if_that_is_said_and_with_a_warning(
    command: Command, tmp_path: Path
) -> None:
    new_study(tmp_path)
    answer = command("dashboard", "--host", "0.0.0.0")
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "--allow-remote" in answer.err
    for options, may in ([], "see and delete every study"), (["--read-only"], "see every study"):
        process = start_command(
            *["dashboard", "--host", "0.0.0.0", "--allow-remote", "--port", "0", *options], folder=tmp_path
        )
        assert process.stdout is not None
        warning = process.stdout.readline()
        address_of(process)
        process.terminate()
        assert finish(process).returncode == 0
        assert "has no login" in warning
        assert warning.endswith(f" may {may}\n")


def test_a_port_that_is_taken_is_a_mistake_of_one_line(command: Command, tmp_path: Path) -> None:
    new_study(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = command("dashboard", "--port", str(port))
    assert answer.code == 2
    assert answer.err == (
        f"mnist-tune: --port: cannot listen on http://127.0.0.1:{port}/: address already in use; "
        "write another, or 0 for any that is free\n"
    )


@pytest.mark.parametrize("host", ["no-such-name.invalid", "", "300.0.0.1", "192.0.2.1"])
def test_a_host_that_is_not_this_machine_is_a_mistake_of_one_line(
    command: Command, tmp_path: Path, host: str
) -> None:
    new_study(tmp_path)
    answer = command("dashboard", "--host", host, "--allow-remote", "--port", "0")
    assert answer.code == 2
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("browser", "terminal", "display", "opened"),
    [
        (webbrowser.Mozilla, True, ":0", True),
        (webbrowser.BackgroundBrowser, True, ":0", True),
        (webbrowser.Mozilla, True, "", False),
        (webbrowser.Mozilla, False, ":0", False),
        (webbrowser.GenericBrowser, True, ":0", False),
        (webbrowser.Elinks, True, ":0", False),
    ],
)
def test_a_browser_opens_in_a_window_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
    browser: type[webbrowser.BaseBrowser],
    terminal: bool,
    display: str,
    opened: bool,
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(browser, "open", lambda _, url: shown.append(url))
    monkeypatch.setattr(webbrowser, "get", lambda: browser("some-browser"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    if thread := open_browser("http://127.0.0.1:8080/"):
        thread.join()
    assert shown == (["http://127.0.0.1:8080/"] if opened else [])


def test_what_cannot_be_read_hides_no_other_trial_and_no_other_study(
    worked_on: OpenStudy, client: Client, tmp_path: Path
) -> None:
    other = tiny_spec(tmp_path, TINY_SPEC.replace('"tiny"', '"other"'))
    assert create_study(worked_on.storage, other)
    before = [trial["number"] for trial in client.detail(worked_on)["trials"]]
    with worked_on.storage.transaction() as session:
        of_the_first = user_attributes.c.trial_id == 1, user_attributes.c.key == HISTORY
        session.execute(user_attributes.update().where(*of_the_first).values(value_json="[{"))
    again = Client(app_of(worked_on, tmp_path))
    assert [trial["number"] for trial in again.detail(worked_on)["trials"]] == before[1:]
    with worked_on.storage.transaction() as session:
        spec = study_attributes.c.study_id == worked_on.study_id, study_attributes.c.key == SPEC
        session.execute(study_attributes.update().where(*spec).values(value_json="[{"))
    shown = again("GET", "/api/studies").json["study_summaries"]
    assert [study["study_name"] for study in shown] == ["other"]
