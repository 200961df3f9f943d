"""Every argument and answer of the calls survives JSON, exactly: a storage elsewhere tells the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from mnist_tune.contract.study import Control, WorkerFacts
from mnist_tune.contract.wire import wire_adapter
from mnist_tune.errors import MnistTuneError
from mnist_tune.failures import Failure
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.results.study_results import Results
from mnist_tune.service import wire
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.service.direct import DirectStudies
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.spec.imports import Import
from mnist_tune.spec.stored import StoredSpec
from mnist_tune.spec.study_spec import Spec
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.verification import Verification
from tests.support.commands import STORED
from tests.support.damaged_studies import EACH_DAMAGE, SEED, fails_if_it_hangs
from tests.support.damaged_values import DAMAGED, cases
from tests.support.made_studies.cells import complete_cell, fail_all_cells, fail_cell
from tests.support.made_studies.results import THOUSAND_CELLS, made_results
from tests.support.pruned_studies import MEDIAN
from tests.support.regression import complete_with, regression_study
from tests.support.specs import TINY_SPEC, tiny_spec
from tests.support.studies import folders, new_study, open_file, opened_again, take
from tests.support.study_files import fill_with_files

LOST = Failure("lost", "it is gone\nfor good")
SAMPLED = f"""
[study]
name = "tiny"

[search]
sampler = "tpe"
n_trials = 6

[search.space]
learning_rate = {{low = 1e-5, high = 1e-2, log = true}}
batch_size = [64, 128]
optimizer = ["Adam", "SGD"]
nesterov = {{choices = [true, false], when = {{optimizer = "SGD"}}}}

[training]
epochs = 3

{MEDIAN}
"""


def finished(folder: Path) -> OpenStudy:
    study = new_study(folder, TINY_SPEC.replace('optimizer = ["Adam", "SGD"]', "seed = [0, 1, 2]"))
    fill_with_files(study, folders(folder))
    while study.queue().standing().name == "OPEN" and _waits(study):
        complete_cell(study, 80.0, 91.23456789012345, worker=f"host-{len(list(folder.iterdir()))}:1")
    return study


def failed_and_tried_again(folder: Path) -> OpenStudy:
    study = new_study(folder)
    fail_cell(study, LOST, 10.0)
    complete_cell(study, 80.0, 90.0)
    fail_all_cells(study, "training loss is nan")
    return study


def sampled_and_pruned(folder: Path) -> OpenStudy:
    study = new_study(folder, SAMPLED)
    complete_cell(study, 80.0, 85.0, 90.0)
    for _ in range(3):
        claim, guide = take(study.queue()), study.guide()
        study.storage.claims[claim.trial_id] = claim.token
        guide.parameters(claim)
        study.queue().prune(claim, 10.0, reports={1: 10.0}, epochs={1: {"validation_accuracy": 10.0}})
    return study


def unfinished_with_workers(folder: Path) -> OpenStudy:
    study = new_study(folder)
    registration = Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cuda:0 (a GPU)"))
    registration.register()
    registration.beat(1, 1234.5)
    gone = Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cpu (a CPU)"))
    gone.register()
    gone.leave("could not begin: it is broken")
    complete_cell(study, 80.0, 90.0)
    take(study.queue())
    return study


def without_finite_numbers(folder: Path) -> OpenStudy:
    """A study whose metrics have no limits, so that an epoch's may be infinite or no number."""
    study = regression_study(folder)
    complete_with(study, math.inf, 2.0, r2=math.nan, training_error=-math.inf)
    return study


STUDIES: dict[str, Callable[[Path], OpenStudy]] = {
    made.__name__: made
    for made in (
        finished,
        failed_and_tried_again,
        sampled_and_pruned,
        unfinished_with_workers,
        without_finite_numbers,
    )
}


def more(spec: Spec) -> Growth:
    """What any study can be given."""
    amount = Amount(number=1, more=True)
    return Growth(n_trials=amount) if spec.search.grid is None else Growth(seeds=amount)


CALLS: dict[str, Callable[[StudiesForPeople, str], object]] = {
    "extend": lambda service, name: service.extend(name, more(service.spec(name)), "0" * 32),
    "import_trials": lambda of, name: of.import_trials(name, Import(source="x", results=[]), "0" * 32),
    "where": lambda service, _: service.where,
    "study_names": lambda service, _: service.study_names(),
    "overview": lambda service, _: service.overview(),
    "spec": lambda service, name: service.spec(name),
    "uid": lambda service, name: service.uid(name),
    "missing": lambda service, name: service.missing(name),
    "results": lambda service, name: service.results(name, with_logs=True),
    "verify": lambda service, name: service.verify(name),
    "find": lambda service, name: service.find(name),
    "create": lambda service, name: service.create(service.spec(name), ["a remark"]),
    "set_control": lambda service, name: service.set_control(name, Control.PAUSED),
    "drain": lambda service, name: service.drain(name, host=service.results(name).workers[0].host),
    "retry": lambda service, name: service.retry(name),
    "change_settings": lambda service, name: service.change_settings(
        name, {"retry.lost": 7, "limits.timeout": 1.5}
    ),
    "delete": lambda service, name: service.delete(name, files=True),
}
"""Every call but `kept_file`, whose answer is bytes; those that change something come last."""


