"""lxml's push parser, made safe for an answer that comes from the network.

Nothing that is damaged, cut off or hostile may look like a whole answer. lxml is kept strict, with
libxml2's own limits on (text nodes and tags of 10 MB, depth 256, entity expansion); this module refuses
what libxml2 lets pass: a DOCTYPE, other encodings, processing instructions, many attributes, depth below
its limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from lxml import etree

from airflow_provider_visma.exceptions import VismaContentError, VismaError, VismaIncompleteAnswerError

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
ENVELOPES = tuple(f"{{{namespace}}}Envelope" for namespace in (SOAP_11, SOAP_12))
FAULTS = tuple(f"{{{namespace}}}Fault" for namespace in (SOAP_11, SOAP_12))

MAX_DEPTH = 64
MAX_ATTRIBUTES = 100


def _bound(expression: str) -> etree.XPath:
    return etree.XPath(f"boolean({expression})", smart_strings=False, regexp=False)


# position()=N is several times cheaper in libxml2 than [N]; few levels are asked for first, because a
# path of sixty steps costs as much as reading the items.
_TOO_MANY_ATTRIBUTES = f".//@*[position()={MAX_ATTRIBUTES + 1}]"
_SUSPICIOUS = _bound(f"{_TOO_MANY_ATTRIBUTES} or {'/'.join(['*'] * 9)}")
_ATTRIBUTES = _bound(_TOO_MANY_ATTRIBUTES)
_ITEM_DEPTH = 5  # Envelope, Body, response, result, item
_TOO_DEEP_ITEMS = _bound("/".join(["*"] * (MAX_DEPTH - _ITEM_DEPTH + 2)))
_TOO_DEEP_ROOT = _bound("/".join(["*"] * MAX_DEPTH))


_STRICT: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "recover": False,
    "remove_comments": True,
    "collect_ids": False,
}


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
        self._parser = etree.XMLPullParser(events=("pi",), **_STRICT)
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
            raise _damaged(error) from None
        _check_bounds(root, _TOO_DEEP_ROOT)
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


class ItemParser:
    """Parses items that were cut out of an answer.

    :param nsmap: namespaces in force there.
    """

    def __init__(self, nsmap: Mapping[str | None, str]) -> None:
        box = etree.Element("box", nsmap=nsmap)  # type: ignore[arg-type]  # None is the default namespace
        self._start = etree.tostring(box).removesuffix(b"/>")
        self._parser = etree.XMLParser(**_STRICT)

    def parse(self, items: str) -> etree._Element:
        """Return an element that holds the *items*."""
        try:
            return etree.fromstring(b"%b>%b</box>" % (self._start, items.encode()), self._parser)
        except etree.XMLSyntaxError as error:
            error.error_log = self._parser.error_log
            raise _damaged(error) from None


def local_name(element: etree._Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


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
    """Tell a damaged answer, which a retry may get whole, from one that passes a limit of libxml2.

    :param error: with its own parser's log, since lxml gives it that of all parsers of this thread.
    """
    # The log tells more than the error, which may be only that there is no element after all that.
    log = cast("Iterable[etree._LogEntry]", error.error_log)
    codes = {getattr(error, "code", None), *(entry.type for entry in log)}
    if codes.intersection(_LIMITS):
        return VismaContentError("the answer passes a limit on depth, text or tag size")
    if etree.ErrorTypes.ERR_UNDECLARED_ENTITY in codes:
        return VismaContentError("the answer refers to an entity")
    # libxml2's message may quote the text that it stumbled over, so only the place is told.
    return VismaIncompleteAnswerError(
        f"the answer is cut off or damaged (line {error.lineno}, code {getattr(error, 'code', None)})",
        advice="A retry reads it again.",
    )


def check_items(box: etree._Element) -> None:
    """Refuse items, the children of *box*, with too many attributes or too much depth."""
    if _SUSPICIOUS(box):
        _check_bounds(box, _TOO_DEEP_ITEMS)


def _check_bounds(element: etree._Element, too_deep: etree.XPath) -> None:
    if _ATTRIBUTES(element):
        raise VismaContentError(f"an element of the answer has more than {MAX_ATTRIBUTES} attributes")
    if too_deep(element):
        raise VismaContentError(f"the answer is nested deeper than {MAX_DEPTH}")
