"""A quasi-random search: each cell has a place of its own in Optuna's sequence, whoever draws, and when."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import QMCSampler

from mnist_tune.contract.study import StudyForWorkers
from mnist_tune.errors import UserError
from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.results.reading import read_results
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.spec.idle_settings import idle_settings
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.verification import verify
from mnist_tune.worker.trial import Trial
from tests.support.commands import finish, start_toy_worker
from tests.support.contract_calls import ME, taken
from tests.support.heads import running_head
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import tiny_spec
from tests.support.stock_optuna import stock_study
from tests.support.studies import folders, new_study, opened_again, work

SPEC = """
[study]
name = "tiny"

[search]
sampler = "qmc"
n_trials = {n_trials}
seed = 3
{more}

[search.space]
batch_size = {{low = 16, high = 512, log = true}}
learning_rate = {{low = 1e-5, high = 1e-1, log = true}}
optimizer = ["Adam", "SGD"]

[training]
epochs = 2
"""
SCRAMBLED = "scramble = true"
CONDITIONAL = 'optimizer = ["Adam", "SGD"]\nmomentum = {low = 0.0, high = 0.9, when = {optimizer = "SGD"}}'


def quasi(folder: Path, n_trials: int = 16, more: str = SCRAMBLED, url: str | None = None) -> OpenStudy:
    folder.mkdir(exist_ok=True)
    return new_study(folder, SPEC.format(n_trials=n_trials, more=more), url)


def train(trial: Trial) -> float:
    for number in (1, 2):
        trial.epoch_done(made_epoch(number, 50.0 + number), last=number == 2)
    return 52.0


def points(study: OpenStudy) -> list[dict[str, Any]]:
    """The parameters of the study's cells, in their order."""
    by_cell = {attempt.cell: attempt.parameters for attempt in read_results(opened_again(study)).latest}
    return [by_cell[cell] for cell in sorted(by_cell)]


