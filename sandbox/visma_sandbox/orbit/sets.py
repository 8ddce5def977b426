"""``set``: what is sent with an id changes that row, what is sent without one makes a row.

A null empties the field: a client that does not mean that must leave the field out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from visma_sandbox.orbit.answers import Refusal
from visma_sandbox.orbit.ids import is_id
from visma_sandbox.orbit.resources import (
    BOOLEAN,
    COMPANY_TYPES,
    EMAIL,
    LIST,
    MOMENT,
    NUMBER,
    TEXT,
    WHOLE,
    Resource,
)
from visma_sandbox.orbit.tables import Table, UnknownRowError

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PYTHON_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    TEXT: (str,),
    EMAIL: (str,),
    MOMENT: (str,),
    NUMBER: (int, float),
    WHOLE: (int,),
    BOOLEAN: (bool,),
    LIST: (list,),
}


def set_row(
    tables: Mapping[str, Table], name: str, body: Mapping[str, Any], *, note: dict[str, Any], strict: bool
) -> int:
    """Change a row or make one.

    :param note: for the journal: what was sent, by name.
    :param strict: whether a field that is not known is refused; it is dropped otherwise.
    :return: the row's index.
    :raises Refusal: when there is no such row, or a value is not one that the field can have.
    """
    table, resource = tables[name], tables[name].resource
    unknown = sorted(body.keys() - resource.settable.keys() - {"id"})
    note.update(
        id=body.get("id") if is_id(body.get("id"), resource.prefix) else None,
        fields=sorted(body),
        nulls=sorted(field for field, value in body.items() if value is None),
        dropped=unknown,
        created=False,
    )
    if strict and unknown:
        raise _invalid("a field is not known")
    values = {field: value for field, value in body.items() if field in resource.settable}
    for field, value in values.items():
        if value is not None:
            _check(tables, resource, field, value)
    index = None if body.get("id") is None else _index(table, body["id"])
    for field in resource.needed:
        if (index is None or field in values) and values.get(field) in (None, ""):
            raise _invalid(f"{field} is needed")
    if name == "companies" and "email" in values:
        email = values["email"]
        values["emails"] = [] if email is None else [{"email": email, "type": "PRIMARY"}]
    if index is None:
        note["created"] = True
        return table.add({field: _emptied(resource, field, value) for field, value in values.items()})
    table.change(index, {field: _emptied(resource, field, value) for field, value in values.items()})
    return index


def _index(table: Table, row_id: object) -> int:
    try:
        return table.index(row_id)
    except UnknownRowError:
        raise Refusal(404, "not_found", "there is no such id") from None


def _check(tables: Mapping[str, Table], resource: Resource, field: str, value: Any) -> None:
    kind = resource.settable[field]
    if kind not in _PYTHON_TYPES:
        _check_reference(tables, field, kind, value)
        return
    if not isinstance(value, _PYTHON_TYPES[kind]) or (isinstance(value, bool) and kind != BOOLEAN):
        raise _invalid(f"{field} is not of its type")
    text = str(value)
    if kind == EMAIL and text and not _EMAIL.fullmatch(text):
        raise _invalid(f"{field} is no e-mail address")
    if kind == MOMENT and not _is_moment(text):
        raise _invalid(f"{field} is no date")
    if (resource.name, field) == ("companies", "type") and value not in COMPANY_TYPES:
        raise _invalid(f"{field} is none of its values")


def _check_reference(tables: Mapping[str, Table], field: str, prefix: str, value: Any) -> None:
    table = next(each for each in tables.values() if each.resource.prefix == prefix)
    try:
        table.index(value)
    except UnknownRowError:
        raise _invalid(f"{field} is no id that is known") from None


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def _emptied(resource: Resource, field: str, value: Any) -> Any:
    return [] if value is None and resource.settable.get(field) == LIST else value


def _invalid(message: str) -> Refusal:
    return Refusal(400, "validation_failed", message)
