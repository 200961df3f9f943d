"""Reads results that were obtained elsewhere from a table in CSV, as `trials_dataframe` makes one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mnist_tune.errors import UserError
from mnist_tune.jobs.fields import JobField
from mnist_tune.spec.axes import field_named
from mnist_tune.spec.csv_table import lines_of
from mnist_tune.spec.documents import KeyedError, did_you_mean, short_value
from mnist_tune.spec.growth_texts import typed
from mnist_tune.spec.imports import LONGEST_SOURCE, Import, checked_result
from mnist_tune.spec.study_spec import Spec
from mnist_tune.text.visible import visible

VALUE, STATE = "value", "state"
STATES = ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING")
"""Optuna's names."""
PARAMETER = "params_"
"""What the name of a parameter begins with in Optuna's table."""
AS_FLOAT = re.compile(r"([+-]?[0-9]+)\.0+", re.ASCII)
"""A whole number in a column of pandas that has gaps."""


def results_in(spec: Spec, file: Path) -> tuple[Import, int]:
    """The results in a table in CSV, and how many lines are left out since they are of no complete trial.

    `spec` is the study's. The table has a column for each searched field, one for the objective, and may have
    one for the state. One with Optuna's names may have others too, which say nothing of a result.

    Raises:
        UserError: the file cannot be read, a column is not known, or a value does not fit.
    """
    fields, lines = spec.description.fields, lines_of(file, "result")
    columns = _columns(spec, next(lines).texts, file)
    results, left_out = [], 0
    for line in lines:
        where = f"{file}: line {line.number}"
        texts = {
            column: text
            for column, text in zip(columns, line.texts, strict=True)
            if column is not None and text
        }
        if not _is_complete(texts.pop(STATE_COLUMN, STATES[0]), where):
            left_out += 1
            continue
        value = _value(texts.pop(VALUE_COLUMN, ""), spec.description.objective, where)
        parameters = {
            name: typed(spec, name, _as_written(fields[name], text), f"{where}:")
            for (_, name), text in texts.items()
        }
        results.append(checked_result(spec, parameters, value, where))
    return Import(source=visible(file.name)[-LONGEST_SOURCE:], results=results), left_out


Column = tuple[bool, str]
"""Whether it is a field's, and its name."""
VALUE_COLUMN: Column = (False, VALUE)
STATE_COLUMN: Column = (False, STATE)


def _columns(spec: Spec, header: Sequence[str], file: Path) -> list[Column | None]:
    """What each column holds; None for one that says nothing of a result. Raises UserError."""
    fields, objective = spec.description.fields, spec.description.objective
    is_optunas = any(name.startswith(PARAMETER) and name not in fields for name in header)
    columns: list[Column | None] = []
    for name in header:
        try:
            columns.append(_optunas(spec, name) if is_optunas else _column(spec, name))
        except KeyedError as error:
            raise UserError(f"{file}: line 1: {short_value(name)}: {error}") from None
    known = [column for column in columns if column is not None]
    for column in known:
        if known.count(column) > 1:
            what = objective if column == VALUE_COLUMN else column[1]
            raise UserError(f"{file}: line 1: names {what} twice; remove one of the two columns")
    if VALUE_COLUMN not in known:
        raise UserError(f"{file}: line 1: no column has the objective; name one '{objective}' or '{VALUE}'")
    return columns


def _optunas(spec: Spec, name: str) -> Column | None:
    """What a column of Optuna's table holds. Raises KeyedError."""
    if name in (VALUE, f"{VALUE}_{spec.description.objective}"):  # where a study names its metric
        return VALUE_COLUMN
    if name == STATE:
        return STATE_COLUMN
    if not name.startswith(PARAMETER):
        return None
    return True, field_named(spec.description.fields, name.removeprefix(PARAMETER)).name


def _column(spec: Spec, name: str) -> Column | None:
    """What a column of any other table holds. Raises KeyedError."""
    fields, objective = spec.description.fields, spec.description.objective
    if name in fields:
        return True, field_named(fields, name).name
    if name in (objective, VALUE):
        return VALUE_COLUMN
    if name == STATE:
        return STATE_COLUMN
    if not name:  # pandas numbers the lines
        return None
    raise KeyedError(name, f"is no field; {did_you_mean(name, [*spec.search.axes, objective, STATE])}")


def _is_complete(state: str, where: str) -> bool:
    if state not in STATES:
        raise UserError(f"{where}: {STATE}: {short_value(state)} is not known; write COMPLETE")
    return state == STATES[0]


def _value(text: str, objective: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        problem = f"should be a number, not {short_value(text)}" if text else "missing"
        raise UserError(f"{where}: {objective}: {problem}") from None


def _as_written(field: JobField, text: str) -> str:
    """A value as a spec writes it: pandas writes True for true and, beside gaps, 64.0 for 64."""
    choices = list(map(repr, field.choices or ()))
    whole = AS_FLOAT.fullmatch(text)
    if whole and (field.is_integer or whole[1] in choices):
        return whole[1]
    is_truth = text in choices or not (field.choices or field.is_number or field.is_text)
    return text.lower() if text in ("True", "False") and is_truth else text
