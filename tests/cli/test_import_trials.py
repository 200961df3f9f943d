"""`import-trials`: results from a table, or from another storage of Optuna's."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

import mnist_tune
from tests.support.commands import Command
from tests.support.made_studies.cells import complete_cell
from tests.support.specs import SAMPLED_SPEC, write_spec
from tests.support.stored_content import database_content
from tests.support.studies import new_study

SPEC = SAMPLED_SPEC.format(n_trials=3)
TABLE = """learning_rate, batch_size, optimizer, validation_accuracy, state
0.001, 64, Adam, 97.5, COMPLETE
0.01,32,"SGD",55,PRUNED

0.002,128,SGD,99.1,COMPLETE
"""


def write_table(folder: Path, content: str = TABLE) -> str:
    path = folder / "known.csv"
    path.write_text(content, encoding="utf-8")
    return str(path)


def stock_results(
    folder: Path, name: str = "old", direction: Literal["maximize", "minimize"] = "maximize"
) -> optuna.Study:
    """A study of stock Optuna with two complete trials and others."""
    study = optuna.create_study(study_name=name, storage=f"sqlite:///{folder}/old.db", direction=direction)

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True)
        trial.suggest_int("batch_size", 32, 64)
        trial.suggest_categorical("optimizer", ["SGD", "Adam", "RMSprop"][:2])
        if trial.number == 1:
            raise optuna.TrialPruned
        return 90.0 + trial.number

    study.optimize(objective, n_trials=3)
    study.enqueue_trial({"batch_size": 32})
    return study


def test_a_table_is_imported_once_and_named_by_status(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path, SPEC)
    table = write_table(tmp_path)
    tried = command("import-trials", "tiny", table, "--dry-run")
    assert (tried.code, tried.err) == (0, "")
    left = "left out, since not complete: 1 trial\n"
    assert tried.out == f"study 'tiny' would be given 2 results of known.csv\n{left}"
    done = command("import-trials", "tiny", table)
    assert done.out == f"study 'tiny' was given 2 results of known.csv\n{left}"
    again = command("import-trials", "tiny", table, "--json").json
    assert again == {
        "study": "tiny",
        "source": "known.csv",
        "imported": 0,
        "known": 2,
        "left_out": 1,
        "dry_run": False,
    }
    status = command("status", "tiny")
    assert status.code == 0
    assert (
        "imported: 2 results from elsewhere, in no ranking: 2 of known.csv; the best has 99.10 % (trial 4)\n"
        in status.out
    )
    assert "warning" not in status.out
    assert "keeps every promise: 3 cells (3 waiting), 3 attempts, 2 imported results" in (
        command("verify", "tiny").out
    )
    in_json = command("status", "tiny", "--json").json
    assert [one["value"] for one in in_json["imported"]] == [97.5, 99.1]
    assert (in_json["ranking"], in_json["best"], len(in_json["trials"])) == ([], None, 3)


def test_a_better_result_from_elsewhere_is_said_wherever_the_best_is_shown(
    tmp_path: Path, command: Command
) -> None:
    complete_cell(new_study(tmp_path), 80.0, 90.0)
    table = "learning_rate,batch_size,optimizer,value\n0.0001,64,SGD,99.1\n"
    assert command("import-trials", "tiny", write_table(tmp_path, table)).code == 0
    said = (
        "an imported trial has 99.10 %, better than the best that ran here: trial 8, of known.csv, "
        "learning_rate=0.0001, batch_size=64, optimizer=SGD"
    )
    assert f"{said}\n" in command("status", "tiny").out
    exported = command("export", "tiny", "--output", "best.toml")
    assert f"warning: {said}\n" in exported.err
    assert said in (tmp_path / "best.toml").read_text("utf-8")
    assert 'optimizer = "Adam"' in (tmp_path / "best.toml").read_text("utf-8")
    assert command("report", "tiny").code == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert said in page
    assert "1 result from elsewhere, in no ranking: 1 of known.csv" in page


def test_a_table_of_optunas_is_imported_as_pandas_writes_it(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path, SPEC)
    stock = stock_results(tmp_path)
    stock.add_trial(optuna.trial.create_trial(state=TrialState.FAIL, user_attrs={"owner": "somebody"}))
    frame = stock.trials_dataframe()
    assert frame["params_batch_size"].dtype == float  # beside a gap
    frame.to_csv(tmp_path / "known.csv")
    done = command("import-trials", "tiny", "known.csv", "--json").json
    assert (done["imported"], done["left_out"]) == (2, 3)
    found = command("status", "tiny", "--json").json["imported"]
    complete = [stock.trials[0], stock.trials[2]]
    assert [one["parameters"] for one in found] == [trial.params for trial in complete]
    assert [one["value"] for one in found] == [90.0, 92.0]


def test_a_table_of_our_own_trials_is_imported_too(tmp_path: Path, command: Command) -> None:
    complete_cell(new_study(tmp_path), 80.0, 90.0)
    assert command("create-study", str(write_spec(tmp_path, SPEC.replace("tiny", "other")))).code == 0
    frame = mnist_tune.open_study("tiny", tmp_path / "studies.db").trials_dataframe()
    assert isinstance(frame, pd.DataFrame)
    frame.to_csv(tmp_path / "known.csv", index=False)
    done = command("import-trials", "other", "known.csv", "--json").json
    assert (done["imported"], done["left_out"]) == (1, 7)


def test_another_storage_is_only_read(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path, SPEC)
    stock_results(tmp_path)
    before = (tmp_path / "old.db").read_bytes()
    other = f"sqlite:///{tmp_path}/old.db"
    done = command("import-trials", "tiny", "--from-optuna", other)
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "study 'tiny' was given 2 results of study 'old'\nleft out, since not complete: 2 trials\n"
    )
    assert (
        command("import-trials", "tiny", "--from-optuna", other, "--study", "old", "--json").json["known"]
        == 2
    )
    assert (tmp_path / "old.db").read_bytes() == before
    assert "2 of study 'old'" in command("status", "tiny").out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "import-trials: name either a CSV file, or --from-optuna URL with or without --study"),
        (["x.csv", "--study", "old"], "import-trials: name either a CSV file, or --from-optuna URL"),
        (["--from-optuna", "sqlite:///nothing.db"], "sqlite:///nothing.db: no such file; correct --from-opt"),
        (["--from-optuna", "nonsense"], "--from-optuna: is not a database URL; write sqlite:///FILE.db or"),
        (["--from-optuna", "http://host:1"], "--from-optuna: names a head, and this needs the database"),
        (
            ["--from-optuna", "sqlite:///old.db"],
            "sqlite:///old.db: has several studies; name one with --study",
        ),
        (
            ["--from-optuna", "sqlite:///old.db", "--study", "olt"],
            "no study 'olt' in sqlite:///old.db; did you",
        ),
        (
            ["--from-optuna", "sqlite:///old.db", "--study", "least"],
            "study 'least' in sqlite:///old.db: is to",
        ),
        (
            ["--from-optuna", "sqlite:///old.db", "--study", "two"],
            "study 'two' in sqlite:///old.db: has 2 obj",
        ),
        (
            ["--from-optuna", "sqlite:///studies.db"],
            "study 'tiny' in sqlite:///studies.db: is the study itself",
        ),
        (
            ["--from-optuna", "sqlite:///old.db", "--study", "wide"],
            "study 'wide' in sqlite:///old.db: trial 0: ",
        ),
    ],
)
def test_what_cannot_be_imported_gets_one_line_and_changes_nothing(
    tmp_path: Path, command: Command, words: list[str], complaint: str
) -> None:
    new_study(tmp_path, SPEC)
    stock_results(tmp_path)
    stock_results(tmp_path, "least", direction="minimize")
    optuna.create_study(
        study_name="two", storage=f"sqlite:///{tmp_path}/old.db", directions=["minimize", "maximize"]
    )
    wide = optuna.create_study(
        study_name="wide", storage=f"sqlite:///{tmp_path}/old.db", direction="maximize"
    )
    wide.add_trial(
        optuna.trial.create_trial(
            params={"lr": 1.0}, distributions={"lr": optuna.distributions.FloatDistribution(0, 1)}, value=1.0
        )
    )
    stored = database_content(tmp_path)
    answer = command("import-trials", "tiny", *words)
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert answer.err.startswith(f"mnist-tune: {complaint}")
    assert database_content(tmp_path) == stored


def test_results_are_imported_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    new_study(tmp_path, SPEC)
    stock_results(tmp_path)
    study = mnist_tune.open_study("tiny", "studies.db")
    tried = study.import_trials(write_table(tmp_path), dry_run=True)
    assert tried == {"study": "tiny", "source": "known.csv", "imported": 2, "known": 0, "left_out": 1}
    assert study.import_trials("known.csv") == tried
    assert study.import_trials(from_optuna="sqlite:///old.db", study="old")["imported"] == 2
    with pytest.raises(mnist_tune.UserError, match=r"^file: should be a path, not 5$"):
        study.import_trials(5)  # type: ignore[arg-type]
    with pytest.raises(mnist_tune.UserError, match=r"^from_optuna: should be a text, not 5$"):
        study.import_trials(from_optuna=5)  # type: ignore[arg-type]
    with pytest.raises(mnist_tune.UserError, match=r"^import-trials: name either a CSV file"):
        study.import_trials()
