"""A file link, streamed into a sink: complete, or an error.

The link is a secret: whoever has it, has the file. It is in no message and in no exception's chain, and
nothing of ours goes to the file host: no token, no cookie, no netrc entry.
"""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import urljoin

import tenacity
import urllib3

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaIncompleteAnswerError,
    VismaTransientError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.bodies import Decoder, decoder_for
from airflow_provider_visma.protocols.http import HttpLimits, status_error
from airflow_provider_visma.protocols.links import (
    Destination,
    LinkRefusedError,
    LinkRules,
    Resolver,
    resolve_host,
)

# Larger reads are no faster (benchmarks/downloads.py), smaller ones are.
_PIECE = 1024 * 1024
_MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_EXPIRED = frozenset({401, 403, 404, 410})
_SYSTEM = "Export file host"
_HEADERS = {
    "Accept": "text/csv, */*;q=0.1",
    "Accept-Encoding": "gzip",
    "User-Agent": "airflow-provider-visma",
}
_Result = TypeVar("_Result")
FILE_LIMITS = HttpLimits(read=120.0, total=4 * 3600.0, max_bytes=64 * 1024**3)


class LinkExpiredError(VismaTransientError):
    """The file host does not know the link (any more): read the job again for a fresh one."""


class DownloadAbortedError(VismaTransientError):
    """Somebody else's failure ended this download; that one tells the reason."""


