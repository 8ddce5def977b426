"""The columns as they are served: a user of the tenant edits a report, and its feed is another one.

What must stay true: without a change every column is served as its report has it; and a change that cannot
be made is said, never left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from visma_sandbox.orbit_reporting.edm import Column, Row, UnknownTypeError, Value, check_type, converted
from visma_sandbox.orbit_reporting.reports import Report

_KEYS: Final = frozenset({"type", "value", "rename", "from_row"})
_TRIED: Final = 20  # rows on which a change is tried


@dataclass(frozen=True, slots=True)
class ServedColumn:
    """A column of the feed.

    :param place: where a row of the report has its value; None when `constant` is the value of every entry.
    :param source: the type that the report has it in.
    """

    column: Column
    place: int | None
    source: str = ""
    constant: Value = None

    def value(self, row: Row) -> Value:
        """The value of an entry."""
        return self.constant if self.place is None else row[self.place]

    @property
    def is_converted(self) -> bool:
        """Whether values are of another type than in the report."""
        return self.place is not None and self.source != self.column.type


@dataclass(frozen=True, slots=True)
class View:
    """What is served from an entry on.

    :param first: index of the first row to which it applies.
    """

    first: int
    columns: tuple[ServedColumn, ...]

    def values(self, row: Row) -> list[Value]:
        """An entry's values, one for each column."""
        return [
            converted(each.value(row), each.source, each.column.type)
            if each.is_converted
            else each.value(row)
            for each in self.columns
        ]

    def named(self, row: Row) -> dict[str, Value]:
        """An entry's values by the name of their column."""
        return {each.column.name: value for each, value in zip(self.columns, self.values(row), strict=True)}

    @property
    def is_report(self) -> bool:
        """Whether rows can be served as the report has them."""
        return all(each.place == place and not each.is_converted for place, each in enumerate(self.columns))


def views(report: Report, changes: Mapping[str, Any], selected: Sequence[str] = ()) -> list[View]:
    """The report as it is served, in the order of its rows; changes take effect at the first row or later.

    :param changes: by column: None removes it; else any of ``type``, ``value`` (of every entry), ``rename``
        and ``from_row``. A column that is not there is added.
    :param selected: the columns asked for; all without any.
    :raises UnknownTypeError: for a change nobody understands.
    """
    for change in changes.values():
        if change is not None and (unknown := set(change) - _KEYS):
            raise UnknownTypeError(f"a change of a column has no {', '.join(sorted(unknown))}")
    found = list(_views(report, changes, selected))
    for index in range(min(len(report), _TRIED) if changes else 0):
        for view in found:
            view.values(report.row(index))  # raises before a feed has begun
    return found


def _views(report: Report, changes: Mapping[str, Any], selected: Sequence[str]) -> Iterator[View]:
    starts = sorted({0, *(int((change or {}).get("from_row", 0)) for change in changes.values())})
    for start in starts:
        served = _served(report, _due(changes, start))
        yield View(start, tuple(each for each in served if not selected or each.column.name in selected))


def _due(changes: Mapping[str, Any], row: int) -> dict[str, Any]:
    return {name: each for name, each in changes.items() if int((each or {}).get("from_row", 0)) <= row}


def _served(report: Report, changes: dict[str, Any]) -> Iterator[ServedColumn]:
    waiting = dict(changes)
    for place, column in enumerate(report.columns):
        if column.name not in waiting:
            yield ServedColumn(column, place, column.type)
        elif (change := waiting.pop(column.name)) is not None:
            kind = change.get("type", column.type)
            check_type(kind)
            new = Column(change.get("rename", column.name), kind, column.nullable)
            if "value" in change:
                yield ServedColumn(new, None, kind, _constant(change["value"]))
            else:
                yield ServedColumn(new, place, column.type)
    for name, change in waiting.items():
        if change is None:
            raise UnknownTypeError(f"no column is called {name}")
        kind = change.get("type", "Edm.String")
        check_type(kind)
        yield ServedColumn(Column(name, kind), None, kind, _constant(change.get("value")))


def _constant(value: Any) -> Value:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return [_constant(each) for each in value]
    raise UnknownTypeError("a value is written as on the wire: a text, null, or a list of them")
