"""What a process of the product makes once, kept where tests would have it made for each command.

It takes half the time of a short command: some twenty commands are built with all their options, Optuna's ten
migrations are loaded as modules, and each engine compiles the same statements again. (`env.py`, which runs
the migrations, is not kept.)
"""

from __future__ import annotations

import functools
from typing import Any

import alembic.util
import pytest
import typer
from alembic.script import ScriptDirectory
from optuna.storages._rdb.storage import _VersionManager
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

from mnist_tune.storage.optuna_internals import ALEMBIC_FOLDER

STATEMENTS = 5000
"""How many compiled statements are kept."""


def keep_what_is_made_once(patch: pytest.MonkeyPatch) -> None:
    """Keep it from now on, until the patch is undone."""
    load = alembic.util.load_python_file
    kept = functools.cache(load)
    newest = functools.cache(lambda: ScriptDirectory(str(ALEMBIC_FOLDER)).get_current_head())
    patch.setattr(
        alembic.util,
        "load_python_file",
        lambda folder, name: (load if name == "env.py" else kept)(folder, name),
    )
    patch.setattr(_VersionManager, "get_head_version", lambda _: newest())
    patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
    _keep_compiled_statements(patch)


def _keep_compiled_statements(patch: pytest.MonkeyPatch) -> None:
    """Give all engines one cache of statements. Its keys take dialects alike for the same."""
    compiled: LRUCache[Any, Any] = LRUCache(STATEMENTS)
    shared = property(lambda _: compiled, lambda *_: None)
    patch.setattr(Engine, "_compiled_cache", shared, raising=False)
    patch.setattr(DefaultDialect, "__eq__", lambda one, other: _kind(one) == _kind(other))
    patch.setattr(DefaultDialect, "__hash__", lambda one: hash(type(one)))


def _kind(dialect: Any) -> tuple[Any, ...]:
    return type(dialect), getattr(dialect, "server_version_info", None), getattr(dialect, "paramstyle", None)
