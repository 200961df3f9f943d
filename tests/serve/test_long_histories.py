"""Attempts with more epochs than fit into one message to a head: all of them arrive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import LeaseLost
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.bodies import LONGEST_JSON
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_study import MOST_EPOCHS, RemoteStudy
from mnist_tune.storage.notes import Notes
from mnist_tune.storage.tables import epochs
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import taken
from tests.support.heads import running_head
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study, opened_again, states

LONG = {f"a_metric_with_a_long_name_{number}": 0.12345678901234567 for number in range(40)}
N_EPOCHS = 10 * MOST_EPOCHS + 1
NOTES: Notes = {
    "epochs": dict.fromkeys(range(1, N_EPOCHS + 1), LONG),
    "reports": dict.fromkeys(range(1, N_EPOCHS + 1), 50.0),
    "user": {"environment": {"device": "cpu"}},
}


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path, TWO_CELLS)


def stored(study: OpenStudy, claim: Claim) -> tuple[int, int, dict[str, Any]]:
    """How many epochs and reports of an attempt are stored, and its user attributes."""
    with study.storage.transaction() as session:
        rows = select(func.count()).select_from(epochs).where(epochs.c.trial_id == claim.trial_id)
        count = session.execute(rows).scalar_one()
    trial = study.storage.get_trial(claim.trial_id)
    return count, len(trial.intermediate_values), trial.user_attrs


@pytest.mark.slow
@pytest.mark.parametrize("by", ["record", "complete"])
def test_a_history_that_is_too_long_for_one_message_arrives_whole(
    study: OpenStudy, tmp_path: Path, by: str
) -> None:
    assert len(str(NOTES)) > LONGEST_JSON
    with running_head(opened_again(study).storage, tmp_path) as address:
        worker = opened(address, tmp_path)
        claim = taken(worker)
        if by == "record":
            worker.record(claim, NOTES)
        else:
            worker.complete(claim, 50.0, NOTES)
            worker.complete(claim, 50.0, NOTES)  # its answer was lost
            assert states(study)[0].name == "COMPLETE"
    n_epochs, n_reports, attributes = stored(study, claim)
    assert (n_epochs, n_reports) == (N_EPOCHS, N_EPOCHS)
    assert attributes["environment"] == {"device": "cpu"}


def test_who_has_lost_the_lease_is_told_so_after_a_long_history_too(study: OpenStudy, tmp_path: Path) -> None:
    few = Notes(reports=dict.fromkeys(range(1, MOST_EPOCHS + 2), 50.0))
    with running_head(opened_again(study).storage, tmp_path) as address:
        worker = opened(address, tmp_path)
        claim = taken(worker)
        worker.complete(claim, 50.0, {})
        with pytest.raises(LeaseLost):
            worker.record(claim, few)
    assert stored(study, claim)[:2] == (0, 0)


def opened(address: HeadAddress, folder: Path) -> RemoteStudy:
    return RemoteStudy(Head(address), "tiny", folder / "on their way")
