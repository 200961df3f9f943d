"""The pages of a head: what they show, what they make browsers refuse, and that nobody reads in vain."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from mnist_tune.contract.study import StorageAway, WorkerFacts, new_token
from mnist_tune.report.contents import contents
from mnist_tune.report.page import page
from mnist_tune.results.reading import read_results
from mnist_tune.serve import pages
from mnist_tune.service.direct import DirectStudies
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from tests.support.head_pages import HOSTILE, Tags, damaged_spec, renamed, visited
from tests.support.heads import running_head
from tests.support.made_studies.cells import complete_cell
from tests.support.specs import TINY_SPEC
from tests.support.studies import folders, new_study, opened_again
from tests.support.waiting import wait_until


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    """Eight cells, one of them complete."""
    made = new_study(tmp_path)
    complete_cell(made, 80.0, 90.0)
    return made


@pytest.fixture
def client(study: OpenStudy, tmp_path: Path) -> Iterator[httpx.Client]:
    """A browser on a head's own machine."""
    with visited(study, tmp_path) as (client, _):
        yield client


def news(lines: Iterator[str]) -> dict[str, str]:
    """What a stream tells next."""
    line = next(line for line in lines if line.startswith("data: "))
    told: dict[str, str] = json.loads(line.removeprefix("data: "))
    return told


def raising(error: Exception) -> Callable[..., Any]:
    def call(*_: object) -> Any:
        raise error

    return call


def register(study: OpenStudy, folder: Path, name: str = "gpu-1") -> WorkerFacts:
    worker = WorkerFacts(new_token(), name, f"host of {name}", 1, f"device of {name}")
    direct = DirectStudy(study, folders(folder))
    direct.register(worker)
    direct.beat(worker, 1, 1234.0)
    return worker


def test_the_home_page_shows_each_study_and_how_far_it_is(client: httpx.Client) -> None:
    page = Tags(client.get("/").text)
    assert "1/8 cells" in page.text
    assert "90.00 %" in page.text
    assert ("a", {"id": "link-1", "href": "/studies?name=tiny"}) in page.elements
    bar = [element for tag, element in page.elements if tag == "rect"]
    assert [(part["class"], part["x"], part["width"]) for part in bar] == [
        ("complete", "0", "1"),
        ("waiting", "1", "7"),
    ]


def test_the_home_page_shows_who_works_where_on_what(
    study: OpenStudy, tmp_path: Path, client: httpx.Client
) -> None:
    assert "Nobody works now." in client.get("/").text
    register(study, tmp_path)
    left = register(study, tmp_path, "gpu-2")
    DirectStudy(study, folders(tmp_path)).leave(left, "done")
    with client.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        while "gpu-1" not in (shown := news(lines)["html"]):
            pass
    text = Tags(shown).text
    for word in ("host of gpu-1", "device of gpu-1", "working", "1,234 images/s"):
        assert word in text
    assert "gpu-2" not in text


