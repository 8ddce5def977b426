"""The many forms of one feed: everything that Atom leaves free, and what loose servers do besides.

What must stay true: every form says the same, so that a reader gets the same rows from each; only what
``untyped`` and ``null_absent`` leave out is really gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from visma_sandbox.orbit_reporting.edm import COMPLEX_TYPES, Column, Value

ATOM_NAMESPACE: Final = "http://www.w3.org/2005/Atom"
DATA_NAMESPACE: Final = "http://schemas.microsoft.com/ado/2007/08/dataservices"
METADATA_NAMESPACE: Final = f"{DATA_NAMESPACE}/metadata"

LOOSE: Final = frozenset(
    {
        "untyped",  # no m:type anywhere
        "prefix_per_entry",  # d: and m: are bound where the properties begin, not at the root
        "other_prefixes",  # other names for the prefixes, and one for Atom
        "no_base",  # no xml:base
        "deep_base",  # an xml:base below the service, so that relative addresses go up first
        "entry_base",  # an xml:base of its own on every entry
        "bare",  # entries without id, category, links, title, updated and author
        "media",  # media entries: the properties are beside the content
        "expanded",  # links with entries and feeds inline
        "extended",  # actions, named streams, association links, etags, and elements of nobody's
        "indented",  # line breaks and comments between elements
        "instructions",  # a processing instruction before the first entry
        "no_declaration",  # no <?xml … ?>
        "bom",  # a byte order mark
        "null_absent",  # a null is no element
        "cdata",  # texts as CDATA sections
        "next_first",  # the next link before the entries
    }
)
DATETIME_FORMS: Final = frozenset({"plain", "offset", "utc", "ticks", "minutes", "mixed"})
ENCODINGS: Final = frozenset({"utf-8", "utf-16", "iso-8859-1"})

Cell: TypeAlias = Callable[[Value], str]


class UnknownFormError(ValueError):
    """A form was asked for that no feed has."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a feed is written.

    :param loose: names of :data:`LOOSE`.
    :param datetime: one of :data:`DATETIME_FORMS`, for a DateTime to the second.
    :param encoding: one of :data:`ENCODINGS`, as the declaration names it.
    """

    loose: frozenset[str] = frozenset()
    datetime: str = "plain"
    encoding: str = "utf-8"

    @classmethod
    def of(cls, loose: Iterable[str], *, datetime: str, encoding: str) -> Form:
        """The form that the switches ask for.

        :raises UnknownFormError: for a name nobody knows.
        """
        unknown = (set(loose) - LOOSE) | ({datetime} - DATETIME_FORMS) | ({encoding} - ENCODINGS)
        if unknown:
            raise UnknownFormError(f"a feed has no form {', '.join(sorted(unknown))}")
        return cls(frozenset(loose), datetime, encoding)

    @property
    def atom(self) -> str:
        """Atom's prefix and a colon, or nothing."""
        return "atom:" if "other_prefixes" in self.loose else ""

    @property
    def data(self) -> str:
        """The prefix of the properties."""
        return "ns0" if "other_prefixes" in self.loose else "d"

    @property
    def meta(self) -> str:
        """The prefix of m:properties and m:type."""
        return "ns1" if "other_prefixes" in self.loose else "m"

    @property
    def base_below(self) -> str:
        """Where below the service the feed's xml:base is."""
        return "feeds/" if "deep_base" in self.loose - {"no_base"} else ""

    @property
    def up(self) -> str:
        """What a relative address of the feed begins with."""
        return "../" if self.base_below else ""

    @property
    def gap(self) -> str:
        """What is between two elements."""
        return "\n    " if "indented" in self.loose else ""

    @property
    def bindings(self) -> str:
        """The attributes that bind the prefixes of the properties."""
        return f' xmlns:{self.data}="{DATA_NAMESPACE}" xmlns:{self.meta}="{METADATA_NAMESPACE}"'

    def cell(self, column: Column) -> Cell:
        """The writer of a property: value → element."""
        name = f"{self.data}:{column.name}"
        typed = column.type != "Edm.String" and "untyped" not in self.loose
        opening = f'<{name} {self.meta}:type="{column.type}">' if typed else f"<{name}>"
        null = "" if "null_absent" in self.loose else f'{opening[:-1]} {self.meta}:null="true" />'
        closing = f"</{name}>"
        if column.type == "Edm.String":
            return self._text_cell(opening, closing, null)
        content = self._content(column.type)

        def cell(value: Value) -> str:
            return null if value is None else f"{opening}{content(value)}{closing}"

        return cell

    def _text_cell(self, opening: str, closing: str, null: str) -> Cell:
        kept = f'{opening[:-1]} xml:space="preserve">'
        escape = in_cdata if "cdata" in self.loose else escaped

        def cell(value: Value) -> str:
            if value is None:
                return null
            text = str(value)
            return f"{kept if text != text.strip() else opening}{escape(text)}{closing}"

        return cell

    def _content(self, kind: str) -> Cell:
        """The writer of what is within an element of a type other than String; its value is not null."""
        if kind == "Edm.DateTime" and self.datetime != "plain":
            return self._moment
        if kind == "Edm.GeographyPoint":
            return _point
        of = Column("", kind).element_type
        if of is not None:
            return self._collection(of)
        if kind in COMPLEX_TYPES:
            cells = [self.cell(member) for member in COMPLEX_TYPES[kind]]
            gap = self.gap
            return lambda value: gap.join(
                ("", *(cell(each) for cell, each in zip(cells, value or (), strict=True)), "")
            )
        return str

    def _collection(self, of: str) -> Cell:
        content: Cell = (lambda value: escaped(str(value))) if of == "Edm.String" else self._content(of)
        opening, closing = f"<{self.data}:element>", f"</{self.data}:element>"
        gap = self.gap
        return lambda value: gap.join(
            ("", *(f"{opening}{content(each)}{closing}" for each in value or ()), "") if value else ()
        )

    def _moment(self, value: Value) -> str:
        text = str(value)
        form = self.datetime if self.datetime != "mixed" else _MIXED[int(text[8:10]) % len(_MIXED)]
        if len(text) != len("2026-01-31T00:00:00"):
            return text
        if form == "minutes":
            return text.removesuffix(":00") if text.endswith(":00") else text
        return text + _MOMENT_ENDS[form]


_MOMENT_ENDS: Final = {"plain": "", "offset": "+02:00", "utc": "Z", "ticks": ".0000000"}
_MIXED: Final = ("plain", "offset", "utc", "ticks", "minutes")


def escaped(text: str) -> str:
    """A text as the content of an element or an attribute; a carriage return must survive a parser."""
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    if '"' in text:
        text = text.replace('"', "&quot;")
    if "\r" in text:
        text = text.replace("\r", "&#xD;")
    return text


def in_cdata(text: str) -> str:
    """A text as CDATA sections, unless that would lose a carriage return."""
    if "\r" in text:
        return escaped(text)
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"


def _point(value: Value) -> str:
    return (
        '<gml:Point xmlns:gml="http://www.opengis.net/gml"'
        f' gml:srsName="http://www.opengis.net/def/crs/EPSG/0/4326"><gml:pos>{escaped(str(value))}</gml:pos></gml:Point>'
    )
