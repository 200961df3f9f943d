"""A study that takes over the finished cells of an older one runs only what is new."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy

from mnist_tune.errors import UserError
from mnist_tune.results.reading import read_results
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.keys import ENVIRONMENT, HISTORY, REUSED
from mnist_tune.storage.optuna_internals import user_attributes
from mnist_tune.study.delete import delete_study, delete_study_and_files
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.reuse import create_study_reusing, finished_cells
from mnist_tune.study.store import create_study, open_study, study_names
from mnist_tune.verification import verify
from tests.support.commands import Command
from tests.support.specs import TINY_SPEC, tiny_spec, write_spec
from tests.support.studies import folders, new_study, opened_again

MORE_SEEDS = TINY_SPEC.replace('"tiny"', '"more"').replace("[training]", "seed = [0, 1, 2]\n\n[training]")


@pytest.fixture
def old_study(study: OpenStudy, tmp_path: Path) -> OpenStudy:
    """Three finished cells of eight, with their logs, and one that runs."""
    queue, files = study.queue(), ArtifactFolder(tmp_path / "artifacts")
    for value in (90.0, 91.0, 92.0):
        claim = queue.claim("machine:1")
        assert claim is not None
        history = [
            {
                "epoch": epoch,
                "training_loss": 0.5,
                "validation_loss": 0.4,
                "validation_accuracy": value - 2 + epoch,
                "images_per_second": 1000.0,
                "seconds": 1.0,
            }
            for epoch in (1, 2)
        ]
        queue.complete(
            claim,
            value,
            user={HISTORY: history, ENVIRONMENT: {"precision": "fp32"}},
            system=upload(files, claim.token, {"log.txt": b"said"}),
            reports={epoch: value - 2 + epoch for epoch in (1, 2)},
        )
    assert queue.claim("machine:2") is not None
    return study


def reuse_results(old_study: OpenStudy, spec: Spec) -> OpenStudy:
    assert create_study(old_study.storage, spec, finished_cells(old_study, spec))
    return open_study(old_study.storage, spec.study.name)


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


def test_cells_that_were_trained_on_other_images_are_warned_about(
    old_study: OpenStudy, tmp_path: Path
) -> None:
    new = reuse_results(old_study, tiny_spec(tmp_path, MORE_SEEDS))
    claim = new.queue().claim("machine:1")
    assert claim is not None
    new.queue().complete(claim, 90.0, user={ENVIRONMENT: {"precision": "fp32", "data_sha256": "1" * 64}})
    assert read_results(new).warnings == []
    claim = new.queue().claim("machine:1")
    assert claim is not None
    new.queue().complete(claim, 90.0, user={ENVIRONMENT: {"precision": "fp32", "data_sha256": "2" * 64}})
    (warning,) = read_results(new).warnings
    assert warning.startswith("cells differ in data_sha256 (1111")


def test_another_value_of_an_axis_keeps_what_the_others_have(old_study: OpenStudy, tmp_path: Path) -> None:
    text = TINY_SPEC.replace('"tiny"', '"wider"').replace("[64, 128]", "[32, 64, 128, 256]")
    results = read_results(reuse_results(old_study, tiny_spec(tmp_path, text)))
    assert (results.cells.total, results.cells.complete) == (16, 3)
    assert {attempt.parameters["batch_size"] for attempt in results.complete} <= {64, 128}


def test_other_epochs_data_or_precision_are_other_results(old_study: OpenStudy, tmp_path: Path) -> None:
    for other, why in (
        (("epochs = 2", "epochs = 3"), "training.epochs is 2 there and 3 here"),
        (("train_size = 200", "train_size = 300"), "data.train_size is 200 there and 300 here"),
        (('precision = "fp32"', 'precision = "bf16"'), "training.precision is fp32 there and bf16 here"),
    ):
        spec = tiny_spec(tmp_path, MORE_SEEDS.replace(*other))
        with pytest.raises(UserError) as refusal:
            finished_cells(old_study, spec)
        assert "--reuse tiny: has no finished cell of this study" in str(refusal.value)
        assert why in str(refusal.value)


def test_auto_precision_counts_as_what_it_turned_out_to_be(tmp_path: Path) -> None:
    auto = new_study(tmp_path, TINY_SPEC.replace('"fp32"', '"auto"'))
    claim = auto.queue().claim("machine:1")
    assert claim is not None
    auto.queue().complete(claim, 90.0, user={ENVIRONMENT: {"precision": "bf16"}})
    for precision, found in (("bf16", 1), ("auto", 1), ("fp32", 0)):
        spec = tiny_spec(tmp_path, MORE_SEEDS.replace('"fp32"', f'"{precision}"'))
        if found:
            assert len(finished_cells(auto, spec)) == found
        else:
            with pytest.raises(UserError):
                finished_cells(auto, spec)


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


def test_a_sampled_search_takes_over_nothing(old_study: OpenStudy, tmp_path: Path) -> None:
    text = TINY_SPEC.replace('"tiny"', '"sampled"').replace(
        "[search.grid]", '[search]\nsampler = "random"\nn_trials = 4\n\n[search.space]'
    )
    with pytest.raises(UserError, match="a sampled search draws its own points"):
        finished_cells(old_study, tiny_spec(tmp_path, text))


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


def test_a_trial_that_cannot_be_read_is_run_anew(old_study: OpenStudy, tmp_path: Path) -> None:
    with old_study.storage.transaction() as session:
        of_the_first = user_attributes.c.trial_id == 1, user_attributes.c.key == HISTORY
        session.execute(user_attributes.update().where(*of_the_first).values(value_json="[{"))
    results = read_results(reuse_results(old_study, tiny_spec(tmp_path, MORE_SEEDS)))
    assert (results.cells.complete, results.cells.waiting) == (2, 22)
    assert results.problems == []
