"""lxml's push parser for an Atom document of OData v1 to v3, made safe for what comes from the network.

Nothing that is cut off, damaged, hostile or of another kind may look like a whole document. What libxml2 lets
pass is refused here, with the limits of
:mod:`~airflow_provider_visma.protocols.xml_parser`.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from lxml import etree

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaRequestError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.odata3_values import METADATA
from airflow_provider_visma.protocols.xml_parser import DOCTYPE, STRICT, WEB_PAGE, Bounds, damaged

ATOM = "http://www.w3.org/2005/Atom"
FEED = f"{{{ATOM}}}feed"
BASE = "{http://www.w3.org/XML/1998/namespace}base"
MAX_ITEM_BYTES = 64 * 1024 * 1024

_V4 = "docs.oasis-open.org/odata"
_FIRST = 64 * 1024  # bytes in which a document type or another format has to show itself
# Of the root; and of a box in the root, whose children were the root's.
_BOUNDS = Bounds(level=2, usual=10)
_ERROR = f"{{{METADATA}}}error"
_CODE = re.compile(r"[\w.:/-]{1,60}", re.ASCII)


class ODataError(VismaRequestError):
    """The service answered with its own error and nothing else.

    ``code`` is its code where it has one; ``reason`` its words, which may name people.
    """


class InStreamError(VismaUnavailableError):
    """The service met an error of its own after it had begun to answer. A retry asks again."""


class ODataParser:
    """Parses one document that comes in pieces.

    libxml2 calls into lxml for every element as soon as one kind of element event is asked for. So only
    processing instructions are asked for: ours, put before the root, leads to the tree that is being built.
    """

    def __init__(self) -> None:
        self._parser = etree.XMLPullParser(events=("pi",), **STRICT)
        self._marker: Any = None
        self._says_error = False
        self._end = b""
        self.root: etree._Element | None = None

    def feed(self, piece: bytes) -> None:
        """Parse on; :attr:`root` is there once its start tag has come.

        :param piece: UTF-8 without a declaration; the first one at least 64 KiB, or all there is.
        """
        self._says_error = self._says_error or b"error" in piece or b"error" in self._end + piece[:4]
        self._end = piece[-4:]
        try:
            if self._marker is None:
                self._parser.feed(b"<?odata?>" + piece)
                _, self._marker = next(self._parser.read_events(), (None, None))
                if self._marker is None:
                    raise VismaIncompleteAnswerError("the answer is not XML")
            else:
                self._parser.feed(piece)
        except etree.XMLSyntaxError as error:
            raise self._broken(error) from None
        if next(self._parser.read_events(), None) is not None:
            raise VismaContentError("the answer holds a processing instruction")
        if self.root is None:
            self._find_root()

    def _find_root(self) -> None:
        tree = self._marker.getroottree()
        self.root = tree.getroot()
        if self.root is not None:
            if tree.docinfo.internalDTD is not None:
                raise VismaContentError(DOCTYPE)
            refuse_other_documents(self.root)

    def finish(self) -> etree._Element:
        """Return the root of the document, which is whole.

        :raises ODataError: it is an error.
        """
        if self._marker is None:
            raise VismaIncompleteAnswerError("the answer is empty")
        try:
            root: etree._Element = self._parser.close()
        except etree.XMLSyntaxError as error:
            raise self._broken(error) from None
        if root.tag.rpartition("}")[2] == "error":
            raise _told(ODataError("the service answered with an error"), root)
        self.check(root)
        return root

    def check(self, element: etree._Element, *, says_error: bool = False) -> None:
        """Refuse errors, too many attributes and too much depth.

        :param element: the root, or a box with children of the root.
        :param says_error: look for an error though none was fed.
        """
        if says_error or self._says_error:
            for found in element.iter(_ERROR):
                raise _told(InStreamError("the service reported an error in its answer"), found)
        _BOUNDS.check(element)

    def _broken(self, error: etree.XMLSyntaxError) -> VismaError:
        """Tell what broke off: a server in trouble writes its error and leaves the document unclosed."""
        if self._says_error and self._marker is not None:
            root = self._marker.getroottree().getroot()
            for found in root.iter(_ERROR) if root is not None else ():
                return _told(InStreamError("the service broke off its answer with an error"), found)
        # The error's own log is the thread's, which remembers the documents before.
        error.error_log = self._parser.feed_error_log
        return damaged(error)


def strict_parser() -> etree.XMLParser:
    """Return a parser of whole documents as strict as this one."""
    return etree.XMLParser(**STRICT)


def refuse_other_documents(root: etree._Element) -> None:
    """Refuse, by its name, a document that is XML and not of OData v1 to v3."""
    name = root.tag.rpartition("}")[2]
    refuse_v4(root)
    if name.lower() == "html":
        raise VismaIncompleteAnswerError("a web page came instead of an answer", advice="A retry asks again.")
    if name == "Edmx":
        raise VismaContentError("the answer is the service's metadata, not a report")
    if name == "Envelope":
        raise VismaContentError("the answer is a SOAP envelope")


def refuse_v4(element: etree._Element) -> None:
    """Refuse a document with the namespaces of OData V4, declared at *element* or around it."""
    if any(_V4 in namespace for namespace in element.nsmap.values()):
        raise VismaContentError(
            "the answer is of OData V4", advice="The reports speak version 3: check the address."
        )


def _told(error: VismaError, element: etree._Element) -> VismaError:
    code = (element.findtext("{*}code") or "").strip()
    error.code = code if _CODE.fullmatch(code) else None
    error.reason = (element.findtext("{*}message") or "").strip()[:1000] or None
    return error


_DECLARATION = re.compile(
    rb"""(?:\xef\xbb\xbf)?\s*(?:<\?xml\s(?:[^>]*?encoding\s*=\s*["']([^"'>]*)["'])?[^>]*?\?>)?"""
)
_TEXT_DECLARATION = re.compile(r"\ufeff?\s*(?:<\?xml\s[^>]*?\?>)?")
_CODECS = {
    b"utf-8": None,
    b"utf8": None,
    b"us-ascii": None,
    b"ascii": None,
    b"iso-8859-1": "iso-8859-1",
    b"latin1": "iso-8859-1",
    b"utf-16": None,  # where its bytes are not: a .NET writer declares it of what is sent in UTF-8
    b"iso-8859-15": "iso-8859-15",
    b"windows-1252": "windows-1252",
}
_BYTE_ORDERS = (
    (b"\xff\xfe\0\0", None),  # UTF-32, which nobody sends
    (b"\0\0\xfe\xff", None),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)


def utf8_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a document in UTF-8, without its declaration, in pieces of at least 64 KiB but for the last.

    :raises VismaContentError: it is JSON, has a document type, or is in an encoding that is not expected.
    """
    stream = _large(pieces)
    first = next(stream, b"")
    codec = _codec(first)
    if codec is None:
        text = first
        start = _DECLARATION.match(first)
        rest: Iterator[bytes] = stream
        first = first[start.end() :] if start else first
    else:
        rest = _decoded(chain((first,), stream), codec)
        text = first = next(rest, b"")
    _refuse_first(first)
    if text:
        yield first
        yield from rest


