"""One row of a file becomes the members of an HourEntry, or a list of what is wrong with it.

Nothing of a row's content ever gets into a problem: it names the row, the column and the rule.

Which members a row needs is our reading, since the contract marks none as required: WCF reads an absent
``EventDate`` as the year 1, an absent ``Quantity`` as 0 and an absent ``IsBillable`` as false, and says
nothing. What the vendor's reference says is ignored on adding (``AccountGUID``, ``IsApproved``) or set by the
service is refused, so that nobody believes it was stored.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.upload_ledger.rows import REJECTED_COLUMNS, Members, Problem, UnfitError

MAX_QUANTITY = 999
"""Hours in one entry (release notes of August 2016)."""

_GUIDS = ("CaseGUID", "OverTimeGUID", "PhaseGUID", "TaskGUID", "UserGUID", "WorkTypeGUID")
_TEXTS = ("Description", "InvoiceDescription")
_AMOUNTS = ("InvoiceQuantity", "UnitCost", "UnitPrice")
_FLAGS = ("IsBillable", "IsProductive")
_MOMENTS = ("StartTime", "EndTime")
_REQUIRED = ("EventDate", "IsBillable", "Quantity", "UserGUID", "WorkTypeGUID")
_WHERE = ("PhaseGUID", "CaseGUID")
_NOT_SENT = (
    "AccountGUID",
    "GUID",
    "InvoiceGUID",
    "InvoiceRowGUID",
    "IsApproved",
    "IsReadOnly",
    "UnitPriceInBaseCurrency",
)
MEMBERS = (*_GUIDS, *_TEXTS, *_AMOUNTS, *_FLAGS, *_MOMENTS, "EventDate", "Quantity")

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,15}(\.\d{1,18})?", re.ASCII)
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_YEARS = range(1990, 2101)


class RowChecker:
    """Turns rows into members, row after row, and says what is wrong with them.

    :param columns: member by column of the file; None ignores the column. Columns it does not name are
        named as the members.
    :param defaults: values for members that a row leaves empty, checked like a row's.
    :param same_columns: every row has the columns of the first, as in CSV and parquet.
    :raises VismaRequestError: columns or defaults name something that an HourEntry does not take.
    """

    def __init__(
        self,
        *,
        columns: Mapping[str, str | None] | None = None,
        defaults: Mapping[str, Any] | None = None,
        same_columns: bool = True,
    ) -> None:
        self._columns = dict(columns or {})
        self._same_columns = same_columns
        self._seen: set[str] = set()
        self._missing: set[str] = set()
        wanted = [member for member in self._columns.values() if member is not None]
        for member in (*wanted, *(defaults or {})):
            if member not in MEMBERS:
                raise VismaRequestError(f"{member} {_not_a_member(member)}")
        if len(set(wanted)) != len(wanted):
            raise VismaRequestError("columns gives one member to two columns")
        self._defaults: Members = {}
        for member, value in (defaults or {}).items():
            try:
                self._defaults[member] = _value(member, value)
            except UnfitError as unfit:
                raise VismaRequestError(f"the default of {member} {unfit}") from None

    def check(self, number: int, row: Mapping[str, Any]) -> tuple[Members, list[Problem]]:
        """Return the members of a row, and what is wrong with it: usable only where that is nothing."""
        members = dict(self._defaults)
        problems: list[Problem] = []
        source = {member: member for member in MEMBERS}
        unfit: set[str] = set()
        for position, (column, raw) in enumerate(row.items(), 1):
            member = self._columns.get(column, column)
            if member is None or column in REJECTED_COLUMNS:
                continue
            if member not in MEMBERS:
                if column not in self._seen:
                    problems.append(_unknown(number, column, position))
                self._seen.add(column)
                continue
            source[member] = column
            try:
                value = _value(member, raw)
            except UnfitError as broken:
                problems.append(Problem(number, column, str(broken)))
                unfit.add(member)
                continue
            if value is not None:
                members[member] = value
        if not unfit.intersection(_MOMENTS) and "EventDate" in members:
            problems += self._moments(number, members, source)
        problems += self._absent(number, row, members, unfit, source)
        return members, problems

    def _moments(self, number: int, members: Members, source: Mapping[str, str]) -> Iterator[Problem]:
        """Give a time of day its date, and compare begin and end."""
        for member in _MOMENTS:
            if isinstance(moment := members.get(member), time):
                members[member] = datetime.combine(members["EventDate"], moment)
        start, end = members.get("StartTime"), members.get("EndTime")
        if start is not None and end is not None and end < start:
            yield Problem(number, source["EndTime"], "is before the start; give both with their dates")

    def _absent(
        self,
        number: int,
        row: Mapping[str, Any],
        members: Members,
        unfit: set[str],
        source: Mapping[str, str],
    ) -> Iterator[Problem]:
        given = members.keys() | unfit
        wanted = [((member,), member) for member in _REQUIRED]
        for names, title in [*wanted, (_WHERE, "PhaseGUID or CaseGUID")]:
            if given.intersection(names) or title in self._missing:
                continue
            if self._same_columns and not any(source[name] in row for name in names):
                self._missing.add(title)
                yield Problem(number, title, "has no column in the file, and no default")
            else:
                yield Problem(number, title if len(names) > 1 else source[names[0]], "is empty")


def _not_a_member(name: str) -> str:
    if name in _NOT_SENT:
        return "is set by the service or ignored when adding; leave the column out, or map it to None"
    near = difflib.get_close_matches(name, MEMBERS, 1)
    return f"is not a member of HourEntry{f'; did you mean {near[0]}?' if near else ''}"


def _unknown(number: int, column: str, position: int) -> Problem:
    # In a file without a header the first row's content stands where names should: it is not repeated.
    known = column in _NOT_SENT or difflib.get_close_matches(column, MEMBERS, 1)
    return Problem(number, column if known else f"column {position}", _not_a_member(column))


def _value(member: str, raw: Any) -> Any:
    """Return the value as the service takes it, None where it is empty."""
    if isinstance(raw, str) and member not in _TEXTS:
        raw = raw.strip()
    if raw is None or raw == "":
        return None
    return _READERS[member](raw)


def _guid(raw: Any) -> str:
    if isinstance(raw, UUID):  # a type of its own in parquet
        return str(raw)
    if not isinstance(raw, str) or not _GUID.fullmatch(raw):
        raise UnfitError("is not a GUID (8-4-4-4-12 hexadecimal digits)")
    return raw


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise UnfitError("is not text")
    if _NOT_IN_XML.search(raw):
        raise UnfitError("holds a character that XML cannot carry")
    return raw


def _amount(raw: Any) -> Decimal:
    # A float is written out as people write it: 7.1 and not 7.0999999999999996447…
    text = format(Decimal(repr(raw)), "f") if isinstance(raw, float) and raw - raw == 0 else str(raw)
    # Written out, an exponent of nine digits would take a gigabyte.
    if isinstance(raw, Decimal) and raw.is_finite() and abs(raw.adjusted()) < 40:
        text = format(raw, "f")
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float, Decimal)):
        raise UnfitError("is not a number")
    if not _DECIMAL.fullmatch(text):
        comma = isinstance(raw, str) and _DECIMAL.fullmatch(raw.replace(",", ".", 1))
        raise UnfitError("needs a decimal point, not a comma" if comma else "is not a number")
    # Parquet fills decimals up with zeros.
    return Decimal(format(Decimal(text).normalize(), "f"))


def _quantity(raw: Any) -> Decimal:
    quantity = _amount(raw)
    if not 0 < quantity <= MAX_QUANTITY:
        raise UnfitError(f"must be more than 0 and at most {MAX_QUANTITY}")
    return quantity


def _flag(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    found = {"true": True, "1": True, "false": False, "0": False}.get(str(raw).lower())
    if found is None or not isinstance(raw, (str, int)):
        raise UnfitError("must be true or false")
    return found


def _day(raw: Any) -> datetime:
    day = _moment_of(raw, "is not a date (YYYY-MM-DD)")
    if day.time() != time():
        raise UnfitError("is a date without a time of day")
    return day


def _moment(raw: Any) -> datetime | time:
    if isinstance(raw, str) and re.fullmatch(r"\d\d:\d\d(:\d\d)?", raw, re.ASCII):
        raw = _parsed(time.fromisoformat, raw, "is not a time of day")
    if isinstance(raw, time):
        if raw.tzinfo is not None:
            raise UnfitError("must have no time zone: the service takes local times")
        return raw
    return _moment_of(raw, "is not a date and time (YYYY-MM-DDThh:mm:ss), nor a time of day (hh:mm)")


def _moment_of(raw: Any, rule: str) -> datetime:
    if isinstance(raw, str) and re.match(r"\d{4}-\d\d-\d\d", raw, re.ASCII):
        raw = _parsed(datetime.fromisoformat, raw, rule)
    elif isinstance(raw, date) and not isinstance(raw, datetime):
        raw = datetime.combine(raw, time())
    if not isinstance(raw, datetime):
        raise UnfitError(rule)
    if raw.tzinfo is not None:
        raise UnfitError("must have no time zone: the service takes local times")
    if raw.year not in _YEARS:
        raise UnfitError(f"is not between {_YEARS[0]} and {_YEARS[-1]}")
    # Plain datetime: a subclass such as pandas' or pendulum's may write itself otherwise.
    return datetime(raw.year, raw.month, raw.day, raw.hour, raw.minute, raw.second)


def _parsed(read: Callable[[str], Any], raw: str, rule: str) -> Any:
    try:
        return read(raw)
    except ValueError:
        raise UnfitError(rule) from None


_READERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_GUIDS, _guid),
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_AMOUNTS, _amount),
    **dict.fromkeys(_FLAGS, _flag),
    **dict.fromkeys(_MOMENTS, _moment),
    "EventDate": _day,
    "Quantity": _quantity,
}