def stock_points(space: dict[str, BaseDistribution], n: int, **options: Any) -> list[dict[str, Any]]:
    """What Optuna's own sampler draws alone, after its first trial, which it draws at random."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        alone = optuna.create_study(sampler=QMCSampler(**options))
    return [alone.ask(space).params for _ in range(n + 1)][1:]


@pytest.mark.parametrize(
    ("more", "options"),
    [
        ("", {}),
        (SCRAMBLED, {"scramble": True, "seed": 3}),
        ('qmc_type = "halton"', {"qmc_type": "halton"}),
        (f'qmc_type = "halton"\n{SCRAMBLED}', {"qmc_type": "halton", "scramble": True, "seed": 3}),
    ],
)
def test_the_points_are_those_of_optunas_own_sequence(
    tmp_path: Path, more: str, options: dict[str, Any]
) -> None:
    study = quasi(tmp_path, 12, more)
    work(study, train)
    stock = stock_study(tmp_path)
    space = dict(sorted(stock.trials[0].distributions.items()))
    assert [trial.params for trial in stock.trials] == stock_points(space, 12, **options)
    stored = study.storage.get_study_system_attrs(study.study_id)
    assert not [key for key in stored if key.startswith("qmc")]  # no count that workers share


@pytest.mark.slow
def test_processes_that_draw_at_once_get_what_one_worker_gets(tmp_path: Path) -> None:
    alone, together = quasi(tmp_path / "alone"), quasi(tmp_path / "together")
    work(alone, train)
    workers = [start_toy_worker(tmp_path / "together", seconds=0.1) for _ in range(4)]
    for worker in workers:
        assert finish(worker).returncode == 0
    assert points(together) == points(alone)
    assert len(read_results(opened_again(together)).attempts) == 16
    verification = verify(
        together.storage, "tiny", tmp_path / "together" / "artifacts", tmp_path / "together" / "checkpoints"
    )
    assert verification.broken == []


def test_workers_that_have_begun_at_once_get_other_points_by_each_way(tmp_path: Path, database: str) -> None:
    study = quasi(tmp_path, 9, url=database)
    with running_head(study.storage, tmp_path) as address:
        workers: list[StudyForWorkers] = [
            DirectStudy(opened_again(study), folders(tmp_path)),
            RemoteStudy(Head(address), "tiny", tmp_path / "one"),
            RemoteStudy(Head(address), "tiny", tmp_path / "two"),
        ]
        for worker in workers:
            worker.register(ME)
        claims = [(worker, taken(worker)) for _ in range(3) for worker in workers]
        drawn = [worker.parameters(claim) for worker, claim in reversed(claims)]
    (tmp_path / "alone").mkdir()
    alone = quasi(tmp_path / "alone", 9)
    work(alone, train)
    assert drawn[::-1] == points(alone)


def test_a_cell_that_failed_keeps_its_point_and_moves_no_other(tmp_path: Path) -> None:
    whole, broken = quasi(tmp_path / "whole"), quasi(tmp_path / "broken")
    work(whole, train)

    def some_fail(trial: Trial) -> float:
        if trial.claim.number % 3 == 0 and not trial.claim.failures:
            raise AttemptFailed(Failure("lost", "killed"))
        return train(trial)

    work(broken, some_fail)
    assert points(broken) == points(whole)


def test_a_search_that_grows_goes_on_with_the_sequence(tmp_path: Path) -> None:
    whole, grown = quasi(tmp_path / "whole", 16), quasi(tmp_path / "grown", 8)
    work(whole, train)
    work(grown, train, max_trials=5)
    extend_study(opened_again(grown), Growth(n_trials=Amount(number=16)), "0" * 32)
    work(opened_again(grown), train)
    assert points(grown) == points(whole)


def test_a_space_that_is_small_is_drawn_whole(tmp_path: Path) -> None:
    text = SPEC.format(n_trials=24, more="")
    text = text.replace("batch_size = {low = 16, high = 512, log = true}", "batch_size = {low = 1, high = 4}")
    text = text.replace("{low = 1e-5, high = 1e-1, log = true}", "[0.1, 0.01, 0.001]")
    study = new_study(tmp_path, text)
    work(study, train)
    drawn = [tuple(point.items()) for point in points(study)]
    assert (len(drawn), len(set(drawn))) == (24, 24)


def test_fields_with_a_condition_are_left_to_chance_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = SPEC.replace('optimizer = ["Adam", "SGD"]', CONDITIONAL.replace("{", "{{").replace("}", "}}"))
    drawn = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        study = new_study(tmp_path / name, text.format(n_trials=16, more=SCRAMBLED))
        work(study, train)
        drawn.append(points(study))
    assert drawn[0] == drawn[1]
    momenta = [point["momentum"] for point in drawn[0] if "momentum" in point]
    assert len(set(momenta)) == len(momenta) == sum(point["optimizer"] == "SGD" for point in drawn[0])
    assert caplog.records == []


def test_a_seed_without_scrambling_is_noted(tmp_path: Path) -> None:
    note = 'search.seed: changes no point: "qmc" uses it with scramble = true'
    text = SPEC.format(n_trials=8, more="")
    assert idle_settings(tiny_spec(tmp_path, text)) == [note]
    assert idle_settings(tiny_spec(tmp_path, SPEC.format(n_trials=8, more=SCRAMBLED))) == []
    assert idle_settings(tiny_spec(tmp_path, text.replace('optimizer = ["Adam", "SGD"]', CONDITIONAL))) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('qmc_type = "sobel"', "search.qmc_type: 'sobel' is not known; did you mean 'sobol'?"),
        ("scramble = 1", "search.scramble: should be a valid boolean, not 1"),
        ("n_startup_trials = 4", 'search.n_startup_trials: sampler = "qmc" never learns; remove this'),
        (
            "options = {scramble = true}",
            'search.options: sampler = "qmc" does not know it, but those that a package brings; remove this',
        ),
    ],
)
def test_a_wrong_option_gets_one_line(tmp_path: Path, more: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        tiny_spec(tmp_path, SPEC.format(n_trials=8, more=more))
    assert str(refused.value).endswith(says)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_its_options_are_of_no_other_sampler(tmp_path: Path, sampler: str) -> None:
    with pytest.raises(UserError, match=r"search\.scramble: .* does not know it, but qmc; remove this"):
        tiny_spec(tmp_path, SPEC.format(n_trials=8, more=SCRAMBLED).replace('"qmc"', f'"{sampler}"'))
