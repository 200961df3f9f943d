"""A command whose connection is lost at any point succeeds, or says one line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.cli.options import console
from mnist_tune.contract.study import WorkerFacts, worker_name
from mnist_tune.errors import FAILED, MISTAKE
from mnist_tune.failures import Failure
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import GuardedStorage, open_storage
from mnist_tune.study.store import create_study, open_study, study_names
from mnist_tune.terminal import follow
from mnist_tune.terminal.display import Display
from mnist_tune.worker.signals import StopRequest
from tests.support.commands import Answer, Command
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import tiny_spec, write_spec
from tests.support.stored_epochs import numbers
from tests.support.studies import new_study, take, work
from tests.system.connection_cuts import (
    GRID_SPEC,
    POINTS,
    SAMPLED_SPEC,
    Cut,
    fresh_database,
    some_points,
    train_three_epochs,
)

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("short_pauses")]


@pytest.fixture(scope="module")
def begun_study(server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with a study that has trials in every state, a worker, and a cell failed for good."""
    folder = tmp_path_factory.mktemp("begun")
    study = new_study(folder, SAMPLED_SPEC, fresh_database(server, "begun"))
    work(study, train_three_epochs, max_trials=4, files=folder)
    queue = study.queue()
    assert queue.give_back(take(queue), Failure("non_finite", "the loss is nan"))
    Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cpu")).register()
    take(queue)
    assert create_study(study.storage, tiny_spec(folder, GRID_SPEC))
    queue = open_study(study.storage, "grid").queue()
    queue.complete(take(queue), 50.0, reports={1: 50.0}, epochs=numbers([made_epoch(1, 50.0)]))
    study.storage.engine.dispose()
    return "begun"


class Shown(Display):
    """A display that counts how often it shows something."""

    times = 0

    def show(self, now: Results) -> None:
        self.times += 1
        super().show(now)


@POINTS
def test_who_follows_a_study_asks_again(
    server: str,
    begun_study: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    most: int,
) -> None:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    study = open_study(open_storage(storage_url(fresh_database(server, "cut", begun_study))), "tiny")
    results = read_results(study)

    def watched(fatal: int | None) -> Cut:
        display = Shown(results, console())
        cut = Cut(server, fatal)
        with cut.made():
            read = partial(read_results, study)
            follow.watch(read, results, StopRequest(), display, lambda _: display.times == 2)
        return cut

    whole = watched(None)
    for fatal in some_points(whole, most):
        assert watched(fatal).has_come
        said = capsys.readouterr()
        assert "the storage answers again" in said.out
        assert said.err == ""


READING = ["status", "studies", "logs", "verify", "export", "report"]
CHANGING = {
    "create-study": ["other.toml"],
    "create-study --reuse": ["other-grid.toml", "--reuse", "grid"],
    "set": ["tiny", "retry.lost=7"],
    "pause": ["tiny"],
    "resume": ["tiny"],
    "cancel": ["tiny"],
    "drain": ["tiny", "--worker", worker_name()],
    "retry": ["tiny", "--failed"],
    "copy-study": ["tiny", "--name", "twin", "--to", "TARGET"],
    "delete-study": ["tiny", "--yes", "--files"],
}
"""The arguments of each command."""


@POINTS
@pytest.mark.parametrize("name", READING)
def test_a_command_that_reads_is_right_or_says_what_is_wrong(
    server: str,
    begun_study: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    most: int,
) -> None:
    monkeypatch.setenv("MNIST_TUNE_ARTIFACTS", str(tmp_path / "artifacts"))
    url = server.removesuffix("postgres") + begun_study
    arguments = [name, *(["tiny"] if name != "studies" else []), "--storage", url]

    def life(fatal: int | None) -> tuple[Cut, Answer]:
        cut = Cut(server, fatal)
        with cut.made():
            return cut, command(*arguments)

    whole, right = life(None)
    assert right.code == 0
    for fatal in some_points(whole, most):
        cut, answer = life(fatal)
        assert cut.has_come
        assert answer.code == 0 or is_one_line_about_the_storage(answer), (cut, answer)


@POINTS
@pytest.mark.parametrize("name", CHANGING)
def test_a_command_that_writes_has_done_all_or_nothing_and_may_be_given_again(
    server: str, begun_study: str, command: Command, tmp_path: Path, name: str, most: int
) -> None:
    write_spec(tmp_path, SAMPLED_SPEC.replace("tiny", "other"), "other.toml")
    write_spec(tmp_path, GRID_SPEC.replace('"grid"', '"other-grid"'), "other-grid.toml")

    def life(fatal: int | None) -> tuple[Cut, Answer, str]:
        url, target = fresh_database(server, "cut", begun_study), fresh_database(server, "target")
        given = [target if each == "TARGET" else each for each in CHANGING[name]]
        arguments = [name.split()[0], *given, "--storage", url]
        cut = Cut(server, fatal)
        with cut.made():
            answer = command(*arguments)
        again = command(*arguments)
        # A study that was deleted or copied cannot be so again, and the connection may be lost after that.
        may_be_done = name in ("copy-study", "delete-study") or answer.code == 0
        assert again.code in ((0, MISTAKE) if may_be_done else (0,)), cut
        found = [content_of(open_storage(storage_url(each))) for each in (url, target) if each in arguments]
        return cut, answer, repr(found)

    whole, right, expected = life(None)
    assert (right.code, right.err) == (0, "")
    for fatal in some_points(whole, most):
        cut, answer, found = life(fatal)
        assert cut.has_come
        assert answer.code == 0 or is_one_line_about_the_storage(answer), (cut, answer)
        assert found == expected, cut


def is_one_line_about_the_storage(answer: Answer) -> bool:
    """Whether the command failed with one line about the storage, and nothing else on standard error."""
    return (
        answer.code == FAILED
        and answer.err.startswith("mnist-tune: ")
        and "cannot be used" in answer.err
        and answer.err.count("\n") == 1
    )


def content_of(storage: GuardedStorage) -> list[Any]:
    """The studies in a storage, with their cells, control and workers."""
    studies = [open_study(storage, name) for name in study_names(storage)]
    read = [
        (each.name, each.spec, results.control, results.cells, [one.state for one in results.workers])
        for each in studies
        for results in [read_results(each)]
    ]
    storage.engine.dispose()
    return read
