"""The papers' commands are the ones that work: each is run by a test, and none is left out."""

from __future__ import annotations

import importlib.util
import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import pytest
import typer
from optuna.distributions import CategoricalDistribution, FloatDistribution

from mnist_tune.cli import app
from mnist_tune.contract.study import WorkerFacts
from mnist_tune.errors import MISTAKE
from mnist_tune.files.checkpoints import Checkpoint, checkpoint_key
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import LAST_CHECKPOINT
from mnist_tune.study.store import open_study
from tests.check import STEPS
from tests.papers.commands import (
    ASKING_WORKERS,
    BEYOND_IT,
    CAMPAIGNS,
    CHECKS,
    CONFIRMING,
    DASHBOARDS,
    DATABASE_SERVER,
    FROM_THE_SEARCH_TO_A_MODEL,
    GROWING,
    LAUNCH_ON_RAY,
    LAUNCH_ON_SLURM,
    MORE_SEEDS,
    NOTIFYING,
    OWN_MODELS,
    SET_UP,
    THE_REFERENCE_GRID,
    TOKENS,
    TUTORIAL,
)
from tests.papers.papers import (
    README,
    REFERENCE,
    ROOT,
    TUTORIAL_PAPER,
    blocks,
    code,
    papers,
    shown_commands,
)
from tests.support.commands import Command
from tests.support.made_studies.cells import complete_all_cells
from tests.support.specs import STUDIES, write_spec

TESTED = {
    *SET_UP,
    *FROM_THE_SEARCH_TO_A_MODEL,
    *THE_REFERENCE_GRID,
    *BEYOND_IT,
    *MORE_SEEDS,
    *OWN_MODELS,
    *TUTORIAL,
    *DATABASE_SERVER,
    *TOKENS,
    *GROWING,
    *CONFIRMING,
    *NOTIFYING,
    *ASKING_WORKERS,
    LAUNCH_ON_RAY,
    LAUNCH_ON_SLURM,
    *DASHBOARDS,
    *CHECKS,
    *CAMPAIGNS,
}
GENERAL = {"--help", "--version", "--debug", "--install-completion"}


def test_every_command_of_the_papers_is_one_that_a_test_runs() -> None:
    assert {command for paper in papers() for command in shown_commands(paper)} == TESTED


def test_the_tutorial_is_run_in_its_order() -> None:
    assert shown_commands(TUTORIAL_PAPER) == TUTORIAL


def test_the_set_up_is_one_line_each() -> None:
    assert [command for command in shown_commands(README) if "venv" in command] == SET_UP


def test_every_step_of_a_check_is_taken_before_a_change_lands() -> None:
    before_landing = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    taken = re.findall(r"^\.venv/bin/python -m tests\.check (.+)$", before_landing, re.MULTILINE)
    steps = [step for line in taken for step in line.split()]
    assert sorted([*steps, "tests"]) == sorted(STEPS)  # the tests by the README's own command


@pytest.mark.parametrize("paper", papers(), ids=lambda paper: str(paper.relative_to(ROOT)))
def test_commands_in_the_running_text_have_the_words_that_they_are_written_with(paper: Path) -> None:
    for line in code(paper, "mnist-tune "):
        words = shlex.split(line)[1:]
        command: Any = typer.main.get_command(app)
        known = set(GENERAL)
        while words and words[0] in getattr(command, "commands", ()):
            command = command.commands[words.pop(0)]
            known |= {name for parameter in command.params for name in parameter.opts}
        if not known - GENERAL:
            assert set(words) <= {*GENERAL, "COMMAND"}, line
        assert {word for word in words if word.startswith("--")} <= known, line


def options(command: Any) -> set[str]:
    """Every option of a command and of those below it."""
    own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return own.union(*(options(each) for each in getattr(command, "commands", {}).values()))


def test_options_in_the_running_text_are_those_of_commands() -> None:
    known = options(typer.main.get_command(app)) | GENERAL
    ours = [paper for paper in papers() if not paper.is_relative_to(ROOT / "tests")]
    shown = {re.split(r"[ =]", span)[0] for paper in ours for span in code(paper, "--")}
    assert len(shown) > 20
    assert shown <= known


