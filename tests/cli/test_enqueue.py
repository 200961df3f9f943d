"""`enqueue`: points that are typed, or that stand in a file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import mnist_tune
from tests.support.commands import Command
from tests.support.made_studies.cells import complete_cell
from tests.support.settling_studies import CLEAR
from tests.support.specs import SAMPLED_SPEC, TINY_SPEC, write_spec
from tests.support.stored_content import database_content
from tests.support.studies import new_study

POINT = ["learning_rate=0.002", "batch_size=64", "optimizer=Adam"]


def test_a_typed_point_of_a_grid_is_a_cell_once(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    tried = command("enqueue", "tiny", *POINT, "--dry-run")
    assert (tried.code, tried.err) == (0, "")
    assert tried.out == "study 'tiny' would be given 1 point (1 cell), and have 9 cells\n"
    done = command("enqueue", "tiny", *POINT)
    assert done.out.startswith("gave study 'tiny' 1 point (1 cell): it has 9 cells now\n")
    again = command("enqueue", "tiny", *POINT)
    assert again.out == (
        "a cell already: learning_rate=0.002, batch_size=64, optimizer=Adam\n"
        "study 'tiny' has all that already: 9 cells, nothing was added\n"
    )
    in_json = command("enqueue", "tiny", *POINT, "weight_decay=0.01", "--json").json
    assert (in_json["added"]["points"], in_json["cells"]) == (1, 10)


def test_the_best_of_one_study_is_a_point_of_another(tmp_path: Path, command: Command) -> None:
    complete_cell(new_study(tmp_path), 80.0, 90.0)
    best = tmp_path / "best.toml"
    assert command("export", "tiny", "--output", str(best)).code == 0
    other = SAMPLED_SPEC.format(n_trials=3).replace('"tiny"', '"other"')
    assert command("create-study", str(write_spec(tmp_path, other))).code == 0
    assert command("enqueue", "other", "--from", str(best)).code == 0
    first = command("status", "other", "--json").json["trials"][0]
    exported = mnist_tune.open_study("tiny").best
    assert exported is not None
    assert first["parameters"] == exported.parameters
    assert "a cell already: " in command("enqueue", "other", "--from", str(best)).out


def test_the_best_of_one_study_joins_the_race_of_another(tmp_path: Path, command: Command) -> None:
    complete_cell(new_study(tmp_path), 80.0, 90.0)
    best = tmp_path / "best.toml"
    assert command("export", "tiny", "--output", str(best)).code == 0
    other = CLEAR.replace('"tiny"', '"other"').replace("[0.1, 0.01, 0.001]", "[0.3, 0.2]")
    assert command("create-study", str(write_spec(tmp_path, other))).code == 0
    assert command("enqueue", "other", "--from", str(best)).code == 0
    trials = command("status", "other", "--json").json["trials"]
    assert [trial["parameters"]["seed"] for trial in trials[4:]] == [0, 1]


def test_a_table_of_points_is_added_line_by_line(tmp_path: Path, command: Command) -> None:
    assert command("create-study", str(write_spec(tmp_path, SAMPLED_SPEC.format(n_trials=3)))).code == 0
    table = tmp_path / "known.csv"
    table.write_text('learning_rate, optimizer\n0.002,Adam\n 0.003 ,\n\n0.002,"Adam"\n', encoding="utf-8")
    done = command("enqueue", "tiny", "--from", str(table), "--json").json
    assert (done["added"]["points"], done["cells"]) == (2, 5)
    assert done["known"] == [{"learning_rate": 0.002, "optimizer": "Adam"}]
    found = [trial["parameters"] for trial in command("status", "tiny", "--json").json["trials"]]
    assert found[:3] == [{"learning_rate": 0.002, "optimizer": "Adam"}, {"learning_rate": 0.003}, {}]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("learning_rate,learning_rate\n1,2\n", "its first line should name each field once"),
        ("", "its first line should name each field once"),
        ("learning_rate\n0.1,0.2\n", "line 2 has 2 values for 1 fields"),
        ("learning_rate\nfast\n", "line 2: learning_rate: should be a valid number, not 'fast'"),
        ("lerning_rate\n0.1\n", "line 1: lerning_rate: unknown training field; did you mean"),
        (" learning_rate , optimizer\n", "has no point; write one a line below the names of the fields"),
        ("learning_rate;batch_size\n0.1;64\n", "line 1 has ';' between its names; write commas"),
        ("learning_rate,\n0.1,\n", "its first line should name each field once"),
        ('learning_rate\n\n"0.1\n0.2\n', "line 4 is not valid CSV: unexpected end of data"),
        (f"learning_rate\n{'1' * 131_073}\n", "line 2 is not valid CSV: field larger than field limit"),
        (b"learning_rate\n0.1\xff\n", "line 2 is not UTF-8; save the file as UTF-8"),
        ("learning_rate\n0.1\n".encode("utf-16"), "is in UTF-16; save it as UTF-8"),
        ("learning_rate\n" + "0.1\n" * 300_000, "has more than 1 MB; "),
    ],
)
def test_a_table_that_cannot_be_read_gets_one_line(
    tmp_path: Path, command: Command, content: str | bytes, complaint: str
) -> None:
    new_study(tmp_path)
    table = tmp_path / "known.csv"
    table.write_bytes(content.encode() if isinstance(content, str) else content)
    answer = command("enqueue", "tiny", "--from", str(table))
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert answer.err.startswith(f"mnist-tune: {table}: {complaint}")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "enqueue: name a point, as learning_rate=0.002 batch_size=64, or --from FILE"),
        (["learning_rate"], "enqueue learning_rate: write KEY=VALUE"),
        ([*POINT, "batch_size=32"], "enqueue batch_size: is given twice; leave one out"),
        (POINT[:2], "enqueue: optimizer: missing: a point of a grid names a value of each axis"),
        (["--from", "nothing.toml"], "nothing.toml: no such file"),
        (["--from", "nothing.csv"], "nothing.csv: cannot be read: No such file or directory"),
        (["--from", "spec.toml"], "spec.toml: holds no configuration; name one that 'mnist-tune export'"),
    ],
)
def test_what_is_no_point_gets_one_line_and_changes_nothing(
    tmp_path: Path, command: Command, words: list[str], complaint: str
) -> None:
    new_study(tmp_path)
    stored = database_content(tmp_path)
    answer = command("enqueue", "tiny", *words)
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert answer.err.startswith(f"mnist-tune: {complaint}")
    assert database_content(tmp_path) == stored


def test_points_of_a_spec_are_cells_beside_the_grid(tmp_path: Path, command: Command) -> None:
    known = (
        '[search]\nenqueue = [{learning_rate = 0.002, batch_size = 64, optimizer = "Adam"}]\n[search.grid]'
    )
    spec = str(write_spec(tmp_path, TINY_SPEC.replace("[search.grid]", known)))
    assert "with 9 cells" in command("create-study", spec).out
    more = known.replace("= [{", '= [{learning_rate = 1, batch_size = 64, optimizer = "SGD"}, {')
    wider = str(write_spec(tmp_path, TINY_SPEC.replace("[search.grid]", more)))
    assert "this spec would add 1 point (1 cell)" in command("create-study", wider).err
    assert "1 point (1 cell): it has 10 cells" in command("create-study", wider, "--extend").out
    assert "keeps every promise: 10 cells" in command("verify", "tiny").out


def test_points_are_enqueued_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    new_study(tmp_path)
    study = mnist_tune.open_study("tiny", "studies.db")
    point = {"learning_rate": 0.002, "batch_size": 64, "optimizer": "Adam"}
    assert study.enqueue(point, dry_run=True)["cells"] == 9
    assert study.status.cells.total == 8
    done = study.enqueue([point, point | {"learning_rate": 0.001}])
    assert (done["cells"], done["known"]) == (9, [point | {"learning_rate": 0.001}])
    with pytest.raises(mnist_tune.UserError, match=r"^enqueue: should be a dict of values by field, not 5$"):
        study.enqueue(5)  # type: ignore[arg-type]
    for value, complaint in (
        (math.nan, "should be a finite number, not nan"),
        (None, "should be a valid number, not None"),
        ([0.1], "should be a valid number, not a list"),
    ):
        with pytest.raises(mnist_tune.UserError, match=rf"^enqueue: learning_rate: {complaint}$"):
            study.enqueue({"learning_rate": value})
    with pytest.raises(mnist_tune.UserError, match=r"^enqueue: has no point; give a dict of values by field"):
        study.enqueue([])
