"""`try`: one run of a job in the foreground, with its own output and its errors."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.study.store import open_study
from tests.jobs.test_wrong_jobs import MISTAKES, WRONG
from tests.support.commands import run_command, run_python
from tests.support.own_jobs import FIT, FIT_SPEC, own_job, with_line
from tests.support.stored_content import names_in
from tests.support.studies import open_file

TRY = ("try", "fit.py:train", "--epochs", "3")
KEEP = "    trial.keep(model=model, optimizer=optimizer)\n"


def tried(folder: Path, job: str = FIT, *options: str) -> subprocess.CompletedProcess[str]:
    """Try a job for three epochs."""
    own_job(folder, job)
    return run_command(*TRY, *options, folder=folder)


def numbers(epochs: list[Any]) -> list[tuple[float, float]]:
    """What must be equal in every run: everything but the times."""
    return [(epoch["error"], epoch["luck"]) for epoch in epochs]


@pytest.mark.slow
def test_try_has_the_numbers_of_a_workers_trial_to_the_bit(tmp_path: Path) -> None:
    spec = own_job(tmp_path, spec=FIT_SPEC.replace("epochs = 3", "epochs = 3\nseed = 5"))
    assert run_command("run", str(spec), "--workers", "1", folder=tmp_path).returncode == 0
    trials = read_results(open_study(open_file(tmp_path), "fit")).complete
    assert {trial.parameters["learning_rate"] for trial in trials} == {0.1, 0.01}
    for trial in trials:
        fixed = ("--set", f"learning_rate={trial.parameters['learning_rate']}", "--set", "seed=5", "--json")
        answer = tried(tmp_path / "alone", FIT, *fixed)
        assert answer.returncode == 0, answer.stderr
        found = json.loads(answer.stdout)
        assert numbers(found["epochs"]) == numbers(list(trial.history))
        assert found["value"] == trial.value
        assert found["settings"] == {
            "epochs": 3,
            "seed": 5,
            "learning_rate": trial.parameters["learning_rate"],
        }


@pytest.mark.slow
def test_try_prints_each_epoch_and_the_end_and_stores_nothing(tmp_path: Path) -> None:
    job = with_line("print('of the job')").replace(KEEP, KEEP + "    trial.note(rows_sha256='ab12')\n")
    answer = tried(tmp_path, job)
    assert (answer.returncode, answer.stderr) == (0, "")
    lines = answer.stdout.splitlines()
    assert lines[:6:2] == ["of the job"] * 3
    assert [line.split(":")[0] for line in lines[1:6:2]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert "error " in lines[1]
    assert " rows/s" in lines[1]
    complete, noted, file, state = lines[6:]
    assert complete.startswith("complete: error ")
    assert complete.removeprefix("complete: ") in lines[5]
    assert noted == "noted: rows_sha256 = ab12"
    assert file == "file: model.safetensors, 144 bytes, not written without --save DIR"
    assert state.startswith("state: ")
    assert state.endswith(" bytes, from which a retry goes on")
    left = [name for name in names_in(tmp_path) if not name.startswith("__pycache__")]
    assert left == ["fit.py", "fit.toml"]


@pytest.mark.slow
def test_with_json_the_document_has_standard_output_for_itself(tmp_path: Path) -> None:
    answer = tried(tmp_path, with_line("print('of the job')"), "--json")
    found = json.loads(answer.stdout)
    assert [epoch["epoch"] for epoch in found["epochs"]] == [1, 2, 3]
    assert found["value"] == found["epochs"][-1]["error"]
    assert (found["objective"], found["facts"], found["files"]) == ("error", {}, {"model.safetensors": 144})
    assert found["state_problem"] is None
    assert answer.stderr.count("of the job\n") == 3
    assert answer.stderr.count("epoch ") == 3


@pytest.mark.slow
def test_files_are_written_into_a_new_folder_if_one_is_named(tmp_path: Path) -> None:
    answer = tried(tmp_path, FIT, "--save", "kept/here")
    assert answer.stdout.splitlines()[4] == "file: model.safetensors, 144 bytes, in kept/here"
    assert (tmp_path / "kept" / "here" / "model.safetensors").stat().st_size == 144
    again = tried(tmp_path, FIT, "--save", "kept/here")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith("mnist-tune: kept/here: is not empty, and nothing is overwritten")
    failed = tried(tmp_path, with_line("1 / 0"), "--save", "other")
    assert failed.returncode == 1
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_a_job_that_keeps_no_state_is_told_what_that_means(tmp_path: Path) -> None:
    answer = tried(tmp_path, FIT.replace(KEEP, ""))
    assert "the job keeps no state (trial.keep): after a loss, a trial begins anew\n" in answer.stdout
    assert "state: " not in answer.stdout


@pytest.mark.slow
def test_a_state_that_no_retry_can_read_is_told(tmp_path: Path) -> None:
    odd = (
        "class Odd:\n    def state_dict(self): return {'odd': Odd}\n    def load_state_dict(self, _): pass\n"
    )
    job = f"{odd}\n{FIT}".replace("trial.keep(", "trial.keep(odd=Odd(), ")
    answer = tried(tmp_path, job)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1].startswith(
        "state: a retry would begin anew: the saved state cannot"
    )


@pytest.mark.slow
def test_an_error_of_the_job_shows_its_traceback_without_our_part(tmp_path: Path) -> None:
    answer = tried(tmp_path, with_line("raise ValueError('of the user')"))
    assert (answer.returncode, answer.stdout) == (1, "")
    first, place, *_, last = answer.stderr.splitlines()
    assert first == "Traceback (most recent call last):"
    assert f'File "{tmp_path}/fit.py", line ' in place
    assert last == "ValueError: of the user"
    assert "mnist_tune" not in answer.stderr.replace(str(tmp_path), "")


def test_an_error_at_import_shows_its_traceback_and_one_line(tmp_path: Path) -> None:
    answer = tried(tmp_path, FIT.replace("import random", "import no_such_module"))
    assert (answer.returncode, answer.stdout) == (2, "")
    first, place, *_, cause, line = answer.stderr.splitlines()
    assert first == "Traceback (most recent call last):"
    assert f'File "{tmp_path}/fit.py", line 4' in place
    assert cause == "ModuleNotFoundError: No module named 'no_such_module'"
    assert line.startswith("mnist-tune: job ")


@pytest.mark.parametrize("name", ["undeclared", "nan", "keeps late", "exits", "returns"])
def test_a_mistake_in_the_job_is_the_one_line_that_a_worker_says(tmp_path: Path, name: str) -> None:
    own_job(tmp_path, WRONG)
    answer = run_command("try", "fit.py:train", "--set", f"mistake={name}", folder=tmp_path)
    assert answer.returncode == 1
    assert MISTAKES[name][1] in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("fit.py:fit", "there is no 'fit' in it; its jobs are train"),
        ("fit.py", "job fit.py: write FILE.py:FUNCTION"),
        ("none.py:train", "job none.py:train: no such file"),
        ("fit", "job fit: not installed here; installed are: mnist"),
        (
            "fit.py:train --set learning_rte=1",
            "--set learning_rte: unknown training field; did you mean 'learning_rate'?",
        ),
        ("fit.py:train --set seed=-1", "--set seed: should be greater than or equal to 0, not -1"),
        ("fit.py:train --epochs 0", "--set epochs: should be greater than or equal to 1, not 0"),
        ("fit.py:train --epochs 2 --set epochs=2", "--set epochs: is given twice; leave one out"),
        ("fit.py:train --data rows=5", "--data rows: unknown data field; the job has none"),
        ("fit.py:train --device tpu", "device 'tpu' is not there; write auto or one of"),
    ],
)
def test_what_is_mistyped_is_one_line(tmp_path: Path, typed: str, says: str) -> None:
    own_job(tmp_path)
    answer = run_command("try", *typed.split(), folder=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert says in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_the_built_in_job_is_tried_with_its_data_options_and_notes(
    mnist_directory: Path, tmp_path: Path
) -> None:
    data = ("--data", "train_size=640", "--data", "validation_size=100")
    answer = run_command("try", "mnist", *data, "--set", "momentum=0.5", "--epochs", "1", folder=tmp_path)
    assert answer.returncode == 2
    assert "training.momentum: " in answer.stderr
    answer = run_command("try", "mnist", *data, "--epochs", "1", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "complete: validation accuracy " in answer.stdout
    assert "noted: data_sha256 = " in answer.stdout


@pytest.mark.slow
def test_try_loads_neither_optuna_nor_sqlalchemy(tmp_path: Path) -> None:
    own_job(tmp_path)
    script = f"""
import sys
from mnist_tune.__main__ import main
sys.argv = ["mnist-tune", *{TRY}]
try:
    main()
finally:
    print([name for name in ("optuna", "sqlalchemy", "torch") if name in sys.modules])
"""
    answer = run_python(script, tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.splitlines()[-1] == "['torch']"
