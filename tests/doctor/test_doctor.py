"""`mnist-tune doctor`: each check is a line, a problem names its remedy, and nothing is made or changed."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import torch

from mnist_tune.doctor import database, machine
from mnist_tune.doctor.database import storage_checks
from mnist_tune.doctor.machine import CheckResult, Severity, examine, machine_checks
from mnist_tune.storage.engine import ENVIRONMENT_VARIABLE, storage_url
from mnist_tune.storage.schema import prepare
from tests.support.commands import STORED, Answer, Command
from tests.support.mount_namespace import ROOT
from tests.support.postgres_server import postgres_server
from tests.support.studies import new_study

OF_A_STORAGE = ["storage", "file", "folder", "round trip", "latency", "checkpoints", "artifacts"]


def verdicts_by_check(answer: Answer) -> dict[str, str]:
    """Each check's name and how it ended."""
    return {row["check"]: row["verdict"] for row in answer.json["checks"]}


def finding_of(findings: Iterator[CheckResult], check: str) -> CheckResult:
    """The one line of this check."""
    (finding,) = [finding for finding in findings if finding.check == check]
    return finding


def content_of(file: Path) -> list[str]:
    """All that a database holds."""
    with sqlite3.connect(file) as connection:
        return list(connection.iterdump())


def test_a_healthy_machine_and_storage_have_no_problem_and_stay_as_they_are(
    tmp_path: Path, command: Command
) -> None:
    new_study(tmp_path)
    before, lying = content_of(tmp_path / STORED), sorted(tmp_path.iterdir())
    answer = command("doctor", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["ok"] is True
    found = verdicts_by_check(answer)
    assert [check for check in found if check in OF_A_STORAGE] == OF_A_STORAGE
    assert {found[check] for check in ("python", "packages", "torch", "cpu", "data")} == {"ok"}
    assert "problem" not in found.values()
    assert (content_of(tmp_path / STORED), sorted(tmp_path.iterdir())) == (before, lying)


def test_people_get_a_line_a_check(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    answer = command("doctor")
    lines = answer.out.splitlines()
    assert f"ok      python      CPython {platform.python_version()}" in answer.out
    assert f"torch {torch.__version__.partition('+')[0]}" in answer.out
    assert f"ok      storage     sqlite:///{tmp_path}/{STORED}: 1 study" in lines
    assert all(line.split()[0] in set(Severity) for line in lines)


def test_the_default_file_may_be_missing_and_is_not_made(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    answer = command("doctor")
    assert answer.code == 0
    assert "ok      storage     sqlite:///mnist-tune.db: none yet" in answer.out
    assert list(tmp_path.iterdir()) == []


def test_a_named_file_that_is_missing_is_a_problem_and_is_not_made(tmp_path: Path, command: Command) -> None:
    answer = command("doctor", "--storage", "sqlite:///mistyped.db")
    assert answer.code == 1
    assert "problem storage     sqlite:///mistyped.db: no such file; correct --storage, or make" in answer.out
    assert list(tmp_path.iterdir()) == []


def test_problems_do_not_hide_one_another(tmp_path: Path, command: Command) -> None:
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte").write_bytes(b"short")
    answer = command(
        "doctor", "--data-dir", str(tmp_path), "--storage", "mysql://user:secret@host/x", "--json"
    )
    assert answer.code == 1
    assert answer.json["ok"] is False
    found = verdicts_by_check(answer)
    assert (found["data"], found["storage"], found["cpu"]) == ("problem", "problem", "ok")
    said = [row["says"] for row in answer.json["checks"] if row["verdict"] == "problem"]
    assert (
        "train-labels-idx1-ubyte: truncated: 5 of 60,008 bytes; name another folder with --data-dir"
        in said[0]
    )
    assert said[1].startswith("--storage: mysql:// is not supported")
    assert "secret" not in answer.out


def test_a_check_that_breaks_is_a_problem_of_its_own() -> None:
    def broken() -> Iterator[CheckResult]:
        yield CheckResult("first", Severity.OK, "fine")
        raise ZeroDivisionError("no wonder")

    found = list(examine(("broken", broken), ("next", lambda: [CheckResult("next", Severity.OK, "goes on")])))
    assert found == [
        CheckResult("first", Severity.OK, "fine"),
        CheckResult("broken", Severity.PROBLEM, "ZeroDivisionError: no wonder"),
        CheckResult("next", Severity.OK, "goes on"),
    ]


# The machine


def test_a_torchvision_that_does_not_fit_torch_is_a_clear_line_beside_the_others(tmp_path: Path) -> None:
    # What importing the registry's torchvision beside a CPU-only torch comes to.
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mnist_tune", "doctor"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("problem")]
    assert line.startswith("problem torch       torchvision ")
    assert "(operator torchvision::nms does not exist); run: pip install --force-reinstall torch" in line
    assert "ok      cpu " in done.stdout
    assert (done.returncode, done.stderr) == (1, "")


def test_a_torch_that_does_not_load_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    finding = finding_of(machine_checks(None), "torch")
    assert finding.verdict is Severity.PROBLEM
    assert finding.says.startswith("torch does not load (ModuleNotFoundError: ")


def install(folder: Path, name: str, version: str, *needs: str) -> None:
    """What pip writes of an installed package, with nothing behind it."""
    record = folder / f"{name}-{version}.dist-info" / "METADATA"
    record.parent.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    record.write_text(
        "\n".join([*lines, *(f"Requires-Dist: {need}" for need in needs), ""]), encoding="utf-8"
    )


def test_packages_that_do_not_fit_each_other_are_told_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "torch", "2.1.0+cpu")
    install(tmp_path, "torchvision", "0.99", "torch==2.1.1", "nothing-like-it; extra == 'rare'", "no-such>=1")
    monkeypatch.syspath_prepend(tmp_path)
    said = [finding.says for finding in machine_checks(None) if finding.check == "packages"]
    assert said == [
        "mnist-tune needs torch>=2.11, and 2.1.0+cpu is installed; run: pip install 'torch>=2.11'",
        "torchvision needs torch==2.1.1, and 2.1.0+cpu is installed; run: pip install 'torch==2.1.1'",
        "torchvision needs no-such>=1, which is not installed; run: pip install 'no-such>=1'",
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="here torch sees a GPU")
def test_a_driver_without_a_gpu_that_torch_sees_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "NVIDIA_DRIVER", tmp_path)
    finding = finding_of(machine_checks(None), "cuda")
    assert finding.verdict is Severity.WARNING
    assert finding.says.startswith("an NVIDIA driver is here, but torch sees no GPU")


@pytest.mark.gpu
def test_a_gpu_is_listed_with_its_memory() -> None:
    finding = finding_of(machine_checks(None), "cuda:0")
    assert finding.verdict is Severity.OK
    assert finding.says.startswith(f"{torch.cuda.get_device_name(0)}, precision auto is ")
    assert finding.says.endswith(" GB memory free")


def test_images_that_are_not_there_yet_are_no_problem_where_they_can_be_kept(tmp_path: Path) -> None:
    finding = finding_of(machine_checks(tmp_path / "new"), "data")
    assert finding.verdict is Severity.OK
    assert finding.says.endswith("new: 4 of 4 files are missing, and unpacked from the package at first use")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_keep_the_images_is_a_problem() -> None:
    finding = finding_of(machine_checks(Path("/proc/nothing")), "data")
    assert finding.verdict is Severity.PROBLEM
    assert finding.says.startswith("/proc/nothing: cannot keep the MNIST files here (")
    assert finding.says.endswith("); set MNIST_TUNE_DATA to a folder that can be written")


# A storage


def test_an_empty_file_is_a_warning_and_stays_empty(tmp_path: Path, command: Command) -> None:
    (tmp_path / STORED).touch()
    answer = command("doctor", "--json")
    assert (answer.code, verdicts_by_check(answer)["storage"]) == (0, "warning")
    assert (tmp_path / STORED).stat().st_size == 0


def test_a_file_that_is_no_database_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    finding = finding_of(storage_checks(f"sqlite:///{tmp_path}/x.db"), "storage")
    assert finding.verdict is Severity.PROBLEM
    assert finding.says.endswith("x.db: is not an SQLite database; name another file")


def test_damage_that_no_query_meets_is_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/{STORED}"
    prepare(storage_url(url), create=True)
    with sqlite3.connect(tmp_path / STORED) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'trials'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with (tmp_path / STORED).open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    finding = finding_of(storage_checks(url), "file")
    assert finding.verdict is Severity.PROBLEM
    assert finding.says.startswith(f"is damaged: Page {page}: ")
    assert "put back a copy of the file" in finding.says


def test_a_database_that_may_only_be_read_is_a_problem_of_the_round_trip(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/{STORED}"
    prepare(storage_url(url), create=True)
    with sqlite3.connect(tmp_path / STORED) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON version_info BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    found = {finding.check: finding for finding in storage_checks(url)}
    assert found["round trip"].verdict is Severity.PROBLEM
    assert found["round trip"].says.startswith("cannot be used: refused; ")
    assert found["checkpoints"].verdict is Severity.OK


def test_another_journal_than_the_write_ahead_log_is_a_warning(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/{STORED}"
    prepare(storage_url(url), create=True)
    with sqlite3.connect(tmp_path / STORED) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    finding = finding_of(storage_checks(url), "file")
    assert finding.verdict is Severity.WARNING
    assert "journal mode delete" in finding.says


def test_a_slow_database_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/{STORED}"
    prepare(storage_url(url), create=True)
    monkeypatch.setattr(database, "SLOW_SECONDS", 0.0)
    finding = finding_of(storage_checks(url), "latency")
    assert finding.verdict is Severity.WARNING
    assert "20 transactions that change a row and change it back p50 " in finding.says


@pytest.mark.parametrize("kind", ["checkpoints", "artifacts"])
def test_a_folder_that_cannot_be_written_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv(f"MNIST_TUNE_{kind.upper()}", "/proc/1/nothing")
    finding = finding_of(storage_checks(f"sqlite:///{tmp_path}/{STORED}"), kind)
    assert finding.verdict is Severity.PROBLEM
    assert finding.says.startswith("/proc/1/nothing: cannot be written to (")


def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOW_SPACE", 1 << 80)
    finding = finding_of(storage_checks(f"sqlite:///{tmp_path}/{STORED}"), "checkpoints")
    assert finding.verdict is Severity.WARNING
    assert finding.says.endswith("GB free, made at first use; free some space there")


def test_a_server_that_does_not_answer_is_one_problem_without_its_password() -> None:
    finding = finding_of(storage_checks("postgresql://user:secret@127.0.0.1:1/x"), "storage")
    assert finding.verdict is Severity.PROBLEM
    assert "postgresql://user:***@127.0.0.1:1/x: cannot be used: " in finding.says
    assert finding.says.endswith("; see that the server runs, and that host, user and database are right")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.mark.postgres
def test_a_server_is_examined_without_a_trace(server: str) -> None:
    fresh = list(storage_checks(server))
    assert finding_of(iter(fresh), "storage").verdict is Severity.WARNING
    prepare(storage_url(server), create=True)
    with psycopg.connect(server) as connection:
        before = connection.execute("SELECT * FROM version_info").fetchall()
        found = {finding.check: finding for finding in storage_checks(server)}
        assert connection.execute("SELECT * FROM version_info").fetchall() == before
    assert {finding.verdict for finding in found.values()} == {Severity.OK}
    assert list(found) == ["storage", "server", "round trip", "latency", "checkpoints", "artifacts"]
    assert found["server"].says.startswith("PostgreSQL ")
    assert "its clock 0.0" in found["server"].says


@pytest.mark.postgres
def test_a_clock_that_differs_is_a_warning(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = time.time
    monkeypatch.setattr(time, "time", lambda: ours() - 3600)
    finding = finding_of(storage_checks(server), "server")
    assert finding.verdict is Severity.WARNING
    assert "its clock 3600.0" in finding.says
    assert " s ahead of ours; " in finding.says


@pytest.mark.postgres
def test_what_a_user_may_not_do_is_told_with_what_to_grant(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN")
        connection.execute("CREATE DATABASE studies")
    owner = storage_url(server).set(database="studies")
    guest = str(owner.set(username="guest"))
    finding = finding_of(storage_checks(guest), "storage")
    assert finding.verdict is Severity.PROBLEM
    assert finding.says.endswith(
        "may not make tables; as the database's owner, run: GRANT CREATE ON SCHEMA public TO guest"
    )
    prepare(owner, create=True)
    finding = finding_of(storage_checks(guest), "round trip")
    assert finding.verdict is Severity.PROBLEM
    assert "permission denied for table version_info; grant that to this user" in finding.says


@pytest.mark.postgres
def test_a_server_that_takes_no_writes_is_a_problem(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE standby")
    url = storage_url(server).set(database="standby")
    prepare(url, create=True)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("ALTER DATABASE standby SET default_transaction_read_only = on")
    finding = finding_of(storage_checks(str(url)), "round trip")
    assert finding.verdict is Severity.PROBLEM
    assert "read-only transaction; name the primary server, or make the database writable" in finding.says
