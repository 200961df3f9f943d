"""What [stop] has counted: from claim to claim, after damage, in a copy, by many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.queue import account as account_room
from mnist_tune.queue.account import count_anew, read_account
from mnist_tune.results.reading import read_results
from mnist_tune.storage.keys import ACCOUNT
from mnist_tune.storage.optuna_internals import study_attributes
from mnist_tune.study.store import create_study
from mnist_tune.verification import verify
from tests.support.commands import Command
from tests.support.specs import TINY_SPEC, tiny_spec
from tests.support.stopping_studies import asked, end, made
from tests.support.studies import new_study, open_file, opened_again, opened_file, take


@pytest.mark.parametrize("text", ['"none"', '{"in_hand": [-1]}', "{", '{"best": 1e999}'])
def test_what_was_counted_and_is_damaged_is_counted_anew(tmp_path: Path, text: str) -> None:
    study = made(tmp_path, "no_improvement = 2")
    for value in (50.0, 40.0):
        end(study, value)
    with study.storage.transaction() as session:
        session.execute(
            study_attributes.update().where(study_attributes.c.key == ACCOUNT).values(value_json=text)
        )
    end(study, 40.0)
    assert asked(study) is Standing.STOPPED


def test_a_claim_counts_no_trials_but_those_that_were_in_hand(tmp_path: Path) -> None:
    study = made(tmp_path, "no_improvement = 100")
    for _ in range(4):
        end(study, 50.0)
    queue = study.queue()
    take(queue)
    take(queue)
    with study.storage.transaction() as session:
        account = read_account(session, study.study_id)
        assert account is not None
        assert (account.in_hand, account.without_better) == ([(5, 4), (6, 5)], 3)
        # What it knows of the others it does not read again.
        session.execute(
            sqlalchemy.text("UPDATE trial_system_attributes SET value_json = 'x' WHERE trial_id < 5")
        )
    take(queue)
    with study.storage.transaction() as session:
        account = read_account(session, study.study_id)
    assert account is not None
    assert (account.best_trial, account.without_better) == (0, 3)


def test_a_copy_whose_trials_have_other_ids_is_counted_anew(tmp_path: Path, command: Command) -> None:
    create_study(open_file(tmp_path, create=True), tiny_spec(tmp_path).named("first"))
    study = made(tmp_path, "no_improvement = 3")
    end(study, 60.0)
    end(study, 50.0)
    take(study.queue())
    assert command("copy-study", "tiny", "--to", f"sqlite:///{tmp_path}/copy.db").code == 0
    copied = opened_file(tmp_path / "copy.db", "tiny")
    end(copied, 50.0)
    assert isinstance(asked(copied), Claim)
    end(copied, 50.0)
    assert asked(copied) is Standing.STOPPED


def test_nothing_is_begun_after_the_stop_however_many_workers_ask_at_once(
    tmp_path: Path, database: str
) -> None:
    many = TINY_SPEC.replace("[64, 128]", f"{list(range(1, 41))}") + "\n[stop]\nno_improvement = 5\n"
    study = new_study(tmp_path, many, database)
    queues = [opened_again(study).queue() for _ in range(6)]

    def work_off(place: int) -> Standing:
        while (standing := queues[place].standing()) is Standing.OPEN:
            while (claim := queues[place].claim("worker")) is not None:
                queues[place].complete(claim, float(claim.number % 20))
        return standing

    with ThreadPoolExecutor(len(queues)) as pool:
        assert set(pool.map(work_off, range(len(queues)))) == {Standing.STOPPED}
    assert verify(study.storage, study.name, tmp_path, tmp_path).broken == []
    results = read_results(study)
    assert results.stopped is not None
    assert results.stopped.count >= 5
    assert results.cells.complete >= 20


def test_a_study_without_conditions_counts_nothing(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    end(study, 50.0)
    with study.storage.transaction() as session:
        assert read_account(session, study.study_id) is None


@pytest.mark.postgres
@pytest.mark.parametrize("reads", [1, 2])
def test_a_trial_that_ends_while_all_are_counted_anew_is_counted(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch, reads: int
) -> None:
    study = made(tmp_path, "target = 90.0", postgres)
    other = opened_again(study).queue()
    claim = take(other)
    with study.storage.transaction() as session:
        count_anew(session, study.study_id)
    done = []
    read = account_room._read

    def read_and_end(*arguments: Any) -> Any:
        found = read(*arguments)
        done.append(found)
        if len(done) == reads:
            other.complete(claim, 95.0)
        return found

    monkeypatch.setattr(account_room, "_read", read_and_end)
    assert not isinstance(asked(study), Standing) or reads == 1
    assert asked(study) is Standing.STOPPED
