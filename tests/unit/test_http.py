from __future__ import annotations

import gzip
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

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
from airflow_provider_visma.protocols.http import (
    HttpLimits,
    _BoundedTransport,
    build_async_client,
    build_client,
    httpx,
    network_error,
    retry_after_seconds,
    status_error,
    tls_context,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "17"}, 17.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"Retry-After": "Sat, 21 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Sat, 21 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "Saturday, 21-Nov-26 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Sat Nov 21 12:00:30 2026"}, 30.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
        ({"Retry-After": "١٧"}, None),
        ({"Retry-After": "999999999"}, 86400.0),
        ({"X-RateLimit-Reset": "9"}, 9.0),
        ({"Retry-After": "3", "X-RateLimit-Reset": "9"}, 3.0),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "9"}, 9.0),
        ({"X-RateLimit-Reset": "tomorrow"}, None),
    ],
)
def test_the_wait_a_service_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert retry_after_seconds(httpx.Headers(encoded), now=NOW) == seconds


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, VismaRequestError),
        (400, VismaRequestError),
        (401, VismaAuthenticationError),
        (403, VismaPermissionError),
        (404, VismaNotFoundError),
        (408, VismaUnavailableError),
        (409, VismaConflictError),
        (410, VismaNotFoundError),
        (412, VismaConflictError),
        (418, VismaRequestError),
        (425, VismaUnavailableError),
        (429, VismaThrottledError),
        (500, VismaUnavailableError),
        (503, VismaUnavailableError),
        (599, VismaUnavailableError),
    ],
)
def test_a_status_becomes_the_error_that_says_whether_to_retry(status: int, kind: type[VismaError]) -> None:
    error = status_error(status, {}, system="s", operation="o", conn_id="c")
    assert type(error) is kind
    assert str(error) == f"s o (connection c): the service answered with status {status} [HTTP {status}]"


@pytest.mark.parametrize(("status", "wait"), [(429, 5.0), (503, 5.0), (500, None), (403, None)])
def test_only_throttling_and_unavailability_carry_the_wait(status: int, wait: float | None) -> None:
    error = status_error(status, {"Retry-After": "5"}, system="s", operation="o")
    assert error.retry_after == wait


def test_a_network_error_keeps_nothing_of_the_address() -> None:
    error = network_error(httpx.ConnectError("https://h/?sig=canary"), system="s", operation="o")
    assert str(error).startswith("s o: no answer (ConnectError)")
    assert "canary" not in str(error)


# Bounds


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that moves the clock with each piece."""

    def __init__(self, *pieces: bytes, tick: Callable[[], None] = lambda: None) -> None:
        self._pieces = pieces
        self._tick = tick
        self.handed_out = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._tick()
            self.handed_out += 1
            yield piece

    async def __aiter__(self) -> Any:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


async def fetch(
    kind: str,
    body: Pieces,
    *,
    headers: dict[str, str] | None = None,
    limits: HttpLimits,
    clock: Callable[[], float] = lambda: 0.0,
) -> bytes:
    server = httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, stream=body))
    transport = _BoundedTransport(server, limits, clock)
    if kind == "sync":
        with httpx.Client(transport=transport) as client:
            return client.get("https://api.example.com/").content
    async with httpx.AsyncClient(transport=transport) as aclient:
        return (await aclient.get("https://api.example.com/")).content


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_body_within_its_bounds_arrives(kind: str) -> None:
    body = Pieces(b"ab", b"cd")
    assert await fetch(kind, body, limits=HttpLimits(max_bytes=4)) == b"abcd"
    assert body.closed


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_body_beyond_its_size_is_not_read_to_the_end(kind: str) -> None:
    body = Pieces(*[b"x" * 10] * 100)
    with pytest.raises(VismaContentError, match="larger than 25 bytes"):
        await fetch(kind, body, limits=HttpLimits(max_bytes=25))
    assert body.handed_out == 3
    assert body.closed


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_body_that_trickles_in_for_too_long_is_given_up(kind: str) -> None:
    now = [0.0]

    def tick() -> None:
        now[0] += 100

    body = Pieces(*[b"x"] * 100, tick=tick)
    with pytest.raises(VismaUnavailableError, match="longer than 450 s"):
        await fetch(kind, body, limits=HttpLimits(total=450), clock=lambda: now[0])
    assert body.handed_out == 5


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate, gzip"])
async def test_a_compressed_body_that_nobody_asked_for_is_refused_unread(kind: str, encoding: str) -> None:
    body = Pieces(gzip.compress(b"x" * 1000))
    with pytest.raises(VismaContentError, match="content encoding"):
        await fetch(kind, body, headers={"Content-Encoding": encoding}, limits=HttpLimits())
    assert body.handed_out == 0


async def test_clients_have_time_outs_follow_nothing_and_ask_for_no_compression() -> None:
    limits = HttpLimits(connect=3, read=4)
    with build_client("https://api.example.com", limits=limits) as client:
        async with build_async_client("https://api.example.com", limits=limits) as aclient:
            for built in (client, aclient):
                assert (built.timeout.connect, built.timeout.read) == (3, 4)
                assert built.follow_redirects is False
                assert built.headers["Accept-Encoding"] == "identity"


# TLS


def test_a_trust_store_is_read_once() -> None:
    assert tls_context(True) is tls_context(True)
    assert tls_context(True) is not tls_context(False)


def test_certificates_are_verified_unless_switched_off() -> None:
    assert tls_context(True).verify_mode is ssl.CERT_REQUIRED
    assert tls_context(True).check_hostname
    assert tls_context(False).verify_mode is ssl.CERT_NONE


def test_a_folder_of_certificates_can_be_trusted(tmp_path: Any) -> None:
    assert tls_context(str(tmp_path)).verify_mode is ssl.CERT_REQUIRED
