"""What a head tells Prometheus: what its studies and its requests really are, in a form that can be read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from mnist_tune import __version__
from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import LeaseLost, WorkerFacts, new_token
from mnist_tune.failures import Failure
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.serve.request_counts import SECONDS
from mnist_tune.serve.roles import Role
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.retry import put_back_holes
from tests.support.head_pages import HOSTILE, bearer, damaged_spec, renamed, visited
from tests.support.heads import running_head
from tests.support.made_studies.cells import complete_cell, fail_all_cells, fail_cell
from tests.support.specs import ONE_CELL, TINY_SPEC
from tests.support.studies import folders, new_study, opened_again, take
from tests.support.waiting import wait_until

SAMPLE = re.compile(r'(mnist_tune_\w+?)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? ([0-9.e+-]+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = frozenset[tuple[str, str]]


def read(text: str) -> dict[tuple[str, Labels], float]:
    """The samples in a text of Prometheus' format: a whole one that has each sample once, and its kind."""
    assert text.endswith("\n")
    samples: dict[tuple[str, Labels], float] = {}
    kinds: dict[str, str] = {}
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("#"):
            _, word, name, told = line.split(" ", 3)
            if word == "TYPE":
                assert name not in kinds
                kinds[name] = told
            continue
        found = SAMPLE.fullmatch(line)
        assert found, line
        name, labels, value = found.groups()
        family = name if name in kinds else re.sub("_(bucket|sum|count)$", "", name)
        assert kinds[family] in ("gauge", "counter", "histogram")
        key = name, frozenset(LABEL.findall(labels or ""))
        assert key not in samples, line
        samples[key] = float(value)
    return samples


def asked(client: httpx.Client, token: str | None = None) -> dict[tuple[str, Labels], float]:
    answer = client.get("/metrics", headers=bearer(token) if token else {})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return read(answer.text)


def of(name: str, **labels: str) -> tuple[str, Labels]:
    return f"mnist_tune_{name}", frozenset(labels.items())


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    """Eight cells: two complete after two epochs each, one of them at the second try, one running."""
    made = new_study(tmp_path)
    fail_cell(made, Failure("exception", "RuntimeError: broken"), 50.0)
    complete_cell(made, 80.0, 90.0)
    complete_cell(made, 81.0, 91.0)
    take(made.queue())
    return made


def test_it_tells_how_each_study_stands(study: OpenStudy, tmp_path: Path) -> None:
    with visited(study, tmp_path) as (client, _):
        told = asked(client)
    states = {state: told[of("cells", study="tiny", state=state)] for state in ("complete", "running")}
    assert states == {"complete": 2, "running": 1}
    assert sum(value for (name, _), value in told.items() if name == "mnist_tune_cells") == 8
    assert told[of("cells_finished", study="tiny")] == 2
    assert told[of("epochs_stored", study="tiny")] == 5
    assert told[of("attempts_stored", study="tiny")] == 4
    assert told[of("head_info", version=__version__)] == 1


@pytest.mark.slow
def test_what_may_fall_is_called_no_counter(tmp_path: Path) -> None:
    study = new_study(tmp_path, ONE_CELL)
    fail_all_cells(study, "broken")
    with (
        running_head(opened_again(study).storage, tmp_path) as address,
        httpx.Client(base_url=address.url) as client,
    ):
        before, text = asked(client), client.get("/metrics").text
        put_back_holes(study)
        wait_until(lambda: asked(client)[of("cells", study="tiny", state="waiting")] == 1)
        delete_study(study)
        wait_until(lambda: of("cells", study="tiny", state="waiting") not in asked(client))
        new_study(tmp_path, ONE_CELL)
        wait_until(lambda: of("cells", study="tiny", state="waiting") in asked(client))
        after = asked(client)
    fell = {name for (name, labels), value in before.items() if after.get((name, labels), 0) < value}
    assert "mnist_tune_epochs_stored" in fell or "mnist_tune_attempts_stored" in fell
    counters = set(re.findall("^# TYPE (\\w+) counter$", text, re.MULTILINE))
    assert not fell & counters
    assert all(name.endswith("_total") for name in counters)


def test_it_tells_of_workers_by_what_they_do(study: OpenStudy, tmp_path: Path) -> None:
    with running_head(opened_again(study).storage, tmp_path) as address:
        worker = RemoteStudy(Head(address), "tiny", tmp_path)
        for name in ("idle", "working", "left"):
            facts = WorkerFacts(new_token(), name, "host", 1, "cpu")
            worker.register(facts)
            worker.beat(facts, 3 if name == "working" else None, None)
        worker.leave(facts, "done")
        with httpx.Client(base_url=address.url) as client:
            told = asked(client)
    workers = {labels: value for (name, labels), value in told.items() if name == "mnist_tune_workers"}
    assert workers == {frozenset({("study", "tiny"), ("state", state)}): 1 for state in ("idle", "working")}


