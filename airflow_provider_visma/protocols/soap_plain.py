"""Items of a SOAP list in their plain form: the WSDL's elements in the WSDL's order, no attribute but nil.

The expression is made from the WSDL and recognises exactly such an item.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_visma.protocols.plain_form import OTHER_REFERENCE, SPACE, TEXT, NotPlainError, PlainForm
from airflow_provider_visma.protocols.soap_shape import Shape

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class _Names:
    """How an answer writes its tags: the prefix of each namespace that is in force where the items are."""

    prefixes: Mapping[str, str | None]

    def of(self, tag: str) -> str:
        """Return *tag* as it is written, escaped for an expression."""
        namespace, _, name = tag[1:].rpartition("}")
        if namespace not in self.prefixes:
            raise NotPlainError
        prefix = self.prefixes[namespace]
        return re.escape(f"{prefix}:{name}" if prefix else name)

    @property
    def without_content(self) -> str:
        """What stands behind the name of an element without content: nothing where it is not nil."""
        prefix = self.prefixes.get(_XSI)
        return f' {re.escape(prefix)}:nil="(?:true|1)"|' if prefix else ""


@dataclass(frozen=True, slots=True)
class _Part:
    """A wanted element and its two groups in the expression.

    :param content: the group that takes part where the element has content: the text of a leaf, nothing
        for others.
    :param closed: the group that takes part where it has none: nothing where the element is not nil.
    :param inside: the wanted elements inside.
    """

    name: str
    convert: Callable[[str], Any] | None
    content: int
    closed: int
    may_be_nil: bool
    shape: Shape
    inside: tuple[_Part, ...]


class _Expression:
    """Writes the expression for the content of an element, and numbers its groups."""

    def __init__(self, names: _Names) -> None:
        self._names = names
        self._groups = 0

    def content(self, known: Shape, wanted: Shape | None, depth: int = 0) -> tuple[str, tuple[_Part, ...]]:
        """Return the expression, and the parts of *wanted* in it.

        Where a list may hold many, the form has one or none: more are left to the XML parser.
        """
        if depth > _DEEPEST:  # it contains itself
            raise NotPlainError
        source, parts = "", []
        for inner in known.parts.values():
            want = wanted.parts.get(inner.tag) if wanted else None
            at = self._groups
            self._groups += want is not None
            content, inside = (TEXT, ()) if inner.convert else self.content(inner, want, depth + 1)
            element = self._names.of(inner.tag)
            closed = f"({'' if want else '?:'}{self._names.without_content}) ?/>"
            if want is not None:
                if want.convert and want.many:
                    raise NotPlainError  # a repeated text, which no service here sends
                content = f"({content})" if want.convert else f"(){content}"
                may_be_nil = want.nillable or not want.required
                parts.append(_Part(want.name, want.convert, at, self._groups, may_be_nil, want, inside))
                self._groups += 1
            source += f"(?:<{element}(?:>{content}</{element}>|{closed}))?+"
        return source, tuple(parts)


def _value(
    shape: Shape, parts: tuple[_Part, ...], groups: tuple[str | None, ...], *, references: bool
) -> dict[str, Any]:
    """Return the value of an element of *shape* that the groups make.

    :param references: whether a text may hold any.
    :raises NotPlainError: a required value is missing, or the XML parser has to decide.
    """
    values: dict[str, Any] = {}
    for part in parts:
        content, convert = groups[part.content], part.convert
        if content is not None:
            if convert is None:
                value = _value(part.shape, part.inside, groups, references=references)
                values[part.name] = [value] if part.shape.many else value
            else:
                text = html.unescape(content) if references and "&" in content else content
                values[part.name] = text if convert is str else convert(text)
        elif (nil := groups[part.closed]) is not None:
            if convert is None or (nil and not part.may_be_nil):
                raise NotPlainError
            values[part.name] = None if nil else convert("")
    if len(values) < len(parts) and shape.missing(values):
        raise NotPlainError
    return values


class PlainItems(PlainForm):
    """Finds the items of a list in the text of an answer.

    :param known: the item with all that the WSDL knows of it.
    :param wanted: the item with what to read.
    :param nsmap: namespaces in force inside the list.
    :raises NotPlainError: the items cannot be plain.
    """

    def __init__(self, known: Shape, wanted: Shape, nsmap: Mapping[str | None, str]) -> None:
        names = _Names({namespace: prefix for prefix, namespace in nsmap.items()})
        source, self._parts = _Expression(names).content(known, wanted)
        self._wanted = wanted
        element = names.of(known.tag)
        super().__init__(element)
        self._item = re.compile(rf"{SPACE}<{element}>{source}</{element}>")

    def read(self, text: str, at: int) -> tuple[dict[str, Any], int] | None:
        """Return value and end of the item at *at*, None where it is not plain or not all there."""
        found = self._item.match(text, at)
        if found is None:
            return None
        end = found.end()
        references = text.find("&", at, end) >= 0
        if references and OTHER_REFERENCE.search(text, at, end):
            return None
        try:
            return _value(self._wanted, self._parts, found.groups(), references=references), end
        except (NotPlainError, ValueError, KeyError):
            return None
