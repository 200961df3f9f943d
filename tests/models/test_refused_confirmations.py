"""What cannot be confirmed is refused in one line, and what cannot be measured fails its cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.study.store import open_study
from tests.support.command_jobs import DECAY, DECAY_SPEC
from tests.support.commands import Command
from tests.support.confirmed_jobs import BOTH, VOUCHING, choice, readings, searched
from tests.support.own_jobs import own_job
from tests.support.studies import open_file


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "saves", "why"),
    [
        (
            "all_data=all_data",
            "trial.save('model.safetensors', model)",
            "the job cannot measure a model on test data; give it @job(evaluate=...)",
        ),
        (
            "evaluate=evaluate",
            "trial.save('model.safetensors', model)",
            "the job does not say how it trains on all data; give it @job(all_data=...), which changes the "
            "options of [data] so that nothing is held back for validation",
        ),
        (
            BOTH,
            "pass",
            "trial {number} has saved no file, so that there is no model to measure; have the job call "
            "trial.save",
        ),
    ],
)
def test_a_job_that_cannot_be_confirmed_is_refused_in_one_line(
    tmp_path: Path, command: Command, arguments: str, saves: str, why: str
) -> None:
    searched(tmp_path, command, arguments, saves)
    refused = command("confirm", "own")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"mnist-tune: study 'own': {why.format(number=choice(tmp_path))}\n"
    assert command("studies").out.count("\n") == 1


@pytest.mark.slow
def test_a_command_is_refused_too(tmp_path: Path, command: Command) -> None:
    own_job(tmp_path, DECAY, DECAY_SPEC, "decay")
    assert command("run", "decay.toml", "--workers", "1").code == 0
    refused = command("confirm", "decay")
    assert (refused.code, refused.out) == (2, "")
    assert "the job cannot measure a model on test data" in refused.err


@pytest.mark.slow
def test_a_study_that_may_change_its_choice_is_confirmed_with_a_warning(
    tmp_path: Path, command: Command
) -> None:
    searched(tmp_path, command)
    command("extend", "own", "--add", "learning_rate=0.125")
    made = command("confirm", "own")
    assert made.code == 0
    assert made.err.startswith(
        "warning: not finished: 2 of 6 cells have not ended; the best so far may change\n"
    )
    told = command("confirm", "own", "--json").json
    assert told["reservations"][0].startswith("not finished: ")
    assert told["created"] is False


def test_a_metric_that_evaluate_does_not_return_fails_its_cells_with_advice(
    tmp_path: Path, command: Command
) -> None:
    searched(tmp_path, command)
    assert command("confirm", "own", "--metric", "accuracy", "--seeds", "2").code == 0
    command("set", "own-confirm", "retry.exception=0")
    command("worker", "own-confirm", *VOUCHING)
    said = command("status", "own-confirm").out
    assert (
        "failed for good: the job's mistake: evaluate returns no 'accuracy', but error, loss; name one of "
        "these with 'mnist-tune confirm --metric'"
    ) in said
    assert command("verify", "own-confirm").code == 0
    command("confirm", "own", "--metric", "loss", "--name", "losses", "--seeds", "2")
    command("worker", "losses", *VOUCHING)
    assert "test loss 2.0000, standard deviation 0.0000, n = 2" in command("status", "own").out


@pytest.mark.slow
def test_a_result_that_is_no_number_fails_the_cell(tmp_path: Path, command: Command) -> None:
    searched(tmp_path, command)
    command("confirm", "own", "--seeds", "2")
    (tmp_path / "broken").touch()
    command("worker", "own-confirm", *VOUCHING)
    results = read_results(open_study(open_file(tmp_path), "own-confirm"))
    assert {(one.failure or {})["class"] for one in results.attempts} == {"non_finite"}
    assert sorted(readings(tmp_path)) == [2, 3], "no cell is measured again for that"
    assert command("verify", "own-confirm").code == 0


@pytest.mark.slow
def test_no_confirmation_takes_over_the_results_of_a_search(tmp_path: Path, command: Command) -> None:
    searched(tmp_path, command)
    spec = """
    study = {name = "mine"}
    job = {file = "own.py:train"}
    confirm = {study = "own", trial = 2}
    search = {grid = {seed = [0, 2]}}
    training = {learning_rate = 0.25}
    """
    (tmp_path / "mine.toml").write_text(spec, encoding="utf-8")
    refused = command("create-study", "mine.toml", "--reuse", "own")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("mnist-tune: --reuse own: has no finished cell of this study")
    command("confirm", "own", "--seeds", "2")
    command("worker", "own-confirm", *VOUCHING)
    reused = command("create-study", "mine.toml", "--reuse", "own-confirm")
    assert "with 2 cells, 1 of them taken over from 'own-confirm'" in reused.out
    assert command("worker", "mine", *VOUCHING).code == 0
    assert sorted(readings(tmp_path)) == [0, 2, 3]
    assert command("verify", "mine").code == 0


MORE_THAN_ONE = [
    ("search = {grid = {seed = [0], learning_rate = [1.0]}}", "search.grid: a confirmation has one"),
    (
        "search = {sampler = 'random', n_trials = 2, space = {seed = [0, 1]}}",
        "search.grid: a confirmation",
    ),
    ("search = {grid = {seed = [0]}}\npruner = {name = 'median'}", "pruner: a confirmation trains"),
    ("search = {grid = {seed = [0]}}\nconfirm.metric = 'a b'", "confirm: metric 'a b' cannot be"),
]
"""Lines of a spec, and what is wrong with each."""


@pytest.mark.slow
def test_a_spec_that_confirms_more_than_one_configuration_is_refused(
    tmp_path: Path, command: Command
) -> None:
    searched(tmp_path, command)
    for line, problem in MORE_THAN_ONE:
        (tmp_path / "mine.toml").write_text(
            "study.name = 'mine'\njob.file = 'own.py:train'\n"
            f"confirm.study = 'own'\nconfirm.trial = 2\n{line}\n",
            encoding="utf-8",
        )
        refused = command("create-study", "mine.toml")
        assert (refused.code, refused.out) == (2, "")
        assert f"mine.toml: {problem}" in refused.err