def _waits(study: OpenStudy) -> bool:
    claim = study.queue().claim("nobody")
    if claim is None:
        return False
    return study.queue().give_back(claim, Failure("preempted", "only asked"))


def answer_type(call: str) -> Any:
    """The type of a call's answer, as the contract has it."""
    member = getattr(StudiesForPeople, call)
    known = {"Results": Results, "Verification": Verification}
    getter = member.fget if isinstance(member, property) else member
    return get_type_hints(getter, localns=known, include_extras=True)["return"]


def assert_survives(kind: Any, value: object) -> None:
    """Check that a value of this type is the same after it was written as JSON and read."""
    adapter = wire_adapter(kind)
    again = adapter.validate_json(adapter.dump_json(value))
    # As text, so that nan equals nan, and 1.0 differs from 1 and from True.
    assert as_text(again) == as_text(value)


def as_text(value: object) -> str:
    return (
        repr(value)
        .replace("TzInfo(0)", "datetime.timezone.utc")
        .replace("TzInfo(UTC)", "datetime.timezone.utc")
    )


def test_every_call_is_asked() -> None:
    calls = {name for name in vars(StudiesForPeople) if not name.startswith("_")}
    assert calls == CALLS.keys() | {"kept_file", "copy_out", "copy_in"}


@pytest.mark.parametrize("made", STUDIES)
def test_each_answer_about_a_study_survives(tmp_path: Path, made: str) -> None:
    study = STUDIES[made](tmp_path)
    service = DirectStudies(opened_again(study).storage, lambda: folders(tmp_path))
    for call, ask in CALLS.items():
        if call != "drain" or service.results(study.name).workers:
            assert_survives(answer_type(call), ask(service, study.name))


def test_a_large_study_survives_with_its_times_and_workers() -> None:
    assert_survives(Results, made_results(THOUSAND_CELLS, done=900, failed=10, running=40))


def test_numbers_that_json_does_not_have_survive_wherever_they_stand(tmp_path: Path) -> None:
    service = DirectStudies(without_finite_numbers(tmp_path).storage, lambda: folders(tmp_path))
    (epoch, _) = service.results("regression").attempts[0].history
    assert math.isnan(epoch["r2"] or 0)
    assert_survives(EpochMetrics, epoch)
    assert_survives(dict[str, Any], {"lease.grace_period": math.inf, "retry.lost": math.nan})
    assert_survives(StoredSpec, service.spec("regression"))


def test_a_spec_of_any_job_is_sent(tmp_path: Path) -> None:
    for spec in (tiny_spec(tmp_path), regression_study(tmp_path).spec):
        sent = wire.call("create").sent({"spec": spec})
        received: Any = wire.call("create").arguments.model_validate_json(sent)
        assert received.spec == spec
        assert received.spec.description == spec.description


def test_a_spec_that_is_none_is_refused() -> None:
    for sent in (b"5", b"{}", b'{"study": {"name": "../x"}}'):
        with pytest.raises(ValueError, match=r"\S"):
            wire_adapter(StoredSpec).validate_json(sent)


def test_results_after_the_wire_are_ranked_and_shown_alike(tmp_path: Path) -> None:
    study = finished(tmp_path)
    results = DirectStudies(study.storage, lambda: folders(tmp_path)).results("tiny")
    adapter = wire_adapter(Results)
    again = adapter.validate_json(adapter.dump_json(results))
    assert again == results
    assert again.as_json() == results.as_json()
    assert again.ranking == results.ranking
    assert len(again.ranking) > 1


@pytest.mark.slow
@EACH_DAMAGE
def test_each_answer_about_a_damaged_study_survives(
    undamaged_folder: Path, fresh_copy: Callable[[], Path], tmp_path: Path, each: int
) -> None:
    n_seen = 0
    for case in cases(undamaged_folder / STORED, SEED + 2, each):
        if not case.apply(fresh_copy()):
            continue
        n_seen += 1
        with fails_if_it_hangs(case):
            for call, answer in answers(tmp_path):
                try:
                    assert_survives(answer_type(call), answer)
                except Exception as error:
                    raise AssertionError(f"{call} after {case}") from error
    assert n_seen > 50


def answers(folder: Path) -> Iterator[tuple[str, object]]:
    """What a damaged storage answers to the calls that change nothing; some may be refused."""
    storage = open_file(folder)
    service = DirectStudies(storage, lambda: folders(folder))
    for call in ("study_names", "overview", "spec", "uid", "missing", "results", "verify"):
        with suppress(MnistTuneError):
            yield call, CALLS[call](service, DAMAGED)
    storage.engine.dispose()
