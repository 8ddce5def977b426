"""What a WSDL says of an answer, reduced to what reading it by element name needs.

A shape never depends on the order of elements: services add elements in the middle of a sequence, and
whoever reads by position then reads the wrong ones.
"""

from __future__ import annotations

import binascii
import difflib
from base64 import b64decode
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from zeep.xsd.elements import Any as XsdAny
from zeep.xsd.elements import Choice, Element, Group
from zeep.xsd.elements.indicators import OrderIndicator
from zeep.xsd.types import AnySimpleType, ComplexType, builtins

from airflow_provider_visma.exceptions import VismaRequestError


@dataclass(frozen=True, slots=True)
class Shape:
    """One element of an answer.

    :param tag: ``{namespace}name`` as lxml writes it.
    :param convert: text to value; None for an element that holds elements.
    :param kind: what one value is, one of :data:`KINDS`.
    :param parts: the elements inside, by tag.
    :param ignored: tags that the WSDL knows inside and nobody asked for.
    """

    tag: str
    name: str
    required: bool = True
    nillable: bool = False
    many: bool = False
    convert: Callable[[str], Any] | None = None
    kind: str = "json"
    parts: dict[str, Shape] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    def missing(self, names: Collection[str]) -> str | None:
        """Return a required name inside that *names* lacks, or None."""
        for part in self.parts.values():
            if part.required and not part.many and part.name not in names:
                return part.name
        return None

    @property
    def only_item(self) -> Shape | None:
        """The repeated element inside, where this is a plain list of them."""
        match list(self.parts.values()):
            case [part] if part.many:
                return part
        return None


def shape_of(element: Element, *, optional: bool = False, _known: dict[int, Any] | None = None) -> Shape:
    """Return the shape of a zeep *element*."""
    known = {} if _known is None else _known
    kind = element.type
    parts: dict[str, Shape] = {}
    convert, word = None, "json"
    if isinstance(kind, ComplexType):
        if id(kind) in known:  # a type that contains itself
            parts = known[id(kind)]
        else:
            known[id(kind)] = parts
            for child, is_optional in _elements(kind):
                part = shape_of(child, optional=is_optional, _known=known)
                parts[part.tag] = part
    else:
        word, convert = _converter(kind)
    return Shape(
        tag=element.qname.text,
        name=str(element.name),
        required=element.min_occurs > 0 and not optional,
        nillable=bool(element.nillable),
        many=element.accepts_multiple,
        convert=convert,
        kind=word,
        parts=parts,
    )


def _elements(kind: ComplexType) -> Iterator[tuple[Element, bool]]:
    def walk(node: Any, optional: bool) -> Iterator[tuple[Element, bool]]:
        if isinstance(node, Group):
            yield from walk(node.child, optional or node.is_optional)
        elif isinstance(node, OrderIndicator):
            inside_optional = optional or node.is_optional or isinstance(node, Choice)
            for child in node:
                yield from walk(child, inside_optional)
        elif isinstance(node, Element) and not isinstance(node, XsdAny):
            yield node, optional

    for _, node in kind.elements_nested:
        yield from walk(node, False)


def select(shape: Shape, fields: Collection[str]) -> Shape:
    """Return *shape* reduced to *fields*.

    :param fields: paths of element names below *shape*, e.g. ``EmployeeFunctions/EmployeeFunction/Id``.
    :raises VismaRequestError: the WSDL has no such element.
    """
    wanted: dict[str, list[str]] = {}
    for path in fields:
        head, _, rest = path.partition("/")
        wanted.setdefault(head, []).extend([rest] if rest else [])
    by_name = {part.name: part for part in shape.parts.values()}
    for name in wanted:
        if name not in by_name:
            raise VismaRequestError(f"the WSDL has no {name} in {shape.name}{nearest(name, by_name)}")
    kept = [select(by_name[name], rest) if rest else by_name[name] for name, rest in wanted.items()]
    return replace(
        shape,
        parts={part.tag: part for part in kept},
        ignored=frozenset(part.tag for part in shape.parts.values() if part.name not in wanted),
    )


def unwanted_tags(shape: Shape) -> tuple[str, ...]:
    """Return the tags that the WSDL knows somewhere below *shape* and that are wanted nowhere below it."""
    kept: set[str] = set()
    ignored: set[str] = set()

    def walk(part: Shape) -> None:
        if part.tag not in kept:
            kept.add(part.tag)
            ignored.update(part.ignored)
            for inner in part.parts.values():
                walk(inner)

    walk(shape)
    return tuple(sorted(ignored - kept))


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ``: did you mean X?``, or what there is, or nothing."""
    names = list(names)
    by_lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {by_lower[close[0]]}?"
    return f"; it has {', '.join(sorted(names)[:12])}" if names else "; it has none"


def _whole_number(text: str) -> int:
    if "_" in text:  # Python's own notation, not XML's
        raise ValueError(text)
    return int(text)


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def _true_or_false(text: str) -> bool:
    return _BOOLEANS[text.strip()]


_LONGEST_DECIMAL = 1000  # digits


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text.strip())
    except ArithmeticError as error:
        raise ValueError(text) from error
    # XML knows no NaN here, and no exponent either: written out, 1E+999999999 would fill the memory.
    if not value.is_finite() or abs(value.adjusted()) > _LONGEST_DECIMAL:
        raise ValueError(text)
    return value


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.strip())


def _day(text: str) -> date:
    return date.fromisoformat(text.strip()[:10])


def _octets(text: str) -> bytes:
    try:
        # Without validation, what follows a misplaced "=" would be left out in silence.
        return b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


_CONVERTERS: tuple[tuple[type[AnySimpleType], str, Callable[[str], Any]], ...] = (
    (builtins.Integer, "integer", _whole_number),
    (builtins.Boolean, "boolean", _true_or_false),
    (builtins.Decimal, "decimal", _decimal),
    (builtins.Float, "double", float),
    (builtins.Double, "double", float),
    (builtins.DateTime, "datetime", _moment),
    (builtins.Date, "date", _day),
    (builtins.Base64Binary, "binary", _octets),
)

KINDS = ("text", *dict.fromkeys(kind for _, kind, _ in _CONVERTERS), "json")
"""What the values of a column are; ``json`` holds elements of its own."""


def _converter(kind: Any) -> tuple[str, Callable[[str], Any]]:
    found = ((word, convert) for base, word, convert in _CONVERTERS if isinstance(kind, base))
    return next(found, ("text", str))
