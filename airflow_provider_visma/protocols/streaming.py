"""The body of a streamed answer, in pieces: bounded in bytes and in seconds, and as long as was announced.

requests and urllib3 hand out a body that broke off without an error unless somebody counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import requests
import urllib3

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaIncompleteAnswerError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.http import HttpLimits

PIECE = 64 * 1024


def body_pieces(
    response: requests.Response,
    *,
    limits: HttpLimits,
    max_bytes: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[bytes]:
    """Yield the body of an answer that was asked for with ``stream=True``, as it comes.

    The pieces are of at least 64 KiB but for the last.

    :param max_bytes: instead of those of *limits*.
    :param clock: seconds, monotonic.
    :raises VismaContentError: the body is compressed, or larger than allowed.
    :raises VismaIncompleteAnswerError: it broke off.
    :raises VismaUnavailableError: it took too long.
    """
    # None was asked for: a bomb would otherwise have to be measured while it inflates.
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise VismaContentError("the answer came compressed, unasked")
    limit = max_bytes or limits.max_bytes
    announced = response.headers.get("Content-Length")
    deadline = clock() + limits.total
    total = 0
    waiting = bytearray()
    try:
        # read1 returns what has arrived, so that a body that trickles in meets the deadline.
        while piece := response.raw.read1(PIECE):
            total += len(piece)
            if total > limit:
                raise VismaContentError(f"the answer is larger than {limit} bytes")
            if clock() > deadline:
                raise VismaUnavailableError(f"the answer took longer than {limits.total:.0f} s")
            if not waiting and len(piece) >= PIECE:
                yield piece
                continue
            waiting += piece
            if len(waiting) >= PIECE:
                yield bytes(waiting)
                waiting.clear()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise VismaIncompleteAnswerError(f"the answer broke off ({type(error).__name__})") from None
    if announced is not None and announced.isdigit() and total != int(announced):
        raise VismaIncompleteAnswerError(f"{total} bytes came, {announced} were announced")
    if waiting:
        yield bytes(waiting)
