"""A metric: how it may be called, and how people read its values."""

from __future__ import annotations

import math
import numbers
import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from mnist_tune.jobs.fields import Described
from mnist_tune.text.visible import visible

SECONDS = "seconds"
"""The name of the number that says how long an epoch took."""
TAKEN = {
    *("epoch", SECONDS, "number", "cell", "inherited"),
    *("study", "trial", "seeds", "provisional", "study_finished", "evidence", "storage"),
    *("exported_by", "environment"),
}
"""Names that stand beside metrics in tables of epochs and in exports; no metric may have them."""
PERCENT = "%"
"""A unit whose numbers have few digits: less than one in the last place is nothing."""
MOST_OF_A_TITLE = 20
WIDEST = 8
"""The most characters of a value, besides its sign and its unit."""
NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,59}$"


def is_name(name: str) -> bool:
    """Whether a metric may be called so: letters, digits and underscores."""
    return re.fullmatch(NAME, name) is not None


def is_taken(name: str) -> bool:
    """Whether a name stands beside metrics with another meaning."""
    return name in TAKEN or name.endswith("_per_second") or name.startswith("params_")


def _is_free(name: str) -> str:
    if is_taken(name):
        raise ValueError(f"'{name}' has another meaning in tables and exports; give the metric another name")
    return name


def fits_a_line(text: str) -> str:
    """The text, if it can be shown within a line. Raises ValueError."""
    if visible(text) != text or text != text.strip():
        raise ValueError(
            f"'{visible(text)}' is shown within a line: leave out line breaks, other control characters, and "
            "spaces around it"
        )
    return text


def plain_number(value: Any) -> Any:
    """A tensor or an array of one element as its number; any other value as it is.

    Raises:
        ValueError: it has more elements.
    """
    if isinstance(value, numbers.Real) or getattr(value, "size", None) is None or not hasattr(value, "item"):
        return value
    try:
        return value.item()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError("it has more than one element; give one number") from None


def _is_no_markup(unit: str) -> str:
    if found := set(unit) & set("<>&{}"):
        raise ValueError(f"'{unit}' has a {min(found)}, which means something else in figures; leave it out")
    return unit


MetricName = Annotated[str, Field(pattern=NAME), AfterValidator(_is_free)]


class Metric(Described):
    """How people read a metric: `unit` follows the number, which has `digits` after the point."""

    unit: Annotated[str, Field(max_length=10), AfterValidator(fits_a_line), AfterValidator(_is_no_markup)] = (
        ""
    )
    title: Annotated[str, Field(max_length=MOST_OF_A_TITLE), AfterValidator(fits_a_line)] = ""
    """A short name for narrow columns; without it, the metric's name is taken."""
    digits: Annotated[int, Field(ge=0, le=12)] = 4
    low: float | None = None
    """The lowest possible value; None means that there is none."""
    high: float | None = None

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low = {self.low:g} must be less than high = {self.high:g}")
        return self

    @property
    def width(self) -> float:
        """The largest difference of two values; infinite without limits."""
        return math.inf if self.low is None or self.high is None else self.high - self.low

    def holds(self, value: float) -> bool:
        """Whether a value is a possible one. nan is, unless the metric has a limit."""
        return not (
            (self.low is not None and not value >= self.low)
            or (self.high is not None and not value <= self.high)
        )

    def text(self, value: float | None) -> str:
        """The value with its unit, its number in at most `WIDEST` characters and a sign; empty for None."""
        if value is None:
            return ""
        return f"{self.number(value)} {self.unit}" if self.unit else self.number(value)

    def difference(self, number: str) -> str:
        """A difference between values, written as `number`, with its unit: of percentages, points."""
        return f"{number} {'points' if self.unit == PERCENT else self.unit}".rstrip()

    def number(self, value: float | None) -> str:
        """The value without its unit; empty for None."""
        if value is None:
            return ""
        digits = min(self.digits, WIDEST - len("0."))
        if value == 0 or not math.isfinite(value):
            return f"{value:.{digits}f}"
        size = int(f"{value:.6e}".partition("e")[2])  # of the value as it is rounded below
        least = 1 - digits if digits > 1 else -digits
        if size >= WIDEST - 1 or (size < least and self.unit != PERCENT):
            short = f"{value:.2e}"
            return short if len(short.lstrip("-")) <= WIDEST else f"{value:.1e}"
        return f"{value:.{min(digits, WIDEST - 2 - max(size, 0))}f}"

    @property
    def room(self) -> int:
        """The columns of a terminal that the longest text of a value takes."""
        from rich.cells import cell_len  # a training process has no terminal

        if self.unit == PERCENT and self.low is not None and self.high is not None:
            number = max(len(self.number(end)) for end in (self.low, self.high))
        else:
            number = WIDEST + (self.low is None or self.low < 0)
        return number + (1 + cell_len(self.unit) if self.unit else 0)


def words(name: str) -> str:
    """A metric's name as people say it: validation_loss is 'validation loss'."""
    return re.sub("_+", " ", name).strip()
