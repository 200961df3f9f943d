"""A job of another distribution: found by its name, told apart by its version, and never in our place."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.study.store import open_study
from tests.support.commands import BY_EXEC, Command, finish, start_command
from tests.support.installed_jobs import install
from tests.support.own_jobs import FIT, FIT_SPEC
from tests.support.specs import TINY_SPEC, write_spec
from tests.support.studies import open_file

SPEC = FIT_SPEC.replace('file = "fit.py:train"', 'name = "line"')
REPLACEMENT = """
from pathlib import Path
Path(__file__).with_name("was-run").touch()
from mnist_tune.jobs.mnist.job import train
"""


def run(folder: Path, *arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return finish(start_command(*arguments, folder=folder, environment=environment))


def made(folder: Path, environment: Mapping[str, str]) -> None:
    """Make the study whose job is `line`."""
    answer = run(folder, "create-study", str(write_spec(folder, SPEC)), environment=environment)
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.slow
def test_an_installed_job_needs_no_file_and_its_trials_name_its_version(
    tmp_path: Path, command: Command
) -> None:
    packages = tmp_path / "packages"
    made(tmp_path, environment := install(packages))
    worker = run(tmp_path, "worker", "fit", environment=environment)
    assert worker.returncode == 0, worker.stderr
    results = read_results(open_study(open_file(tmp_path), "fit"))
    assert (results.cells.complete, results.job.name) == (2, "line")
    assert results.job.source.distribution == "fitting 1.2"
    for attempt in results.complete:
        assert attempt.environment["job_distribution"] == "fitting 1.2"
        assert attempt.environment["job_sha256"] == hashlib.sha256(FIT.encode()).hexdigest()
    # Whoever reads the study needs no job.
    status = command("status", "fit")
    assert (status.code, status.err) == (0, "")
    assert "rows/s" in status.out
    assert 'name = "line"' in command("export", "fit").out
    assert command("verify", "fit").code == 0


@pytest.mark.slow
def test_trials_of_two_versions_are_told_apart(tmp_path: Path) -> None:
    made(tmp_path, first := install(tmp_path / "first"))
    second = install(tmp_path / "second", version="1.3")
    for environment in (first, second):
        worker = run(tmp_path, "worker", "fit", "--max-trials", "1", environment=environment)
        assert worker.returncode == 0, worker.stderr
    warnings = read_results(open_study(open_file(tmp_path), "fit")).warnings
    assert any("cells differ in job_distribution" in warning for warning in warnings), warnings


@pytest.mark.slow
def test_a_worker_without_the_distribution_refuses_in_one_line(tmp_path: Path) -> None:
    made(tmp_path, install(tmp_path / "packages"))
    worker = run(tmp_path, "worker", "fit", environment=BY_EXEC)
    assert (worker.returncode, worker.stdout) == (2, "")
    assert worker.stderr == (
        "mnist-tune: the study's job 'line' is not installed here; install the package that brings it\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "entry", "says"),
    [
        (
            "raise OSError('libfit.so: cannot open')",
            "line = fitting:train",
            "OSError: libfit.so: cannot open",
        ),
        ("raise SystemExit(3)", "line = fitting:train", "leaves with sys.exit(3) when it is imported"),
        (FIT, "line = no_such_module:train", "No module named 'no_such_module'"),
        (FIT, "line = fitting:fit", "cannot be imported: AttributeError"),
        (FIT, "line = fitting:Settings", "fitting:Settings is no job; decorate the function with @job(...)"),
        (FIT, "line = fitting", "fitting is no job"),
        (FIT, "line = not a module", "job line: cannot be imported: "),
        (FIT, "other = fitting:train", "job line: not installed here; installed are: other, mnist"),
    ],
)
def test_an_entry_point_that_is_wrong_is_one_line(tmp_path: Path, job: str, entry: str, says: str) -> None:
    environment = install(tmp_path / "packages", job, entry)
    answer = run(tmp_path, "create-study", str(write_spec(tmp_path, SPEC)), environment=environment)
    assert (answer.returncode, answer.stdout) == (2, ""), answer.stderr
    assert says in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert "a bug of mnist-tune" not in answer.stderr


@pytest.mark.slow
def test_a_job_that_breaks_after_the_study_is_made_is_one_line_of_the_worker(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    made(tmp_path, environment := install(packages))
    (packages / "fitting.py").write_text("raise OSError('libfit.so: cannot open')", "utf-8")
    worker = run(tmp_path, "worker", "fit", environment=environment)
    assert (worker.returncode, worker.stdout) == (2, "")
    assert worker.stderr == "mnist-tune: job line: cannot be imported: OSError: libfit.so: cannot open\n"


@pytest.mark.slow
def test_no_distribution_can_replace_the_built_in_job(tmp_path: Path, mnist_directory: Path) -> None:
    packages = tmp_path / "packages"
    environment = install(packages, REPLACEMENT, "mnist = fitting:train")
    for line in (
        ("create-study", str(write_spec(tmp_path, TINY_SPEC))),
        ("worker", "tiny", "--max-trials", "1"),
    ):
        answer = run(tmp_path, *line, environment=environment)
        assert (answer.returncode, answer.stderr) == (0, "")
    assert not (packages / "was-run").exists()
    [trial] = read_results(open_study(open_file(tmp_path), "tiny")).complete
    assert "job_distribution" not in trial.environment
