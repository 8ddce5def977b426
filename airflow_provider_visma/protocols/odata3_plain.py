"""Entries of a feed in their plain form: the same elements with the same attributes in the same order.

Which they are is learned from an entry that the XML parser has read; the expression made of it recognises
exactly such entries.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from airflow_provider_visma.protocols.odata3_parser import ATOM, FEED, ODataParser, strict_parser
from airflow_provider_visma.protocols.odata3_values import METADATA
from airflow_provider_visma.protocols.plain_form import OTHER_REFERENCE, SPACE, TEXT, NotPlainError, PlainForm

_VALUE = f'[^"{TEXT.removeprefix("[^")}'

_NAME = r"[^\s<>/=\"'!?]+"
_TAG = re.compile(
    rf'<(?P<close>/?)(?P<name>{_NAME})(?P<attributes>(?: {_NAME}="[^"<]*")*) ?(?P<empty>/?)>(?P<text>[^<]*)'
)
_ATTRIBUTE = re.compile(rf' ({_NAME})="([^"<]*)"')
_FIRST_ENTRY = re.compile(rb"<((?:[\w.-]+:)?entry)(?=[\s/>])")
# What .NET writes of a text that begins or ends with a space.
_KEPT = ' xml:space="preserve"'
_MOST_HEADS = 4
_MOST_LESSONS = 40
_MOST_TAGS = 1000  # in a part of an entry

Key = tuple[str, str | None]  # tag and type, as written
Texts = Mapping[Key, tuple[str, Callable[[str], Any] | None]]


@dataclass(frozen=True, slots=True)
class _Tag:
    """A tag of a sample, with the text behind it."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    opens: bool
    closes: bool
    text: str


def _tags(text: str) -> list[_Tag]:
    tags: list[_Tag] = []
    at = 0
    while at < len(text):
        found = _TAG.match(text, at)
        if found is None or len(tags) == _MOST_TAGS:
            raise NotPlainError
        attributes = tuple(_ATTRIBUTE.findall(found["attributes"]))
        if any(name.startswith("xmlns") for name, _ in attributes):
            raise NotPlainError  # prefixes would mean something else inside
        closes = bool(found["close"] or found["empty"])
        tags.append(_Tag(found["name"], attributes, not found["close"], closes, found["text"]))
        at = found.end()
    return tags


def _around(text: str) -> str:
    """Return the expression for what is before or behind the properties: these tags with any texts."""
    source = ""
    tags = _tags(text)
    skip = False
    for tag, following in zip(tags, [*tags[1:], None], strict=True):
        if skip:
            skip = False
            if tag.text.strip():
                raise NotPlainError
            continue
        name = re.escape(tag.name)
        written = "".join(f' {re.escape(attribute)}="{_VALUE}"' for attribute, _ in tag.attributes)
        leaf = tag.opens and following is not None and not following.opens and following.name == tag.name
        if tag.opens and (tag.closes or leaf):
            source += rf"{SPACE}<{name}{written}(?:>{TEXT}</{name}>| ?/>)"
            skip = not tag.closes
        else:
            source += rf"{SPACE}<{name}{written}>" if tag.opens else rf"{SPACE}</{name}>"
        if tag.text.strip() and not skip:
            raise NotPlainError
    return source


