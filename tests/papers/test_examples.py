"""The examples of own jobs run as they stand, find what they look for, and go on after they were killed."""

from __future__ import annotations

import os
import re
import shlex
import signal
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from mnist_tune.results.eta import own_epochs
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State
from mnist_tune.study.store import open_study
from tests.papers.commands import OWN_MODELS
from tests.papers.papers import OWN_JOBS, blocks, shown_commands, text_of
from tests.support.commands import BY_EXEC, finish, start_command
from tests.support.process_tree import descendants
from tests.support.specs import STUDIES
from tests.support.studies import open_file
from tests.support.waiting import wait_until

EXAMPLES = STUDIES / "examples"
CELLS = {"diabetes": 12, "digits": 12, "tumours": 12, "manual": 4, "lightning_digits": 4}
"""How many cells each example has."""


def results_in(folder: Path, name: str) -> Results:
    return read_results(open_study(open_file(folder), name))


def say(folder: Path, *words: str) -> str:
    """Run a command that must end well; returns what it printed."""
    answer = finish(start_command(*words, folder=folder))
    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
    return answer.stdout


def test_every_example_is_run_here_and_stands_in_the_paper() -> None:
    for kind in (".py", ".toml"):
        names = {path.stem for path in EXAMPLES.glob(f"*{kind}")}
        assert names == set(CELLS)
        assert {name for name in names if f"(examples/{name}{kind})" in text_of(OWN_JOBS)} == names


def test_what_the_paper_shows_of_the_examples_stands_in_them() -> None:
    (spec,) = (block for block in blocks(OWN_JOBS, "toml") if "\ncommand = " in block)
    assert tomllib.loads(spec) == tomllib.loads((EXAMPLES / "tumours.toml").read_text("utf-8"))
    (lines,) = (block for block in blocks(OWN_JOBS, "python") if "checkpoint" in block)
    script = [line.strip() for line in (EXAMPLES / "manual.py").read_text("utf-8").splitlines()]
    shown = [line.strip() for line in lines.splitlines() if line.strip() != "..."]
    assert [line for line in script if line in shown] == shown


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name if name == "diabetes" else pytest.param(name, marks=pytest.mark.slow) for name in CELLS]
)
def test_an_example_finds_its_best_trial_as_it_stands(tmp_path: Path, name: str) -> None:
    (tmp_path / "studies").symlink_to(STUDIES)
    said = say(tmp_path, "run", f"studies/examples/{name}.toml")
    results = results_in(tmp_path, name)
    assert len(results.complete) + results.cells.pruned == CELLS[name]
    assert not [attempt.failure for attempt in results.attempts if attempt.failure]
    assert f"{CELLS[name]}/{CELLS[name]} cells" in said
    means = [place.candidate.mean for place in results.ranking]
    assert means == sorted(means, reverse=results.job.direction == "maximize")
    assert len(set(means)) > 1  # what is searched makes a difference
    assert results.best is not None
    assert results.best.mean == means[0]
    for attempt in results.complete:
        values = [epoch[results.job.objective] for epoch in attempt.history]
        assert (len(values), values[-1]) == (results.spec.epochs(attempt.parameters), attempt.value)
    assert "keeps every promise" in say(tmp_path, "verify", name)


@pytest.mark.slow
def test_an_examples_models_are_measured_as_it_stands_in_the_paper(tmp_path: Path) -> None:
    assert shown_commands(OWN_JOBS) == OWN_MODELS
    (tmp_path / "studies").symlink_to(STUDIES)
    said = {line: say(tmp_path, *shlex.split(line)[1:]) for line in OWN_MODELS[:1]}
    for line in OWN_MODELS[1:]:
        answer = finish(start_command(*shlex.split(line)[1:], folder=tmp_path))
        assert answer.returncode == 0, answer.stderr
        said[line] = answer.stdout
    for line in (OWN_MODELS[2], OWN_MODELS[5]):
        (measured,) = re.findall(r"^test accuracy (\S+) % on 360 images$", said[line], re.MULTILINE)
        assert float(measured) > 85
        assert "true digit" in said[line]
    page = (tmp_path / "report.html").read_text("utf-8")
    for part in ("test accuracy, mean of 2 seeds", "Which images were read wrong?", "Which digits are hard?"):
        assert part in page


def one_cell(name: str, folder: Path) -> Path:
    """A copy of an example with its first cell only, whose state is saved after each epoch; its spec."""
    folder.mkdir()
    (folder / f"{name}.py").write_text((EXAMPLES / f"{name}.py").read_text("utf-8"), encoding="utf-8")
    spec: dict[str, Any] = tomllib.loads((EXAMPLES / f"{name}.toml").read_text("utf-8"))
    spec.pop("pruner", None)
    spec["search"] = {"grid": {"seed": [3]}}
    spec["training"] = {"epochs": 4}
    spec["limits"] = {"checkpoint_interval": 0}
    path = folder / f"{name}.toml"
    path.write_text(tomli_w.dumps(spec), encoding="utf-8")
    return path


def numbers_of(results: Results) -> list[dict[str, Any]]:
    """The epochs of the one cell, without times."""
    (attempt,) = results.complete
    return [
        {name: value for name, value in epoch.numbers.items() if "second" not in name}
        for epoch in attempt.history
    ]


def processes_named(word: str, ancestor: int) -> list[int]:
    """The processes below another with a word in their command line."""
    found = []
    for pid in descendants(ancestor):
        line = Path(f"/proc/{pid}/cmdline")
        if line.exists() and word.encode() in line.read_bytes():
            found.append(pid)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "killed", "consent"),
    [
        ("digits", "training", ["--job", "digits.py:train"]),
        ("manual", "manual.py", ["--allow-command", "."]),
        ("lightning_digits", "lightning_digits.py", ["--allow-command", "."]),
    ],
)
def test_an_example_that_is_killed_goes_on_and_ends_with_the_same_numbers(
    tmp_path: Path, name: str, killed: str, consent: list[str]
) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    spec = one_cell(name, whole)
    say(whole, "run", str(spec))
    say(folder, "create-study", str(one_cell(name, folder)))
    worker = start_command("worker", name, *consent, folder=folder, environment=dict(BY_EXEC))

    def is_killed_after_an_epoch() -> bool:
        """It is stopped while we look, so that it is killed within its trial."""
        found = processes_named(killed, worker.pid)
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        running = [one for one in results_in(folder, name).attempts if one.state == State.RUNNING]
        has_begun = any(own_epochs(attempt) for attempt in running)
        for pid in found:
            os.kill(pid, signal.SIGKILL if has_begun else signal.SIGCONT)
        return has_begun and found != []

    wait_until(is_killed_after_an_epoch)
    answer = finish(worker)
    assert answer.returncode == 0, answer.stderr
    results = results_in(folder, name)
    first, second = results.attempts
    assert (first.failure or {})["class"] == "lost"
    assert (second.resumed or {})["epoch"] >= 1
    assert numbers_of(results) == numbers_of(results_in(whole, name))
    assert "keeps every promise" in say(folder, "verify", name)
