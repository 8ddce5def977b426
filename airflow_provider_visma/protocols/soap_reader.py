"""A SOAP answer, read by element name while it comes in: rows out, memory flat.

Rows are handed out before the end of the answer has been seen. Whoever uses them stages them, and
publishes only after the iterator has ended without an error. Elements that nobody asked for are dropped
before they are looked at, under libxml2's limits alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from lxml import etree

from airflow_provider_visma.exceptions import VismaContentError
from airflow_provider_visma.protocols.plain_form import ItemParser, NotPlainError, plain_rows
from airflow_provider_visma.protocols.soap_contract import AnswerShape
from airflow_provider_visma.protocols.soap_parser import AnswerParser, check_items
from airflow_provider_visma.protocols.soap_plain import PlainItems
from airflow_provider_visma.protocols.soap_shape import Shape, unwanted_tags

MAX_ITEM_BYTES = 64 * 1024 * 1024
_LISTED = 1000
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row that was left out because a required value is missing or not of its type.

    :param position: the row's place in the answer, from 1.
    :param key: the row's id, None where it has none that was asked for, or where that is the problem.
    :param field: the element concerned. Its value is never kept: it may be a person's.
    """

    position: int
    key: Any
    field: str
    reason: str


@dataclass(slots=True)
class ReadReport:
    """What a reader noticed: fill in one of your own to decide yourself about unreadable rows.

    :param unknown: elements that the WSDL does not know, with how often they came; they are ignored.
    :param unreadable: the first thousand rows left out; ``unreadable_rows`` counts all.
    """

    rows: int = 0
    nil_items: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    unreadable: list[UnreadableRow] = field(default_factory=list)
    unreadable_rows: int = 0


class _UnreadableError(Exception):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason


