"""[search] duplicates: what becomes of a ticket for which a sampler draws a point that is a cell already."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mnist_tune.contract.claim import Standing
from mnist_tune.contract.study import LeaseLost
from mnist_tune.errors import UserError
from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.storage.keys import SPEC
from mnist_tune.storage.optuna_internals import study_attributes
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study
from mnist_tune.terminal.events import conclusion
from mnist_tune.verification import verify
from mnist_tune.worker.loop import Ended
from mnist_tune.worker.trial import Trial
from tests.support.commands import Command
from tests.support.contract_calls import ME, asked, taken
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import tiny_spec
from tests.support.studies import folders, new_study, opened_again, work

SPACE = """
[study]
name = "tiny"

[search]
sampler = "{sampler}"
n_trials = {n_trials}
{more}

[search.space]
batch_size = [32, 64, 128]
optimizer = ["Adam", "SGD"]
momentum = {{low = 0.0, high = 0.9, step = 0.3, when = {{optimizer = "SGD"}}}}
seed = [0, 1]

[training]
epochs = 1
"""
N_POINTS = 3 * (1 + 4) * 2
"""Momentum is searched with SGD only."""


def space(sampler: str = "random", n_trials: int = N_POINTS, more: str = "") -> str:
    return SPACE.format(sampler=sampler, n_trials=n_trials, more=more)


def train(trial: Trial) -> float:
    """One epoch whose result depends on the parameters alone."""
    value = 50.0 + len(json.dumps(trial.parameters, sort_keys=True)) % 7
    trial.epoch_done(made_epoch(1, value), last=True)
    return value


def points(results: Results) -> list[str]:
    return sorted(json.dumps(attempt.parameters, sort_keys=True) for attempt in results.latest)


def without_broken_promise(study: OpenStudy, folder: Path) -> Results:
    verification = verify(study.storage, study.name, folder / "artifacts", folder / "checkpoints")
    assert [str(finding) for outcome in verification.broken for finding in outcome.findings] == []
    return read_results(opened_again(study))


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "tpe", "qmc"])
def test_as_many_trials_as_there_are_configurations_are_each_of_them_once(
    tmp_path: Path, sampler: str
) -> None:
    study = new_study(tmp_path, space(sampler))
    assert study.spec.search.duplicates == "redraw"
    assert work(study, train) is Ended.FINISHED
    results = without_broken_promise(study, tmp_path)
    assert (results.cells.complete, len(set(points(results)))) == (N_POINTS, N_POINTS)


def test_cmaes_draws_again_too(tmp_path: Path) -> None:
    text = space("cmaes", n_trials=11).replace("[32, 64, 128]", "[32]").replace("seed = [0, 1]", "seed = [0]")
    momentum = 'momentum = {low = 0.0, high = 0.9, step = 0.3, when = {optimizer = "SGD"}}'
    assert momentum in text
    study = new_study(tmp_path, text.replace(momentum, "dropout = {low = 0.0, high = 0.4, step = 0.1}"))
    work(study, train)
    results = without_broken_promise(study, tmp_path)
    assert (results.cells.total, len(set(points(results)))) == (10, 10)


def test_what_no_configuration_is_left_for_is_closed_and_the_study_says_so(
    tmp_path: Path, database: str
) -> None:
    study = new_study(tmp_path, space(n_trials=N_POINTS + 7), database)
    lines: list[str] = []
    assert work(study, train, log=lines.append, files=tmp_path) is Ended.FINISHED
    results = without_broken_promise(study, tmp_path)
    assert (results.cells.total, results.cells.complete, results.is_finished) == (N_POINTS, N_POINTS, True)
    (revision,) = results.spec.search.revisions or []
    why = f"7 trials left out: the space has only {N_POINTS} configurations"
    assert revision.told == why
    assert any(line.endswith(why) for line in lines)
    assert results.warnings == []
    assert f"exhausted: {why}" in list(conclusion(results))
    assert not create_study(study.storage, tiny_spec(tmp_path, space(n_trials=N_POINTS + 7)))  # is the same
    assert extend_study(
        opened_again(study), Growth(n_trials=Amount(number=N_POINTS + 7)), "0" * 32
    ).revision is None  # fmt: skip
    extend_study(opened_again(study), Growth(n_trials=Amount(number=2, more=True)), "1" * 32)
    assert work(opened_again(study), train, log=lines.append, files=tmp_path) is Ended.FINISHED
    assert without_broken_promise(study, tmp_path).cells.total == N_POINTS


@pytest.mark.slow
def test_what_is_left_out_is_no_failure_that_stops_a_study(tmp_path: Path) -> None:
    study = new_study(tmp_path, space(n_trials=N_POINTS + 2) + "\n[stop]\nmax_failures = 1\n")
    assert work(study, train) is Ended.FINISHED
    extend_study(opened_again(study), Growth(n_trials=Amount(number=1, more=True)), "0" * 32)
    assert work(opened_again(study), train) is Ended.FINISHED
    assert without_broken_promise(study, tmp_path).cells.total == N_POINTS


@pytest.mark.slow
def test_a_copy_of_a_study_leaves_out_the_same(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path, space(n_trials=N_POINTS + 2))
    work(study, train)
    assert command("copy-study", "tiny", "--to", f"sqlite:///{tmp_path}/copy.db").code == 0
    answer = command("verify", "tiny", "--storage", f"sqlite:///{tmp_path}/copy.db")
    assert (answer.code, f"{N_POINTS} cells" in answer.out) == (0, True), answer.out
    lines = command("status", "tiny").out.splitlines()
    assert f"exhausted: 2 trials left out: the space has only {N_POINTS} configurations" in lines
    assert f"tiny: {N_POINTS}/{N_POINTS} cells, " in command("status", "tiny").out
    assert command("retry", "tiny").out == "no cell of 'tiny' has failed for good\n"
    assert command("report", "tiny", "--output", str(tmp_path / "report.html")).code == 0
    told = f"complete; 2 trials left out: the space has only {N_POINTS} configurations."
    assert told in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_workers_that_draw_at_once_never_get_the_same(tmp_path: Path, database: str) -> None:
    study = new_study(tmp_path, space(n_trials=N_POINTS + 5), database)
    places = [opened_again(study) for _ in range(5)]
    with ThreadPoolExecutor(len(places)) as pool:
        ended = pool.map(lambda place: work(place, train, log=lambda _: None, files=tmp_path), places)
    assert set(ended) == {Ended.FINISHED}
    results = without_broken_promise(study, tmp_path)
    assert (results.cells.total, results.cells.complete) == (N_POINTS, N_POINTS)
    assert len(set(points(results))) == N_POINTS


@pytest.mark.slow
def test_a_ticket_that_has_failed_keeps_its_point_and_others_get_others(tmp_path: Path) -> None:
    study = new_study(tmp_path, space(n_trials=N_POINTS))
    worker = DirectStudy(study, folders(tmp_path))
    worker.register(ME)
    first = taken(worker)
    drawn = worker.parameters(first)
    worker.give_back(first, Failure("preempted", "drained"), {})
    others = [worker.parameters(taken(worker)) for _ in range(N_POINTS - 1)]
    assert drawn not in others
    assert worker.parameters(taken(worker)) == drawn
    assert asked(worker) is Standing.OPEN


def test_a_ticket_with_values_that_are_exhausted_is_closed_alone(tmp_path: Path) -> None:
    known = "enqueue = [{seed = 0, optimizer = 'Adam'}, {batch_size = 32, optimizer = 'Adam'}]"
    study = new_study(tmp_path, space(n_trials=8, more=known).replace("[32, 64, 128]", "[32]"))
    work(study, train)
    results = without_broken_promise(study, tmp_path)
    assert results.cells.complete == 8
    extend_study(opened_again(study), Growth(points=[{"optimizer": "Adam"}]), "0" * 32)
    work(opened_again(study), train)
    results = without_broken_promise(study, tmp_path)
    closed = (results.spec.search.revisions or [])[-1]
    assert closed.told == "1 trial left out: every configuration with its values is a cell already"


def test_a_result_that_is_there_is_reused_and_marked(tmp_path: Path, database: str) -> None:
    text = space(n_trials=20, more='duplicates = "reuse"').replace("seed = [0, 1]", "seed = [0]")
    study = new_study(tmp_path, text.replace("[32, 64, 128]", "[32]"), database)
    trained: list[str] = []

    def count(trial: Trial) -> float:
        trained.append(json.dumps(trial.parameters, sort_keys=True))
        return train(trial)

    assert work(study, count, files=tmp_path) is Ended.FINISHED
    results = without_broken_promise(study, tmp_path)
    assert len(trained) == len(set(trained)) <= 5
    assert (results.cells.complete, results.cells.total) == (20, 20)
    by_number = {attempt.number: attempt for attempt in results.attempts}
    reused = [attempt for attempt in results.attempts if attempt.reused is not None]
    assert len(reused) == 20 - len(trained)
    for attempt in reused:
        assert attempt.reused is not None
        source = by_number[attempt.reused["trial"]]
        assert attempt.reused["study"] == "tiny"
        assert (attempt.parameters, attempt.value) == (source.parameters, source.value)
        assert attempt.history == source.history


def test_who_asks_again_after_a_lost_answer_hears_the_same(tmp_path: Path) -> None:
    text = space(n_trials=2, more='duplicates = "reuse"')
    text = text.replace("[32, 64, 128]", "[32]").replace('["Adam", "SGD"]', '["Adam"]')
    text = text.replace("seed = [0, 1]", "seed = [0]").replace('when = {optimizer = "SGD"}', "")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("momentum"))
    study = new_study(tmp_path, text)
    worker = DirectStudy(study, folders(tmp_path))
    worker.register(ME)
    first = taken(worker)
    worker.parameters(first)
    worker.complete(first, 90.0, {})
    second = taken(worker)
    with pytest.raises(LeaseLost, match=r"^trial 0 has the same parameters: its result is taken over$"):
        worker.parameters(second)
    with pytest.raises(LeaseLost, match=r"^it has the result of a trial with the same parameters$"):
        worker.parameters(second)


def test_what_may_be_trained_again_is(tmp_path: Path) -> None:
    study = new_study(tmp_path, space(n_trials=N_POINTS + 10, more='duplicates = "train"'))
    work(study, train)
    results = without_broken_promise(study, tmp_path)
    assert results.cells.complete == N_POINTS + 10
    assert len(set(points(results))) < N_POINTS


def test_a_study_of_an_older_version_trains_again_and_is_the_same_as_its_file(tmp_path: Path) -> None:
    study = new_study(tmp_path, space(n_trials=N_POINTS + 10))
    document = study.spec.stored()
    del document["search"]["duplicates"]
    with study.storage.transaction() as session:
        text = study_attributes.c.key == SPEC
        session.execute(study_attributes.update().where(text).values(value_json=json.dumps(document)))
    assert not create_study(study.storage, tiny_spec(tmp_path, space(n_trials=N_POINTS + 10)))
    extend_study(opened_again(study), Growth(n_trials=Amount(number=1, more=True)), "0" * 32)
    assert opened_again(study).spec.search.duplicates is None
    work(opened_again(study), train)
    assert without_broken_promise(study, tmp_path).cells.complete == N_POINTS + 11


def test_a_grid_has_no_duplicates(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'search\.duplicates: sampler = "grid" tries every cell'):
        tiny_spec(
            tmp_path, '[study]\nname = "a"\n[search]\nduplicates = "train"\n[search.grid]\nseed = [0]\n'
        )
