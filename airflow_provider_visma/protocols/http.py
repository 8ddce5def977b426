"""The one place that builds an HTTP client and the only module that imports the HTTP library.

Whoever needs its names takes them from here (``from …protocols.http import httpx``), so that a change of
library is a change of one line. Every client built here has time-outs, follows no redirects, refuses
answers beyond a size or in a compression it did not ask for, and says nothing secret in its errors.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConflictError,
    VismaContentError,
    VismaError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaThrottledError,
    VismaUnavailableError,
)

__all__ = [
    "HttpLimits",
    "build_async_client",
    "build_client",
    "httpx",
    "network_error",
    "retry_after_seconds",
    "status_error",
    "tls_context",
]

_LONGEST_SENSIBLE_WAIT = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds on one call.

    :param connect: seconds until the connection stands.
    :param read: seconds until the next byte.
    :param total: seconds for the whole call, body included.
    :param max_bytes: bytes of the body.
    """

    connect: float = 10.0
    read: float = 120.0
    total: float = 900.0
    max_bytes: int = 64 * 1024 * 1024


class _BoundedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A response body that ends in an error once it passes its bounds."""

    def __init__(self, stream: Any, limits: HttpLimits, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._limits = limits
        self._clock = clock
        self._deadline = clock() + limits.total
        self._seen = 0

    def _check(self, chunk: bytes) -> bytes:
        self._seen += len(chunk)
        if self._seen > self._limits.max_bytes:
            raise VismaContentError(f"the answer is larger than {self._limits.max_bytes} bytes")
        if self._clock() > self._deadline:
            raise VismaUnavailableError(f"the answer took longer than {self._limits.total:.0f} s")
        return chunk

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            yield self._check(chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield self._check(chunk)

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _bounded(response: httpx.Response, limits: HttpLimits, clock: Callable[[], float]) -> httpx.Response:
    # We ask for no compression: the library inflates a whole chunk at once, and 64 KiB of a
    # decompression bomb become 64 MiB. So whoever compresses all the same is refused.
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise VismaContentError(f"the answer came with the content encoding {encoding[:20]!r}, unasked")
    response.stream = _BoundedStream(response.stream, limits, clock)
    return response


class _BoundedTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    def __init__(self, transport: Any, limits: HttpLimits, clock: Callable[[], float]) -> None:
        self._transport = transport
        self._limits = limits
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return _bounded(self._transport.handle_request(request), self._limits, self._clock)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        return _bounded(response, self._limits, self._clock)

    def close(self) -> None:
        self._transport.close()

    async def aclose(self) -> None:
        await self._transport.aclose()


@lru_cache(maxsize=16)
def tls_context(verify: bool | str) -> ssl.SSLContext:
    """Return the process's one TLS context for *verify*; reading the trust store takes about 40 ms.

    :param verify: True, False, or the path of a CA bundle or of a folder of certificates.
    :raises OSError: the path cannot be read.
    """
    if isinstance(verify, bool):
        return httpx.create_ssl_context(verify=verify)
    if Path(verify).is_dir():
        return ssl.create_default_context(capath=verify)
    return ssl.create_default_context(cafile=verify)


def build_client(
    base_url: str,
    *,
    auth: httpx.Auth | None = None,
    headers: Mapping[str, str] | None = None,
    verify: Any = True,
    proxy: str | None = None,
    limits: HttpLimits | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> httpx.Client:
    """Return a synchronous client; close it, or use it in a ``with``.

    :param base_url: scheme, host and path that relative addresses are joined to.
    :param verify: True, False or an :class:`ssl.SSLContext`.
    :param limits: bounds on each call.
    :param clock: seconds, monotonic.
    """
    limits = limits or HttpLimits()
    transport = httpx.HTTPTransport(verify=verify, proxy=proxy)
    return httpx.Client(
        base_url=base_url,
        auth=auth,
        headers={"Accept-Encoding": "identity", **(headers or {})},
        timeout=httpx.Timeout(limits.read, connect=limits.connect),
        transport=_BoundedTransport(transport, limits, clock),
    )


def build_async_client(
    base_url: str,
    *,
    auth: httpx.Auth | None = None,
    headers: Mapping[str, str] | None = None,
    verify: Any = True,
    proxy: str | None = None,
    limits: HttpLimits | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> httpx.AsyncClient:
    """Return an asynchronous client; parameters as for :func:`build_client`."""
    limits = limits or HttpLimits()
    transport = httpx.AsyncHTTPTransport(verify=verify, proxy=proxy)
    return httpx.AsyncClient(
        base_url=base_url,
        auth=auth,
        headers={"Accept-Encoding": "identity", **(headers or {})},
        timeout=httpx.Timeout(limits.read, connect=limits.connect),
        transport=_BoundedTransport(transport, limits, clock),
    )


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return how many seconds a service asks to wait, or None where it does not say.

    Reads ``Retry-After`` as seconds or as an HTTP-date (RFC 9110, 10.2.3), then ``X-RateLimit-Reset``
    as seconds left. What cannot be read is treated as not said; the wait is capped at a day.

    :param headers: a mapping that ignores the case of its keys.
    """
    wait: float | None = None
    told = headers.get("Retry-After")
    if told is not None:
        wait = _seconds(told)
        if wait is None:
            try:
                until = parsedate_to_datetime(told)
            except (ValueError, OverflowError):
                until = None
            if until is not None:
                until = until if until.tzinfo else until.replace(tzinfo=UTC)
                wait = (until - (now or datetime.now(UTC))).total_seconds()
    if wait is None:
        wait = _seconds(headers.get("X-RateLimit-Reset", ""))
    return None if wait is None else min(max(wait, 0.0), _LONGEST_SENSIBLE_WAIT)


def _seconds(text: str) -> float | None:
    text = text.strip()
    return float(text) if text.isascii() and text.isdigit() else None


_BY_STATUS: dict[int, type[VismaError]] = {
    400: VismaRequestError,
    401: VismaAuthenticationError,
    403: VismaPermissionError,
    404: VismaNotFoundError,
    408: VismaUnavailableError,
    409: VismaConflictError,
    410: VismaNotFoundError,
    412: VismaConflictError,
    425: VismaUnavailableError,
    429: VismaThrottledError,
}


def status_error(
    status: int,
    headers: Mapping[str, str],
    *,
    system: str,
    operation: str,
    conn_id: str | None = None,
    detail: str | None = None,
    advice: str | None = None,
) -> VismaError:
    """Return the error for an HTTP status that is not a success.

    :param detail: what the service said, already free of secrets and of people's data.
    """
    kind = _BY_STATUS.get(status, VismaUnavailableError if status >= 500 else VismaRequestError)
    return kind(
        detail or f"the service answered with status {status}",
        system=system,
        operation=operation,
        conn_id=conn_id,
        code=f"HTTP {status}",
        advice=advice,
        retry_after=retry_after_seconds(headers) if status in (429, 503) else None,
    )


def network_error(
    error: Exception, *, system: str, operation: str, conn_id: str | None = None
) -> VismaUnavailableError:
    """Return the error for a request that got no usable answer.

    Only the class of *error* is kept: its text may hold a signed link. Raise it ``from None``.
    """
    return VismaUnavailableError(
        f"no answer ({type(error).__name__})",
        system=system,
        operation=operation,
        conn_id=conn_id,
        advice="Check the address, the proxy and the network; a retry asks again.",
    )
