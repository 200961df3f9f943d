"""Samplers of other packages: found by their entry points, and told by their names."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from optuna.trial import TrialState

from mnist_tune.errors import UserError
from mnist_tune.results.reading import read_results
from mnist_tune.spec.documents import validate
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.loop import Ended
from mnist_tune.worker.trial import Trial
from tests.support.commands import BY_EXEC, Command, finish, start_command, start_toy_worker
from tests.support.installed_samplers import NEAR_THE_BEST, Install, install_sampler, spec
from tests.support.made_studies.epochs import made_epoch
from tests.support.own_jobs import FIT_SPEC, own_job
from tests.support.specs import STUDIES, MnistSpec, tiny_spec, write_spec
from tests.support.stock_optuna import stock_study
from tests.support.studies import new_study, opened_again, states, work

NOT_HERE = (
    f"search.sampler: 'near' is none of grid, random, tpe, gp, cmaes, qmc, and is not installed on "
    f"{socket.gethostname()}; install the package there that brings it, by an entry point of the group "
    "mnist_tune.samplers"
)


def train(trial: Trial) -> float:
    """The best learning rate is the largest."""
    reached: float = 50.0 + 100 * trial.parameters["learning_rate"]
    for number in (1, 2):
        trial.epoch_done(made_epoch(number, reached), last=number == 2)
    return reached


def drawn(study: OpenStudy) -> list[object]:
    return [trial.params for trial in study.storage.get_all_trials(study.study_id)]


def test_it_draws_the_same_in_two_studies_and_stock_optuna_reads_them(
    tmp_path: Path, install: Install
) -> None:
    install()
    studies = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        study = new_study(tmp_path / name, spec())
        for most in (2, None):
            work(opened_again(study), train, max_trials=most)
        studies.append(study)
    assert drawn(studies[0]) == drawn(studies[1])
    trials = stock_study(tmp_path / "one").trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    rates = [trial.params["learning_rate"] for trial in trials]
    assert len(set(rates)) == 6
    assert all(rate != best for rate, best in zip(rates[1:], rates, strict=False))


def test_it_learns_from_the_trials_of_the_study(tmp_path: Path, install: Install) -> None:
    install()
    study = new_study(tmp_path, spec(20, "spread = 0.3"))
    work(study, train)
    values = [trial.value or 0.0 for trial in study.storage.get_all_trials(study.study_id)]
    assert max(values[10:]) > max(values[:3])


def test_it_is_given_its_options_and_a_search_that_grows_keeps_them(tmp_path: Path, install: Install) -> None:
    install()
    study = new_study(tmp_path, spec(3, "spread = 0.0"))
    work(study, train)
    extend_study(opened_again(study), Growth(n_trials=Amount(number=2, more=True)), "0" * 32)
    grown = opened_again(study)
    assert grown.spec.search.options == {"spread": 0.0}
    assert validate(MnistSpec, grown.spec.document(), "stored").search.options == {"spread": 0.0}
    work(grown, train)
    # Without a spread it draws what is there; of what is there already no cell gets more than one.
    points = [tuple(attempt.parameters.items()) for attempt in read_results(opened_again(study)).latest]
    assert (len(points), len(set(points))) == (5, 5)


@pytest.mark.slow
def test_processes_that_have_it_work_together(tmp_path: Path) -> None:
    there = install_sampler(tmp_path / "packages")["PYTHONPATH"]
    environment = {"PYTHONPATH": f"{there}:{STUDIES.parent}"}
    text = str(write_spec(tmp_path, spec(12)))
    answer = finish(start_command("create-study", text, folder=tmp_path, environment=environment))
    assert (answer.returncode, answer.stderr) == (0, "")
    workers = [start_toy_worker(tmp_path, environment=environment) for _ in range(3)]
    assert [finish(worker).returncode for worker in workers] == [0, 0, 0]
    trials = stock_study(tmp_path).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 12
    assert len({tuple(trial.params.items()) for trial in trials}) == 12


@pytest.mark.slow
def test_a_worker_that_lacks_it_says_so_in_one_line_and_takes_no_trial(
    tmp_path: Path, command: Command
) -> None:
    environment = install_sampler(tmp_path / "packages")
    text = FIT_SPEC.replace("[search.grid]", '[search]\nsampler = "near"\nn_trials = 2\n[search.space]')
    own_job(tmp_path, spec=text.replace("[limits]", "[search.options]\nspread = 1.0\n\n[limits]"))
    made = finish(start_command("create-study", "fit.toml", folder=tmp_path, environment=environment))
    assert (made.returncode, made.stderr) == (0, "")
    worker = finish(
        start_command("worker", "fit", "--job", "fit.py:train", folder=tmp_path, environment=BY_EXEC)
    )
    assert (worker.returncode, worker.stderr) == (2, f"mnist-tune: {NOT_HERE}\n")
    assert command("status", "fit", "--json").json["cells"]["waiting"] == 2  # who only looks needs none


def test_what_is_not_installed_here_is_refused_when_a_study_is_to_be_made(
    tmp_path: Path, command: Command
) -> None:
    answer = command("create-study", str(write_spec(tmp_path, spec())))
    assert (answer.code, answer.out, answer.err) == (2, "", f"mnist-tune: {NOT_HERE}\n")


@pytest.mark.parametrize(
    ("code", "entry", "says"),
    [
        ("raise OSError('no such disk')", None, "'near' cannot be imported: OSError: no such disk"),
        ("raise SystemExit(3)", None, "'near' leaves with sys.exit(3) when it is imported"),
        (NEAR_THE_BEST, "near = no_such_module:It", "cannot be imported: ModuleNotFoundError: No module"),
        ("NearTheBest = dict", None, "'near' makes a dict, which is no optuna.samplers.BaseSampler"),
        ("NearTheBest = 3", None, "'near' is nearing:NearTheBest, which is no class or function"),
        (
            NEAR_THE_BEST.replace("spread, *", "width, *"),
            None,
            "search.options: sampler 'near' cannot be made with them: TypeError: ",
        ),
    ],
)
def test_one_that_cannot_be_made_is_refused_in_one_line(
    tmp_path: Path, install: Install, command: Command, code: str, entry: str | None, says: str
) -> None:
    install(code, entry or "near = nearing:NearTheBest")
    answer = command("create-study", str(write_spec(tmp_path, spec())))
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err
    assert answer.err.count("\n") == 1


def test_a_seed_that_it_does_not_take_is_noted(tmp_path: Path, install: Install, command: Command) -> None:
    install(NEAR_THE_BEST.replace("*, seed=None", "").replace("seed=seed", "").replace("(seed)", "()"))
    made = command("create-study", str(write_spec(tmp_path, spec())))
    note = "search.seed: changes nothing: sampler 'near' takes no seed"
    assert (made.code, made.err) == (0, f"note: {note}\n")


def test_none_can_replace_one_of_optunas(tmp_path: Path, install: Install) -> None:
    install("raise AssertionError('imported')", "random = nearing:NearTheBest")
    text = spec().replace('"near"', '"random"').replace("[search.options]\nspread = 0.5\n", "")
    study = new_study(tmp_path, text)
    assert work(study, train) is Ended.FINISHED


@pytest.mark.parametrize(
    ("drawing", "says"),
    [
        ("raise ValueError('nothing\\nleft')", "sampler 'near': ValueError: nothing"),
        ("return 7.0", "sampler 'near': ValueError: learning_rate = 7.0 is not in the search space"),
        ("return 'high'", "sampler 'near': "),
        ("return float('nan')", "sampler 'near': "),
        ("study.stop()", "sampler 'near': RuntimeError: "),
    ],
)
def test_what_it_does_wrong_ends_an_attempt_with_its_name(
    tmp_path: Path, install: Install, drawing: str, says: str
) -> None:
    install(NEAR_THE_BEST.replace("complete = study", f"{drawing}\n        complete = study"))
    study = new_study(tmp_path, spec(1).replace("[training]", "[retry]\nexception = 1\n\n[training]"))
    lines: list[str] = []
    assert work(study, train, log=lines.append) is Ended.FINISHED
    assert states(study) == [TrialState.FAIL] * 2
    told = [line for line in lines if "exception: " in line]
    assert len(told) == 2
    assert all(says in line and "\n" not in line for line in told), told


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("seed = 3", "search.options.seed: search.seed is the seed of every sampler; remove this"),
        (
            "from = 1979-05-27",
            "search.options.from: 1979-05-27 is no number, text, list or table that can be kept",
        ),
        ("spread = inf", "search.options.spread: inf is no number, text, list or table that can be kept"),
        ("'a b' = 1", "search.options: 'a b' is no name of an option"),
        ("spread = [[[[[[[[[[[[1]]]]]]]]]]]]", "search.options.spread"),
    ],
)
def test_an_option_that_cannot_be_kept_gets_one_line(tmp_path: Path, options: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        tiny_spec(tmp_path, spec(options=options))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_options_of_others_are_not_its_own(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is given its own under \[search\.options\]$"):
        tiny_spec(tmp_path, spec().replace("seed = 1", "n_startup_trials = 2"))