class PlainEntries(PlainForm):
    """Finds the entries of a feed in its text.

    :param nsmap: namespaces in force inside the feed.
    :param entry: the name of an entry as it is written there.
    """

    def __init__(self, nsmap: Mapping[str | None, str], entry: str) -> None:
        super().__init__(re.escape(entry))
        self._nsmap = nsmap
        self._metadata = next((prefix for prefix, name in nsmap.items() if prefix and name == METADATA), None)
        self._order: list[str] = []
        self._heads: list[str] = []
        self._tail = ""
        self._lessons = 0
        self._parts: list[tuple[str, Callable[[str], Any] | None]] = []
        self._entry: re.Pattern[str] | None = None

    def learn(self, sample: str, texts: Texts, nulls: Mapping[Key, str]) -> None:
        """Take *sample*, an entry that the parser has read, for the form of others.

        :param texts: what the reader knows of columns by tag and type where they are not null, the
            latest type last.
        :param nulls: the same where they are null.
        """
        if self._metadata is None or self._lessons >= _MOST_LESSONS:
            return
        self._lessons += 1
        try:
            head, properties, tail = self._split(sample)
            source, end = _around(head), _around(tail)
            names = self._names(properties)
        except NotPlainError:
            return
        # The same end closes the same elements, so that any of the beginnings goes with it.
        if self._heads and end != self._tail:
            return
        if source not in self._heads:
            if len(self._heads) == _MOST_HEADS:
                return
            self._heads.append(source)
        self._tail = end
        for before, name in zip([None, *names], names, strict=False):
            if name not in self._order:
                self._order.insert(self._order.index(before) + 1 if before else 0, name)
        self._compile(texts, nulls)

    def _split(self, sample: str) -> tuple[str, str, str]:
        mark = f"{self._metadata}:properties"
        head, _, rest = sample.strip().partition(f"<{mark}>")
        properties, _, tail = rest.rpartition(f"</{mark}>")
        if not rest or not tail or mark in head + properties + tail:
            raise NotPlainError
        return head, properties.strip(), tail.strip()

    def _names(self, properties: str) -> list[str]:
        names = []
        open_name = None
        for tag in _tags(properties):
            if tag.opens:
                if open_name is not None:
                    raise NotPlainError  # a complex value
                names.append(tag.name)
            open_name = None if tag.closes else tag.name
            if open_name is None and tag.text.strip():
                raise NotPlainError
        if len(set(names)) < len(names):
            raise NotPlainError
        return names

    def _tag(self, name: str) -> str:
        prefix, _, local = name.rpartition(":")
        return f"{{{self._nsmap.get(prefix or None, '')}}}{local}"

    def _compile(self, texts: Texts, nulls: Mapping[Key, str]) -> None:
        latest: dict[str, str | None] = {tag: type_name for tag, type_name in (*nulls, *texts)}  # noqa: C416
        source, parts = "", []
        for name in self._order:
            tag = self._tag(name)
            if tag not in latest:
                continue
            type_name = latest[tag]
            column, convert = texts.get((tag, type_name), (tag.rpartition("}")[2], None))
            written = re.escape(f' {self._metadata}:type="{type_name}"') if type_name is not None else ""
            typed = f"(?<={written})" if written else ""
            element = re.escape(name)
            null = re.escape(f' {self._metadata}:null="true"')
            if (tag, type_name) in texts:
                content = f"{typed}>({TEXT})</{element}>|({null}|{typed})"
            else:  # it was always null: a text is for the parser
                content = f"(?!)()|({null})"
            source += rf"(?:{SPACE}<{element}(?:{written or _KEPT})?+(?:{content}(?: ?/>|></{element}>)))?+"
            parts.append((column, convert))
        mark = re.escape(f"{self._metadata}:properties")
        heads = "|".join(self._heads)
        self._entry = re.compile(rf"(?:{heads}){SPACE}<{mark}>{source}{SPACE}</{mark}>{self._tail}")
        self._parts = parts

    def read(self, text: str, at: int) -> tuple[dict[str, Any], int] | None:
        """Return row and end of the entry at *at*, None where it is not plain or not all there."""
        if self._entry is None or (found := self._entry.match(text, at)) is None:
            return None
        end = found.end()
        references = text.find("&", at, end) >= 0
        if references and OTHER_REFERENCE.search(text, at, end):
            return None
        row: dict[str, Any] = {}
        groups = iter(found.groups())
        try:
            for (column, convert), content, null in zip(self._parts, groups, groups, strict=True):
                if content is not None:
                    if references and "&" in content:
                        content = html.unescape(content)
                    row[column] = content if convert is None else convert(content)
                elif null:
                    row[column] = None
                elif null is not None:
                    if convert is not None:
                        return None
                    row[column] = ""
        except (ValueError, KeyError):
            return None
        return row, end


def begin_plain(parser: ODataParser, first: bytes) -> tuple[PlainEntries | None, bytes]:
    """Feed what comes before the entries; return what finds them, None where nothing can, and the rest.

    :param first: the first 64 KiB or more, or all there is.
    """
    start = _FIRST_ENTRY.search(first)
    if start is None:
        return None, first
    opening, rest = first[: start.start()], first[start.start() :]
    parser.feed(opening)
    root = parser.root
    name = start[1].decode(errors="replace")
    prefix = name.rpartition(":")[0] or None
    if root is None or root.tag != FEED or root.nsmap.get(prefix) != ATOM or not _is_open(opening, root):
        return None, rest
    return PlainEntries(root.nsmap, name), rest


def _is_open(opening: bytes, root: etree._Element) -> bool:
    """Whether nothing but the root is open where *opening* ends: then its end tag makes a document of it."""
    end = f"</{root.prefix}:feed>" if root.prefix else "</feed>"
    try:
        etree.fromstring(opening + end.encode(), strict_parser())
    except etree.XMLSyntaxError:
        return False
    return True
