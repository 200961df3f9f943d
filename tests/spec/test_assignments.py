"""KEY=VALUE as it is typed after --set and --data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from mnist_tune.errors import UserError
from mnist_tune.jobs.description import Source
from mnist_tune.jobs.hyperparameters import DataOptions, Hyperparameters
from mnist_tune.jobs.interface import Trial, job
from mnist_tune.spec.assignments import typed_fields


class Settings(Hyperparameters):
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    width: Annotated[int, Field(ge=1)] = 8
    nesterov: bool = False
    name: str = ""
    optimizer: Literal["Adam", "SGD"] = "Adam"
    size: Literal[1, 2, True] = 1
    layers: tuple[int, ...] = ()
    decay: float | None = None


class Data(DataOptions):
    rows: int


@job(objective="error", direction="minimize", data_options=Data)
def train(settings: Settings, trial: Trial) -> None:
    """Only described."""


DESCRIPTION = train.describe("fit", Source())


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("learning_rate=0.01", 0.01),
        ("learning_rate=1e-3", 1e-3),
        ("learning_rate=.5", 0.5),
        ("learning_rate=1", 1.0),
        ("width=64", 64),
        ("width=1_000", 1000),
        ("nesterov=true", True),
        ("name=a=b c", "a=b c"),
        ("name=0.01", "0.01"),
        ("name=", ""),
        ("optimizer=SGD", "SGD"),
        ("size=2", 2),
        ("size=true", True),
        ("layers=[8, 16]", [8, 16]),
        ("decay=0.5", 0.5),
    ],
)
def test_a_value_is_read_by_the_type_of_its_field(typed: str, value: Any) -> None:
    settings, data = typed_fields(DESCRIPTION, [typed], ["rows=5"])
    assert settings == {typed.partition("=")[0]: value}
    assert type(settings.popitem()[1]) is type(value)
    assert data == {"rows": 5}


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("learning_rate", "--set learning_rate: write KEY=VALUE"),
        ("=1", "--set =1: write KEY=VALUE"),
        ("learning_rte=1", "--set learning_rte: unknown training field; did you mean 'learning_rate'?"),
        ("learning_rate=0", "--set learning_rate: should be greater than 0, not 0"),
        ("learning_rate=nan", "--set learning_rate: should be a finite number, not nan"),
        ("learning_rate=1e400", "--set learning_rate: should be a finite number, not inf"),
        ("learning_rate=high", "--set learning_rate: should be a valid number, not 'high'"),
        ("learning_rate=1\nx = 2", "--set learning_rate: should be a valid number, not '1\\nx = 2'"),
        ("learning_rate=", "--set learning_rate: should be a valid number, not ''"),
        ("width=1.5", "--set width: should be a valid integer, not 1.5"),
        ("width=0", "--set width: should be greater than or equal to 1, not 0"),
        ("nesterov=yes", "--set nesterov: should be a valid boolean, not 'yes'"),
        ("nesterov=1", "--set nesterov: should be a valid boolean, not 1"),
        ("optimizer=adam", "--set optimizer: 'adam' is not known; did you mean 'Adam'?"),
    ],
)
def test_what_does_not_fit_is_one_line_as_in_a_spec(typed: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        typed_fields(DESCRIPTION, [typed], ["rows=5"])
    assert str(refused.value) == says


def test_a_field_is_given_once() -> None:
    with pytest.raises(UserError, match="--set width: is given twice; leave one out"):
        typed_fields(DESCRIPTION, ["width=1", "width=2"], ["rows=5"])


def test_a_field_without_a_default_must_be_given() -> None:
    with pytest.raises(
        UserError, match="--data rows: missing: the job has no default for it; write rows=VALUE"
    ):
        typed_fields(DESCRIPTION, [], [])
