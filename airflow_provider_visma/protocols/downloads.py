"""A file link, streamed into a sink: complete, or an error.

The link is a secret: whoever has it, has the file. It is in no message and in no exception's chain, and
nothing of ours goes to the file host: no token, no cookie, no netrc entry.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar
from urllib.parse import urljoin

import tenacity
import urllib3

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaIncompleteAnswerError,
    VismaThrottledError,
    VismaTransientError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.bodies import Decoder, decoder_for
from airflow_provider_visma.protocols.file_hosts import FileHostAccess
from airflow_provider_visma.protocols.http import status_error
from airflow_provider_visma.protocols.links import LinkRefusedError

# Larger reads are no faster, smaller ones are slower (benchmarks/downloads.py).
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
_BACK_OFF = tenacity.wait_exponential_jitter(initial=0.5, max=20)
_LONGEST_WAIT = 120.0  # whoever is asked to wait longer had better give its worker slot back
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_Result = TypeVar("_Result")


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
        self._length: str | None = None
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
            retry=tenacity.retry_if_exception_type(
                (VismaUnavailableError, VismaThrottledError, VismaIncompleteAnswerError)
            ),
            stop=stuck,
            wait=_patience,
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
            with suppress(ValueError, RuntimeError, OSError):  # it has just ended by itself
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
        except VismaIncompleteAnswerError:
            self._validator = None  # what came is damaged: no use in going on behind it
            raise
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
            if self._decoder is None or not self._is_rest(headers):
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
        self._length = headers.get("Content-Length")
        self._validator = strong_validator(headers)
        self._decoder = decoder_for(headers, max_bytes=self._access.limits.max_bytes)
        return self._decoder

    def _is_rest(self, headers: Mapping[str, str]) -> bool:
        """Whether a part is what was asked for: all after the bytes received, of the same version."""
        part = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if part is None or headers.get("ETag", self._validator) != self._validator:
            return False
        first, last, length = part.groups()
        return (
            int(first) == self._received
            and int(last) + 1 == int(length)
            and (self._length is None or length == self._length)
        )

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


def _patience(state: tenacity.RetryCallState) -> float:
    """Return the seconds to wait: what the host asked for, or a little more after each failure."""
    error = state.outcome.exception() if state.outcome else None
    told = getattr(error, "retry_after", None)
    return _BACK_OFF(state) if told is None else min(float(told), _LONGEST_WAIT)


def strong_validator(headers: Mapping[str, str]) -> str | None:
    """Return what proves that two answers are of the same version, or None.

    A date counts only where it is at least a minute older than the answer (RFC 9110, 8.8.2.2): the file
    could have changed twice within its second.
    """
    etag = headers.get("ETag", "").strip()
    if etag.startswith('"'):
        return etag
    modified, sent = headers.get("Last-Modified", ""), headers.get("Date", "")
    try:
        age = _timestamp(sent) - _timestamp(modified)
    except (ValueError, OverflowError):
        return None
    return modified if age >= timedelta(minutes=1) else None


def _timestamp(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
