"""From the bytes of a request to the arguments of an operation, as WCF's data contract serializer reads them.

What must stay true: a member or parameter that does not stand where the contract has it is dropped without a
word, as is one that nobody knows. A client that gets the order wrong must find that out here.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from visma_sandbox.severa.contract import (
    SERVICE_NAMESPACE,
    Operation,
    TypeName,
    entities,
    entity,
    enums,
)
from visma_sandbox.severa.faults import (
    DISPATCHER,
    ENVELOPE_NAMESPACE,
    INSTANCE_NAMESPACE,
    HttpRefusal,
    Refusal,
    unreadable,
)

KEY_HEADER: Final = "WebServicePassword"
_DEPTH_LIMIT: Final = 32  # WCF's default reader quota
_NIL: Final = f"{{{INSTANCE_NAMESPACE}}}nil"
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,7})?(Z|[+-]\d\d:\d\d)?)?")
_DECIMAL: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
_BOUNDS: Final = {"int": 31, "long": 63, "unsignedByte": 8}
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Message:
    """A SOAP message taken apart.

    :param headers: the entries of its header by ``{namespace}name``.
    :param wrapper: the element in its body.
    """

    headers: Mapping[str, Element]
    wrapper: Element | None

    @property
    def key(self) -> str | None:
        """The API key to the letter, None when the header has none."""
        found = self.headers.get(f"{{{SERVICE_NAMESPACE}}}{KEY_HEADER}")
        return None if found is None else found.text or ""


@dataclass(slots=True)
class Arguments:
    """What an operation was given.

    :param values: every parameter by name; None for one that was null or did not come.
    :param came: the names of those that came.
    :param dropped: paths of elements that were not read, such as ``hourEntryInfo/Quantity``.
    """

    values: dict[str, Any]
    came: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


class MessageReader:
    """Reads a message piece by piece; a DTD ends it before anything in it can grow."""

    def __init__(self) -> None:
        self._builder = TreeBuilder()
        self._depth = 0
        self._parser = parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._builder.data
        parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, piece: bytes) -> None:
        """Read on.

        :raises HttpRefusal: 400, for what is no well-formed XML, has a DOCTYPE or is nested too deeply.
        """
        self._parse(piece, final=False)

    def close(self) -> Message:
        """Take the message apart.

        :raises HttpRefusal: 400, when it is not complete, or no SOAP 1.1.
        """
        self._parse(b"", final=True)
        envelope = self._builder.close()
        body = envelope.find(f"{{{ENVELOPE_NAMESPACE}}}Body")
        if envelope.tag != f"{{{ENVELOPE_NAMESPACE}}}Envelope" or body is None:
            raise HttpRefusal(400)
        header = envelope.find(f"{{{ENVELOPE_NAMESPACE}}}Header")
        return Message(
            headers={} if header is None else {entry.tag: entry for entry in header},
            wrapper=next(iter(body), None),
        )

    def _parse(self, piece: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(piece, final)
        except (expat.ExpatError, ValueError, LookupError) as malformed:  # the latter two: an encoding
            raise HttpRefusal(400) from malformed

    def _doctype(self, *_: object) -> None:
        raise HttpRefusal(400)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEPTH_LIMIT:
            raise HttpRefusal(400)
        self._builder.start(_bracketed(tag), {_bracketed(name): text for name, text in attributes.items()})

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._builder.end(_bracketed(tag))


def _bracketed(tag: str) -> str:
    return "{" + tag if "}" in tag else tag


def arguments(operation: Operation, wrapper: Element | None) -> Arguments:
    """Read the arguments.

    :param wrapper: the element in the message's body.
    :raises Refusal: when it is another operation's, or a value is not of its type.
    """
    expected = f"{{{SERVICE_NAMESPACE}}}{operation.name}"
    if wrapper is None or wrapper.tag != expected:
        raise _wrong_wrapper(operation, wrapper)
    given = Arguments(dict.fromkeys(operation.parameters))
    for name, element in _in_order(wrapper, SERVICE_NAMESPACE, operation.parameters, given, path=""):
        given.came.append(name)
        try:
            given.values[name] = _value(element, operation.parameters[name], given, path=f"{name}/")
        except ValueError as wrong:
            raise unreadable(name, str(wrong)) from wrong
    return given


def _in_order(
    parent: Element, namespace: str, members: Mapping[str, TypeName], given: Arguments, *, path: str
) -> Iterator[tuple[str, Element]]:
    """The children that stand after the ones before them in the contract too; the others are dropped."""
    places = {f"{{{namespace}}}{name}": place for place, name in enumerate(members)}
    last = -1
    for child in parent:
        place = places.get(child.tag, -1)
        name = child.tag.rpartition("}")[2]
        if place > last:
            last = place
            yield name, child
        else:
            given.dropped.append(path + name)


def _value(element: Element, kind: TypeName, given: Arguments, *, path: str) -> Any:
    if element.get(_NIL) in ("true", "1"):
        return None
    if kind.is_list:
        item, tag = TypeName(kind.name), f"{{{kind.namespace}}}{kind.name}"
        return [_value(child, item, given, path=path) for child in element if child.tag == tag]
    if kind.name in entities():
        members = entity(kind.name).members
        return {
            name: _value(child, members[name], given, path=f"{path}{name}/")
            for name, child in _in_order(element, kind.namespace, members, given, path=path)
        }
    if len(element):
        raise ValueError(f"Unexpected element in the value of type {kind.name}.")
    text = element.text or ""
    return text if kind.name == "string" else _simple(text.strip(), kind.name)


def _simple(text: str, kind: str) -> Any:
    enum = enums().get(kind)
    if enum is not None:
        if text not in enum.values:
            raise ValueError(f"Invalid enum value '{text}' cannot be deserialized into type '{kind}'.")
        return text
    try:
        return _READERS[kind](text)
    except (ValueError, KeyError, ArithmeticError) as wrong:
        raise ValueError(f"The value '{text}' cannot be parsed as the type '{kind}'.") from wrong


def _integer(kind: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        lowest = 0 if kind.startswith("unsigned") else -(1 << _BOUNDS[kind])
        if not lowest <= number < 1 << _BOUNDS[kind]:
            raise ValueError(text)
        return number

    return read


def _decimal(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def _moment(text: str) -> datetime:
    """A plain date is the midnight it begins with; a zone is turned to UTC and then left out."""
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _bytes(text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except binascii.Error as wrong:
        raise ValueError("base64") from wrong


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    **{kind: _integer(kind) for kind in _BOUNDS},
    "boolean": lambda text: _BOOLEANS[text],
    "decimal": _decimal,
    "dateTime": _moment,
    "base64Binary": _bytes,
}


def _wrong_wrapper(operation: Operation, wrapper: Element | None) -> Refusal:
    name, namespace = "Body", ENVELOPE_NAMESPACE
    if wrapper is not None:
        namespace, _, name = wrapper.tag.removeprefix("{").rpartition("}")
    return Refusal(
        "DeserializationFailed",
        "OperationFormatter encountered an invalid Message body. Expected to find node type 'Element' with "
        f"name '{operation.name}' and namespace '{SERVICE_NAMESPACE}'. Found node type 'Element' with name "
        f"'{name}' and namespace '{namespace}'",
        code_namespace=DISPATCHER,
    )