class Sink(Protocol):
    """Where a file goes, in order."""

    def write(self, chunk: bytes, /) -> None:
        """Append *chunk*."""

    def restart(self) -> None:
        """Forget everything written so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHostAccess:
    """How files are fetched with one Airflow connection.

    :param verify: True, False or a context, as for the API itself.
    :param proxy: address of a proxy; it resolves names itself, so addresses are then not checked here.
    """

    rules: LinkRules
    verify: bool | ssl.SSLContext = True
    proxy: str | None = field(default=None, repr=False)
    limits: HttpLimits = FILE_LIMITS
    resolve: Resolver = resolve_host

    def get(self, destination: Destination, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """Ask for a file at one of the checked addresses; the body is still to be read."""
        options: dict[str, Any] = {
            "retries": False,
            "redirect": False,
            "preload_content": False,
            "decode_content": False,
            "timeout": urllib3.Timeout(connect=self.limits.connect, read=self.limits.read),
        }
        host = destination.host if destination.is_default_port else f"{destination.host}:{destination.port}"
        if not destination.addresses:
            proxy = urllib3.ProxyManager(str(self.proxy), ssl_context=self._tls())
            url = f"{destination.scheme}://{host}{destination.target}"
            return proxy.urlopen("GET", url, headers=headers, assert_same_host=False, **options)
        headers = {"Host": host, **headers}
        return self._pool(destination).urlopen("GET", destination.target, headers=headers, **options)

    def _pool(self, destination: Destination) -> urllib3.HTTPConnectionPool:
        address = random.choice(destination.addresses)  # noqa: S311 - so that a retry may find a better one
        if destination.scheme == "http":
            return urllib3.HTTPConnectionPool(address, destination.port)
        # The certificate is checked against the host of the link, not against the address.
        return urllib3.HTTPSConnectionPool(
            address,
            destination.port,
            ssl_context=self._tls(),
            server_hostname=destination.host,
            assert_hostname=destination.host if self.verify else False,
        )

    def _tls(self) -> ssl.SSLContext:
        if isinstance(self.verify, ssl.SSLContext):
            return self.verify
        context = ssl.create_default_context()
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class FileDownload:
    """One file, read from one link or, where links expire, from several in turn.

    What broke off is resumed with a Range request, but only where the host gave a strong validator
    (RFC 9110, 13.1.5): otherwise the second half could be of another version. Without one the file is
    read again from its first byte.

    :param sleep: waits a number of seconds between two tries.
    :param tries: how often to try in a row without receiving anything.
    :param stop: set by whoever wants the download to end.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        access: FileHostAccess,
        stop: threading.Event | None = None,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        tries: int = 4,
    ) -> None:
        self._sink = sink
        self._access = access
        self._stop = stop or threading.Event()
        self._sleep = sleep or self._stop.wait
        self._clock = clock
        self._tries = tries
        self._decoder: Decoder | None = None
        self._validator: str | None = None
        self._received = 0  # bytes of the body, which are not the file's own where it is compressed
        self._response: urllib3.BaseHTTPResponse | None = None

    def run(self, link: str) -> None:
        """Read the file, or what is missing of it, from *link*.

        :raises LinkExpiredError: a fresh link is needed; call again with that.
        :raises LinkRefusedError: the link leads where it may not.
        :raises VismaError: the file could not be had whole.
        """
        deadline = self._clock() + self._access.limits.total
        progress = -1
        failures = 0

        def stuck(state: tenacity.RetryCallState) -> bool:
            nonlocal progress, failures
            failures = failures + 1 if self._received <= progress else 1
            progress = max(progress, self._received)
            return failures >= self._tries

        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((VismaUnavailableError, VismaIncompleteAnswerError)),
            stop=stuck,
            wait=tenacity.wait_exponential_jitter(initial=0.5, max=20),
            sleep=self._pause,
            reraise=True,
        )
        tries(self._attempt, link, deadline)

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)

    def abort(self) -> None:
        """End the download from another thread, also while it waits for the host."""
        self._stop.set()
        response = self._response
        if response is not None:
            response.shutdown()

    def _attempt(self, link: str, deadline: float) -> None:
        response = self._open(link)
        self._response = response
        try:
            decoder = self._begin(response)
            for wire in self._pieces(response):
                self._received += len(wire)
                for piece in decoder.feed(wire):
                    self._sink.write(piece)
                if self._clock() > deadline:
                    raise VismaContentError(f"the download took over {self._access.limits.total:.0f} s")
            decoder.finish()
        finally:
            self._response = None
            response.close()

    def _pieces(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        """Iterate over the body as it comes; a body that ends before its announced end is an error."""
        while wire := self._guarded(lambda: response.read1(_PIECE, decode_content=False)):
            yield wire

    def _guarded(self, call: Callable[[], _Result]) -> _Result:
        """Return what *call* returns; a network error becomes ours, without its text or chain."""
        self._check_stop()
        try:
            return call()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            kind = type(error).__name__
        self._check_stop()
        raise VismaUnavailableError(
            f"the download broke off after {self._received} bytes ({kind})",
            system=_SYSTEM,
            advice="Check the network and the proxy; a retry asks again.",
        )

    def _begin(self, response: urllib3.BaseHTTPResponse) -> Decoder:
        """Return the decoder for *response*: a new one, or where it continues the file, the one in use."""
        headers = response.headers
        if response.status == 206:
            # What was asked for is what must come: from the byte after the last, of the same version.
            expected = f"bytes {self._received}-"
            if self._decoder is None or not headers.get("Content-Range", "").startswith(expected):
                self._validator = None
                raise VismaIncompleteAnswerError("the file host sent another part than was asked for")
            return self._decoder
        if headers.get("Content-Type", "").strip().lower().startswith("text/html"):
            raise VismaContentError("a page came instead of a file", system=_SYSTEM, code="text/html")
        if "Content-Length" not in headers and headers.get("Transfer-Encoding", "").lower() != "chunked":
            raise VismaContentError("the file host does not say where the file ends", system=_SYSTEM)
        if self._received:
            self._sink.restart()
        self._received = 0
        self._validator = strong_validator(headers)
        self._decoder = decoder_for(headers, max_bytes=self._access.limits.max_bytes)
        return self._decoder

    def _open(self, link: str) -> urllib3.BaseHTTPResponse:
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._get(link)
            if response.status in (200, 206):
                return response
            response.close()
            location = response.headers.get("Location")
            if response.status in _REDIRECTS and location:
                link = urljoin(link, location)
                continue
            raise self._refusal(response)
        raise LinkRefusedError(f"a file link was redirected more than {_MAX_REDIRECTS} times", system=_SYSTEM)

    def _get(self, link: str) -> urllib3.BaseHTTPResponse:
        access = self._access
        destination = access.rules.check(link, resolve=None if access.proxy else access.resolve)
        headers = dict(_HEADERS)
        if self._received and self._validator:
            headers |= {"Range": f"bytes={self._received}-", "If-Range": self._validator}
        return self._guarded(lambda: access.get(destination, headers))

    def _refusal(self, response: urllib3.BaseHTTPResponse) -> Exception:
        if response.status == 416:
            self._validator = None
            return VismaIncompleteAnswerError("the file host does not have the rest of the file")
        if response.status in _EXPIRED:
            return LinkExpiredError(
                "the file host refused the link", system=_SYSTEM, code=f"HTTP {response.status}"
            )
        return status_error(response.status, response.headers, system=_SYSTEM, operation="download")

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise DownloadAbortedError("the download was ended", system=_SYSTEM)


def strong_validator(headers: Any) -> str | None:
    """Return what proves that two answers are of the same version, or None.

    A date counts only where it is at least a minute older than the answer (RFC 9110, 8.8.2.2): the file
    could have changed twice within its second.
    """
    etag = str(headers.get("ETag", "")).strip()
    if etag.startswith('"'):
        return etag
    modified, sent = headers.get("Last-Modified"), headers.get("Date")
    try:
        age = _timestamp(sent) - _timestamp(modified)
    except (TypeError, ValueError):
        return None
    return str(modified) if age >= timedelta(minutes=1) else None


def _timestamp(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
