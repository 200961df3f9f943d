"""A head has its reports drawn by other processes, which know no secret of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from mnist_tune.errors import MnistTuneError
from mnist_tune.report import drawing
from mnist_tune.report.contents import contents
from mnist_tune.report.drawing import drawn, what_is_told
from mnist_tune.report.page import page
from mnist_tune.results.reading import read_results
from mnist_tune.study.open_study import OpenStudy
from tests.support.head_processes import HeadProcess
from tests.support.made_studies.cells import complete_cell
from tests.support.process_tree import descendants
from tests.support.studies import new_study
from tests.support.waiting import wait_until


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    made = new_study(tmp_path)
    complete_cell(made, 80.0, 91.0)
    complete_cell(made, 81.0, 92.0)
    return made


@pytest.mark.slow
def test_what_is_drawn_elsewhere_is_what_is_drawn_here(study: OpenStudy) -> None:
    results = read_results(study)
    where = "sqlite:///<somewhere>/studies.db"
    here = page(contents(results, [], where, datetime.now(UTC)))
    there = asyncio.run(drawn(what_is_told(results, where))).decode()
    assert len(there) > 1_000_000
    assert abs(len(there) - len(here)) < 100  # but for the moment at which it was drawn
    assert there.count("<section") == here.count("<section") > 5


def test_a_process_that_fails_or_takes_too_long_is_one_line(
    study: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = read_results(study)
    monkeypatch.setattr(drawing, "LONGEST", 0.01)
    with pytest.raises(MnistTuneError, match=r"^the report cannot be drawn within 0\.01 s$"):
        asyncio.run(drawn(what_is_told(results, "here")))
    monkeypatch.undo()
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    with pytest.raises(MnistTuneError, match=r"^the report cannot be drawn: it ended with 1$"):
        asyncio.run(drawn(what_is_told(results, "here")))


@pytest.mark.slow
def test_a_head_draws_no_report_itself(study: OpenStudy, tmp_path: Path) -> None:
    with (
        HeadProcess(f"sqlite:///{tmp_path}/studies.db", tmp_path) as head,
        ThreadPoolExecutor(1) as pool,
    ):
        assert descendants(head.pid) == []
        asked = pool.submit(httpx.get, f"{head.address}/studies?name=tiny", timeout=300)
        wait_until(lambda: len(descendants(head.pid)) == 1)
        assert "<section" in asked.result().text
        assert descendants(head.pid) == []


@pytest.mark.slow
def test_a_head_that_stops_waits_for_no_report(study: OpenStudy, tmp_path: Path) -> None:
    with (
        HeadProcess(f"sqlite:///{tmp_path}/studies.db", tmp_path) as head,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(httpx.get, f"{head.address}/studies?name=tiny", timeout=300)
        wait_until(lambda: len(descendants(head.pid)) == 1)
        (drawing_it,) = descendants(head.pid)
        os.kill(drawing_it, signal.SIGSTOP)  # so that it would never end by itself
        os.kill(head.pid, signal.SIGTERM)
        answer = asked.result()
        assert answer.status_code == 503
        assert "the head is stopping; load the page again when it is back" in answer.text
        wait_until(lambda: not Path(f"/proc/{drawing_it}").exists())
