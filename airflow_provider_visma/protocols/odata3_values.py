"""Property values of OData v1 to v3 as typed Python values.

No number passes through a float but Single and Double, and what a text does not say is not made up: a moment
without a zone stays without one, a null is not an empty text.
"""

from __future__ import annotations

import binascii
import math
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from lxml import etree

DATA = "http://schemas.microsoft.com/ado/2007/08/dataservices"
METADATA = f"{DATA}/metadata"
TYPE = f"{{{METADATA}}}type"
NULL = f"{{{METADATA}}}null"

TEXT = "Edm.String"
_ELEMENT = "element"
_COMPLEX = "complex"  # of no named type
_COLLECTION = re.compile(r"(?:Collection|Bag|MultiValue)\((.*)\)", re.DOTALL)  # the last two: v3 previews
_TRUE = ("true", "1")


class UnreadableValueError(ValueError):
    """A value is not of its type. Says neither the value nor anything of it."""


_LONGEST_DECIMAL = 1000  # digits; written out, 1E+999999999 would fill the memory


def _refuse_python(text: str) -> None:
    """Refuse a number that Python takes and XML does not: 1_000, and digits of other scripts."""
    if "_" in text or not text.isascii():
        raise ValueError(text)


def _whole_number(text: str) -> int:
    _refuse_python(text)
    return int(text)


def _decimal(text: str) -> Decimal:
    _refuse_python(text)
    try:
        value = Decimal(text.strip())
    except ArithmeticError as error:
        raise ValueError(text) from error
    if not value.is_finite() or abs(value.adjusted()) > _LONGEST_DECIMAL:
        raise ValueError(text)
    return value


def _floating(text: str) -> float:
    _refuse_python(text)
    value = float(text)  # INF, -INF and NaN too
    if math.isinf(value) and any(map(str.isdigit, text)):
        raise ValueError(text)  # beyond what the type can hold, and not infinite
    return value


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def _boolean(text: str) -> bool:
    return _BOOLEANS[text.strip()]


_MOMENT = re.compile(
    r"\s*\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[-+]\d\d:\d\d)?)?\s*", re.ASCII
)


def _moment(text: str) -> datetime:
    """Return the moment with the offset that it was sent with, if any, cut to microseconds."""
    if _MOMENT.fullmatch(text) is None:  # Python takes more forms
        raise ValueError(text)
    return datetime.fromisoformat(text.strip())


