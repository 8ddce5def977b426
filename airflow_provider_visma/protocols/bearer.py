"""Bearer tokens and the requests that they sign (RFC 6750).

A token is obtained by one caller at a time, whatever thread or event loop the others wait in, and is
shared by everything in the process that signs in alike. It is never logged, nor part of any error.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field

from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.protocols.http import httpx

UNSTATED_LIFETIME = 300.0
_LONGEST_MARGIN = 60.0
_PAUSE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A bearer token.

    :param lifetime: seconds it was said to be valid when issued; None if that was not said.
    :param scopes: what was granted, where the service said so.
    :param fresh_until: reading of the source's clock from which another one is obtained.
    """

    value: str = field(repr=False)
    lifetime: float | None
    scopes: str | None
    fresh_until: float


def fresh_for(lifetime: float | None) -> float:
    """Return how many seconds after it was asked for a token of this lifetime is to be used."""
    valid = UNSTATED_LIFETIME if lifetime is None else max(lifetime, 0.0)
    # A short-lived token keeps a proportionate margin, or it would never be fresh.
    return valid - min(_LONGEST_MARGIN, valid / 5)


class TokenSource(ABC):
    """Keeps one token fresh.

    :param on_token: called with every token's value before anyone gets it, so that it can be masked.
    :param clock: seconds, monotonic.
    """

    def __init__(
        self, *, on_token: Callable[[str], None] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.on_token = on_token
        self._clock = clock
        self._lock = threading.Lock()
        self._fetch: Future[AccessToken] | None = None  # the one under way, or the last one
        self._usable_until = -math.inf
        self._next_rejection = -math.inf
        self._dropped: str | None = None  # the last one that a service turned down

    @abstractmethod
    def _obtain(self) -> AccessToken:
        """Return a fresh token; called by one thread at a time."""

    def get_token(self) -> AccessToken:
        """Return a fresh token; blocks while one is obtained.

        :raises VismaPermanentError: the service refuses who asks.
        :raises VismaTransientError: the service does not answer, or asks for patience.
        """
        fetch, ours = self._join()
        if ours:
            self._run(fetch)
        try:
            return fetch.result()
        except VismaError as error:
            raise copy(error) from None  # one each: a shared one would collect everybody's traceback

    async def aget_token(self) -> AccessToken:
        """Return a fresh token, as :meth:`get_token`, without blocking the event loop."""
        fetch, ours = self._join()
        if ours:
            # In a thread: one implementation, and a cancelled waiter does not take the fetch with it.
            asyncio.get_running_loop().run_in_executor(None, self._run, fetch)
        try:
            return fetch.result() if fetch.done() else await asyncio.wrap_future(fetch)
        except VismaError as error:
            raise copy(error) from None

    def reject(self, value: str) -> None:
        """Drop the token *value*, which a service turned down; a newer one is kept.

        When the one before it was dropped only just now, so is not this one: whoever is refused with
        two tokens lacks a right, and a thousand triggers would fetch a thousand more.
        """
        with self._lock:
            now = self._clock()
            if self._holds(value) and now >= self._next_rejection:
                self._dropped = value
                self._usable_until = -math.inf
                self._next_rejection = now + _PAUSE

    def _holds(self, value: str) -> bool:
        fetch = self._fetch
        return bool(fetch and fetch.done() and not fetch.exception() and fetch.result().value == value)

    def _join(self) -> tuple[Future[AccessToken], bool]:
        """Return the fetch whose result to use, and whether it is the caller's to run."""
        with self._lock:
            if self._fetch and (not self._fetch.done() or self._clock() < self._usable_until):
                return self._fetch, False
            fetch: Future[AccessToken] = Future()
            fetch.set_running_or_notify_cancel()  # now no waiter's cancellation can cancel it
            self._fetch = fetch
            return fetch, True

    def _run(self, fetch: Future[AccessToken]) -> None:
        try:
            token = self._obtain()
            if self.on_token is not None:
                self.on_token(token.value)
        except BaseException as error:
            # A thousand triggers must not each ask an endpoint that just failed, so they share its answer.
            wait = getattr(error, "retry_after", None) or _PAUSE
            self._usable_until = self._clock() + wait if isinstance(error, VismaError) else -math.inf
            fetch.set_exception(error)
        else:
            self._usable_until = token.fresh_until
            fetch.set_result(token)


class BearerAuth(httpx.Auth):
    """Signs a client's requests with the tokens of a source.

    :param source: where the tokens come from.
    :param repeat: send a request that met a 401 once more, with another token. Without it the answer is
        handed back as it is, and the next request gets another token.
    """

    def __init__(self, source: TokenSource, *, repeat: bool = True) -> None:
        self._source = source
        self._repeat = repeat

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign *request*; called by a synchronous client."""
        token = self._source.get_token()
        response = yield _signed(request, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._source.reject(token.value)
            if self._repeat:
                yield _signed(request, self._source.get_token())

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign *request*; called by an asynchronous client."""
        token = await self._source.aget_token()
        response = yield _signed(request, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._source.reject(token.value)
            if self._repeat:
                yield _signed(request, await self._source.aget_token())


def _signed(request: httpx.Request, token: AccessToken) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token.value}"
    return request
