"""Documents nobody should accept, made from an honest answer: each function takes a body and spoils it.

XML and JSON alike; what only exists in XML (a DOCTYPE) leaves a JSON body without a text to replace as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Args = Mapping[str, Any]

_XML_DECLARATION = re.compile(rb"^(\xef\xbb\xbf)?\s*<\?xml[^>]*\?>\s*")
_JSON_TEXT = re.compile(rb'(:\s*")([^"\\]*)(")')


def _xml_leaf(element: str | None) -> re.Pattern[bytes]:
    name = rb"[A-Za-z_][\w.-]*" if element is None else re.escape(element.encode())
    return re.compile(rb"(<(?:[\w.-]+:)?(" + name + rb")(?:\s[^<>]*)?>)([^<>]+)(</)")


def _replace_text(body: bytes, text: bytes, args: Args) -> bytes:
    """Put ``text`` in place of the first leaf's text, or of the leaf named by the argument ``element``."""
    if body.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        pattern = _xml_leaf(args.get("element"))
        return pattern.sub(lambda found: found[1] + text + found[4], body, count=1)
    return _JSON_TEXT.sub(lambda found: found[1] + text + found[3], body, count=1)


def _with_doctype(body: bytes, subset: bytes) -> bytes:
    declaration = _XML_DECLARATION.match(body)
    at = declaration.end() if declaration else 0
    return body[:at] + b"<!DOCTYPE Envelope " + subset + b">" + body[at:]


def _url(args: Args) -> bytes:
    return str(args.get("url", "file:///etc/hostname")).encode()


def doctype(body: bytes, args: Args) -> bytes:
    """A DOCTYPE that declares nothing."""
    return _with_doctype(body, b"[]")


def internal_entity(body: bytes, args: Args) -> bytes:
    """One harmless entity, used in the first text."""
    return _with_doctype(_replace_text(body, b"&e;", args), b'[<!ENTITY e "EXPANDED">]')


def billion_laughs(body: bytes, args: Args) -> bytes:
    """Entities of entities: ten lines that grow to ``10 ** levels`` words."""
    levels = int(args.get("levels", 9))
    lines = [b'<!ENTITY l0 "laugh">']
    lines += [b'<!ENTITY l%d "%s">' % (level, b"&l%d;" % (level - 1) * 10) for level in range(1, levels + 1)]
    return _with_doctype(_replace_text(body, b"&l%d;" % levels, args), b"[" + b"".join(lines) + b"]")


def quadratic_blowup(body: bytes, args: Args) -> bytes:
    """One large entity, used many times."""
    size, times = int(args.get("size", 100_000)), int(args.get("times", 20_000))
    return _with_doctype(_replace_text(body, b"&q;" * times, args), b'[<!ENTITY q "%s">]' % (b"A" * size))


def external_entity(body: bytes, args: Args) -> bytes:
    """An entity to be fetched from the argument ``url``."""
    return _with_doctype(_replace_text(body, b"&x;", args), b'[<!ENTITY x SYSTEM "%s">]' % _url(args))


def parameter_entity(body: bytes, args: Args) -> bytes:
    """A parameter entity to be fetched from the argument ``url``."""
    return _with_doctype(body, b'[<!ENTITY %% p SYSTEM "%s"> %%p;]' % _url(args))


def external_dtd(body: bytes, args: Args) -> bytes:
    """A DTD to be fetched from the argument ``url``."""
    return _with_doctype(body, b'SYSTEM "%s"' % _url(args))


def undefined_entity(body: bytes, args: Args) -> bytes:
    """A reference to an entity nobody declared."""
    return _replace_text(body, b"&nowhere;", args)


def utf7_declaration(body: bytes, args: Args) -> bytes:
    """A declaration of an encoding that hides markup from scanners."""
    return b'<?xml version="1.0" encoding="utf-7"?>' + _XML_DECLARATION.sub(b"", body)


def nul_byte(body: bytes, args: Args) -> bytes:
    """A NUL in the first text."""
    return _replace_text(body, b"Jan\x00sen", args)


def bad_utf8(body: bytes, args: Args) -> bytes:
    """Bytes that are no UTF-8 in the first text."""
    return _replace_text(body, b"Jan\xff\xfesen", args)


def control_reference(body: bytes, args: Args) -> bytes:
    """A character reference to a control character, which XML 1.0 forbids."""
    return _replace_text(body, b"Jan&#1;sen", args)


def malformed(body: bytes, args: Args) -> bytes:
    """The last closing tag closes something else; in JSON, the last closing brace is missing."""
    if b"</" in body:
        head, _, tail = body.rpartition(b"</")
        return head + b"</x" + tail
    return body.rstrip().removesuffix(b"}").removesuffix(b"]")


def trailing_garbage(body: bytes, args: Args) -> bytes:
    """Something after the document's end."""
    return body + str(args.get("text", "<!-- end --> garbage")).encode()


def deep_nesting(body: bytes, args: Args) -> bytes:
    """``depth`` levels in place of the first text."""
    depth = int(args.get("depth", 100_000))
    if body.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return _replace_text(body, b"<a>" * depth + b"</a>" * depth, args)
    return _JSON_TEXT.sub(lambda found: found[1][:-1] + b"[" * depth + b"]" * depth, body, count=1)


def huge_text(body: bytes, args: Args) -> bytes:
    """One text of ``size`` bytes."""
    return _replace_text(body, b"A" * int(args.get("size", 11_000_000)), args)


def many_attributes(body: bytes, args: Args) -> bytes:
    """``attributes`` attributes on the element of the first text."""
    attributes = b"".join(b' a%d=""' % number for number in range(int(args.get("attributes", 1_000_000))))
    pattern = _xml_leaf(args.get("element"))
    return pattern.sub(lambda found: found[1][:-1] + attributes + b">" + found[3] + found[4], body, count=1)


def empty_body(body: bytes, args: Args) -> bytes:
    """Nothing at all, with the status and content type of an answer."""
    return b""


DAMAGES: dict[str, Callable[[bytes, Args], bytes]] = {
    function.__name__: function
    for function in (
        doctype,
        internal_entity,
        billion_laughs,
        quadratic_blowup,
        external_entity,
        parameter_entity,
        external_dtd,
        undefined_entity,
        utf7_declaration,
        nul_byte,
        bad_utf8,
        control_reference,
        malformed,
        trailing_garbage,
        deep_nesting,
        huge_text,
        many_attributes,
        empty_body,
    )
}
