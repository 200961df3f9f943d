"""Times in any zone: where summer time begins and ends, an hour of local time is missing or comes twice."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy

from mnist_tune.dashboard.app import dashboard_app
from mnist_tune.dashboard.clock import Clock
from mnist_tune.dashboard.snapshots import SnapshotStorage
from mnist_tune.report.contents import contents
from mnist_tune.results.reading import read_results
from mnist_tune.storage.engine import utc_now
from mnist_tune.storage.optuna_internals import trials
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.text.times import local_time, on_axis, retold, zone_at
from tests.support.clocks import zone
from tests.support.commands import BY_EXEC, STORED, Command, finish, start_command
from tests.support.dashboard_client import Client
from tests.support.specs import ONE_CELL
from tests.support.studies import folders, new_study, take, work

FOLD = datetime(2026, 10, 25, 0, 50, tzinfo=UTC), datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
"""Twenty minutes in which clocks in Berlin go from 2:50 to 2:10."""
GAP = datetime(2026, 3, 29, 0, 50, tzinfo=UTC), datetime(2026, 3, 29, 1, 10, tzinfo=UTC)
"""Twenty minutes in which they go from 1:50 to 3:10."""
ZONES = ["Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Asia/Kathmandu", "UTC"]


def study_of(folder: Path, times: tuple[datetime, datetime], url: str | None = None) -> OpenStudy:
    """A study of one cell that was trained between the two times."""
    study = new_study(folder, ONE_CELL, url)
    queue = study.queue()
    queue.complete(take(queue), 90.0)
    with study.storage.transaction() as session:
        stored = [moment.replace(tzinfo=None) for moment in times]
        session.execute(trials.update().values(datetime_start=stored[0], datetime_complete=stored[1]))
    return study


@pytest.mark.parametrize("place", ZONES)
@pytest.mark.parametrize("times", [FOLD, GAP], ids=["fold", "gap"])
def test_a_trial_has_the_times_that_are_stored_in_every_zone(
    tmp_path: Path, database: str, times: tuple[datetime, datetime], place: str
) -> None:
    study = study_of(tmp_path, times, database)
    with zone(place):
        (attempt,) = read_results(study).attempts
        (trial,) = study.storage.get_all_trials(study.study_id)
    for began, ended in (
        (attempt.started, attempt.ended),
        (trial.datetime_start, trial.datetime_complete),
    ):
        assert (began, ended) == times
        assert began is not None
        assert began.utcoffset() == timedelta()


@pytest.mark.parametrize("times", [FOLD, GAP], ids=["fold", "gap"])
def test_every_command_tells_the_times_of_a_trial_rightly_where_the_clocks_change(
    tmp_path: Path, command: Command, times: tuple[datetime, datetime]
) -> None:
    study_of(tmp_path, times)
    with zone("Europe/Berlin"):
        verified = command("verify", "tiny", "--json").json
        told = command("status", "tiny", "--json").json["trials"][0]
        logged = command("logs", "tiny", "--trial", "0").out
        command("report", "tiny")
    findings = {check["check"]: check["findings"] for check in verified["checks"]}
    assert findings["times"] == []
    assert [told["started"], told["ended"]] == [moment.isoformat() for moment in times]
    began, ended = (moment.astimezone(ZoneInfo("Europe/Berlin")) for moment in times)
    assert logged.startswith(f"{began} begins on ")
    assert f"\n{ended} complete" in logged
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "in 20 min 0 s" in page
    assert str(began) in page
    assert str(ended) in page


def test_times_before_the_start_are_found_in_every_zone_and_told_in_utc(
    tmp_path: Path, command: Command
) -> None:
    study_of(tmp_path, (FOLD[1], FOLD[0]))
    for place in ZONES:
        with zone(place):
            said = command("verify", "tiny").out
        assert "ends at 2026-10-25 00:50:00 UTC, before its start at 2026-10-25 01:10:00 UTC" in said


def test_the_axes_of_a_report_have_one_offset_that_they_name(tmp_path: Path) -> None:
    study = study_of(tmp_path, FOLD)
    with zone("Europe/Berlin"):
        report = contents(read_results(study), [], "sqlite:///studies.db", FOLD[1])
        assert report.pictures
        (picture,) = [each for each in report.pictures if each.key == "timeline"]
        assert picture.figure is not None
        (bar,) = picture.figure["data"]
        assert bar["base"] == ("2026-10-25 02:50:00.000",)
        assert bar["x"] == (20 * 60 * 1000,)
        assert picture.figure["layout"]["xaxis"]["title"]["text"] == "UTC+02:00"


def test_the_dashboard_reads_no_ended_trial_twice_in_any_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tmp_path, FOLD)
    snapshots = SnapshotStorage(study.storage)
    monkeypatch.setattr("mnist_tune.dashboard.snapshots.READING_SHARE", float("inf"))
    with zone("Europe/Berlin"):
        (first,) = snapshots.get_all_trials(study.study_id, deepcopy=False)
        (again,) = snapshots.get_all_trials(study.study_id, deepcopy=False)
    assert again is first


def test_the_dashboards_timeline_is_right_where_the_clocks_change(tmp_path: Path) -> None:
    study = study_of(tmp_path, FOLD)
    app = dashboard_app(study.storage, folders(tmp_path))
    with zone("Europe/Berlin"):
        study_page = Client(app).detail(study)
        figure = Client(app)("GET", f"/api/studies/{study.study_id}/plot/timeline").json
    (bar,) = figure["data"]
    assert bar["base"] == [FOLD[0].isoformat()]
    assert study_page["trials"][0]["datetime_start"] == FOLD[0].isoformat()


def test_the_dashboard_reads_on_when_the_clocks_are_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study(tmp_path, ONE_CELL)
    monkeypatch.setattr("mnist_tune.dashboard.snapshots.READING_SHARE", float("inf"))
    client = Client(dashboard_app(study.storage, folders(tmp_path)))
    with zone("Europe/Berlin"):
        monkeypatch.setattr(Clock, "now", lambda: Clock.fromtimestamp(FOLD[0].timestamp(), UTC))
        assert client.detail(study)["trials"][0]["state"] == "Waiting"
        take(study.queue())
        monkeypatch.setattr(Clock, "now", lambda: Clock.fromtimestamp(FOLD[1].timestamp(), UTC))
        assert client.detail(study)["trials"][0]["state"] == "Running"


def test_a_log_tells_the_same_times_wherever_its_worker_ran(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path, ONE_CELL, f"sqlite:///{tmp_path}/{STORED}")
    with zone("Asia/Kathmandu"):
        work(study, lambda _: 50.0, max_trials=1)
    kept = read_results(study, with_logs=True).attempts[0].log or ""
    assert re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ [^\n]+\n)+", kept)
    for place in ZONES:
        with zone(place):
            told = command("logs", "tiny", "--trial", "0").out.splitlines()
        times = [datetime.fromisoformat(line[:25]) for line in told]
        offset = times[0].astimezone(ZoneInfo(place)).utcoffset()
        assert [time.utcoffset() for time in times] == [offset] * len(told)
        stamped = zip(times, told, strict=True)
        again = [f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}{line[25:]}" for time, line in stamped]
        assert again[1:] == kept.splitlines()[1:]  # the first says who began as well


@pytest.mark.parametrize("line", ["", "2026-10-25 00:50:00 of 0.5.0", "9999-99-99 00:50:00Z", "no time"])
def test_a_line_of_a_log_without_our_time_is_told_as_it_is(line: str) -> None:
    assert retold(line) == line


def test_a_line_in_the_hour_that_comes_twice_says_which() -> None:
    with zone("Europe/Berlin"):
        assert [retold(f"2026-10-25 0{hour}:30:00Z x") for hour in (0, 1)] == [
            "2026-10-25 02:30:00+02:00 x",
            "2026-10-25 02:30:00+01:00 x",
        ]


def test_a_time_that_no_local_clock_can_show_is_shown_in_utc() -> None:
    for place in ("America/New_York", "Asia/Kathmandu"):
        with zone(place):
            for extreme in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
                assert local_time(extreme)
                assert on_axis(extreme, zone_at(extreme))
                assert on_axis(extreme, timezone(timedelta(hours=14)))
                assert on_axis(extreme, timezone(-timedelta(hours=14)))


def test_a_time_without_a_zone_is_not_stored(study: OpenStudy) -> None:
    naive = sqlalchemy.select(utc_now()).where(datetime(2026, 1, 1) < utc_now())
    with (
        pytest.raises(sqlalchemy.exc.StatementError, match="has no time zone"),
        study.storage.transaction() as session,
    ):
        session.execute(naive)


@pytest.mark.slow
def test_times_are_told_alike_in_every_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study_of(tmp_path, FOLD)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    started = []
    for locale in ("C", "POSIX", "tr_TR.UTF-8"):  # one that is not installed counts as C
        monkeypatch.setenv("LC_ALL", locale)
        started.append(start_command("logs", "tiny", folder=tmp_path, environment=BY_EXEC))
    said = {finish(process).stdout for process in started}
    (only,) = said
    assert only.startswith("trial 0: 2026-10-25 02:50:00+02:00 begins on worker: ")
    assert only.endswith("trial 0: 2026-10-25 02:10:00+01:00 complete\n")
