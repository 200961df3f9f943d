"""Reads a spec from a file, from a study that comes with mnist-tune, or from tables in Python."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnist_tune.errors import UserError
from mnist_tune.spec.documents import short_value, validate
from mnist_tune.spec.parsing import plain
from mnist_tune.spec.plain_data import NotPlainError
from mnist_tune.spec.shipped import find_spec
from mnist_tune.spec.study_spec import Spec, load_spec

Named = str | os.PathLike[str] | Mapping[str, Any]
"""A TOML file, the name of a study that comes with mnist-tune, or the tables of such a file."""


def read_spec(named: Named, name: str | None = None) -> Spec:
    """The spec that `named` stands for; `name` gives it another study name.

    Raises:
        UserError: one line that names the file, the key and the remedy.
    """
    if isinstance(named, Mapping):
        try:
            spec = validate(Spec, plain(named), "spec")
        except NotPlainError as error:
            raise UserError(f"spec: {error}") from None
    elif isinstance(named, str | os.PathLike):
        spec = load_spec(find_spec(Path(named)))
    else:
        raise UserError(
            f"spec: {short_value(named)} is none; name a file or a study that comes with mnist-tune, "
            "or write the tables of such a file as a dict"
        )
    return spec.named(name)
