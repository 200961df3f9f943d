"""Known points of a study: each is a cell once, and those of a sampled search are claimed first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import IntDistribution

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import WorkerFacts, new_token
from mnist_tune.errors import UserError
from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.service.direct import DirectStudies
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.spec.revisions import Point
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.extend import Extension, extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.retry import make_deleted_cells
from mnist_tune.study.store import create_study
from mnist_tune.verification import verify
from tests.support.commands import finish, start_toy_worker
from tests.support.specs import tiny_spec
from tests.support.studies import folders, new_study, opened_again, states

SAMPLED = """
[study]
name = "tiny"

[search]
sampler = "{sampler}"
n_trials = 4

[search.space]
learning_rate = {{low = 1e-5, high = 1e-1, log = true}}
dropout = {{low = 0.0, high = 0.5, step = 0.1}}
optimizer = ["Adam", "SGD"]
momentum = {{low = 0.0, high = 0.99, when = {{optimizer = "SGD"}}}}

[training]
epochs = 2
"""
KNOWN = """enqueue = [{learning_rate = 0.001, dropout = 0, optimizer = "Adam"}, {optimizer = "SGD"}]"""
WHOLE: Point = {"learning_rate": 0.002, "dropout": 0.1, "optimizer": "SGD", "momentum": 0.9}
PART: Point = {"learning_rate": 0.003}
ME = WorkerFacts.of_this_process("cpu")


def sampled(folder: Path, url: str | None = None, sampler: str = "random", known: str = "") -> OpenStudy:
    text = SAMPLED.format(sampler=sampler).replace("n_trials = 4", f"n_trials = 4\n{known}")
    return new_study(folder, text, url)


def enqueue(study: OpenStudy, *points: Point) -> Extension:
    """Enqueue points as another process does."""
    return extend_study(opened_again(study), Growth(points=list(points)), new_token())


def broken(study: OpenStudy, folder: Path) -> list[str]:
    checked = verify(study.storage, study.name, folder / "artifacts", folder / "checkpoints")
    return [str(outcome) for outcome in checked.broken]


def drawn(study: OpenStudy, count: int, folder: Path) -> list[dict[str, Any]]:
    """The parameters of the next trials, which are completed."""
    direct, found = DirectStudy(opened_again(study), folders(folder)), []
    for _ in range(count):
        claim = direct.claim(ME, new_token())
        assert isinstance(claim, Claim)
        found.append(direct.parameters(claim))
        direct.complete(claim, 90.0, {})
    return found


def test_a_point_of_a_sampled_search_is_claimed_before_the_others(database: str, tmp_path: Path) -> None:
    study = sampled(tmp_path, database)
    (first,) = drawn(study, 1, tmp_path)
    done = enqueue(study, WHOLE, PART)
    assert done.revision is not None
    assert (done.revision.cells, done.spec.n_cells, len(states(study))) == (2, 6, 6)
    whole, part, *rest = drawn(study, 5, tmp_path)
    assert whole == WHOLE
    assert part.items() >= PART.items()
    assert part.keys() >= {"dropout", "optimizer"}  # the sampler has drawn what was left out
    assert len({str(point) for point in (first, whole, part, *rest)}) == 6
    assert read_results(opened_again(study)).is_finished
    assert broken(study, tmp_path) == []
    # A finished study is open again.
    enqueue(study, PART | {"optimizer": "SGD", "momentum": 0.5})
    assert drawn(study, 1, tmp_path)[0]["momentum"] == 0.5


def test_a_point_that_is_a_cell_already_is_not_added_again(database: str, tmp_path: Path) -> None:
    study = sampled(tmp_path, database)
    (first,) = drawn(study, 1, tmp_path)
    enqueue(study, PART)
    for known in (PART, first):  # one that waits, and one that a sampler has drawn
        done = enqueue(study, known)
        assert (done.revision, done.known) == (None, [known])
    assert enqueue(study, WHOLE, WHOLE).known == [WHOLE]
    assert len(states(study)) == 6
    assert broken(study, tmp_path) == []


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "cmaes", "qmc"])
def test_the_points_of_a_spec_come_first_with_every_sampler(tmp_path: Path, sampler: str) -> None:
    study = sampled(tmp_path, sampler=sampler, known=KNOWN)
    assert len(states(study)) == 4
    first, second, *_ = drawn(study, 4, tmp_path)
    assert first == {"learning_rate": 0.001, "dropout": 0.0, "optimizer": "Adam"}
    assert second["optimizer"] == "SGD"
    assert "momentum" in second
    assert broken(study, tmp_path) == []


def test_a_point_that_failed_is_tried_again_with_what_was_drawn_for_it(tmp_path: Path) -> None:
    study = sampled(tmp_path)
    enqueue(study, PART)
    direct = DirectStudy(opened_again(study), folders(tmp_path))
    claim = direct.claim(ME, new_token())
    assert isinstance(claim, Claim)
    parameters = direct.parameters(claim)
    direct.give_back(claim, Failure("exception", "it broke"), {})
    enqueue(study, WHOLE)  # into a ticket that nobody has begun, before the retry
    assert drawn(study, 1, tmp_path) == [WHOLE]
    assert drawn(study, 4, tmp_path)[-1] == parameters
    assert broken(study, tmp_path) == []


def test_a_deleted_ticket_is_made_anew_with_its_point(tmp_path: Path) -> None:
    study = sampled(tmp_path, known=KNOWN)
    enqueue(study, WHOLE)
    lost = study.storage.get_all_trials(study.study_id)[:3]
    assert [trial.params for trial in lost][2] == WHOLE
    with study.storage.transaction() as session:
        for trial in lost:
            for table in ("trial_params", "trial_system_attributes", "trials"):
                where = f"WHERE trial_id = {trial._trial_id}"
                session.connection().exec_driver_sql(f"DELETE FROM {table} {where}")
    assert make_deleted_cells(study) == [0, 1, 2]
    points = [trial.params for trial in study.storage.get_all_trials(study.study_id)]
    assert sorted(map(str, points)) == sorted(map(str, [*(trial.params for trial in lost), {}, {}]))


def test_deleted_tickets_without_a_point_leave_no_row_behind(tmp_path: Path) -> None:
    study = sampled(tmp_path)
    with study.storage.transaction() as session:
        for table in ("trial_system_attributes", "trials"):
            session.connection().exec_driver_sql(f"DELETE FROM {table} WHERE trial_id = 1")
    assert make_deleted_cells(study) == [0]
    with study.storage.transaction() as session:
        assert session.connection().exec_driver_sql("SELECT * FROM trial_params").all() == []


@pytest.mark.slow
def test_points_come_while_workers_claim_and_each_cell_ends_once(database: str, tmp_path: Path) -> None:
    study = sampled(tmp_path, database)
    extend_study(study, Growth.model_validate({"n_trials": {"number": 60}}), new_token())
    workers = [start_toy_worker(tmp_path, seconds=0.01, url=database) for _ in range(3)]
    points: list[Point] = [{"learning_rate": 0.001 + number / 1000} for number in range(20)]
    for point in points:
        enqueue(study, point)
    answers = [finish(worker) for worker in workers]
    assert [(answer.returncode, answer.stderr) for answer in answers] == [(0, "")] * 3
    finish(start_toy_worker(tmp_path, seconds=0.0, url=database))  # what came after they had left
    results = read_results(opened_again(study))
    assert (results.cells.total, results.cells.complete) == (80, 80)
    rates = [attempt.parameters["learning_rate"] for attempt in results.attempts]
    assert all(rates.count(point["learning_rate"]) == 1 for point in points)
    assert broken(study, tmp_path) == []


@pytest.mark.parametrize(
    ("point", "complaint"),
    [
        ({"learning_rate": 0.2}, "learning_rate: 0.2 is outside its range, 1e-05 to 0.1"),
        ({"dropout": 0.15}, "dropout: 0.15 is not on its steps of 0.1 from 0 on"),
        ({"optimizer": "Adagrad"}, "optimizer: 'Adagrad' is not known; write one of Adam, SGD"),
        ({"momentum": 0.5}, "momentum: is searched only where optimizer is 'SGD'; name that too, or leave"),
        (WHOLE | {"optimizer": "Adam"}, "momentum: is searched only where optimizer is 'SGD'; "),
        (PART | {"epochs": 3}, "epochs: is 2 in this study, and is not searched; leave it out"),
        ({"lerning_rate": 0.1}, "lerning_rate: unknown training field; did you mean 'learning_rate'?"),
        ({}, "learning_rate: missing: a point names a value of one field at least"),
    ],
)
def test_a_point_that_no_sampler_could_use_is_refused(tmp_path: Path, point: Point, complaint: str) -> None:
    study = sampled(tmp_path)
    with pytest.raises(UserError) as told:
        enqueue(study, WHOLE, point)
    assert str(told.value).startswith(f"enqueue: {complaint}")
    assert len(states(study)) == 4
    if point:
        written = ", ".join(f"{name} = {value!r}" for name, value in point.items()).replace("'", '"')
        text = SAMPLED.format(sampler="tpe").replace("= 4\n", f"= 4\nenqueue = [{{{written}}}]\n")
        with pytest.raises(UserError, match=r"spec\.toml: search\.enqueue\.(0\.)?[a-z_]+: "):
            tiny_spec(tmp_path, text)


def test_a_point_of_a_grown_grid_may_leave_out_what_came_later(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    extend_study(study, Growth(values={"weight_decay": [0.01], "seed": [1]}), new_token())
    point: Point = {"learning_rate": 0.002, "batch_size": 64, "optimizer": "Adam"}
    enqueue(study, point, point | {"seed": 1}, point | {"seed": 0})
    added = [trial.params for trial in study.storage.get_all_trials(study.study_id)[32:]]
    assert added == [point | {"weight_decay": 0.0, "seed": seed} for seed in (0, 1)]
    assert broken(study, tmp_path) == []


def test_the_best_of_a_sampled_search_is_given_more_seeds(database: str, tmp_path: Path) -> None:
    study = sampled(tmp_path, database, "tpe")
    best, *_ = drawn(study, 4, tmp_path)
    service = DirectStudies(opened_again(study).storage, lambda: folders(tmp_path))
    seeds = Growth(seeds=Amount(number=2, more=True))
    with pytest.raises(UserError, match=r"^extend: seeds: the study samples its points; name how many of "):
        service.extend("tiny", seeds, new_token())
    added = service.extend("tiny", seeds, new_token(), top=1).added
    assert added is not None
    assert (added.cells, len(states(study))) == (2, 6)
    assert drawn(study, 2, tmp_path) == [best | {"seed": seed} for seed in (1, 2)]
    results = service.results("tiny")
    assert results.best is not None
    assert (results.best.parameters, sorted(results.best.attempts)) == (best, [0, 1, 2])
    assert list(results.parameters)[-1] == "seed"
    # The sampler goes on, and draws no seed.
    service.extend("tiny", Growth(n_trials=Amount(number=3, more=True)), new_token())
    assert all("seed" not in parameters for parameters in drawn(study, 3, tmp_path))
    claim = opened_again(study).storage.get_all_trials(study.study_id)[4]
    assert claim.distributions["seed"] == IntDistribution(0, 2**32 - 1)
    assert broken(study, tmp_path) == []
    stock = optuna.load_study(study_name="tiny", storage=study.storage.url)
    assert list(stock.trials_dataframe()["params_seed"].dropna()) == [1, 2]


def test_a_spec_with_a_new_point_and_too_few_trials_says_how_many_it_needs(tmp_path: Path) -> None:
    study = sampled(tmp_path)
    for n_trials, complaint in (
        (4, "; points count in n_trials: write n_trials = 6$"),
        (6, "exists with fewer"),
    ):
        text = SAMPLED.format(sampler="random").replace("= 4\n", f"= {n_trials}\n{KNOWN}\n")
        with pytest.raises(UserError, match=complaint):
            create_study(study.storage, tiny_spec(tmp_path, text))


def test_more_points_than_the_spec_can_hold_are_refused(tmp_path: Path) -> None:
    study = sampled(tmp_path)
    points: list[Point] = [{"learning_rate": 0.001 + number / 1e6} for number in range(3_000)]
    with pytest.raises(UserError, match=r"^enqueue: the spec would have .* bytes, more than 65,535:"):
        enqueue(study, *points)
    assert len(states(study)) == 4
