"""A SOAP answer, read by element name while it comes in: rows out, memory flat.

Nothing that is damaged, cut off or hostile may look like a complete answer. lxml is kept strict, with
libxml2's own limits on (text nodes and tags of 10 MB, depth 256, entity expansion); this module refuses
what libxml2 lets pass: a DOCTYPE, other encodings, many attributes, depth below its limit, items without
end. Elements that nobody asked for are dropped before they are looked at, under libxml2's limits alone.

Rows are handed out before the end of the answer has been seen. Whoever uses them stages them, and
publishes only after the iterator has ended without an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from lxml import etree

from airflow_provider_visma.exceptions import VismaContentError, VismaError, VismaIncompleteAnswerError
from airflow_provider_visma.protocols.soap_contract import AnswerShape
from airflow_provider_visma.protocols.soap_shape import Shape, unwanted_tags

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
ENVELOPES = tuple(f"{{{namespace}}}Envelope" for namespace in (SOAP_11, SOAP_12))
FAULTS = tuple(f"{{{namespace}}}Fault" for namespace in (SOAP_11, SOAP_12))
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"

MAX_DEPTH = 64
MAX_ATTRIBUTES = 100
MAX_ITEM_BYTES = 64 * 1024 * 1024
_ITEM_DEPTH = 5  # Envelope, Body, response, result, item
_LISTED = 1000


def _bound(expression: str) -> etree.XPath:
    return etree.XPath(f"boolean({expression})", smart_strings=False, regexp=False)


# position()=N is several times cheaper in libxml2 than [N]; few levels are asked for first, because a
# path of sixty steps costs as much as reading the items.
_TOO_MANY_ATTRIBUTES = f".//@*[position()={MAX_ATTRIBUTES + 1}]"
_SUSPICIOUS = _bound(f"{_TOO_MANY_ATTRIBUTES} or {'/'.join(['*'] * 9)}")
_ATTRIBUTES = _bound(_TOO_MANY_ATTRIBUTES)
_TOO_DEEP_ITEMS = _bound("/".join(["*"] * (MAX_DEPTH - _ITEM_DEPTH + 2)))
_TOO_DEEP_ROOT = _bound("/".join(["*"] * MAX_DEPTH))


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row that was left out because a required value is missing or not of its type.

    :param position: the row's place in the answer, from 1.
    :param key: the row's first value (the services' lists begin with an id), None where that is the problem.
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


class FaultFoundError(Exception):
    """Carries a Fault element from the reader to the client; never leaves the protocol room."""

    def __init__(self, element: etree._Element) -> None:
        super().__init__()
        self.element = element


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
    """

    def __init__(self, answer: AnswerShape, shape: Shape | None, report: ReadReport) -> None:
        self._answer = answer
        self._shape = shape
        self._item = shape.only_item if shape else None
        self._unwanted = unwanted_tags(self._item) if self._item else ()
        self._report = report
        self._position = 0

    def rows(self, pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """Yield the rows of a list.

        :param pieces: the body, the first piece at least 64 KiB or all of it.
        :raises FaultFoundError: the answer is a fault.
        :raises VismaIncompleteAnswerError: the answer is cut off or damaged.
        :raises VismaContentError: the answer must not be used.
        """
        parser = self._parser()
        pending = 0
        for piece in pieces:
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

    def _parser(self) -> _Parser:
        return _Parser(self._answer.response, self._shape.tag if self._shape else None)

    def value(self, pieces: Iterable[bytes]) -> Any:
        """Return the result as one value; raises what :meth:`rows` raises."""
        parser = self._parser()
        for piece in pieces:
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
        box = etree.Element("box")
        box.extend(list(islice(result, count)))
        if self._unwanted:
            etree.strip_elements(box, *self._unwanted, with_tail=False)
        item = self._item
        if _SUSPICIOUS(box):
            _check_bounds(box, _TOO_DEEP_ITEMS)
        for element in box:
            if item is None or element.tag != item.tag:
                self._note_unknown(element.tag)
                continue
            self._position += 1
            if not len(element) and _is_nil(element):
                self._report.nil_items += 1
                continue
            try:
                row = self._value(element, item)
            except _UnreadableError as problem:
                self._note_unreadable(element, item, problem)
            else:
                self._report.rows += 1
                yield row

    def _value(self, element: etree._Element, shape: Shape) -> Any:
        if not len(element) and _is_nil(element):
            return None
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
        if len(values) < len(parts) and (missing := shape.missing(values)):
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
        key = None
        first = next(iter(item.parts.values()), None)
        if first is not None and first.convert is not None and problem.name != first.name:
            child = element.find(first.tag)
            key = _leaf(child, first) if child is not None else None
        self._report.unreadable.append(UnreadableRow(self._position, key, problem.name, problem.reason))


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


def _check_bounds(element: etree._Element, too_deep: etree.XPath) -> None:
    if _ATTRIBUTES(element):
        raise VismaContentError(f"an element of the answer has more than {MAX_ATTRIBUTES} attributes")
    if too_deep(element):
        raise VismaContentError(f"the answer is nested deeper than {MAX_DEPTH}")


class _Parser:
    """lxml's push parser, strict, with the answer's opening and end checked.

    libxml2 calls into lxml for every element as soon as one kind of element event is asked for, and that
    costs a third of the whole parse. So only processing instructions are asked for, of which SOAP allows
    none (SOAP 1.1, section 3): ours, put before the root, leads to the tree that is being built.

    :param result_tag: the element whose children are rows.
    """

    def __init__(self, response_tag: str, result_tag: str | None) -> None:
        self._parser = etree.XMLPullParser(
            events=("pi",),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            recover=False,
            remove_comments=True,
            collect_ids=False,
        )
        self._response_tag = response_tag
        self._result_tag = result_tag
        self._marker: Any = None
        self.result: etree._Element | None = None

    def feed(self, piece: bytes) -> None:
        try:
            if self._marker is None:
                self._parser.feed(_opening_with_marker(piece))
                _, self._marker = next(self._parser.read_events(), (None, None))
                if self._marker is None:
                    raise VismaIncompleteAnswerError("the answer is not XML")
            else:
                self._parser.feed(piece)
        except etree.XMLSyntaxError as error:
            raise _damaged(error) from None
        if next(self._parser.read_events(), None) is not None:
            raise VismaContentError("the answer holds a processing instruction, which SOAP forbids")
        if self.result is None:
            self._find_result()

    def _find_result(self) -> None:
        tree = self._marker.getroottree()
        root = tree.getroot()
        if root is None:
            return
        if tree.docinfo.internalDTD is not None:
            raise VismaContentError(_DOCTYPE)
        if root.tag in ENVELOPES and self._result_tag is not None:
            body = root.find(_body_tag(root))
            response = body.find(self._response_tag) if body is not None else None
            self.result = response.find(self._result_tag) if response is not None else None

    def finish(self) -> None:
        """Check that the answer is whole, well-formed and the one asked for.

        :raises FaultFoundError: it is a fault.
        """
        if self._marker is None:
            raise VismaIncompleteAnswerError("the answer is empty")
        try:
            root = self._parser.close()
        except etree.XMLSyntaxError as error:
            raise _damaged(error) from None
        _check_bounds(root, _TOO_DEEP_ROOT)
        if root.tag not in ENVELOPES:
            raise VismaIncompleteAnswerError("the answer is not a SOAP envelope")
        body = root.find(_body_tag(root))
        if body is None or not len(body):
            raise VismaIncompleteAnswerError("the answer has no content")
        if body[0].tag in FAULTS:
            raise FaultFoundError(body[0])
        if body[0].tag != self._response_tag:
            raise VismaContentError("the answer belongs to another operation")


def _body_tag(envelope: etree._Element) -> str:
    return envelope.tag.replace("Envelope", "Body")


_DOCTYPE = "the answer holds a document type declaration (DOCTYPE)"
_OPENING = re.compile(
    rb"""(?:\xef\xbb\xbf)?(?:<\?xml\s[^>]*?(?:encoding\s*=\s*["']([^"'>]*)["'][^>]*?)?\?>)?"""
)

_PAGE = re.compile(rb"\s*<(!DOCTYPE\s+)?html\b", re.IGNORECASE)


def _opening_with_marker(piece: bytes) -> bytes:
    """Return the first piece with a processing instruction before the root.

    Refuses what must not reach the parser: a document type, an entity, another encoding than UTF-8.

    :param piece: the first 64 KiB or more, or all there is.
    """
    opening = _OPENING.match(piece)
    end, declared = (opening.end(), opening[1]) if opening else (0, None)
    # Any encoding in which "<!DOCTYPE" could hide has a declaration, a byte order mark or NUL bytes.
    if (
        (declared or b"utf-8").lower() not in (b"utf-8", b"us-ascii")
        or piece[:2] in (b"\xff\xfe", b"\xfe\xff")
        or b"\0" in piece[:4]
    ):
        raise VismaContentError("the answer is not in UTF-8")
    if _PAGE.match(piece, end):
        raise VismaIncompleteAnswerError("a web page came instead of an answer", advice="A retry asks again.")
    if b"<!DOCTYPE" in piece or b"<!ENTITY" in piece:
        raise VismaContentError(_DOCTYPE)
    return piece[:end] + b"<?rows?>" + piece[end:]


_LIMITS = (etree.ErrorTypes.ERR_RESOURCE_LIMIT, etree.ErrorTypes.ERR_NAME_TOO_LONG)


def _damaged(error: etree.XMLSyntaxError) -> VismaError:
    """Tell a damaged answer, which a retry may get whole, from one that passes a limit of libxml2."""
    code = getattr(error, "code", None)
    if code in _LIMITS:
        return VismaContentError("the answer passes a limit on depth, text or tag size")
    if code == etree.ErrorTypes.ERR_UNDECLARED_ENTITY:
        return VismaContentError("the answer refers to an entity")
    # libxml2's message may quote the text that it stumbled over, so only the place is told.
    return VismaIncompleteAnswerError(
        f"the answer is cut off or damaged (line {error.lineno}, code {code})",
        advice="A retry reads it again.",
    )