@pytest.mark.parametrize("paper", papers(), ids=lambda paper: str(paper.relative_to(ROOT)))
def test_modules_that_a_paper_has_one_run_can_be_run_with_these_options(paper: Path) -> None:
    for line in [*code(paper, "python "), *CAMPAIGNS]:
        dash, module, *options = shlex.split(line)[1:]
        found = importlib.util.find_spec(module)
        assert (dash, found is not None) == ("-m", True), line
        assert found is not None
        assert found.origin is not None
        source = Path(found.origin).read_text(encoding="utf-8")
        assert 'if __name__ == "__main__":' in source, line
        for option in options:
            assert not option.startswith("--") or f'"{option}"' in source, f"{line}: {option}"


def test_mistakes_are_answered_as_the_paper_shows(tmp_path: Path, command: Command) -> None:
    (shown,) = (block for block in blocks(REFERENCE, "console") if "mine.toml" in block)
    spec = (STUDIES / "quickstart.toml").read_text(encoding="utf-8")
    write_spec(tmp_path, spec.replace("epochs = 3", "epoch = 3"), "mine.toml")
    assert command("create-study", str(STUDIES / "quickstart.toml")).code == 0
    lines = shown.splitlines()
    for typed, answer in zip(lines[::2], lines[1::2], strict=True):
        program, *words = shlex.split(typed.removeprefix("$ "))
        said = command(*words)
        assert (program, said.code, said.out, said.err) == ("mnist-tune", MISTAKE, "", f"{answer}\n")


def test_the_commands_that_ask_workers_work_as_they_stand(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_TUNE_STORAGE", "sqlite:///mnist-tune.db")
    monkeypatch.setattr("socket.gethostname", lambda: "gpu-1")
    assert command("create-study", str(STUDIES / "seed-grid.toml")).code == 0
    study = open_study(open_storage(storage_url()), "seed-grid")
    Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cuda:0")).register()
    for line in ASKING_WORKERS:
        there = line.replace("postgresql://tuner@database-host/studies", "sqlite:///server.db")
        answer = command(*shlex.split(there)[1:])
        assert (answer.code, answer.err) == (0, ""), line


def test_the_commands_that_let_studies_grow_work_as_they_stand(tmp_path: Path, command: Command) -> None:
    for name in ("seed-grid", "sampled"):
        assert command("create-study", str(STUDIES / f"{name}.toml")).code == 0
    queue = open_study(open_storage(storage_url()), "seed-grid").queue()
    results_from_elsewhere(tmp_path)
    for line in GROWING:
        while claim := queue.claim("machine:1"):  # the new cells are worked off meanwhile
            state = Checkpoint(checkpoint_key(claim.trial_id, claim.token, 10), "0" * 64, 10)
            queue.complete(claim, 90.0, system={LAST_CHECKPOINT: asdict(state)})
        answer = command(*shlex.split(line)[1:])
        assert (answer.code, answer.err) == (0, ""), line
    assert [found["cells"]["total"] for found in command("studies", "--json").json] == [36 + 6 + 1, 151]
    assert len(command("status", "sampled", "--json").json["imported"]) == 3


def results_from_elsewhere(folder: Path) -> None:
    """A table of two results, and a study of stock Optuna with another one."""
    rows = "learning_rate,optimizer,momentum,nesterov,value\n0.001,Adam,,,98.5\n0.01,SGD,0.9,true,98\n"
    (folder / "known.csv").write_text(rows, encoding="utf-8")
    stock = optuna.create_study(study_name="cnn", storage=f"sqlite:///{folder}/old.db", direction="maximize")
    axes = {"learning_rate": FloatDistribution(1e-4, 1e-2), "optimizer": CategoricalDistribution(["Adam"])}
    known = {"learning_rate": 0.002, "optimizer": "Adam"}
    stock.add_trial(optuna.trial.create_trial(params=known, distributions=axes, value=98.7))


def test_the_lines_of_python_work_as_they_stand_on_a_finished_study(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("create-study", str(STUDIES / "quickstart.toml")).code == 0
    study = open_study(open_storage(storage_url()), "quickstart")
    complete_all_cells(study, epochs=3)
    (lines,) = blocks(README, "python")
    exec(lines, {})
    assert "RankedConfiguration(rank=1, parameters={'learning_rate': 0.0" in capsys.readouterr().out
    assert (tmp_path / "report.html").is_file()
