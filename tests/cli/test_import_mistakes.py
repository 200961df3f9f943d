"""`import-trials`: a table with a mistake gets one line with its place, and nothing is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import Command
from tests.support.specs import SAMPLED_SPEC
from tests.support.stored_content import database_content
from tests.support.studies import new_study

HEADER = "learning_rate,batch_size,optimizer,value\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "line 1: no column has the objective; name one 'validation_accuracy' or 'value'"),
        (HEADER, "has no result; write one a line below the names"),
        ("learning_rate,value,learning_rate\n", "line 1: names learning_rate twice; remove one of the two"),
        ("learning_rate,value,validation_accuracy\n", "line 1: names validation_accuracy twice; remove one"),
        ("lerning_rate,value\n", "line 1: 'lerning_rate': is no field; did you mean 'learning_rate'?"),
        ("params_lr,value\n", "line 1: 'params_lr': unknown training field; "),
        (f"{HEADER}0.001,64,Adam\n", "line 2 has 3 values for 4 fields"),
        (
            f"{HEADER}0.001,64,Adam,99\nfast,64,Adam,99\n",
            "line 3: learning_rate: should be a valid number, not",
        ),
        (f"{HEADER}0.001,64.5,Adam,99\n", "line 2: batch_size: should be a valid integer"),
        (f"{HEADER}0.001,64,Adam,\n", "line 2: validation_accuracy: missing"),
        (f"{HEADER}0.001,64,Adam,good\n", "line 2: validation_accuracy: should be a number, not 'good'"),
        (f"{HEADER}0.001,64,Adam,nan\n", "line 2: validation_accuracy: is nan, which no validation accuracy"),
        (f"{HEADER}0.001,64,Adam,101\n", "line 2: validation_accuracy: is 101, which no validation accuracy"),
        (f"{HEADER}0.5,64,Adam,99\n", "line 2: learning_rate: 0.5 is outside its range, 1e-05 to 0.1"),
        (f"{HEADER}0.001,,Adam,99\n", "line 2: batch_size: missing: a result has a value of each searched"),
        ("state,learning_rate,value\nDONE,1,2\n", "line 2: state: 'DONE' is not known; write COMPLETE"),
        ("epochs,learning_rate,value\n3,0.1,2\n", "line 2: epochs: is 10 in all trials of this study"),
        (HEADER.replace(",", ";"), "line 1 has ';' between its names; write commas"),
        (b"learning_rate,value\n0.1\xff,2\n", "line 2 is not UTF-8; save the file as UTF-8"),
        (HEADER + "0.001,64,Adam,99\n" * 100_000, "has more than 1 MB; "),
    ],
)
def test_a_table_with_a_mistake_gets_one_line_with_its_place(
    tmp_path: Path, command: Command, content: str | bytes, complaint: str
) -> None:
    new_study(tmp_path, SAMPLED_SPEC.format(n_trials=3))
    stored = database_content(tmp_path)
    table = tmp_path / "known.csv"
    table.write_bytes(content.encode() if isinstance(content, str) else content)
    answer = command("import-trials", "tiny", str(table))
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert answer.err.startswith(f"mnist-tune: {table}: {complaint}")
    assert database_content(tmp_path) == stored
