"""What can be said of a web page that came where something else was expected: its title, no more.

A page may hold what was sent, so nothing of its text gets any further.
"""

from __future__ import annotations

_MOST_BYTES = 64 * 1024
_LONGEST_TITLE = 100


def page_title(body: bytes) -> str | None:
    """Return the title of a page, on one line, or None where *body* is no page or has none.

    :param body: only its first 64 KiB are looked at.
    """
    from lxml import etree

    head = body[:_MOST_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head.startswith(b"<"):
        return None
    parser = etree.HTMLParser(no_network=True, recover=True, encoding="utf-8" if _is_utf_8(head) else None)
    try:
        root = etree.fromstring(head, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    if root is None:
        return None
    found = root.find(".//title")
    text = "" if found is None else str(found.text or "")
    words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return (words[:_LONGEST_TITLE] + "…" if len(words) > _LONGEST_TITLE else words) or None


def _is_utf_8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # cut within a character
    return True
