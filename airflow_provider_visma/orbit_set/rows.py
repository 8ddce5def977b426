"""One row of a file becomes the body of a ``set``, or a list of what is wrong with it.

Nothing of a row's content ever gets into a problem: it names the row, the column and the rule. What a row
leaves empty is left out of the body, for a null would empty the field in Orbit.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.orbit_set.fields import KINDS, KNOWN_FIELDS
from airflow_provider_visma.upload_ledger.rows import REJECTED_COLUMNS, Members, Problem, UnfitError

_ID = re.compile(r"[A-Z]{2}[0-9A-Z]{13}", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


class RowChecker:
    """Turns rows into bodies, row after row, and says what is wrong with them.

    :param resource: e.g. ``companies``.
    :param columns: field by column of the file; None ignores the column. Columns it does not name are named
        as the fields.
    :param defaults: values for fields that a row without an id leaves empty, checked like a row's.
    :param types: kind by field, for fields that are not known or are of another kind after all.
    :param required: fields that no row without an id may leave empty.
    :param look_up_by: a field that no two rows without an id may share.
    :raises VismaRequestError: columns, defaults or types name something that cannot be.
    """

    def __init__(
        self,
        resource: str,
        *,
        columns: Mapping[str, str | None] | None = None,
        defaults: Mapping[str, Any] | None = None,
        types: Mapping[str, str] | None = None,
        required: Sequence[str] = (),
        look_up_by: str | None = None,
    ) -> None:
        self._columns = dict(columns or {})
        self._is_known = resource in KNOWN_FIELDS
        self._kinds: dict[str, str] = {**KNOWN_FIELDS.get(resource, {}), **(types or {})}
        self._required = tuple(dict.fromkeys((*required, *([look_up_by] if look_up_by else ()))))
        self._look_up_by = look_up_by
        self._seen: set[str] = set()
        self._ids: dict[str, int] = {}
        self._values: dict[str, int] = {}
        self._check_arguments(defaults or {})
        self._defaults: Members = {}
        for field, value in (defaults or {}).items():
            try:
                self._defaults[field] = self._value(field, value)
            except UnfitError as unfit:
                raise VismaRequestError(f"the default of {field} {unfit}") from None

    def check(self, number: int, row: Mapping[str, Any]) -> tuple[Members, list[Problem]]:
        """Return the body for a row, and what is wrong with it: usable only where that is nothing."""
        members: Members = {}
        problems: list[Problem] = []
        source: dict[str, str] = {}
        for position, (column, raw) in enumerate(row.items(), 1):
            field = self._columns.get(column, column)
            if field is None or column in REJECTED_COLUMNS:
                continue
            if rule := self._unknown(field):
                if column not in self._seen:
                    # In a file without a header the first row's content stands where names should.
                    named = (
                        column if difflib.get_close_matches(column, self._kinds, 1) else f"column {position}"
                    )
                    problems.append(Problem(number, named, rule))
                self._seen.add(column)
                continue
            source[field] = column
            try:
                value = self._value(field, raw)
            except UnfitError as broken:
                problems.append(Problem(number, column, str(broken)))
                continue
            if value is not None:
                members[field] = value
        if not problems:
            problems += (
                self._changes(number, members, source)
                if "id" in members
                else self._new(number, members, source)
            )
        return members, problems

    def _changes(self, number: int, members: Members, source: Mapping[str, str]) -> Iterator[Problem]:
        """A row that changes what is there."""
        if len(members) == 1:
            yield Problem(number, source["id"], "stands alone: there is nothing to change")
        # In doubt and repeated, the first of them would undo the second.
        earlier = self._ids.setdefault(members["id"], number)
        if earlier != number:
            yield Problem(number, source["id"], f"is that of row {earlier} too")

    def _new(self, number: int, members: Members, source: Mapping[str, str]) -> Iterator[Problem]:
        """A row that makes something new."""
        if not members:
            yield Problem(number, "row", "is empty")
            return
        for field, value in self._defaults.items():
            members.setdefault(field, value)
        for field in self._required:
            if field not in members:
                yield Problem(number, source.get(field, field), "is empty")
        if self._look_up_by in members:
            earlier = self._values.setdefault(value_of(members[self._look_up_by]), number)
            if earlier != number:
                column = source.get(self._look_up_by, self._look_up_by)
                yield Problem(number, column, f"is that of row {earlier} too, and no two rows may share it")

    def _unknown(self, field: str) -> str:
        """Return what is wrong with a field's name, empty where nothing is."""
        if field == "id" or field in self._kinds:
            return ""
        if not self._is_known and _NAME.fullmatch(field):
            return ""
        near = difflib.get_close_matches(field, self._kinds, 1)
        if not self._is_known:
            return "is no name of a field"
        hint = f"; did you mean {near[0]}?" if near else "."
        return f"is no field that is known{hint} If Orbit has it, give its kind in types"

    def _value(self, field: str, raw: Any) -> Any:
        """Return the value as JSON takes it, None where it is empty."""
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            return None
        if field == "id":
            return _id(raw)
        return _READERS[self._kinds.get(field, "any")](raw)

    def _check_arguments(self, defaults: Mapping[str, Any]) -> None:
        for field, kind in self._kinds.items():
            if kind not in KINDS:
                raise VismaRequestError(f"types gives {field} no kind that there is: {', '.join(KINDS)}")
        wanted = [field for field in self._columns.values() if field is not None]
        if len(set(wanted)) != len(wanted):
            raise VismaRequestError("columns gives one field to two columns")
        if self._look_up_by == "id":
            raise VismaRequestError("look_up_by is id, which rows that are to be made do not have")
        if "id" in defaults or self._look_up_by in defaults:
            raise VismaRequestError("defaults gives many rows one id, or one value of look_up_by")
        for field in (*wanted, *defaults, *self._required):
            if rule := self._unknown(field):
                raise VismaRequestError(f"{field} {rule}")


