"""The epochs of trials go where their study goes: copied, deleted, also by a program that knows of none."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from sqlalchemy import func, select

from mnist_tune.results.reading import read_results
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.tables import epochs
from mnist_tune.study.copy import copy_study
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study
from mnist_tune.verification import verify
from mnist_tune.worker.trial import Trial
from tests.support.commands import STORED, Command
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import TINY_SPEC, lease_lines, tiny_spec
from tests.support.stored_epochs import Numbers, numbers, stored_numbers
from tests.support.studies import new_study, take, work

ACCURACIES = {1: 80.0, 2: 90.0}
TWO_EPOCHS = [made_epoch(number, accuracy) for number, accuracy in ACCURACIES.items()]


def begin(study: OpenStudy) -> None:
    """One trial that is complete after two epochs, and one that runs after its first."""
    queue = study.queue()
    complete, running = take(queue), take(queue)
    environment = {"environment": {"device": "cpu"}}
    queue.complete(complete, 90.0, user=environment, reports=ACCURACIES, epochs=numbers(TWO_EPOCHS))
    queue.record(running, user=environment, reports={1: 80.0}, epochs=numbers(TWO_EPOCHS[:1]))


def url_of(study: OpenStudy) -> str:
    return study.storage.engine.url.render_as_string(hide_password=False)


def rows(study: OpenStudy) -> int:
    """How many epochs the whole database has."""
    with study.storage.transaction() as session:
        return session.execute(select(func.count()).select_from(epochs)).scalar_one()


def stored(study: OpenStudy) -> list[Numbers]:
    """The epochs of each trial that has any, by the trials' order."""
    trials = study.storage.get_all_trials(study.study_id)
    return [kept for trial in trials if (kept := stored_numbers(study.storage, trial._trial_id))]


def test_a_copy_has_them_and_is_a_study_of_its_own(study: OpenStudy) -> None:
    begin(study)
    copy_study(study, storage_url(url_of(study)), "copy")
    copy = open_study(study.storage, "copy")
    assert stored(copy) == stored(study) == [numbers(TWO_EPOCHS), numbers(TWO_EPOCHS[:1])]
    delete_study(study)
    assert stored(copy) == [numbers(TWO_EPOCHS), numbers(TWO_EPOCHS[:1])]
    assert rows(copy) == 3


@pytest.mark.postgres
def test_they_are_copied_from_a_file_to_a_server_and_back(tmp_path: Path, postgres: str) -> None:
    study = new_study(tmp_path)
    begin(study)
    there, back = storage_url(postgres), storage_url(f"sqlite:///{tmp_path}/back.db")
    copy_study(study, there)
    copy_study(open_study(open_storage(there), "tiny"), back)
    assert stored(open_study(open_storage(back), "tiny")) == stored(study)


def test_whoever_deletes_a_study_deletes_them(study: OpenStudy, tmp_path: Path) -> None:
    begin(study)
    assert create_study(study.storage, tiny_spec(tmp_path).named("other"))
    begin(open_study(study.storage, "other"))
    assert rows(study) == 6
    delete_study(study)
    assert rows(study) == 3
    optuna.delete_study(study_name="other", storage=url_of(study))
    assert rows(study) == 0


def test_a_trial_that_gets_the_id_of_a_deleted_one_has_no_epochs(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    begin(study)
    optuna.delete_study(study_name="tiny", storage=url_of(study))
    assert create_study(study.storage, study.spec)  # SQLite gives ids out again
    again = open_study(study.storage, "tiny")
    assert {trial._trial_id for trial in again.storage.get_all_trials(again.study_id)} == set(range(1, 9))
    assert [attempt.history for attempt in read_results(again).attempts] == [[]] * 8


@pytest.mark.slow
@pytest.mark.parametrize(("file", "name"), [("copy.db", "tiny"), (STORED, "twin")])
def test_a_copy_that_stock_optuna_made_shows_the_accuracies_alone_and_says_so(
    tmp_path: Path, command: Command, file: str, name: str
) -> None:
    study = new_study(tmp_path, TINY_SPEC + lease_lines(0.05, 0.3))
    begin(study)
    url = f"sqlite:///{tmp_path}/{file}"
    optuna.copy_study(from_study_name="tiny", from_storage=url_of(study), to_storage=url, to_study_name=name)
    warning = (
        "of the epochs of 1 trial only the validation accuracy is known: "
        "another program has copied the study without their other metrics and times"
    )
    for line in ("status", "status --json", "report", "logs", "export"):
        asked, *options = line.split()
        answer = command(asked, name, *options, "--storage", url)
        assert answer.code == 0, answer.err
    copy = open_study(open_storage(storage_url(url)), name)
    results = read_results(copy)
    assert results.warnings == [warning]
    assert warning in " ".join(command("status", name, "--storage", url).out.split())
    complete = results.complete[0]
    assert {each.epoch: each["validation_accuracy"] for each in complete.history} == ACCURACIES
    assert {(each["training_loss"], each.seconds) for each in complete.history} == {(None, None)}

    def finish(trial: Trial) -> float:
        for each in TWO_EPOCHS:
            trial.epoch_done(each, last=each.epoch == 2)
        return 90.0

    work(copy, finish, files=tmp_path)
    assert [len(each.history) for each in read_results(copy).complete] == [2] * 8
    verification = verify(copy.storage, name, tmp_path / "artifacts", tmp_path / "checkpoints")
    assert [outcome.check for outcome in verification.broken] == []
    (copied,) = (outcome for outcome in verification.outcomes if outcome.check == "copied epochs")
    assert [str(finding) for finding in copied.findings] == [
        "trial 0, cell 0: another program copied it without its epochs; only their objective came along"
    ]