def _codec(first: bytes) -> str | None:
    for mark, codec in _BYTE_ORDERS:
        if first.startswith(mark):
            if codec is None:
                break
            return codec
    else:
        declaration = _DECLARATION.match(first)
        declared = (declaration[1] if declaration else None) or b"utf-8"
        if declared.strip().lower() in _CODECS:
            return _CODECS[declared.strip().lower()]
    raise VismaContentError("the answer is in an encoding that is not expected")


def _decoded(pieces: Iterator[bytes], codec: str) -> Iterator[bytes]:
    decoder = getincrementaldecoder(codec)()
    begun = False
    try:
        for piece in pieces:
            text = decoder.decode(piece)
            if not begun:
                start = _TEXT_DECLARATION.match(text)
                text, begun = text[start.end() :] if start else text, True
            yield text.encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError:
        raise VismaIncompleteAnswerError(
            "the answer is cut off or damaged: its text cannot be decoded", advice="A retry reads it again."
        ) from None


def _large(pieces: Iterable[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for piece in pieces:
        if not waiting and len(piece) >= _FIRST:
            yield piece
            continue
        waiting += piece
        if len(waiting) >= _FIRST:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def _refuse_first(first: bytes) -> None:
    opening = first.lstrip()
    if opening.startswith((b"{", b"[")):
        if b"odata.context" in opening:
            raise VismaContentError(
                "the answer is of OData V4, in JSON", advice="The reports speak version 3: check the address."
            )
        raise VismaContentError("JSON came instead of Atom")
    if WEB_PAGE.match(first):
        raise VismaIncompleteAnswerError("a web page came instead of an answer", advice="A retry asks again.")
    if b"<!DOCTYPE" in first or b"<!ENTITY" in first:
        raise VismaContentError(DOCTYPE)
