"""What a service of OData v1 to v3 offers, and what it says when it fails: documents that are read whole."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from lxml import etree

from airflow_provider_visma.exceptions import VismaContentError, VismaIncompleteAnswerError
from airflow_provider_visma.protocols.odata3_pages import resolved
from airflow_provider_visma.protocols.odata3_parser import (
    ATOM,
    BASE,
    MAX_ITEM_BYTES,
    InStreamError,
    ODataError,
    ODataParser,
    utf8_pieces,
)

APP = ("http://www.w3.org/2007/app", "http://purl.org/atom/app#")

_TITLE = f"{{{ATOM}}}title"


@dataclass(frozen=True, slots=True)
class Collection:
    """What a service document offers.

    :param name: the last part of its address.
    :param href: its address, absolute.
    :param title: what it is called there; its name where it has no title.
    """

    name: str
    href: str
    title: str


def read_service_document(body: bytes, *, base: str) -> list[Collection]:
    """Return the collections of a service document, in its order.

    :param base: the address that it was asked from.
    :raises ODataError: it is an error.
    :raises VismaIncompleteAnswerError: it is cut off or damaged, or a web page.
    :raises VismaContentError: it is another document.
    """
    root = _document(body)
    namespace, _, name = root.tag[1:].rpartition("}")
    if namespace not in APP or name != "service":
        raise VismaContentError("the answer is not a service document")
    found = []
    for workspace in root.iterchildren(f"{{{namespace}}}workspace"):
        for collection in workspace.iterchildren(f"{{{namespace}}}collection"):
            bases = (element.get(BASE) for element in (collection, workspace, root))
            href = resolved(collection.get("href"), *bases, base)
            if href is None:
                raise VismaContentError("a collection of the service document has no usable address")
            name = unquote(urlsplit(href).path.rstrip("/").rpartition("/")[2])
            title = collection.findtext(_TITLE)
            found.append(Collection(name, href, (title or "").strip() or name))
    return found


def read_error(body: bytes) -> ODataError | None:
    """Return the service's error in the body of a failed request, None where there is none to be read."""
    try:
        _document(body)
    except ODataError as error:
        return error
    except (VismaContentError, VismaIncompleteAnswerError, InStreamError):
        return None
    return None


def _document(body: bytes) -> etree._Element:
    if len(body) > MAX_ITEM_BYTES:
        raise VismaContentError(f"the answer is larger than {MAX_ITEM_BYTES} bytes")
    parser = ODataParser()
    for piece in utf8_pieces([body]):
        parser.feed(piece)
    return parser.finish()
