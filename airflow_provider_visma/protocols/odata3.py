"""Feeds of OData v1 to v3 in Atom, read while they come in: rows out, memory flat.

Rows are handed out before the end of the document has been seen. Whoever uses them stages them, and publishes
only after the iterator has ended without an error: a feed that breaks off never ends so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain
from typing import Any

from lxml import etree

from airflow_provider_visma.exceptions import VismaContentError
from airflow_provider_visma.protocols.odata3_pages import follow, resolved
from airflow_provider_visma.protocols.odata3_parser import (
    ATOM,
    BASE,
    FEED,
    MAX_ITEM_BYTES,
    InStreamError,
    ODataError,
    ODataParser,
    refuse_v4,
    utf8_pieces,
)
from airflow_provider_visma.protocols.odata3_plain import PlainEntries, begin_plain
from airflow_provider_visma.protocols.odata3_service import APP, Collection, read_error, read_service_document
from airflow_provider_visma.protocols.odata3_values import (
    DATA,
    METADATA,
    NULL,
    TYPE,
    UnreadableValueError,
    common_kind,
    converter_of,
    item_type_of,
    kind_of,
    type_of,
    value_of,
)
from airflow_provider_visma.protocols.plain_form import ItemParser, plain_rows

__all__ = [
    "Collection",
    "FeedReader",
    "InStreamError",
    "ODataError",
    "follow",
    "read_error",
    "read_service_document",
]

_ENTRY = f"{{{ATOM}}}entry"
_CONTENT = f"{{{ATOM}}}content"
_LINK = f"{{{ATOM}}}link"
_PROPERTIES = f"{{{METADATA}}}properties"
_COUNT = f"{{{METADATA}}}count"
_SCHEME = f"{DATA}/scheme"
_NEXT = ("next", "http://www.iana.org/assignments/relation/next")
_MAX_COLUMNS = 10_000

_Key = tuple[str, str | None]  # tag and type, as written


class FeedReader:
    """Reads one document: a feed, an entry, or the answer of a function.

    :ivar columns: the kind of each column met so far, as in :mod:`airflow_provider_visma.row_files`.
    :ivar types: the types that each column's values said they were, in the order met; none where it was only
        null without a type. More than one: the column's type differs between rows.
    :ivar next_link: the address of the next page, absolute; None on the last. Known after the last row.
    :ivar count: what the feed says of its rows over all pages.
    :ivar blanks: by column, how often a value that cannot be empty was empty; read as null.
    :ivar read: rows read so far.
    """

    def __init__(self) -> None:
        self.types: dict[str, list[str]] = {}
        self.next_link: str | None = None
        self.count: int | None = None
        self.blanks: Counter[str] = Counter()
        self.read = 0
        self._texts: dict[_Key, tuple[str, Callable[[str], Any] | None]] = {}
        self._nulls: dict[_Key, str] = {}
        self._box: Any = None
        self._address = ""

    @property
    def columns(self) -> dict[str, str]:
        """The kind of each column met so far; text where nothing but nulls said what it is."""
        return {
            name: common_kind({kind_of(type_name) for type_name in types} or {"text"})
            for name, types in self.types.items()
        }

    @property
    def changed(self) -> dict[str, list[str]]:
        """The columns whose type differs between rows, with the types."""
        return {name: types for name, types in self.types.items() if len(types) > 1}

    def rows(self, pieces: Iterable[bytes], *, base: str) -> Iterator[dict[str, Any]]:
        """Yield the rows: the entries of the feed and not those expanded inside them.

        A null is there with None; a property that an entry lacks is not a key of its row.

        :param pieces: the body as it came, in pieces of any size.
        :param base: the address that it was asked from, to which its links are relative.
        :raises ODataError: the document is an error.
        :raises InStreamError: an error of the service ends it.
        :raises VismaIncompleteAnswerError: it is cut off or damaged, or a web page.
        :raises VismaContentError: it must not be used.
        """
        parser = ODataParser()
        self.next_link, self._box, self._address = None, None, base
        stream = utf8_pieces(pieces)
        rest = yield from self._plain_rows(parser, stream)
        pending = 0
        for piece in chain(rest, stream):
            parser.feed(piece)
            pending += len(piece)
            # The last element is left alone: libxml2 may still be writing into it.
            if (feed := _feed(parser.root)) is not None and len(feed) > (self._box is not None) + 1:
                pending = 0
                yield from self._take(parser, feed, whole=False)
            elif pending > MAX_ITEM_BYTES:
                raise VismaContentError(f"one item of the answer is larger than {MAX_ITEM_BYTES} bytes")
        root = parser.finish()
        if _feed(root) is not None:
            yield from self._take(parser, root, whole=True)
        elif root.tag == _ENTRY:
            yield self._row(root)
        elif root.tag.startswith(f"{{{DATA}}}"):
            yield from self._value_rows(root)
        elif root.tag.startswith(tuple(f"{{{namespace}}}" for namespace in APP)):
            raise VismaContentError("the answer is a service document, not a report")
        else:
            raise VismaContentError("the answer is neither a feed nor an entry nor a value")

    def _plain_rows(
        self, parser: ODataParser, stream: Iterator[bytes]
    ) -> Generator[dict[str, Any], None, tuple[bytes, ...]]:
        """Yield the rows of entries in their plain form, past the parser; return the bytes left to it."""
        plain, begun = begin_plain(parser, next(stream, b""))
        if plain is None:
            return (begun,) if begun else ()
        try:
            others = ItemParser(parser.root.nsmap)  # type: ignore[union-attr]  # it is there where plain is
        except ValueError:  # libxml2 reads namespaces that lxml does not write
            return (begun,)
        return (
            yield from plain_rows(
                plain,
                chain([begun], stream),
                count=self._count,
                read_other=lambda entry: self._other_rows(parser, plain, others.parse(entry), entry),
            )
        )

    def _other_rows(
        self, parser: ODataParser, plain: PlainEntries, box: etree._Element, entry: str
    ) -> Iterator[dict[str, Any]]:
        """Yield the row of an entry that is not plain, and learn its form."""
        parser.check(box, says_error=True)
        yield from map(self._row, box)
        plain.learn(entry, self._texts, self._nulls)

    def _count(self) -> None:
        self.read += 1

    def _take(self, parser: ODataParser, feed: etree._Element, *, whole: bool) -> Iterator[dict[str, Any]]:
        """Yield the rows among the children of *feed* that are whole, and remove them.

        They are moved into a box before all others, where the same namespaces hold: in a document of its own
        every node would have to be adapted, which costs half as much as parsing it.
        """
        if self._box is None:
            self._box = etree.Element("box")
            feed.insert(0, self._box)
        box = self._box
        box.extend(feed[1 : None if whole else -1])  # type: ignore[index]  # the stubs know no slices
        parser.check(box)
        for child in box:
            if child.tag == _ENTRY:
                yield self._row(child)
            else:
                self._note(child, feed)
        box.clear()

    def _note(self, element: etree._Element, feed: etree._Element) -> None:
        if element.tag == _LINK and element.get("rel") in _NEXT:
            link = resolved(element.get("href"), element.get(BASE), feed.get(BASE), self._address)
            if link is None or (self.next_link is not None and self.next_link != link):
                raise VismaContentError(
                    "the feed's link to the next page is empty, unusable or not the only one"
                )
            self.next_link = link
        elif element.tag == _COUNT:
            text = (element.text or "").strip()
            if not (text.isascii() and text.isdigit()):
                raise VismaContentError("the feed's count is not a number")
            self.count = int(text)

    def _row(self, entry: etree._Element) -> dict[str, Any]:
        self.read += 1
        row: dict[str, Any] = {}
        expected = 0
        found = False
        for part in entry.iterchildren(_CONTENT, _PROPERTIES):
            # Beside the content in a media entry, inside it in any other.
            for properties in (part,) if part.tag == _PROPERTIES else part.iterchildren(_PROPERTIES):
                found = True
                expected += len(properties)
                self._read_into(row, properties)
        if not found:
            _refuse_without_properties(entry)
        if len(row) < expected:
            raise VismaContentError(f"row {self.read} of the feed holds a property twice")
        return row

    def _read_into(self, row: dict[str, Any], properties: etree._Element) -> None:
        texts, nulls = self._texts, self._nulls
        for element in properties:
            key = element.tag, element.get(TYPE)
            if element.get(NULL) is not None:
                name = nulls.get(key)
                if name is not None and element.get(NULL) == "true":
                    row[name] = None
                    continue
            elif (reading := texts.get(key)) is not None and not len(element):
                name, convert = reading
                text = element.text
                if convert is None:
                    row[name] = text or ""
                    continue
                try:
                    row[name] = convert(text)  # type: ignore[arg-type]  # None is refused as well
                    continue
                except (ValueError, KeyError, TypeError, AttributeError):
                    pass
            name, row[name] = self._learn(element, key)

    def _learn(self, element: etree._Element, key: _Key, declared: str | None = None) -> tuple[str, Any]:
        """Return the name and value of a property in any form; remember how its like is read.

        :param declared: the type that it has if it says none itself.
        """
        name = element.tag.rpartition("}")[2]
        type_name = type_of(element)
        if type_name is not None and declared and not element.get(TYPE):
            type_name = declared
        try:
            value = value_of(element, type_name, self.blanks, name)
        except UnreadableValueError as problem:
            raise VismaContentError(f"{name[:80]} in row {self.read} of the feed {problem}") from None
        types = self.types.setdefault(name, [])
        if type_name is not None and type_name not in types:
            types.append(type_name)
        if value is None:
            self._nulls[key] = name
        elif type_name is not None and kind_of(type_name) != "json" and not len(element):
            self._texts[key] = (name, converter_of(type_name))
        if len(self._nulls) + len(self._texts) + len(self.types) > _MAX_COLUMNS:
            raise VismaContentError(f"the feed has more than {_MAX_COLUMNS // 3} columns")
        return name, value

    def _value_rows(self, root: etree._Element) -> Iterator[dict[str, Any]]:
        """Yield what a function returned, or the addresses behind a link: a row for each item, or one row."""
        root_type = type_of(root) or ""
        declared = item_type_of(root_type)
        if root.tag == f"{{{DATA}}}links":
            items: Iterable[etree._Element] = root.iterchildren(f"{{{DATA}}}uri")
            following = root.findtext(f"{{{DATA}}}next")
            self.next_link = resolved(following, self._address)
            if following is not None and self.next_link is None:
                raise VismaContentError("the link to the next page is empty or unusable")
        elif declared is not None:
            items = root
        elif not len(root) and not root.text and not root.attrib:
            items = ()  # a collection without items: a value would have a type
        else:
            items = (root,)
        for item in items:
            self.read += 1
            row: dict[str, Any] = {}
            if len(item):
                self._read_into(row, item)
                if len(row) < len(item):
                    raise VismaContentError(f"row {self.read} of the answer holds a property twice")
            else:
                name, row[name] = self._learn(item, (item.tag, item.get(TYPE) or declared), declared)
            yield row


def _feed(root: etree._Element | None) -> etree._Element | None:
    return root if root is not None and root.tag == FEED else None


def _refuse_without_properties(entry: etree._Element) -> None:
    """Refuse an entry of another kind of feed; one of ours may be without, e.g. where none was selected."""
    for part in entry.iter():
        refuse_v4(part)
    if not any(category.get("scheme") == _SCHEME for category in entry.iterchildren(f"{{{ATOM}}}category")):
        raise VismaContentError("an entry of the feed has no properties: it is not of OData v1 to v3")
