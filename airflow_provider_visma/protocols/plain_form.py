"""Items of a list in the one form that their server writes them in, read without building a tree.

A server writes each item alike, and only the texts differ. A regular expression recognises exactly such an
item, whole; it costs a fifth of a tree. Everything else stays with the XML parser: any other item, and the
document around the items, which it checks as if they had never been there. An item taken out is balanced in
itself, so what is left is well-formed only if the whole is.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from codecs import getincrementaldecoder
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

from lxml import etree

from airflow_provider_visma.protocols.xml_parser import STRICT, damaged

# No markup, no character that XML forbids, and no carriage return, which a parser turns into a line feed.
TEXT = "[^<\\x00-\\x08\\x0b-\\x1f\ufffe\uffff]*+"
# XML's own: "\\s" would take control characters too, which XML forbids.
SPACE = "[ \\t\\r\\n]*+"
# Other references are for the XML parser: most are errors, and HTML reads some numbers differently.
OTHER_REFERENCE = re.compile("&(?!(?:amp|lt|gt|quot|apos|#9|#10|#13|#x9|#xA|#xD);)")

_LONGEST = 256 * 1024  # characters of one item: each piece matches from its start again
_FEW = 50


class NotPlainError(Exception):
    """No expression can be made for the items, or only the XML parser can say where one ends."""


class PlainForm(ABC):
    """Finds items of one name in a text.

    :param element: the items' name as it is written, escaped for an expression.
    """

    def __init__(self, element: str) -> None:
        self._start = re.compile(rf"<{element}(?=[\s/>])")
        self._end = re.compile(rf"</{element}\s*+>")

    @abstractmethod
    def read(self, text: str, at: int) -> tuple[dict[str, Any], int] | None:
        """Return row and end of the item at *at*, None where it is not plain or not all there."""

    def end_of_other(self, text: str, at: int) -> int | None:
        """Return the end of the item at *at* that is not plain, None where it is not all there.

        :raises NotPlainError: where it ends is for the XML parser to say.
        """
        end = self._end.search(text, at)
        if end is None:
            return None
        starts = self._start.finditer(text, at, end.end())
        first, second = next(starts, None), next(starts, None)
        if first is None or second is not None or text[at : first.start()].strip():
            raise NotPlainError
        return end.end()


class ItemParser:
    """Parses items that were cut out of a document.

    :param nsmap: namespaces in force there.
    :raises ValueError: libxml2 reads namespaces that lxml does not write.
    """

    def __init__(self, nsmap: Mapping[str | None, str]) -> None:
        box = etree.Element("box", nsmap=nsmap)  # type: ignore[arg-type]  # None is the default namespace
        self._start = etree.tostring(box).removesuffix(b"/>")
        self._parser = etree.XMLParser(**STRICT)

    def parse(self, items: str) -> etree._Element:
        """Return an element that holds the *items*."""
        try:
            return etree.fromstring(b"%b>%b</box>" % (self._start, items.encode()), self._parser)
        except etree.XMLSyntaxError as error:
            error.error_log = self._parser.error_log
            raise damaged(error) from None


def plain_rows(
    form: PlainForm,
    pieces: Iterable[bytes],
    *,
    count: Callable[[], None],
    read_other: Callable[[str], Iterator[dict[str, Any]]],
) -> Generator[dict[str, Any], None, tuple[bytes, ...]]:
    """Yield the rows of a document's items as long as most are plain; return the bytes left to its parser.

    :param pieces: the document from its first item on, in UTF-8. It is taken no further than needed.
    :param count: called before each row of a plain item.
    :param read_other: yields the rows of an item that is not plain, whole as it is written.
    """
    decoder = getincrementaldecoder("utf-8")()
    text, at, plain, others = "", 0, 0, 0
    for piece in pieces:
        begun = decoder.getstate()[0]
        try:
            text, at = text[at:] + decoder.decode(piece), 0
        except UnicodeDecodeError:
            return (text[at:].encode() + begun + piece,)
        if others > max((plain + others) // 2, _FEW) or _has_other_markup(text):
            break  # where most are others, a single parser is faster
        try:
            while True:
                while (found := form.read(text, at)) is not None:
                    row, at = found
                    plain += 1
                    count()
                    yield row
                if (end := form.end_of_other(text, at)) is None:
                    break
                others += 1
                yield from read_other(text[at:end])
                at = end
        except NotPlainError:
            break
        if len(text) - at > _LONGEST:
            break
    return (text[at:].encode() + decoder.getstate()[0],)


def _has_other_markup(text: str) -> bool:
    """Return whether *text* holds comments, sections or instructions, in which an item's end may hide."""
    # The rare character first: "<" stands everywhere, and a search for it stops as often.
    return ("!" in text and "<!" in text) or ("?" in text and "<?" in text) or "]]>" in text
