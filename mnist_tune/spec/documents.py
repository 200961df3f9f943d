"""TOML, JSON and YAML files to typed models and back. Errors are one line: file, key, remedy."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from datetime import date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mnist_tune.errors import UserError
from mnist_tune.files.atomic_write import write_output
from mnist_tune.jobs.hyperparameters import STRICT
from mnist_tune.spec.parsing import Format, parse, read_text
from mnist_tune.spec.plain_data import NotPlainError, TextLikeNumber
from mnist_tune.text.visible import spelt_out
from mnist_tune.text.wording import first_line, listed

MOST_NAMED = 20
LONGEST = 60
"""The most characters of a wrong value that a message shows."""


class Section(BaseModel):
    """A table of a document. Unknown keys, values of another type, inf and nan are errors, never guesses."""

    model_config = STRICT


Model = TypeVar("Model", bound=BaseModel)


class KeyedError(ValueError):
    """A validator's complaint about a key below the one that it validates."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def load(path: Path, model: type[Model]) -> Model:
    """Read the file at `path` as `model`.

    Raises:
        UserError: the file cannot be read, is not in its suffix's format, or does not fit the model.
    """
    return validate(model, content_of(path), str(path))


def content_of(path: Path) -> Any:
    """The plain data in the file at `path`.

    Raises:
        UserError: the file cannot be read, or is not in its suffix's format.
    """
    try:
        return parse(read_text(path), format_of(path))
    except NotPlainError as error:
        raise UserError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name a file in it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def validate(model: type[Model], content: Any, source: str) -> Model:
    """Check `content` against `model`; errors call it by `source`.

    Raises:
        UserError: one line that names the key and the remedy.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        # A misspelt key also leaves a missing one: the message about the misspelling helps more.
        details = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        key, problem = describe(details[0], model)
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        raise UserError(": ".join(filter(None, (source, key, problem))) + more) from None


def dump(content: dict[str, Any], format_: Format) -> str:
    """Write plain data as a document; characters that would be invisible are escaped."""
    if format_ == "toml":
        import tomli_w

        return "\n".join(spelt_out(line, _escape) for line in tomli_w.dumps(content).split("\n"))
    if format_ == "json":
        return to_json(content) + "\n"
    import yaml

    return yaml.safe_dump(content, sort_keys=False)


def to_json(content: Any) -> str:
    """Plain data as JSON that every reader accepts: nan and infinities become null, times ISO 8601."""
    try:
        written = json.dumps(content, indent=2, allow_nan=False, default=_iso)
    except ValueError:  # it holds an infinity or nan
        written = json.dumps(_finite(content), indent=2, allow_nan=False, default=_iso)
    return written.replace("\x7f", _escape("\x7f"))  # JSON leaves this ASCII character as it is


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # in TOML's notation


def format_of(path: Path | None) -> Format:
    """The format that a file's suffix stands for; TOML for any other suffix."""
    suffix = path.suffix.lower().lstrip(".") if path is not None else ""
    formats: dict[str, Format] = {"json": "json", "yaml": "yaml", "yml": "yaml"}
    return formats.get(suffix, "toml")


def write(path: Path, document: str) -> None:
    """Write a document whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.parent.stat()  # a folder that is missing was mistyped
        write_output(path, document.encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}; name another with --output") from None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """The remedy for a misspelt word: the most similar candidate, or all of them."""
    candidates = list(candidates)
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    near = get_close_matches(word.lower(), by_lower, n=1)
    if near:
        return f"did you mean '{first_line(by_lower[near[0]])}'?"
    return f"write one of {listed([first_line(candidate) for candidate in candidates], MOST_NAMED)}"


def describe(details: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    """One pydantic error as the dotted key ('' for the whole document), and the problem with its remedy."""
    location = [str(part) for part in details["loc"]]
    problem = details.get("ctx", {}).get("error")
    if isinstance(problem, KeyedError):
        location.append(problem.key)
    key = ".".join(location)
    if details["type"] == "extra_forbidden":
        return key, f"unknown key; {did_you_mean(location[-1], _keys_at(model, details['loc'][:-1]))}"
    if details["type"] == "missing":
        return key, "missing"
    if details["type"] == "value_error":
        return key, str(problem)
    return key, complaint(details)


def complaint(details: ErrorDetails) -> str:
    """What is wrong with one value, in the user's words instead of pydantic's."""
    given = details["input"]
    if details["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", details["ctx"]["expected"])
        meant = short_value(given) if isinstance(given, int) else str(given)
        return f"{short_value(given)} is not known; {did_you_mean(meant, choices)}"
    if details["type"] == "string_pattern_mismatch":
        allowed = "use letters, digits, '.', '_' and '-', a letter or digit first"
        return f"{short_value(given)} is not allowed; {allowed}"
    wanted = re.sub(r" or instance of \w+", "", details["msg"])
    wanted = wanted.replace("Input should be", "should be").replace("dictionary", "table")
    return f"{wanted}, not {short_value(given)}{_remedy(details)}"


def _remedy(details: ErrorDetails) -> str:
    """What to write instead of a text that was meant as a number; '' if it was not."""
    given = details["input"]
    if details["type"] not in ("float_type", "int_type") or not isinstance(given, str):
        return ""
    if len(given) > LONGEST:
        return ""
    if isinstance(given, TextLikeNumber):
        number = given.as_number(whole=details["type"] == "int_type")
        return "" if number is None else f"; that is text in YAML, write {number}"
    try:
        is_number = given.isascii() and math.isfinite(float(given))
    except ValueError:
        is_number = False
    return "; write it without quotes" if is_number else ""


def short_value(value: Any) -> str:
    """A value as a message shows it; long ones are cut."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and abs(value) >= 10**LONGEST:  # Python may refuse to write so many digits
        return f"a number of more than {LONGEST} digits"
    text = value.isoformat() if isinstance(value, date | time) else repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    for part in location:
        annotation = model.model_fields[str(part)].annotation
        of_table = [one for one in (annotation, *get_args(annotation)) if isinstance(one, type)]
        model = next(one for one in of_table if issubclass(one, BaseModel))  # a table may be left out
    return list(model.model_fields)
