"""Statements that become SQL text once: SQLAlchemy takes longer to make one ready than SQLite to run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy import orm
from sqlalchemy.engine import Connection, Dialect


class _Bound(NamedTuple):
    """A value that goes into a statement; `stored` turns it into what the driver takes."""

    name: str
    default: Any
    is_given: bool
    stored: Callable[[Any], Any] | None


class _Text:
    """A statement as one driver takes it."""

    def __init__(
        self, statement: sqlalchemy.ClauseElement, columns: Sequence[str] | None, dialect: Dialect
    ) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        self.sql = str(compiled)
        self._is_positional = bool(dialect.positional)
        names = compiled.positiontup if dialect.positional else compiled.bind_names.values()
        self._bound = [_bound(name, compiled.binds[name], dialect) for name in names]

    def values(self, given: Mapping[str, Any]) -> Any:
        """The values that go with the text."""
        values = [_stored(each, given[each.name]) if each.is_given else each.default for each in self._bound]
        if self._is_positional:
            return tuple(values)
        return {each.name: value for each, value in zip(self._bound, values, strict=True)}


class Prepared:
    """A statement for use again and again, on any database that we know.

    Its rows have values as the driver gives them: a column with a type of ours, or a time, is not for it.
    """

    def __init__(self, statement: sqlalchemy.ClauseElement, columns: Sequence[str] | None = None) -> None:
        """`columns`: those of an INSERT that the parameters give. For IN see `is_one_of`."""
        self._statement = statement
        self._columns = columns
        self._texts: dict[str, _Text] = {}

    def execute(
        self, session: orm.Session, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] = {}
    ) -> sqlalchemy.CursorResult[Any]:
        """Execute it, with a list of parameters once for each of them."""
        return self.run(session.connection(), parameters)

    def run(
        self, connection: Connection, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> sqlalchemy.CursorResult[Any]:
        """Execute it as `execute` does, on the connection of a transaction."""
        text = self._texts.get(connection.dialect.name)
        if text is None:
            text = _Text(self._statement, self._columns, connection.dialect)
            self._texts[connection.dialect.name] = text
        if isinstance(parameters, Mapping):
            return connection.exec_driver_sql(text.sql, text.values(parameters))
        return connection.exec_driver_sql(text.sql, [text.values(each) for each in parameters])

    def changed(self, session: orm.Session, parameters: Mapping[str, Any]) -> bool:
        """Execute an UPDATE; returns whether it changed any row."""
        return self.execute(session, parameters).rowcount > 0


def is_one_of(column: sqlalchemy.ColumnElement[Any], *values: Any) -> sqlalchemy.ColumnElement[bool]:
    """The SQL condition that a column has one of these values, for statements that are to be prepared."""
    return sqlalchemy.or_(*(column == value for value in values))


def _bound(name: str, bind: sqlalchemy.BindParameter[Any], dialect: Dialect) -> _Bound:
    if bind.expanding:
        raise ValueError(f"{name}: IN has another text for each length of its list; use is_one_of")
    stored = bind.type.dialect_impl(dialect).bind_processor(dialect)
    if bind.required:
        return _Bound(name, None, True, stored)
    default = bind.effective_value
    return _Bound(name, default if stored is None else stored(default), False, stored)


def _stored(bound: _Bound, value: Any) -> Any:
    return value if bound.stored is None else bound.stored(value)
