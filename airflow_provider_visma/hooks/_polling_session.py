"""One aiohttp session per event loop and way out to the network, shared by all who poll.

A triggerer runs a thousand pollers on one loop: with a session each, they would hold a thousand idle
connections and make a TLS handshake for most polls.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import aiohttp

_POLL_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
# Per host, and no limit in all: pollers of a host that hangs must not keep the others waiting for a turn.
_CONNECTIONS_PER_HOST = 100
# Longer than the longest usual wait between two polls, so that a lone poller keeps its connection too.
_KEEPALIVE_SECONDS = 75.0


@dataclass(slots=True)
class _Lease:
    session: aiohttp.ClientSession
    users: int = 0


_LEASES: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ssl.SSLContext, _Lease]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_session(context: ssl.SSLContext) -> AsyncIterator[aiohttp.ClientSession]:
    """Lend the running loop's session for *context*; the last one to leave closes it.

    The session carries no credentials, cookies or headers of anyone.
    """
    leases = _LEASES.setdefault(asyncio.get_running_loop(), {})
    lease = leases.get(context)
    if lease is None:
        lease = leases[context] = _Lease(_session(context))
    lease.users += 1
    try:
        yield lease.session
    finally:
        lease.users -= 1
        if not lease.users:
            del leases[context]
            await lease.session.close()


def _session(context: ssl.SSLContext) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            ssl=context,
            limit=0,
            limit_per_host=_CONNECTIONS_PER_HOST,
            keepalive_timeout=_KEEPALIVE_SECONDS,
        ),
        timeout=aiohttp.ClientTimeout(total=_POLL_SECONDS, sock_connect=_CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        auto_decompress=False,  # nothing was asked to be compressed, and a bomb is not inflated
    )
