"""What people are told while their storage does not answer, and that they may ask again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mnist_tune.contract.study import Control, StorageAway, StorageFailed, WorkerFacts
from mnist_tune.failures import Failure
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.spec.growth import Growth
from mnist_tune.spec.imports import Import, ResultElsewhere
from mnist_tune.spec.revisions import Point
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.open_study import OpenStudy
from tests.support.storage_faults import away, lost_answer
from tests.support.studies import take

READING: dict[str, Callable[[StudiesForPeople], object]] = {
    "study_names": lambda service: service.study_names(),
    "overview": lambda service: service.overview(),
    "find": lambda service: service.find("tiny"),
    "spec": lambda service: service.spec("tiny"),
    "uid": lambda service: service.uid("tiny"),
    "missing": lambda service: service.missing("tiny"),
    "results": lambda service: service.results("tiny"),
    "verify": lambda service: service.verify("tiny"),
}
POINT: Point = {"learning_rate": 0.001, "batch_size": 64, "optimizer": "Adam"}
ELSEWHERE = Import(source="known.csv", results=[ResultElsewhere(parameters=POINT, value=90.0)])
WRITING: dict[str, Callable[[StudiesForPeople], object]] = {
    "create": lambda service: service.create(service.spec("tiny").named("other")),
    "set_control": lambda service: service.set_control("tiny", Control.PAUSED),
    "drain": lambda service: service.drain("tiny", host=service.results("tiny").workers[0].host),
    "retry": lambda service: service.retry("tiny"),
    "extend": lambda service: service.extend("tiny", Growth(values={"seed": [1]}), "0" * 32),
    "import_trials": lambda service: service.import_trials("tiny", ELSEWHERE, "0" * 32),
    "change_settings": lambda service: service.change_settings("tiny", {"retry.lost": 7}),
    "delete": lambda service: service.delete("tiny"),
}


@pytest.fixture(autouse=True)
def _begun(study: OpenStudy) -> None:
    """The study has a worker, and a cell that failed for good."""
    Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cpu")).register()
    queue = study.queue()
    assert queue.give_back(take(queue), Failure("non_finite", "the loss is nan"))


@pytest.mark.parametrize("what", [*READING, *WRITING])
def test_a_call_over_an_outage_says_so_in_one_line_and_may_be_repeated(
    far: GuardedStorage, service: StudiesForPeople, what: str
) -> None:
    call = {**READING, **WRITING}[what]
    if what in WRITING or far.engine.dialect.name != "sqlite":  # a locked SQLite file can be read
        with away(far), pytest.raises(StorageAway, match=r"^the storage cannot be used: .*\Z"):
            call(service)
    call(service)


# Nobody asks for STOPPED: only the conditions of [stop] do that.
@pytest.mark.parametrize("control", [one for one in Control if one is not Control.STOPPED])
def test_what_was_done_before_the_answer_was_lost_may_be_asked_for_again(
    far: GuardedStorage, service: StudiesForPeople, control: Control
) -> None:
    service.study_names()
    with lost_answer(far), pytest.raises(StorageAway):
        service.set_control("tiny", control)
    service.set_control("tiny", control)
    assert service.results("tiny").control is control


def test_a_storage_that_can_do_nothing_says_so_in_one_line(
    far: GuardedStorage, service: StudiesForPeople
) -> None:
    with far.engine.begin() as connection:
        everywhere = " CASCADE" if far.engine.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TABLE trials{everywhere}")
    with pytest.raises(StorageFailed) as told:
        service.results("tiny")
    assert "\n" not in str(told.value)
