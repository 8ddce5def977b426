"""What was asked of the sandbox. Nothing secret and no body is ever kept, only that it was there."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

SECRET_QUERY_NAMES = frozenset(
    {"sig", "signature", "token", "access_token", "client_secret", "code", "code_challenge", "state"}
)
NOTED_HEADERS = (
    "Accept",
    "Accept-Encoding",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Range",
    "SOAPAction",
    "User-Agent",
)


@dataclass(slots=True)
class JournalEntry:
    """One request. ``status`` stays None until an answer was begun, and for ever when none was.

    :param authorization: scheme of the Authorization header in lower case, None when it was absent; empty
        when it has none, for then the whole of it may be a secret.
    :param authorized: what the system made of the credentials; None when it did not look.
    :param bytes_sent: body bytes of the answer handed to the network.
    :param kept_waiting: port of the client that a hang leaves without an answer at this moment, else None.
    :param note: what the system wants tests to know besides.
    """

    time: float
    system: str
    operation: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content_type: str | None
    authorization: str | None
    body_size: int
    authorized: bool | None = None
    status: int | None = None
    bytes_sent: int = 0
    fault: str | None = None
    kept_waiting: int | None = None
    note: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The entry as the control endpoint shows it."""
        return asdict(self)


class Journal:
    """The newest requests, oldest first.

    :param size: how many are kept; older ones are forgotten.
    """

    def __init__(self, size: int = 20_000) -> None:
        self._entries: deque[JournalEntry] = deque(maxlen=size)

    def record(
        self, request: web.Request, *, time: float, system: str, operation: str, body_size: int
    ) -> JournalEntry:
        """Note a request when it comes in; the caller fills in how it was answered."""
        headers = request.headers
        authorization = headers.get("Authorization")
        entry = JournalEntry(
            time=time,
            system=system,
            operation=operation,
            method=request.method,
            path=request.path,
            query={
                name: "***" if name.lower() in SECRET_QUERY_NAMES else value
                for name, value in request.query.items()
            },
            headers={name: headers[name] for name in NOTED_HEADERS if name in headers},
            content_type=headers.get("Content-Type"),
            authorization=None if authorization is None else _scheme(authorization),
            body_size=body_size,
        )
        self._entries.append(entry)
        return entry

    def add_outgoing(self, *, time: float, system: str, operation: str, path: str) -> JournalEntry:
        """Note a request that a system itself sends, such as a callback."""
        entry = JournalEntry(
            time=time,
            system=system,
            operation=operation,
            method="POST",
            path=path,
            query={},
            headers={},
            content_type="application/json",
            authorization=None,
            body_size=0,
        )
        self._entries.append(entry)
        return entry

    def entries(self, system: str | None = None, operation: str | None = None) -> list[JournalEntry]:
        """The requests of a system and operation; both take shell wildcards."""
        return [
            entry
            for entry in self._entries
            if (system is None or fnmatchcase(entry.system, system))
            and (operation is None or fnmatchcase(entry.operation, operation))
        ]

    def let_go(self) -> None:
        """Keep nobody waiting any longer: their connections end."""
        for entry in self._entries:
            entry.kept_waiting = None

    def clear(self) -> None:
        """Forget all of them."""
        self._entries.clear()


def _scheme(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    return scheme.lower() if credentials else ""
