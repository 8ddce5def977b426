"""The query options of OData v3, as far as the sandbox reads them.

Whether Orbit reads any is unknown. What must stay true: in each of the three ways to treat them the server's
own ``$skiptoken`` works, and an option that is served is never half served.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from visma_sandbox.orbit_reporting.edm import NUMBERS, Row, Value
from visma_sandbox.orbit_reporting.feed_form import UnknownFormError
from visma_sandbox.orbit_reporting.reports import Report

WAYS: Final = frozenset({"ignored", "refused", "served"})
_OWN: Final = "$skiptoken"
_SERVED: Final = frozenset({"$top", "$skip", "$filter", "$select", "$inlinecount", "$format", _OWN})
_XML_FORMATS: Final = frozenset({"atom", "xml", "application/atom+xml"})


class BadOptionError(Exception):
    """An option that is refused, with the status of the answer."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a request asks of a report.

    :param start: rows that earlier pages had.
    :param given: the options served, which a next link repeats.
    """

    start: int = 0
    skip: int = 0
    top: int | None = None
    where: Callable[[Row], bool] | None = None
    select: tuple[str, ...] = ()
    count: bool = False
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one answer.

    :param following: where the next page starts; None when there is none.
    """

    rows: Iterator[int] | range
    count: int | None
    following: int | None


def read(query: Mapping[str, str], report: Report, way: str) -> Wishes:
    """The options of a request.

    :param way: ``ignored``, ``refused`` or ``served``.
    :raises BadOptionError: for an option that is refused, or that makes no sense.
    :raises UnknownFormError: for a way that there is not.
    """
    if way not in WAYS:
        raise UnknownFormError(f"options are not {way}")
    start = _number(query.get(_OWN, "0"), _OWN)
    system = {name: text for name, text in query.items() if name.startswith("$") and name != _OWN}
    if way == "ignored" or not system:
        return Wishes(start)
    if way == "refused":
        raise BadOptionError(f"The query parameter '{min(system)}' is not supported.")
    if unknown := set(system) - _SERVED:
        raise BadOptionError(f"The query parameter '{min(unknown)}' is not supported.")
    if system.get("$format", "atom") not in _XML_FORMATS:
        raise BadOptionError("Unsupported media type requested.", 406)
    if system.get("$inlinecount", "none") not in ("none", "allpages"):
        raise BadOptionError("Unknown $inlinecount option, only 'allpages' and 'none' are supported.")
    select = tuple(
        name.strip() for name in system.get("$select", "").split(",") if name.strip() not in ("", "*")
    )
    names = [column.name for column in report.columns]
    if missing := set(select) - set(names):
        raise BadOptionError(f"Could not find a property named '{min(missing)}'.")
    return Wishes(
        start=start,
        skip=_number(system.get("$skip", "0"), "$skip"),
        top=_number(system["$top"], "$top") if "$top" in system else None,
        where=_filter(system["$filter"], report) if "$filter" in system else None,
        select=select,
        count=system.get("$inlinecount") == "allpages",
        given=system,
    )


def page(report: Report, wishes: Wishes, *, size: int, empty_last: bool) -> Page:
    """The rows to answer with.

    :param size: of a page; 0 for everything at once.
    :param empty_last: the last page has no row, so that a full one always says that there is more.
    """
    if wishes.where is None:
        matching: Sequence[int] = range(len(report))
    else:
        where = wishes.where
        matching = [index for index in range(len(report)) if where(report.row(index))]
    found = matching[wishes.skip :]
    found = found if wishes.top is None else found[: wishes.top]
    rows = found[wishes.start :]
    more = size and (len(rows) > size or (empty_last and len(rows) > 0))
    chosen = rows[:size] if size else rows
    return Page(
        rows=chosen if isinstance(chosen, range) else iter(chosen),
        count=len(matching) if wishes.count else None,
        following=wishes.start + len(chosen) if more else None,
    )


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise BadOptionError(f"Incorrect format for {name} argument '{text}'.")
    return int(text)


_COMPARISON: Final = re.compile(
    r"\s*(\S+)\s+(eq|ne|gt|ge|lt|le)\s+('(?:[^']|'')*'|\w+'[^']*'|\S+)\s*(?:and|$)"
)
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda left, right: bool(left == right),
    "ne": lambda left, right: bool(left != right),
    "gt": lambda left, right: bool(left > right),
    "ge": lambda left, right: bool(left >= right),
    "lt": lambda left, right: bool(left < right),
    "le": lambda left, right: bool(left <= right),
}


def _filter(text: str, report: Report) -> Callable[[Row], bool]:
    """Comparisons of columns with literals, joined by ``and``."""
    places = {column.name: place for place, column in enumerate(report.columns)}
    tests: list[tuple[int, bool, str, Any]] = []
    at = 0
    while at < len(text):
        found = _COMPARISON.match(text, at)
        if found is None:
            raise BadOptionError(f"Syntax error at position {at} in '$filter'.")
        name, operator, literal = found.groups()
        if name not in places:
            raise BadOptionError(f"No property '{name}' exists.")
        is_number = report.columns[places[name]].type in NUMBERS
        tests.append((places[name], is_number, operator, _literal(literal, is_number=is_number)))
        at = found.end()
    if not tests:
        raise BadOptionError("Syntax error at position 0 in '$filter'.")

    def where(row: Row) -> bool:
        return all(
            _holds(row[place], is_number, operator, right) for place, is_number, operator, right in tests
        )

    return where


def _holds(left: Value, is_number: bool, operator: str, right: Any) -> bool:
    if left is None or right is None:
        return (left is right) == (operator == "eq") if operator in ("eq", "ne") else False
    return _COMPARE[operator](Decimal(str(left)) if is_number else left, right)


def _literal(text: str, *, is_number: bool) -> Any:
    if text == "null":
        return None
    if is_number:
        try:
            return Decimal(text.rstrip("MmLlDdFf"))
        except InvalidOperation:
            raise BadOptionError(f"'{text}' is no number.") from None
    if "'" in text:  # of a datetime'…' and the like, the text in quotes
        return text[text.index("'") + 1 : -1].replace("''", "'")
    return text
