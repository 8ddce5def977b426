"""lxml's push parser, made safe for an answer that comes from the network.

Nothing that is damaged, cut off or hostile may look like a whole answer. lxml is kept strict, with
libxml2's own limits on (text nodes and tags of 10 MB, depth 256, entity expansion); this module refuses
what libxml2 lets pass: a DOCTYPE, other encodings, processing instructions, many attributes, depth below
its limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lxml import etree

from airflow_provider_visma.exceptions import VismaContentError, VismaIncompleteAnswerError
from airflow_provider_visma.protocols.xml_parser import (
    DOCTYPE,
    STRICT,
    WEB_PAGE,
    Bounds,
    damaged,
    local_name,
)

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
ENVELOPES = tuple(f"{{{namespace}}}Envelope" for namespace in (SOAP_11, SOAP_12))
FAULTS = tuple(f"{{{namespace}}}Fault" for namespace in (SOAP_11, SOAP_12))

_ITEMS = Bounds(level=5, usual=9)  # below Envelope, Body, response and result
_DOCUMENT = Bounds(level=2)


class FaultFoundError(Exception):
    """Carries a Fault element from the reader to the client; never leaves the protocol room."""

    def __init__(self, element: etree._Element) -> None:
        super().__init__()
        self.element = element


class AnswerParser:
    """lxml's push parser, strict, with the answer's opening and end checked.

    libxml2 calls into lxml for every element as soon as one kind of element event is asked for, and that
    costs a third of the whole parse. So only processing instructions are asked for, of which SOAP allows
    none (SOAP 1.1, section 3): ours, put before the root, leads to the tree that is being built.

    :param result_tag: the element whose children are rows.
    :param on_header: told of the SOAP header once, as soon as it has been read whole.
    """

    def __init__(
        self,
        response_tag: str,
        result_tag: str | None,
        on_header: Callable[[Mapping[str, str]], None] | None = None,
    ) -> None:
        self._parser = etree.XMLPullParser(events=("pi",), **STRICT)
        self._response_tag = response_tag
        self._result_tag = result_tag
        self._on_header = on_header
        self._marker: Any = None
        self.result: etree._Element | None = None

    def feed(self, piece: bytes) -> None:
        """Parse on; :attr:`result` is there once its start tag has come.

        :param piece: the first one at least 64 KiB, or all there is.
        """
        try:
            if self._marker is None:
                self._parser.feed(_opening_with_marker(piece))
                _, self._marker = next(self._parser.read_events(), (None, None))
                if self._marker is None:
                    raise VismaIncompleteAnswerError("the answer is not XML")
            else:
                self._parser.feed(piece)
        except etree.XMLSyntaxError as error:
            error.error_log = self._parser.feed_error_log
            raise damaged(error) from None
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
            raise VismaContentError(DOCTYPE)
        if root.tag not in ENVELOPES:
            return
        body = root.find(_body_tag(root))
        if body is not None:
            self._tell_header(root)
        if self._result_tag is not None:
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
            error.error_log = self._parser.feed_error_log
            raise damaged(error) from None
        _DOCUMENT.check(root)
        if root.tag not in ENVELOPES:
            raise VismaIncompleteAnswerError("the answer is not a SOAP envelope")
        body = root.find(_body_tag(root))
        if body is None or not len(body):
            raise VismaIncompleteAnswerError("the answer has no content")
        self._tell_header(root)
        if body[0].tag in FAULTS:
            raise FaultFoundError(body[0])
        if body[0].tag != self._response_tag:
            raise VismaContentError("the answer belongs to another operation")

    def _tell_header(self, envelope: etree._Element) -> None:
        tell, self._on_header = self._on_header, None
        header = envelope.find(envelope.tag.replace("Envelope", "Header"))
        if tell is not None and header is not None:
            tell({local_name(entry): entry.text.strip() for entry in header if entry.text})


def _body_tag(envelope: etree._Element) -> str:
    return envelope.tag.replace("Envelope", "Body")


_OPENING = re.compile(
    rb"""(?:\xef\xbb\xbf)?(?:<\?xml\s[^>]*?(?:encoding\s*=\s*["']([^"'>]*)["'][^>]*?)?\?>)?"""
)


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
    if WEB_PAGE.match(piece, end):
        raise VismaIncompleteAnswerError("a web page came instead of an answer", advice="A retry asks again.")
    if b"<!DOCTYPE" in piece or b"<!ENTITY" in piece:
        raise VismaContentError(DOCTYPE)
    return piece[:end] + b"<?rows?>" + piece[end:]


def check_items(box: etree._Element) -> None:
    """Refuse items, the children of *box*, with too many attributes or too much depth."""
    _ITEMS.check(box)
