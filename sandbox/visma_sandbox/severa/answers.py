"""Answers as XML text, piece by piece: rows come in one at a time and go out at once, whatever their number.

What a type costs to write is worked out once: each member has its tags and the text of its null ready, so
that a row of a hundred thousand costs little more than joining them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

from visma_sandbox.severa.calls import Row
from visma_sandbox.severa.contract import (
    ARRAYS_NAMESPACE,
    SERVICE_NAMESPACE,
    Operation,
    TypeName,
    entities,
    entity,
    enums,
    newer_members,
)
from visma_sandbox.severa.faults import ENVELOPE_NAMESPACE, INSTANCE_NAMESPACE

Text = Callable[[Any], str]

_TAIL: Final = "</s:Body></s:Envelope>"
_NIL: Final = ' i:nil="true"/>'
_XMLNS_I: Final = f' xmlns:i="{INSTANCE_NAMESPACE}"'
_DEFAULTS: Final = {
    "boolean": "false",
    "dateTime": "0001-01-01T00:00:00",
    "int": "0",
    "long": "0",
    "decimal": "0",
    "unsignedByte": "0",
}
_NEWER_SAMPLES: Final = {"string": "Nieuw", "boolean": "true", "long": "1", "decimal": "1.5"}


@dataclass(frozen=True, slots=True)
class Form:
    """How answers are written where the contract leaves room.

    :param newer: with the members that later versions of the service added.
    :param nil: a null is an element with ``i:nil``; else there is no element.
    :param zone: what is written after each dateTime; empty, as WCF does for an unspecified kind.
    """

    newer: bool = False
    nil: bool = True
    zone: str = ""


def envelope(content: Iterable[str], *, quota: int, used_quota: int) -> Iterator[str]:
    """The content of a body as a whole answer, with the two headers that every answer has."""
    yield (
        f'<s:Envelope xmlns:s="{ENVELOPE_NAMESPACE}"><s:Header>'
        f'<Quota xmlns="{SERVICE_NAMESPACE}">{quota}</Quota>'
        f'<UsedQuota xmlns="{SERVICE_NAMESPACE}">{used_quota}</UsedQuota></s:Header><s:Body>'
    )
    yield from content
    yield _TAIL


def response(operation: Operation, result: Any, form: Form) -> Iterator[str]:
    """Write an operation's answer as the content of a body.

    :param result: of the type that the operation returns: for a list of entities any iterable of rows.
    """
    tag, kind = f"{operation.name}Result", operation.returns
    yield f'<{operation.name}Response xmlns="{SERVICE_NAMESPACE}">'
    if kind is None:
        pass  # void
    elif result is None and kind.nullable:
        yield f"<{tag}{_XMLNS_I}{_NIL}" if form.nil else ""
    elif kind.is_list:
        yield from _list(tag, kind, result, form)
    elif kind.name in entities():
        content = "".join(_members(kind.name, form)(result))
        yield f'<{tag} xmlns:a="{kind.namespace}"{_XMLNS_I}>{content}</{tag}>'
    else:
        yield f"<{tag}>{_default(kind) if result is None else _text(kind.name, form)(result)}</{tag}>"
    yield f"</{operation.name}Response>"


def _list(tag: str, kind: TypeName, items: Iterable[Any], form: Form) -> Iterator[str]:
    remaining = iter(items)
    write, end = _item(kind, form, prefix="a"), object()
    first = next(remaining, end)
    opening = f'<{tag} xmlns:a="{kind.namespace}"{_XMLNS_I}'
    if first is end:
        yield f"{opening}/>"
        return
    yield f"{opening}>{write(first)}"
    yield from map(write, remaining)
    yield f"</{tag}>"


@cache
def _item(kind: TypeName, form: Form, *, prefix: str) -> Text:
    """Write one item of a list."""
    tag, text = f"{prefix}:{kind.name}", _text(kind.name, form)
    return lambda value: f"<{tag}{_NIL}" if value is None else f"<{tag}>{text(value)}</{tag}>"


@cache
def _text(name: str, form: Form) -> Text:
    """Write the content of a value that is not null and no list."""
    if name in entities():
        members = _members(name, form)
        return lambda row: "".join(members(row))
    if name == "dateTime":
        return lambda value: _moment(value) + form.zone
    return _SIMPLE.get(name, _escaped)


@cache
def _members(name: str, form: Form) -> Callable[[Row], list[str]]:
    """Write the members of an entity, in wire order."""
    known, every = entity(name).members, newer_members(name)
    members = [
        (
            member,
            f'<a:{member} xmlns:b="{ARRAYS_NAMESPACE}">' if _is_array(kind) else f"<a:{member}>",
            f"</a:{member}>",
            _null(member, kind, form, newer=member not in known),
            _member_text(kind, form),
        )
        for member, kind in (every if form.newer else known).items()
    ]

    def write(row: Row) -> list[str]:
        get = row.get
        return [
            null if (value := get(member)) is None else f"{opening}{text(value)}{closing}"
            for member, opening, closing, null, text in members
        ]

    return write


def _is_array(kind: TypeName) -> bool:
    return kind.is_list and kind.namespace == ARRAYS_NAMESPACE


def _null(member: str, kind: TypeName, form: Form, *, newer: bool) -> str:
    if newer:
        sample = "EUR" if "Currency" in member and kind.name == "string" else _NEWER_SAMPLES[kind.name]
        return f"<a:{member}>{sample}</a:{member}>"
    if not kind.nullable:
        return f"<a:{member}>{_default(kind)}</a:{member}>"
    return f"<a:{member}{_NIL}" if form.nil else ""


def _member_text(kind: TypeName, form: Form) -> Text:
    if kind.is_list:
        prefix = "b" if _is_array(kind) else "a"
        return lambda items: "".join(map(_item(kind, form, prefix=prefix), items))
    if kind.name in entities():
        return lambda row: _text(kind.name, form)(row)  # only now: an entity may hold its own kind
    return _text(kind.name, form)


def _default(kind: TypeName) -> str:
    enum = enums().get(kind.name)
    return enum.values[0] if enum is not None else _DEFAULTS[kind.name]


def _escaped(text: str) -> str:
    if "&" in text or "<" in text or ">" in text or "\r" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")
    return text


def _moment(value: datetime | date | str) -> str:
    """As .NET writes it: without the zeros at a fraction's end. A text is taken to be one already."""
    if isinstance(value, str):
        return value
    if not isinstance(value, datetime):
        return f"{value.isoformat()}T00:00:00"
    text = value.isoformat()
    return text.rstrip("0") if value.microsecond else text


def _decimal(value: Decimal | int | float | str) -> str:
    text = str(value)
    return format(Decimal(text), "f") if "E" in text or "e" in text else text


_SIMPLE: Final[Mapping[str, Text]] = {
    "boolean": lambda value: "true" if value else "false",
    "decimal": _decimal,
    "int": str,
    "long": str,
    "unsignedByte": str,
    "base64Binary": lambda value: b64encode(value).decode(),
}