@pytest.mark.slow
def test_a_stream_tells_what_changes_and_nothing_twice(
    study: OpenStudy, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    read = DirectStudies.results

    def counted(self: DirectStudies, name: str) -> Any:
        looks.append(name)
        return read(self, name)

    monkeypatch.setattr(DirectStudies, "results", counted)
    with client.stream("GET", "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert "1/8 cells" in news(lines)["html"]
        before = len(looks)
        wait_until(lambda: len(looks) >= before + 3)
        complete_cell(study, 81.0, 91.0)
        assert "2/8 cells" in news(lines)["html"]
        complete_cell(study, 82.0, 92.0)
        assert "3/8 cells" in news(lines)["html"]


def test_who_asks_only_whether_there_is_a_stream_gets_none(client: httpx.Client) -> None:
    answer = client.head("/events")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_stream_ends_well_when_the_head_ends(study: OpenStudy, tmp_path: Path) -> None:
    with ExitStack() as head, ThreadPoolExecutor() as pool:
        address = head.enter_context(running_head(opened_again(study).storage, tmp_path))
        with httpx.stream("GET", f"{address.url}/events") as stream:
            lines = stream.iter_lines()
            news(lines)
            rest = pool.submit(list, lines)
            head.close()
            rest.result()  # a stream that is cut raises


def test_streams_are_bounded_in_number(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def has_room() -> bool:
        with client.stream("GET", "/events") as stream:
            return stream.status_code == 200

    monkeypatch.setattr(pages, "MOST_STREAMS", 1)
    with client.stream("GET", "/events") as stream:
        lines = stream.iter_lines()  # httpx closes a stream whose lines nobody can read any more
        news(lines)
        refused = client.get("/events")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
    wait_until(has_room)


def test_a_stream_tells_that_the_storage_does_not_answer_and_goes_on(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        assert "html" in news(lines)
        with monkeypatch.context() as patch:
            patch.setattr(DirectStudies, "study_names", raising(StorageAway("the database is <locked>")))
            assert news(lines) == {"problem": "the database is <locked>"}
        assert "html" in news(lines)


def test_a_page_says_that_the_storage_does_not_answer(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DirectStudies, "study_names", raising(StorageAway("the database is <locked>")))
    answer = client.get("/")
    assert answer.status_code == 503
    assert "the database is <locked>" in Tags(answer.text).text


@pytest.mark.slow
def test_a_hostile_name_is_text_on_every_page(study: OpenStudy, tmp_path: Path) -> None:
    register(study, tmp_path, HOSTILE)
    complete_cell(study, 80.0, 91.0, worker=HOSTILE, device_name=HOSTILE)
    renamed(study)
    with visited(study, tmp_path) as (client, _):
        home = client.get("/")
        with client.stream("GET", "/events") as stream:
            shown = news(stream.iter_lines())["html"]
        (link,) = (each["href"] for tag, each in Tags(home.text).elements if each.get("id") == "link-1")
        assert link is not None
        report = client.get(link)
        missing = client.get("/studies", params={"name": f"{HOSTILE}2"})
    assert (home.status_code, report.status_code, missing.status_code) == (200, 200, 404)
    for text, scripts in ((home.text, 1), (shown, 0), (missing.text, 0)):
        tags = Tags(text)
        assert (tags.count("script"), tags.count("img")) == (scripts, 0)
        assert HOSTILE in tags.text
    assert HOSTILE in Tags(report.text).text
    assert Tags(report.text).count("img") == 0


def test_a_study_that_cannot_be_read_hides_none_of_the_others(study: OpenStudy, tmp_path: Path) -> None:
    damaged_spec(new_study(tmp_path, TINY_SPEC.replace("tiny", "other")))
    with visited(study, tmp_path) as (client, _):
        text = Tags(client.get("/").text).text
        assert "It cannot be read: " in text
        assert "1/8 cells" in text
        assert client.get("/studies?name=other").status_code == 503


@pytest.mark.slow
def test_browsers_are_told_to_run_our_scripts_only_and_to_put_no_page_into_a_frame(
    client: httpx.Client,
) -> None:
    with client.stream("GET", "/events") as stream:
        assert stream.headers["x-content-type-options"] == "nosniff"
    for path in ("/", "/studies?name=tiny", "/studies?name=none"):
        answer = client.get(path)
        told = answer.headers
        assert (told["x-content-type-options"], told["referrer-policy"]) == ("nosniff", "same-origin")
        policy = told["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "unsafe" not in policy
        assert {"no-store", "private"} & set(told["cache-control"].split(", "))
    home = client.get("/").headers["content-security-policy"]
    assert home.startswith("default-src 'none'; script-src 'sha256-")


@pytest.mark.slow
def test_the_report_is_the_one_that_the_command_writes(
    study: OpenStudy, client: httpx.Client, tmp_path: Path
) -> None:
    complete_cell(study, 81.0, 92.0)
    made = contents(read_results(study), [], f"sqlite:///{tmp_path}/studies.db", datetime.now(UTC))
    shown, written = Tags(client.get("/studies?name=tiny").text), Tags(page(made))
    titles = [attributes["id"] for tag, attributes in written.elements if tag == "section"]
    assert [attributes["id"] for tag, attributes in shown.elements if tag == "section"] == titles
    assert "timeline" in titles


@pytest.mark.slow
def test_a_report_is_made_anew_when_there_is_something_new(study: OpenStudy, client: httpx.Client) -> None:
    first = client.get("/studies?name=tiny")
    mark = {"If-None-Match": first.headers["etag"]}
    assert client.get("/studies?name=tiny", headers=mark).status_code == 304
    complete_cell(study, 80.0, 93.0)
    second = client.get("/studies?name=tiny", headers=mark)
    assert second.status_code == 200
    assert "93.00 %" in second.text
    assert "93.00 %" not in first.text
