"""`extend`: what it says, what it refuses, and how status, export and Python tell of it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import mnist_tune
from mnist_tune.study.store import open_study
from tests.support.commands import Command
from tests.support.longer_studies import SPEC, go_through
from tests.support.made_studies.cells import complete_cell
from tests.support.specs import SAMPLED_SPEC, TINY_SPEC, write_spec
from tests.support.stored_content import database_content
from tests.support.studies import new_study, open_file


def test_extend_says_what_it_adds_and_adds_it_once(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    words = ["extend", "tiny", "--add", "learning_rate=0.003,.01", "--seeds", "2"]
    stored = database_content(tmp_path)
    tried = command(*words, "--dry-run")
    assert (tried.code, tried.err) == (0, "")
    told = "learning_rate = 0.003, 0.01; seed = 1 (24 cells)"
    assert tried.out == f"study 'tiny' would be given {told}, and have 32 cells\n"
    assert database_content(tmp_path) == stored
    done = command(*words)
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        f"gave study 'tiny' {told}: it has 32 cells now\nstart workers with: mnist-tune worker tiny\n"
    )
    again = command(*words)
    assert again.out == "study 'tiny' has all that already: 32 cells, nothing was added\n"
    in_json = command("extend", "tiny", "--add", "batch_size=32", "--json").json
    assert (in_json["added"]["values"], in_json["added"]["cells"]) == ({"batch_size": [32]}, 16)
    assert (in_json["cells"], in_json["known"], in_json["dry_run"]) == (48, [], False)


def test_more_epochs_are_given_and_told_and_given_once(tmp_path: Path, command: Command) -> None:
    pruner = '[pruner]\nname = "threshold"\nlower = 0.0\n'
    study = new_study(tmp_path, SPEC + pruner)
    go_through(study, tmp_path)
    words = ["extend", "tiny", "--epochs", "6"]
    stored = database_content(tmp_path)
    tried = command(*words, "--dry-run")
    told = "4 more epochs for each trial (3 were complete)"
    assert tried.out == f"study 'tiny' would be given {told}, and have 3 cells\n"
    assert database_content(tmp_path) == stored
    assert command(*words).out == (
        f"gave study 'tiny' {told}: it has 3 cells now\ncells that were pruned stay so\n"
        "start workers with: mnist-tune worker tiny\n"
    )
    assert command(*words).out == "study 'tiny' has all that already: 3 cells, nothing was added\n"
    assert command("verify", "tiny").code == 0
    go_through(study, tmp_path)
    again = mnist_tune.open_study("tiny", "studies.db").extend(epochs="+1")
    assert (again["added"]["epochs"], again["added"]["going_on"], again["cells"]) == (1, 3, 3)
    lines = command("status", "tiny").out.splitlines()
    assert [line.partition(": ")[2] for line in lines if line.startswith("grown at ")] == [
        told,
        "1 more epoch for each trial (3 were complete)",
    ]


@pytest.mark.parametrize(("held_up", "standing"), [("pause", "paused"), ("cancel", "cancelled")])
def test_a_study_whose_cells_nobody_may_claim_says_so_when_it_grows(
    tmp_path: Path, command: Command, held_up: str, standing: str
) -> None:
    new_study(tmp_path)
    assert command(held_up, "tiny").code == 0
    assert command("extend", "tiny", "--seeds", "2").out.endswith(
        f"it is {standing}; go on with: mnist-tune resume tiny\nstart workers with: mnist-tune worker tiny\n"
    )
    assert "mnist-tune resume" not in command("extend", "tiny", "--seeds", "2").out
    assert command("resume", "tiny").code == 0
    assert "mnist-tune resume" not in command("extend", "tiny", "--seeds", "3").out


def test_the_growth_is_told_by_status_and_in_what_is_exported(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    complete_cell(study, 80.0, 90.0)
    assert command("extend", "tiny", "--add", "learning_rate=0.003").code == 0
    lines = command("status", "tiny").out.splitlines()
    (told,) = (line for line in lines if line.startswith("grown at "))
    assert told.endswith(f" by {mnist_tune.__version__}: learning_rate = 0.003 (4 cells)")
    (revision,) = command("status", "tiny", "--json").json["revisions"]
    assert revision["values"] == {"learning_rate": [0.003]}
    exported = tomllib.loads(command("export", "tiny").out)
    assert exported["origin"]["revisions"] == [revision]
    assert mnist_tune.open_study("tiny").revisions == [revision]
    (tmp_path / "best.toml").write_text(command("export", "tiny").out, encoding="utf-8")
    assert "revisions" not in command("create-study", str(write_spec(tmp_path)), "--name", "new").out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--add", "learning_rate"], "--add learning_rate: write FIELD=VALUE, or several values with commas"),
        (["--add", "learning_rate=fast"], "--add learning_rate: should be a valid number, not 'fast'"),
        (
            ["--add", "lerning_rate=1"],
            "--add lerning_rate: unknown training field; did you mean 'learning_rate'?",
        ),
        (["--add", "learning_rate=0.003,"], "--add learning_rate: should be a valid number, not ''"),
        (["--add", "optimizer=Adagrad"], "--add optimizer: 'Adagrad' is not known; write one of Adam, SGD"),
        (["--seeds", "-1"], "--seeds -1: write how many more, as +5, or how many in all, as 20"),
        (["--seeds", "+0"], "--seeds +0: write how many more, as +5, or how many in all, as 20"),
        (["--n-trials", "+2"], "extend: n_trials: the study is a grid; give it more values with --add "),
        (["--top", "2", "--add", "seed=1"], "--top: says whose seeds --seeds adds; name --seeds too"),
        (["--seeds", "+2", "--top", "3"], "extend: --top: no configuration is ranked yet; wait for complete"),
        ([], "extend: name what to add: --n-trials +N, --add FIELD=VALUE, --seeds +N or --epochs +N"),
    ],
)
def test_what_cannot_be_added_gets_one_line_and_changes_nothing(
    tmp_path: Path, command: Command, words: list[str], complaint: str
) -> None:
    new_study(tmp_path)
    stored = database_content(tmp_path)
    answer = command("extend", "tiny", *words)
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert answer.err.startswith(f"mnist-tune: {complaint}")
    assert database_content(tmp_path) == stored


def test_a_wider_spec_is_refused_with_what_it_would_add_and_added_if_asked_to(
    tmp_path: Path, command: Command
) -> None:
    new_study(tmp_path, SAMPLED_SPEC.format(n_trials=3))
    wider = str(write_spec(tmp_path, SAMPLED_SPEC.format(n_trials=5), "wider.toml"))
    stored = database_content(tmp_path)
    refused = command("create-study", wider)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "mnist-tune: study 'tiny' exists with fewer cells: this spec would add 2 trials (2 cells); "
        "'mnist-tune create-study SPEC --extend' does so\n"
    )
    assert database_content(tmp_path) == stored
    done = command("create-study", wider, "--extend")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        f"gave study 'tiny' in sqlite:///{tmp_path}/studies.db 2 trials (2 cells): it has 5 cells now\n"
    )
    assert command("create-study", wider, "--extend", "--json").json["added"] is None
    narrower = command("create-study", str(tmp_path / "spec.toml"), "--extend")
    assert narrower.code == 2
    assert narrower.err.endswith(
        "has grown since it was made: search.n_trials is 5 there and 3 here; "
        "this spec has less; work on the study with 'mnist-tune worker tiny'\n"
    )


def test_the_first_file_of_a_study_that_has_grown_is_refused_in_a_short_line(
    tmp_path: Path, command: Command
) -> None:
    new_study(tmp_path)
    for words in (["--add", "weight_decay=0.01"], ["--seeds", "500"]):
        assert command("extend", "tiny", *words).code == 0
    point = ["learning_rate=0.002", "batch_size=64", "optimizer=Adam"]
    assert command("enqueue", "tiny", *point).code == 0
    refused = command("create-study", str(tmp_path / "spec.toml"))
    assert refused.code == 2
    assert "(500 values) there and absent here" in refused.err
    assert refused.err.endswith("this spec has less; work on the study with 'mnist-tune worker tiny'\n")
    assert len(refused.err) < 600
    other = write_spec(tmp_path, TINY_SPEC.replace("epochs = 2", "epochs = 3"), "other.toml")
    assert command("create-study", str(other)).err.endswith("give this one another name with --name\n")


@pytest.mark.parametrize(
    "change",
    [
        ('precision = "fp32"', 'precision = "bf16"'),
        ('"SGD"]', '"SGD"]\nweight_decay = [0.1]'),
        ("0.0001]", "0.003]"),
    ],
    ids=["a job's setting", "without the value of old cells", "without a value"],
)
def test_a_spec_that_differs_in_more_is_refused_as_before(
    tmp_path: Path, command: Command, change: tuple[str, str]
) -> None:
    new_study(tmp_path)
    stored = database_content(tmp_path)
    for options in ([], ["--extend"]):
        answer = command("create-study", str(write_spec(tmp_path, TINY_SPEC.replace(*change))), *options)
        assert (answer.code, answer.out) == (2, "")
        assert "exists with another spec: " in answer.err
    assert database_content(tmp_path) == stored


def test_a_spec_that_says_how_it_has_grown_is_refused(tmp_path: Path, command: Command) -> None:
    text = TINY_SPEC.replace("[training]", "[search]\nrevisions = []\n[training]")
    answer = command("create-study", str(write_spec(tmp_path, text)))
    assert answer.code == 2
    assert "search.revisions: are written when a study is extended; remove them" in answer.err


def test_a_study_grows_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    new_study(tmp_path)
    study = mnist_tune.open_study("tiny", "studies.db")
    assert study.extend(add={"learning_rate": 0.003}, dry_run=True)["cells"] == 12
    assert study.status.cells.total == 8
    done = study.extend(add={"learning_rate": [0.003, 0.0003]}, seeds="+1")
    assert (done["cells"], done["added"]["cells"], study.status.cells.total) == (32, 24, 32)
    assert study.extend(seeds=2)["added"] is None
    assert study.spec["search"]["grid"]["seed"] == [0, 1]
    assert "seed" not in study.spec["training"]
    assert mnist_tune.create_study(study.spec, "studies.db").status.cells.total == 32
    for wrong, complaint in (
        ({}, "extend: name what to add: n_trials, add, seeds or epochs"),
        ({"seeds": "many"}, "seeds many: write how many more"),
        ({"epochs": "many"}, "epochs many: write how many more"),
        ({"seeds": 10**5_000}, "seeds a number of more than 60 digits: write how many more"),
        ({"add": 3}, "add: should be a dict of values by field, not 3"),
        ({"add": {"learning_rate": object()}}, "extend: learning_rate: should be a valid number, not <obj"),
        ({"add": {"learning_rate": range(2)}}, "extend: learning_rate: should be a valid number, not range("),
        ({"add": {1: 2}}, "extend: 1: is no field; write its name"),
        ({"add": {"learning_rate": []}}, "extend: learning_rate: has no values; write at least one"),
        ({"add": []}, "add: should be a dict of values by field, not a list"),
        ({"seeds": 4, "top": 0}, "top: should be at least 1, not 0"),
        ({"add": {"learning_rate": 0.01}, "top": 3}, "top: says whose seeds are added; name seeds too"),
    ):
        with pytest.raises(mnist_tune.UserError) as told:
            study.extend(**wrong)
        assert str(told.value).startswith(complaint)
    assert open_study(open_file(tmp_path), "tiny").spec.n_cells == 32
