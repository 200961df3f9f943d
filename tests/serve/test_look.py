"""The database is read for the pages only when somebody looks, and not more often than it is good for."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.contract.study import StorageAway, WorkerFacts, new_token
from mnist_tune.report import drawing
from mnist_tune.results.study_results import Results
from mnist_tune.serve import look, report_pages
from mnist_tune.serve.look import SECONDS_OF_A_FINISHED_ONE, Lookout, StudyNow
from mnist_tune.serve.report_pages import ReportPage, ReportPages
from mnist_tune.service.direct import DirectStudies
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from tests.support.clocks import Clock
from tests.support.made_studies.cells import complete_all_cells, complete_cell
from tests.support.specs import TINY_SPEC, TWO_CELLS
from tests.support.studies import folders, new_study, opened_again


class Counted(DirectStudies):
    """A storage that counts how often each study was read, and takes `seconds` for it."""

    def __init__(self, study: OpenStudy, folder: Path, clock: Clock) -> None:
        super().__init__(opened_again(study).storage, partial(folders, folder))
        self.clock = clock
        self.seconds = 0.0
        self.reads: Counter[str] = Counter()

    def results(self, name: str, *, with_logs: bool = False) -> Results:
        self.reads[name] += 1
        self.clock.seconds += self.seconds
        return super().results(name, with_logs=with_logs)


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def people(study: OpenStudy, tmp_path: Path, clock: Clock) -> Counted:
    return Counted(study, tmp_path, clock)


@pytest.fixture
def lookout(people: Counted, clock: Clock) -> Lookout:
    return Lookout(people, clock.monotonic)


def seen(lookout: Lookout) -> list[StudyNow]:
    return asyncio.run(lookout.now())


def test_many_who_look_at_once_read_once(people: Counted, lookout: Lookout) -> None:
    async def all_of_them() -> list[list[StudyNow]]:
        return await asyncio.gather(*(lookout.now() for _ in range(50)))

    assert {study.total for studies in asyncio.run(all_of_them()) for study in studies} == {8}
    assert people.reads["tiny"] == 1


def test_a_study_is_read_again_after_a_second(
    study: OpenStudy, people: Counted, lookout: Lookout, clock: Clock
) -> None:
    assert seen(lookout)[0].finished == 0
    complete_cell(study, 90.0)
    clock.seconds += look.SECONDS - 0.1
    assert seen(lookout)[0].finished == 0
    clock.seconds += 0.1
    assert seen(lookout)[0].finished == 1
    assert people.reads["tiny"] == 2


def test_studies_that_take_long_to_read_are_read_less_often(
    people: Counted, lookout: Lookout, clock: Clock
) -> None:
    people.seconds = 5.0
    began = clock.seconds
    while clock.seconds < began + 1000:
        seen(lookout)
        clock.seconds += 1.0
    assert people.reads["tiny"] * people.seconds == pytest.approx(1000 * look.SHARE, rel=0.1)


def test_a_finished_study_is_read_rarely_unless_somebody_is_there(
    study: OpenStudy, people: Counted, lookout: Lookout, clock: Clock, tmp_path: Path
) -> None:
    new_study(tmp_path, TINY_SPEC.replace("tiny", "open"))
    complete_all_cells(study)
    for _ in range(int(SECONDS_OF_A_FINISHED_ONE)):
        seen(lookout)
        clock.seconds += 1.0
    assert people.reads == {"tiny": 1, "open": int(SECONDS_OF_A_FINISHED_ONE)}
    DirectStudy(study, folders(tmp_path)).register(WorkerFacts(new_token(), "gpu-1", "host", 1, "cpu"))
    for _ in range(3):
        seen(lookout)
        clock.seconds += 1.0
    assert people.reads["tiny"] == 4


def test_after_an_outage_the_storage_is_asked_again(
    people: Counted, lookout: Lookout, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> Any:
        raise StorageAway("locked")

    with monkeypatch.context() as patch:
        patch.setattr(people, "study_names", away)
        with pytest.raises(StorageAway):
            seen(lookout)
    clock.seconds += look.SECONDS
    assert len(seen(lookout)) == 1


def test_a_deleted_study_is_gone(study: OpenStudy, people: Counted, lookout: Lookout, clock: Clock) -> None:
    assert len(seen(lookout)) == 1
    people.delete("tiny")
    clock.seconds += look.SECONDS
    assert seen(lookout) == []


def test_a_report_is_made_once_for_all_who_want_it_while_nothing_changes(
    study: OpenStudy, people: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    async def drawn(told: bytes) -> bytes:
        made.append(json.loads(told.partition(b"\n")[2])["spec"]["study"]["name"])
        return b"<!doctype html>"

    monkeypatch.setattr(drawing, "drawn", drawn)
    monkeypatch.setattr(report_pages, "MOST", 2)
    pages = ReportPages(people)
    worker, direct = (
        WorkerFacts(new_token(), "gpu-1", "host", 1, "cpu"),
        DirectStudy(study, folders(tmp_path)),
    )
    with asyncio.Runner() as runner:

        def three(name: str) -> set[str]:
            async def at_once() -> list[ReportPage]:
                return await asyncio.gather(*(pages.page(name) for _ in range(3)))

            return {each.mark for each in runner.run(at_once())}

        first = three("tiny")
        direct.register(worker)
        with_a_worker = three("tiny")
        direct.beat(worker, None, None)
        assert with_a_worker == three("tiny") != first
        complete_cell(study, 90.0)
        assert three("tiny") != with_a_worker
        assert made == ["tiny"] * 3
        for name in ("b", "c"):
            new_study(tmp_path, TWO_CELLS.replace("tiny", name))
            three(name)
        three("tiny")
    assert made == ["tiny", "tiny", "tiny", "b", "c", "tiny"], "two pages are kept"