def value_of(value: Any) -> str:
    """Return a value in the one spelling in which two of them are compared.

    Without capitals, spaces and zeros at the end of a fraction: nobody knows what Orbit does to them, and a
    row that is not found under its value is made again.
    """
    if isinstance(value, (float, Decimal)):
        return f"{Decimal(str(value)).normalize():f}"
    return "".join(str(value).casefold().split())


def _id(raw: Any) -> str:
    text = raw.strip() if isinstance(raw, str) else ""
    if not _ID.fullmatch(text):
        raise UnfitError("is no id of Orbit (two letters and thirteen characters)")
    return text


def _text(raw: Any) -> Any:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)  # a house number, from a file that has types
    if not isinstance(raw, str):
        raise UnfitError("is not text")
    return _any(raw)


def _number(raw: Any) -> int | float:
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float, Decimal)):
        raise UnfitError("is not a number")
    if isinstance(raw, str):
        text = raw.strip()
        if not _NUMBER.fullmatch(text):
            comma = _NUMBER.fullmatch(text.replace(",", ".", 1))
            raise UnfitError("needs a decimal point, not a comma" if comma else "is not a number")
        raw = Decimal(text)
    exact = Decimal(repr(raw)) if isinstance(raw, float) else Decimal(raw)
    if not exact.is_finite():
        raise UnfitError("is not a number")
    return _in_json(exact)


def _in_json(exact: Decimal) -> int | float:
    """Return a number that JSON carries without losing a digit."""
    if abs(exact.adjusted()) < 40:
        if exact == exact.to_integral_value():
            return int(exact)
        if Decimal(repr(float(exact))) == exact:
            return float(exact)
    raise UnfitError("has more digits than a number in JSON carries")


def _whole(raw: Any) -> int:
    number = _number(raw)
    if not isinstance(number, int):
        raise UnfitError("is not a whole number")
    return number


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    found = {"true": True, "1": True, "false": False, "0": False}.get(str(raw).strip().lower())
    if found is None or not isinstance(raw, (str, int)):
        raise UnfitError("must be true or false")
    return found


def _date(raw: Any) -> str:
    rule = "is not a date (YYYY-MM-DD), nor one with a time (YYYY-MM-DDThh:mm:ss)"
    moment = raw
    if isinstance(raw, str):
        if not re.match(r"\d{4}-\d\d-\d\d", raw.strip(), re.ASCII):
            raise UnfitError(rule)
        try:
            moment = datetime.fromisoformat(raw.strip())
        except ValueError:
            raise UnfitError(rule) from None
        if len(raw.strip()) == len("2026-08-28"):
            return raw.strip()
    if not isinstance(moment, date):
        raise UnfitError(rule)
    if not isinstance(moment, datetime):
        return moment.isoformat()
    if moment.tzinfo is not None:
        raise UnfitError("must have no time zone: Orbit's moments have none")
    return moment.replace(microsecond=0).isoformat()


def _list(raw: Any) -> list[Any]:
    if isinstance(raw, str):
        try:
            raw = json.loads(raw, parse_float=Decimal)
        except (ValueError, RecursionError):
            raise UnfitError("is not a list in JSON") from None
    if not isinstance(raw, list):
        raise UnfitError("is not a list")
    return [_any(each) for each in raw]


def _any(raw: Any) -> Any:
    """Return a value as the file has it; what is empty in an object is left out there too."""
    if isinstance(raw, str) and _SURROGATE.search(raw):
        raise UnfitError("holds half a character, as a text may that was cut off")
    if raw is None or isinstance(raw, (str, bool, int)):
        return raw
    if isinstance(raw, (float, Decimal)):
        return _number(raw)
    if isinstance(raw, date):
        return _date(raw)
    if isinstance(raw, Mapping):
        return {str(name): _any(value) for name, value in raw.items() if value is not None}
    if isinstance(raw, (list, tuple)):
        return [_any(each) for each in raw]
    raise UnfitError("is nothing that JSON has a form for")


_READERS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "number": _number,
    "whole": _whole,
    "boolean": _boolean,
    "date": _date,
    "list": _list,
    "any": _any,
}
