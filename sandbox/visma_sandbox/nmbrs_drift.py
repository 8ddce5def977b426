"""A contract that moved without notice: each form changes an item as a later version of the service might.

Slow and simple, for tests only: the item is parsed, changed and written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lxml import etree

FORMS: Final = frozenset(
    {
        "new_element_middle",
        "new_element_end",
        "missing_required",
        "reordered",
        "value",
        "bad_int",
        "empty_int",
        "unknown_enum",
        "year_0001",
    }
)
_XSI: Final = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_VALUES: Final = {
    "bad_int": "12x",
    "empty_int": "",
    "unknown_enum": "Unheard",
    "year_0001": "0001-01-01T00:00:00",
}
_USUAL: Final = {
    "unknown_enum": ("Gender", "LoonaangifteTijdvak"),
    "year_0001": ("Birthday", "StartDate", "CreationDate"),
}


def drifted(items: Iterator[str], args: Mapping[str, Any]) -> Iterator[str]:
    """Change items.

    :param args: ``form``, one of :data:`FORMS`; ``element``, the leaf to change (default: the item's first,
        its id, or the enum or date it has); ``value`` for the form of that name; ``every``, to change only
        each n-th item (default 1: all), and ``first``, the number of the first one changed.
    """
    form = str(args.get("form", "new_element_middle"))
    if form not in FORMS:
        raise ValueError(f"unknown form of drift {form!r}; known: {', '.join(sorted(FORMS))}")
    every, first = int(args.get("every", 1)), int(args.get("first", 0))
    for number, item in enumerate(items):
        hit = number >= first and (number - first) % every == 0
        yield _change(item, form, args) if hit else item


def _change(item: str, form: str, args: Mapping[str, Any]) -> str:
    root = etree.fromstring(f"<items {_XSI}>{item}</items>")
    if len(root) == 0:
        return item  # text, not an element
    record = max(root.iter(), key=lambda each: sum(1 for child in each if len(child) == 0))
    leaf = _leaf(root[0], form, args.get("element"))
    match form:
        case "new_element_middle":
            record.insert(len(record) // 2, _new_element())
        case "new_element_end":
            record.append(_new_element())
        case "missing_required" if leaf is not None:
            _parent(leaf).remove(leaf)
        case "reordered":
            record.append(record[0])  # lxml moves it
        case _ if leaf is not None and form in ("value", *_VALUES):
            leaf.attrib.clear()
            leaf.text = str(args.get("value", _VALUES.get(form, "")))
    text = "".join(etree.tostring(child, encoding="unicode") for child in root)
    return text.replace(f" {_XSI}", "")


def _new_element() -> etree._Element:
    element = etree.Element("Sandbox_NewElement")
    element.text = "new"
    return element


def _leaf(item: etree._Element, form: str, element: str | None) -> etree._Element | None:
    names = (element,) if element else _USUAL.get(form)
    leaves = (each for each in item.iter() if len(each) == 0 and each is not item)
    return next((each for each in leaves if names is None or each.tag in names), None)


def _parent(leaf: etree._Element) -> etree._Element:
    parent = leaf.getparent()
    assert parent is not None  # noqa: S101 - every leaf lies in an item
    return parent