class SoapReader:
    """Reads one answer.

    :param answer: where the result is.
    :param shape: what to read of the result; its repeated element is a row.
    :param report: filled while reading.
    :param on_header: told of the SOAP header, as texts by local name, before the first row.
    """

    def __init__(
        self,
        answer: AnswerShape,
        shape: Shape | None,
        report: ReadReport,
        on_header: Callable[[Mapping[str, str]], None] | None = None,
    ) -> None:
        self._answer = answer
        self._shape = shape
        self._item = shape.only_item if shape else None
        self._unwanted = unwanted_tags(self._item) if self._item else ()
        self._report = report
        self._on_header = on_header
        self._position = 0
        self._box: Any = None

    def rows(self, pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """Yield the rows of a list.

        :param pieces: the body, the first piece at least 64 KiB or all of it.
        :raises FaultFoundError: the answer is a fault.
        :raises VismaIncompleteAnswerError: the answer is cut off or damaged.
        :raises VismaContentError: the answer must not be used.
        """
        parser = self._parser()
        stream = iter(pieces)
        rest = yield from self._plain_rows(parser, stream)
        pending = 0
        for piece in chain(rest, stream):
            parser.feed(piece)
            pending += len(piece)
            # The last element is left alone: libxml2 may still be writing into it.
            if parser.result is not None and (count := len(parser.result) - 1) > 0:
                yield from self._take(parser.result, count)
                pending = 0
            elif pending > MAX_ITEM_BYTES:
                raise VismaContentError(f"one item of the answer is larger than {MAX_ITEM_BYTES} bytes")
        parser.finish()
        if parser.result is not None:
            yield from self._take(parser.result, len(parser.result))

    def _plain_rows(
        self, parser: AnswerParser, stream: Iterator[bytes]
    ) -> Generator[dict[str, Any], None, tuple[bytes, ...]]:
        """Yield the rows of items in their plain form, past the parser; return the bytes left to it."""
        readers, begun = self._begin_plain(parser, next(stream, b""))
        if readers is None:
            return (begun,) if begun else ()
        plain, others = readers
        return (
            yield from plain_rows(
                plain,
                chain([begun], stream),
                count=self._count,
                read_other=lambda item: self._items(others.parse(item)),
            )
        )

    def _count(self) -> None:
        self._position += 1
        self._report.rows += 1

    def _begin_plain(
        self, parser: AnswerParser, first: bytes
    ) -> tuple[tuple[PlainItems, ItemParser] | None, bytes]:
        """Feed what comes before the items; return what reads them, None where nothing can, and the rest.

        :param first: the first 64 KiB or more, or all there is.
        """
        known = self._answer.result.only_item if self._answer.result else None
        if known is None or self._item is None or self._item.convert or b"<!" in first:
            return None, first
        name = self._answer.result.name  # type: ignore[union-attr]
        start = re.search(rb"<(?:[\w.-]+:)?%b(?:\s[^<>]*)?(?<!/)>" % name.encode(), first)
        if start is None or b"ascii" in first[: start.end()].lower():
            return None, first
        parser.feed(first[: start.end()])
        rest = first[start.end() :]
        result = parser.result
        if result is None or result.xpath("* or following::*"):  # the tag found is another one
            return None, rest
        try:
            return (PlainItems(known, self._item, result.nsmap), ItemParser(result.nsmap)), rest
        except (NotPlainError, ValueError):  # ValueError: libxml2 reads namespaces that lxml does not write
            return None, rest

    def _parser(self) -> AnswerParser:
        return AnswerParser(self._answer.response, self._shape.tag if self._shape else None, self._on_header)

    def value(self, pieces: Iterable[bytes]) -> Any:
        """Return the result as one value; raises what :meth:`rows` raises."""
        parser = self._parser()
        total = 0
        for piece in pieces:
            total += len(piece)
            if total > MAX_ITEM_BYTES:
                raise VismaContentError(f"the answer is one value of more than {MAX_ITEM_BYTES} bytes")
            parser.feed(piece)
        parser.finish()
        if parser.result is None or self._shape is None:
            return None
        try:
            read = _leaf if self._shape.convert else self._value
            return read(parser.result, self._shape)
        except _UnreadableError as problem:
            raise VismaContentError(f"{problem.name} in the answer is {problem.reason}") from None

    def _take(self, result: etree._Element, count: int) -> Iterator[dict[str, Any]]:
        # Moved out of the tree that is being built, whole items can be worked on in bulk: what nobody
        # asked for goes in C, without ever becoming a Python string, and what is left is wanted or new.
        # The box stands beside the result, where the same namespaces hold: in a document of its own every
        # node would have to be adapted, which costs half as much as parsing it.
        if self._box is None:
            self._box = etree.SubElement(result.getparent(), "box")  # type: ignore[arg-type]  # it has one
        box = self._box
        box.extend(result[:count])  # type: ignore[index]  # the stubs know no slices
        if self._unwanted:
            etree.strip_elements(box, *self._unwanted, with_tail=False)
        yield from self._items(box)
        box.clear(keep_tail=True)  # its tail is where libxml2 is writing

    def _items(self, box: etree._Element) -> Iterator[dict[str, Any]]:
        """Yield the rows of the items in *box*."""
        item = self._item
        check_items(box)
        for element in box:
            if item is None or element.tag != item.tag:
                self._note_unknown(element.tag)
                continue
            self._position += 1
            try:
                row = self._value(element, item) if item.convert is None else _row_of_value(element, item)
            except _UnreadableError as problem:
                self._note_unreadable(element, item, problem)
                continue
            if row is None:
                self._report.nil_items += 1
            else:
                self._report.rows += 1
                yield row

    def _value(self, element: etree._Element, shape: Shape) -> Any:
        values: dict[str, Any] = {}
        parts = shape.parts
        for child in element:
            part = parts.get(child.tag)
            if part is None:
                if child.tag not in shape.ignored:
                    self._note_unknown(child.tag)
                continue
            if part.convert is None:
                value = self._value(child, part)
            elif (text := child.text) is not None and not len(child):
                try:
                    value = part.convert(text)
                except (ValueError, KeyError):
                    raise _UnreadableError(part.name, "unreadable") from None
            else:
                value = _unusual_leaf(child, part)
            if not part.many:
                values[part.name] = value
            elif value is not None:
                values.setdefault(part.name, []).append(value)
            else:
                self._report.nil_items += 1
        if len(values) < len(parts):
            if not len(element) and _is_nil(element):
                return None
            if missing := shape.missing(values):
                raise _UnreadableError(missing, "missing")
        return values

    def _note_unknown(self, tag: str) -> None:
        name = tag.rpartition("}")[2][:80]
        unknown = self._report.unknown
        if name in unknown or len(unknown) < _LISTED:
            unknown[name] += 1

    def _note_unreadable(self, element: etree._Element, item: Shape, problem: _UnreadableError) -> None:
        self._report.unreadable_rows += 1
        if len(self._report.unreadable) == _LISTED:
            return
        key, part = None, _identifier(item)
        child = element.find(part.tag) if part is not None else None
        if part is not None and child is not None:
            with suppress(_UnreadableError):
                key = _leaf(child, part)
        self._report.unreadable.append(UnreadableRow(self._position, key, problem.name, problem.reason))


def _identifier(item: Shape) -> Shape | None:
    """Return the element that tells *item* apart: GUID, or the first where that is an id.

    No other element will do, because errors quote it: Severa's users begin with their address.
    """
    first = next(iter(item.parts.values()), None)
    by_name = {part.name: part for part in item.parts.values()}
    found = by_name.get("GUID") or (
        first if first is not None and first.name.lower().endswith("id") else None
    )
    return found if found is not None and found.convert is not None else None


def _row_of_value(element: etree._Element, item: Shape) -> dict[str, Any] | None:
    """Return the row of a list of plain values: the value under the item's name, None where it is nil."""
    value = _leaf(element, item)
    return None if value is None else {item.name: value}


def _leaf(element: etree._Element, shape: Shape) -> Any:
    if element.text is None or len(element):
        return _unusual_leaf(element, shape)
    return _converted(element.text, shape)


def _unusual_leaf(element: etree._Element, shape: Shape) -> Any:
    """Return the value of a leaf that is nil or empty; refuse one that holds more than a text."""
    if len(element):
        raise _UnreadableError(shape.name, "not a plain value")
    if not _is_nil(element):
        return _converted("", shape)
    if shape.required and not shape.nillable:
        raise _UnreadableError(shape.name, "nil")
    return None


def _converted(text: str, shape: Shape) -> Any:
    try:
        return shape.convert(text)  # type: ignore[misc]  # callers ask only for leaves
    except (ValueError, KeyError):
        raise _UnreadableError(shape.name, "unreadable") from None


def _is_nil(element: etree._Element) -> bool:
    return element.get(_NIL) in ("true", "1")