def test_it_counts_requests_by_call_and_status_and_lost_leases(study: OpenStudy, tmp_path: Path) -> None:
    with running_head(opened_again(study).storage, tmp_path) as address:
        worker = RemoteStudy(Head(address), "tiny", tmp_path)
        facts = WorkerFacts(new_token(), "worker", "host", 1, "cpu")
        claim = worker.claim(facts, new_token())
        assert isinstance(claim, Claim)
        worker.renew(claim)
        with pytest.raises(LeaseLost):
            worker.renew(replace(claim, token=new_token()))
        with httpx.Client(base_url=address.url) as client:
            told = asked(client)
    calls = "/api/v1/calls/"
    assert told[of("requests_total", call=f"{calls}claim", method="POST", status="200")] == 1
    assert told[of("requests_total", call=f"{calls}renew", method="POST", status="200")] == 1
    assert told[of("requests_total", call=f"{calls}renew", method="POST", status="409")] == 1
    assert told[of("leases_lost_total")] == 1
    assert told[of("request_seconds_count", call=f"{calls}renew")] == 2


def test_the_times_of_requests_add_up(study: OpenStudy, tmp_path: Path) -> None:
    with visited(study, tmp_path) as (client, _):
        for _ in range(20):
            client.get("/healthz")
        told = asked(client)
    bounds = [*map(str, SECONDS), "+Inf"]
    counts = [told[of("request_seconds_bucket", call="/healthz", le=bound)] for bound in bounds]
    assert counts == sorted(counts)
    assert counts[-1] == told[of("request_seconds_count", call="/healthz")] == 20
    assert told[of("request_seconds_sum", call="/healthz")] > 0


def test_it_counts_the_bytes_of_files_that_came(study: OpenStudy, tmp_path: Path) -> None:
    with running_head(opened_again(study).storage, tmp_path, folders(tmp_path)) as address:
        worker = RemoteStudy(Head(address), "tiny", tmp_path)
        claim = worker.claim(WorkerFacts(new_token(), "worker", "host", 1, "cpu"), new_token())
        assert isinstance(claim, Claim)
        worker.keep_files(claim, {"model.safetensors": b"x" * 70_000})
        with httpx.Client(base_url=address.url) as client:
            assert asked(client)[of("file_bytes_received_total")] == 70_000


def test_addresses_and_methods_that_there_are_not_are_counted_together(
    study: OpenStudy, tmp_path: Path
) -> None:
    with visited(study, tmp_path) as (client, _):
        for number in range(5):
            client.get(f"/api/v1/calls/none{number}")
            client.get(f"/nowhere/{number}")
            client.request("PROPFIND", f"/nowhere/{number}")
        told = asked(client)
    calls = {dict(labels)["call"] for (name, labels) in told if name == "mnist_tune_requests_total"}
    assert calls == {"other"}
    assert told[of("requests_total", call="other", method="other", status="404")] == 5


def test_it_wants_a_token_as_all_but_healthz(study: OpenStudy, tmp_path: Path) -> None:
    with visited(study, tmp_path, Role.VIEWER) as (client, tokens):
        assert client.get("/healthz").status_code == 200
        refused = client.get("/metrics")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/metrics", headers=bearer("mnt_wrong")).status_code == 401
        told = asked(client, tokens[Role.VIEWER])
    assert told[of("requests_total", call="/metrics", method="GET", status="401")] == 2


@pytest.mark.parametrize("name", [HOSTILE, 'a"} 1\nmnist_tune_cells{study="b', "back\\slash\\n"])
def test_a_hostile_name_stays_the_name_of_a_study(study: OpenStudy, tmp_path: Path, name: str) -> None:
    renamed(study, name)
    with visited(study, tmp_path) as (client, _):
        told = asked(client)
    quoted = name.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    assert told[of("cells_finished", study=quoted)] == 2


def test_a_study_that_cannot_be_read_hides_none_of_the_others(study: OpenStudy, tmp_path: Path) -> None:
    other = new_study(tmp_path, TINY_SPEC.replace("tiny", "other"))
    damaged_spec(other)
    with visited(study, tmp_path) as (client, _):
        told = asked(client)
    assert told[of("study_readable", study="other")] == 0
    assert told[of("study_readable", study="tiny")] == 1
    assert told[of("cells_finished", study="tiny")] == 2