_DURATION = re.compile(
    r"(?P<sign>[-+]?)P(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)
_TIME_OF_DAY = re.compile(
    r"(?P<sign>)(?P<days>)(?P<hours>\d\d):(?P<minutes>\d\d)(?::(?P<seconds>\d\d(?:\.\d+)?))?", re.ASCII
)


def _seconds(text: str) -> Decimal:
    """Return a duration in seconds, to its last digit.

    Servers send the xs:duration of their TimeSpan; the specification's table has a time of day.
    """
    text = text.strip()
    found = _DURATION.fullmatch(text) or _TIME_OF_DAY.fullmatch(text)
    if found is None or not (parts := found.groupdict(default="")) or text.endswith("P"):
        raise ValueError(text)
    whole = (
        int(parts["days"] or 0) * 86400 + int(parts["hours"] or 0) * 3600 + int(parts["minutes"] or 0) * 60
    )
    # Context-free: adding Decimals would round to 28 digits.
    before, dot, after = parts["seconds"].partition(".")
    return Decimal(f"{parts['sign']}{whole + int(before or 0)}{dot}{after}")


def _octets(text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error


_PRIMITIVES: dict[str, tuple[str, Callable[[str], Any] | None]] = {
    TEXT: ("text", None),
    "Edm.Guid": ("text", None),
    "Edm.Boolean": ("boolean", _boolean),
    "Edm.Byte": ("integer", _whole_number),
    "Edm.SByte": ("integer", _whole_number),
    "Edm.Int16": ("integer", _whole_number),
    "Edm.Int32": ("integer", _whole_number),
    "Edm.Int64": ("integer", _whole_number),
    "Edm.Decimal": ("decimal", _decimal),
    "Edm.Single": ("double", _floating),
    "Edm.Double": ("double", _floating),
    "Edm.DateTime": ("datetime", _moment),
    "Edm.DateTimeOffset": ("datetime", _moment),
    "Edm.Time": ("decimal", _seconds),
    "Edm.Binary": ("binary", _octets),
}


def kind_of(type_name: str) -> str:
    """Return what values of a type are: a kind of :mod:`airflow_provider_visma.row_files`.

    Durations (Edm.Time) are seconds, spatial values their GML.
    """
    known = _PRIMITIVES.get(type_name)
    if known is not None:
        return known[0]
    return "text" if type_name.startswith("Edm.") else "json"


def converter_of(type_name: str) -> Callable[[str], Any] | None:
    """Return what makes a value of a text that is not empty, None where the text is the value.

    It raises ValueError or KeyError.
    """
    known = _PRIMITIVES.get(type_name)
    return known[1] if known else None


def common_kind(kinds: set[str]) -> str:
    """Return the kind of a column whose values are of several."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return "decimal" if kinds == {"integer", "decimal"} else "text"


def type_of(element: etree._Element) -> str | None:
    """Return the type of a property: what it says, or what its form shows; None for a bare null."""
    named = element.get(TYPE)
    if named:
        return named.strip()
    if is_null(element):
        return None
    if not len(element):
        return TEXT
    return "Collection()" if all(_local(child) == _ELEMENT for child in element) else _COMPLEX


def item_type_of(type_name: str) -> str | None:
    """Return the type of a collection's items, which may be empty where it does not say; None for others."""
    collection = _COLLECTION.fullmatch(type_name)
    return collection[1] if collection else None


def is_null(element: etree._Element) -> bool:
    """Whether the property is null."""
    return element.get(NULL, "").strip() in _TRUE


def value_of(element: etree._Element, type_name: str | None, blanks: Counter[str], name: str) -> Any:
    """Return the value of a property in any form.

    :param type_name: its type, from :func:`type_of` or from the collection that it is in.
    :param blanks: counts empty elements of types that have no empty value; they are taken for null.
    :raises UnreadableValueError: it is not of its type.
    """
    if type_name is None or is_null(element):
        return None
    declared = item_type_of(type_name)
    if declared is not None:
        _refuse_text(element)
        return [value_of(item, _item_type(item, declared), blanks, name) for item in element]
    primitive = _PRIMITIVES.get(type_name)
    if primitive is not None:
        return _primitive(element, primitive[1], type_name, blanks, name)
    if not len(element):
        text = element.text or ""
        return text if text.strip() or type_name.startswith("Edm.") else {}
    if type_name.startswith("Edm."):  # spatial: GML, as it came
        return "".join(etree.tostring(child, encoding="unicode", with_tail=False) for child in element)
    _refuse_text(element)
    values: dict[str, Any] = {}
    for child in element:
        values[_local(child)] = value_of(child, type_of(child), blanks, name)
    if len(values) < len(element):
        raise UnreadableValueError("holds a property twice")
    return values


def _item_type(item: etree._Element, declared: str) -> str | None:
    shown = type_of(item)
    return declared if declared and shown in (TEXT, _COMPLEX) and not item.get(TYPE) else shown


def _primitive(
    element: etree._Element,
    convert: Callable[[str], Any] | None,
    type_name: str,
    blanks: Counter[str],
    name: str,
) -> Any:
    if len(element):
        raise UnreadableValueError("holds elements, which its type does not")
    text = element.text or ""
    if convert is None:
        return text
    if not text.strip():
        if type_name == "Edm.Binary":
            return b""
        blanks[name] += 1
        return None
    try:
        return convert(text)
    except (ValueError, KeyError):
        raise UnreadableValueError(f"is not of its type {type_name[:40]}") from None


def _refuse_text(element: etree._Element) -> None:
    texts = [element.text, *(child.tail for child in element)]
    if any(text and not text.isspace() for text in texts):
        raise UnreadableValueError("holds text beside elements")


def _local(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2]
