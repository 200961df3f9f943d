"""A study that takes over the finished cells of an older one runs only what is new."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy

from mnist_tune.errors import UserError
from mnist_tune.results.reading import read_results
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.keys import REUSED
from mnist_tune.study.delete import delete_study, delete_study_and_files
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.reuse import create_study_reusing, finished_cells
from mnist_tune.study.store import create_study, open_study, study_names
from mnist_tune.verification import verify
from tests.support.commands import Command
from tests.support.reused_studies import MORE_SEEDS, reuse_results
from tests.support.specs import tiny_spec, write_spec
from tests.support.studies import folders, new_study, opened_again


def test_finished_cells_are_taken_over_and_the_rest_waits(old_study: OpenStudy, tmp_path: Path) -> None:
    new = reuse_results(old_study, tiny_spec(tmp_path, MORE_SEEDS))
    results, before = read_results(new), read_results(old_study)
    assert (results.cells.total, results.cells.complete, results.cells.waiting) == (24, 3, 21)
    taken = {tuple(sorted(attempt.parameters.items())): attempt for attempt in results.complete}
    for source in before.complete:
        attempt = taken[tuple(sorted((source.parameters | {"seed": 0}).items()))]
        assert (attempt.value, attempt.history, attempt.worker) == (
            source.value,
            source.history,
            source.worker,
        )
        assert (attempt.started, attempt.ended) == (source.started, source.ended)
    for trial in new.optuna_study().trials:
        source_number = trial.user_attrs.get(REUSED, {}).get("trial")
        assert (source_number is not None) == trial.state.is_finished()
        if source_number is not None:
            assert trial.user_attrs[REUSED]["study"] == "tiny"
            source_trial = old_study.optuna_study().trials[source_number]
            files = {key for key in source_trial.system_attrs if key.startswith("artifacts:")}
            assert len(files) == 1
            assert files <= trial.system_attrs.keys()
            assert trial.intermediate_values == source_trial.intermediate_values


def test_the_new_study_is_a_sound_one(old_study: OpenStudy, tmp_path: Path) -> None:
    reuse_results(old_study, tiny_spec(tmp_path, MORE_SEEDS))
    verification = verify(old_study.storage, "more", tmp_path / "artifacts", tmp_path / "checkpoints")
    assert verification.broken == []


def test_workers_run_only_what_is_new(old_study: OpenStudy, tmp_path: Path) -> None:
    new = reuse_results(old_study, tiny_spec(tmp_path, MORE_SEEDS))
    queue = new.queue()
    claimed = []
    while (claim := queue.claim("machine:3")) is not None:
        queue.complete(claim, 50.0)
        claimed.append(claim.number)
    assert len(claimed) == 21
    assert read_results(new).is_finished


def test_the_old_study_stays_as_it_is_and_may_go(old_study: OpenStudy, tmp_path: Path) -> None:
    before = read_results(old_study).attempts
    new = reuse_results(old_study, tiny_spec(tmp_path, MORE_SEEDS))
    assert read_results(old_study).attempts == before
    delete_study(old_study)
    assert len(read_results(new).complete) == 3


def test_files_that_were_taken_over_stay_when_the_old_study_goes_with_its_own(tmp_path: Path) -> None:
    study, artifacts = new_study(tmp_path), tmp_path / "artifacts"
    store = ArtifactFolder(artifacts)
    queue = study.queue()
    for value in (90.0, 91.0):
        claim = queue.claim("machine:1")
        assert claim is not None
        queue.complete(claim, value, system=upload(store, claim.token, {"log.txt": b"said"}))
    shared = tiny_spec(tmp_path, MORE_SEEDS.replace("[0.001, 0.0001]", "[0.0001]"))
    new = reuse_results(study, shared)
    kept = {name for attempt in read_results(new).complete for name in attempt.artifacts.values()}
    there = {path.name for path in artifacts.iterdir()}
    assert kept
    assert delete_study_and_files(study, folders(tmp_path)).files == len(there - kept)
    assert {path.name for path in artifacts.iterdir()} == kept
    assert delete_study_and_files(new, folders(tmp_path)).files == len(kept)
    assert list(artifacts.iterdir()) == []


def test_a_result_cannot_be_deleted_while_it_is_taken_over(old_study: OpenStudy, tmp_path: Path) -> None:
    """Deletion waits for the transaction: never half a result."""
    spec = tiny_spec(tmp_path, MORE_SEEDS)
    finished = finished_cells(old_study, spec)
    deleting = threading.Thread(target=delete_study, args=(opened_again(old_study),))

    found = 0

    @sqlalchemy.event.listens_for(old_study.storage.engine, "after_cursor_execute")
    def delete_when_it_is_found(_: object, __: object, statement: str, *___: object) -> None:
        nonlocal found
        found += statement.startswith("SELECT trials.datetime_start")
        if found == len(finished) and deleting.ident is None:
            deleting.start()
            deleting.join(0.5)

    with suppress(UserError):  # the next one was deleted meanwhile: nothing is made
        create_study(old_study.storage, spec, finished)
    assert deleting.ident is not None
    deleting.join()
    made = study_names(old_study.storage)
    for name in made:
        complete = read_results(open_study(old_study.storage, name)).complete
        assert [attempt.value is None for attempt in complete] == [False] * 3
    assert made in ([], ["more"])


def test_an_old_study_without_a_finished_cell_is_said_to_have_none(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    with pytest.raises(UserError, match="none of its cells has finished"):
        finished_cells(study, tiny_spec(tmp_path, MORE_SEEDS))


def test_the_same_command_again_changes_nothing_even_if_the_old_study_is_gone(
    old_study: OpenStudy, tmp_path: Path
) -> None:
    spec = tiny_spec(tmp_path, MORE_SEEDS)
    assert create_study_reusing(old_study.storage, spec, "tiny") == (True, 3)
    delete_study(old_study)
    assert create_study_reusing(old_study.storage, spec, "tiny") == (False, 0)


def test_nothing_is_made_if_the_old_study_goes_meanwhile(old_study: OpenStudy, tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path, MORE_SEEDS)
    finished = finished_cells(old_study, spec)
    delete_study(old_study)
    with pytest.raises(UserError, match="study 'tiny' has been deleted meanwhile"):
        create_study(old_study.storage, spec, finished)
    with pytest.raises(UserError, match="no study 'more'"):
        open_study(old_study.storage, "more")


def test_create_study_says_how_many_cells_it_took_over(command: Command, tmp_path: Path) -> None:
    study = new_study(tmp_path)
    claim = study.queue().claim("machine:1")
    assert claim is not None
    study.queue().complete(claim, 90.0)
    spec = str(write_spec(tmp_path, MORE_SEEDS))
    answer = command("create-study", spec, "--reuse", "tiny")
    assert (answer.code, answer.err) == (0, "")
    assert "created study 'more' with 24 cells, 1 of them taken over from 'tiny', in sqlite:///" in answer.out
    again = command("create-study", spec, "--reuse", "tiny", "--json")
    assert (again.json["created"], again.json["reused"]) == (False, 0)
    assert "; nothing was taken over" in command("create-study", spec, "--reuse", "tiny").out
    missing = command("create-study", spec, "--name", "third", "--reuse", "tine")
    assert (missing.code, missing.out) == (2, "")
    assert "no study 'tine' in this storage; did you mean 'tiny'?" in missing.err
