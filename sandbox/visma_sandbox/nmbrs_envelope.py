"""Reading a SOAP request piece by piece: a document of any size in its body costs no memory.

What must stay true: only names are interpreted here, values stay text with their place in the document, so
that the service can say of a bad one where it stands.
"""

from __future__ import annotations

import binascii
import hashlib
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from visma_sandbox.nmbrs_faults import HttpRefusal

Name = tuple[str, str]
"""Namespace and local name."""

_TEXT_LIMIT: Final = 1 << 20
_FIELD_DEPTH: Final = 4  # Envelope, Body, the operation, its field
_WHITESPACE: Final = b" \t\r\n"


class Document:
    """Base64 text decoded as it arrives; of the bytes, only their number and hash stay."""

    def __init__(self) -> None:
        self.size = 0
        self.valid = True
        self._hash = hashlib.sha256()
        self._rest = b""
        self._ended = False

    @property
    def sha256(self) -> str:
        """Of all bytes so far."""
        return self._hash.hexdigest()

    def write(self, text: str) -> None:
        """Take the next piece of base64 text."""
        piece = self._rest + text.encode().translate(None, _WHITESPACE)
        usable = len(piece) - len(piece) % 4
        piece, self._rest = piece[:usable], piece[usable:]
        if not piece:
            return
        if self._ended:
            self.valid = False
        self._ended = piece.endswith(b"=")
        try:
            content = binascii.a2b_base64(piece, strict_mode=True)
        except binascii.Error:
            self.valid = False
            return
        self.size += len(content)
        self._hash.update(content)

    def close(self) -> None:
        """Note the end of the text: what is left over makes it invalid."""
        self.valid = self.valid and not self._rest


@dataclass(slots=True)
class Value:
    """The text of one field, and where its element ended."""

    text: str = ""
    document: Document | None = None
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Entry:
    """A header element, or the element of the body, with its fields."""

    name: Name
    must_understand: bool = False
    fields: dict[Name, Value] = field(default_factory=dict)
    line: int = 0
    column: int = 0


class EnvelopeReader:
    """Reads one request.

    :param document_field: name of the field that holds base64; its content is hashed, not kept.
    """

    def __init__(self, document_field: Name) -> None:
        self.envelope: Name | None = None
        self.headers: list[Entry] = []
        self.body: Entry | None = None
        self._document_field = document_field
        self._path: list[Name] = []
        self._entry: Entry | None = None
        self._value: Value | None = None
        self._text: list[str] = []
        self._kept = 0
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.buffer_size = 1 << 16
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, piece: bytes) -> None:
        """Read on.

        :raises HttpRefusal: 400, when this is no well-formed XML or has a DOCTYPE.
        """
        self._parse(piece, final=False)

    def close(self) -> None:
        """Read to the end.

        :raises HttpRefusal: 400, when the document is not complete.
        """
        self._parse(b"", final=True)

    def _parse(self, piece: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(piece, final)
        except expat.ExpatError as malformed:
            raise HttpRefusal(400) from malformed

    def _doctype(self, *_: object) -> None:
        raise HttpRefusal(400)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = _name(tag)
        self._path.append(name)
        match len(self._path):
            case 1:
                self.envelope = name
            case 3:
                self._start_entry(name, attributes)
            case 4 if self._entry is not None:
                wanted = name == self._document_field and self._entry is self.body
                self._value = Value(document=Document() if wanted else None)
                self._text, self._kept = [], 0

    def _start_entry(self, name: Name, attributes: dict[str, str]) -> None:
        part = self._path[1][1]
        flag = attributes.get(f"{self._path[0][0]} mustUnderstand", "0")
        entry = Entry(name, must_understand=flag in ("1", "true"))
        entry.line, entry.column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        self._entry = None
        if part == "Header":
            self.headers.append(entry)
            self._entry = entry
        elif part == "Body" and self.body is None:
            self._entry = self.body = entry

    def _characters(self, text: str) -> None:
        if self._value is None or len(self._path) != _FIELD_DEPTH:
            return
        if self._value.document is not None:
            self._value.document.write(text)
            return
        self._kept += len(text)
        if self._kept > _TEXT_LIMIT:
            raise HttpRefusal(400)
        self._text.append(text)

    def _end(self, tag: str) -> None:
        if len(self._path) == _FIELD_DEPTH and self._value is not None and self._entry is not None:
            value = self._value
            value.text = "".join(self._text)
            value.line, value.column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
            if value.document is not None:
                value.document.close()
            self._entry.fields[_name(tag)] = value
            self._value = None
        self._path.pop()


def _name(tag: str) -> Name:
    space, _, local = tag.rpartition(" ")
    return space, local
