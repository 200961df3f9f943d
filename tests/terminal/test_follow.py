"""status --watch: a study whose workers run anywhere, over the storage alone."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.study.delete import delete_study
from tests.support.commands import Command, finish, start_command, start_toy_worker
from tests.support.specs import ONE_CELL, TINY_SPEC, TWO_CELLS, write_spec
from tests.support.studies import new_study, take
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import wait_until

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d "


def start_watching(folder: Path, url: str | None = None) -> tuple[subprocess.Popen[str], str]:
    """`status --watch` when it has said its first line, and that line."""
    watching = start_command("status", "tiny", "--watch", folder=folder, url=url)
    assert watching.stdout is not None
    return watching, watching.stdout.readline()


def assert_is_a_log(text: str) -> list[str]:
    """Its lines, which hold no control characters."""
    lines = text.splitlines()
    assert [line for line in lines if not line.isprintable()] == []
    return lines


@pytest.mark.slow
def test_a_run_and_a_watch_write_a_line_per_event_into_a_pipe(tmp_path: Path, mnist_directory: Path) -> None:
    spec = TINY_SPEC.replace('optimizer = ["Adam", "SGD"]\n', "").replace("[64, 128]", "[64]")
    new_study(tmp_path, spec)
    watching, standing = start_watching(tmp_path)
    run = finish(start_command("run", str(write_spec(tmp_path, spec)), "--workers", "1", folder=tmp_path))
    watched = finish(watching)
    assert (run.returncode, run.stderr) == (0, "")
    assert (watched.returncode, watched.stderr) == (0, "")
    assert standing == "tiny: 0/2 cells, 2 waiting\n"
    for lines in (assert_is_a_log(run.stdout), assert_is_a_log(watched.stdout)):
        for trial in (0, 1):
            for event in (
                rf"{TIME}trial {trial} begins: learning_rate=[\d.]+, batch_size=64",
                rf"{TIME}trial {trial} epoch 1/2: training loss [\d.]+, .*",
                rf"{TIME}trial {trial} epoch 2/2: training loss [\d.]+, .*",
                rf"{TIME}trial {trial} complete; {trial + 1}/2 cells, .*",
            ):
                assert sum(re.fullmatch(event, line) is not None for line in lines) == 1, (event, lines)
        assert any(re.fullmatch(rf"{TIME}worker \S+:\d+ is here, on cpu .*", line) for line in lines)
        assert lines[-1] == "export it with: mnist-tune export tiny --output best.toml"


@pytest.mark.slow
def test_ctrl_c_ends_the_watch_and_nothing_else(tmp_path: Path) -> None:
    study = new_study(tmp_path, TWO_CELLS)
    worker = start_toy_worker(tmp_path, seconds=1_000)
    wait_until(lambda: read_results(study).cells.running == 1)
    watching, _ = start_watching(tmp_path)
    watching.send_signal(signal.SIGINT)
    watched = finish(watching)
    assert (watched.returncode, watched.stderr) == (3, "")
    assert re.match(r"tiny: 0/2 cells, 1 running", assert_is_a_log(watched.stdout)[-1])
    assert worker.poll() is None
    assert read_results(study).cells.running == 1
    worker.kill()
    finish(worker)


def test_a_study_that_is_deleted_ends_the_watch_with_one_line(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    watching, _ = start_watching(tmp_path)
    delete_study(study)
    watched = finish(watching)
    assert watched.returncode == 2
    assert watched.stderr == "mnist-tune: study 'tiny' has been deleted meanwhile\n"


def test_a_finished_study_is_shown_as_without_watch(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path, ONE_CELL)
    study.queue().give_back(take(study.queue()), Failure("non_finite", "training loss is nan"))
    plain, watched = command("status", "tiny"), command("status", "tiny", "--watch")
    assert watched == plain
    assert watched.code == 1


def test_watch_and_json_exclude_each_other(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    answer = command("status", "tiny", "--watch", "--json")
    assert (answer.code, answer.out) == (2, "")
    assert "--watch" in answer.err


@pytest.mark.postgres
def test_a_watch_outlives_a_cut(postgres: str, proxy: TcpProxy, tmp_path: Path) -> None:
    study = new_study(tmp_path, TWO_CELLS, postgres)
    watching, _ = start_watching(tmp_path, proxy.url)
    proxy.cut(reset=True)
    worker = start_toy_worker(tmp_path, url=postgres)
    wait_until(lambda: read_results(study).is_finished)
    proxy.heal()
    watched = finish(watching)
    finish(worker)
    assert (watched.returncode, watched.stderr) == (0, "")
    lines = assert_is_a_log(watched.stdout)
    told = [re.sub(TIME, "", line) for line in lines if "the storage" in line]
    assert told == ["the storage does not answer; asking again", "the storage answers again"]
    assert any("trial 1 complete; 2/2 cells" in line for line in lines)
