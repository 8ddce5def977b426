"""What a request must bring: name and password, and headers that the service can satisfy."""

from __future__ import annotations

import re
from base64 import b64decode
from hmac import compare_digest
from typing import Final

from aiohttp import web

from visma_sandbox import credentials

_VERSION: Final = re.compile(r"(\d+)\.(\d+)(?:;.*)?")
_XML_TYPES: Final = ("*/*", "application/*", "application/atom+xml", "application/xml", "text/xml")


class Refusal(Exception):
    """An answer that is an error, with its status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def is_authorized(header: str) -> bool:
    """Whether an Authorization header has the one name and password, as Basic."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        account = b64decode(given.strip(), validate=True)
    except ValueError:
        return False
    right = f"{credentials.ORBIT_REPORTING_LOGIN}:{credentials.ORBIT_REPORTING_PASSWORD}"
    return compare_digest(account, right.encode())


def _accepts(request: web.Request, header: str, default: str) -> list[str]:
    given = request.headers.get(header, default)
    return [part.partition(";")[0].strip().lower() for part in given.split(",")]


def accepts_xml(request: web.Request) -> bool:
    """Whether the client takes Atom or XML."""
    return any(part in _XML_TYPES for part in _accepts(request, "Accept", "*/*"))


def accepts_gzip(request: web.Request) -> bool:
    """Whether the client takes a packed body; one that says nothing is taken not to."""
    return "gzip" in _accepts(request, "Accept-Encoding", "")


def version_in(text: str | None, name: str) -> tuple[int, int] | None:
    """The version in a header; None without the header.

    :raises Refusal: when there is none in it.
    """
    if text is None:
        return None
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise Refusal(400, f"The header '{name}' has no version that can be read.")
    return int(found[1]), int(found[2])
