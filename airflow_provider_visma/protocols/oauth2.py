"""Bearer tokens for the services that sign in with OAuth 2.0 (RFC 6749).

A token is fetched by one caller at a time, whatever thread or event loop the others wait in, and is
shared by everything in the process that signs in alike. It is never logged, nor part of any error.
"""

from __future__ import annotations

import asyncio
import math
import re
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaPermanentError,
    VismaPermissionError,
    VismaRequestError,
)
from airflow_provider_visma.protocols.http import httpx, network_error, status_error

SYSTEM = "Visma Connect"
_UNSTATED_LIFETIME = 300.0
_LONGEST_MARGIN = 60.0
_PAUSE = 5.0
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")
_SCOPES = re.compile(r"[\w:./ -]{1,4000}", re.ASCII)

_ERRORS: dict[str, tuple[type[VismaPermanentError], str]] = {
    "invalid_client": (
        VismaAuthenticationError,
        "Check client id and client secret; a secret is shown once and may have been replaced.",
    ),
    "unauthorized_client": (
        VismaPermissionError,
        "The application must be of the type Service, with the grant client_credentials.",
    ),
    "invalid_scope": (
        VismaPermissionError,
        "One scope that is misspelt or not approved fails the whole request: compare the connection's"
        " scopes with the approved integrations in the Visma Developer Portal.",
    ),
    "invalid_tenant": (
        VismaAuthenticationError,
        "Check the tenant id; the customer's Integration Administrator must have accepted the integration.",
    ),
    "invalid_grant": (VismaAuthenticationError, "Sign in again."),
    "invalid_request": (VismaRequestError, "Check that the connection's scopes and tenant id are filled in."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """Who signs in where, for what.

    :param token_url: address of the token endpoint.
    :param tenant_id: the customer's tenant, which tenant-based APIs require.
    :param scopes: separated by spaces; empty for what the service grants by itself.
    """

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    tenant_id: str = ""
    scopes: str = ""

    def form(self) -> dict[str, str]:
        """Return the form of the token request; the secret goes in the body (client_secret_post)."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "tenant_id": self.tenant_id,
            "scope": self.scopes,
        }
        return {name: value for name, value in form.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A bearer token.

    :param lifetime: seconds it was said to be valid when issued; None if that was not said.
    :param scopes: what was granted, where the service said so.
    :param fresh_until: reading of the source's clock from which another one is fetched.
    """

    value: str = field(repr=False)
    lifetime: float | None
    scopes: str | None
    fresh_until: float


class TokenSource:
    """Keeps one token fresh.

    :param credentials: who signs in.
    :param open_client: opens the HTTP client that a fetch uses and closes.
    :param on_token: called with every token's value before anyone gets it, so that it can be masked.
    :param clock: seconds, monotonic.
    """

    def __init__(
        self,
        credentials: ClientCredentials,
        *,
        open_client: Callable[[], httpx.Client],
        on_token: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.credentials = credentials
        self.open_client = open_client
        self.on_token = on_token
        self._clock = clock
        self._lock = threading.Lock()
        self._fetch: Future[AccessToken] | None = None  # the one under way, or the last one
        self._usable_until = -math.inf
        self._next_rejection = -math.inf

    def get_token(self) -> AccessToken:
        """Return a fresh token; blocks while one is fetched.

        :raises VismaPermanentError: the service refuses the credentials.
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
            token = self._request()
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

    def _request(self) -> AccessToken:
        asked_at = self._clock()
        try:
            with self.open_client() as client:
                response = client.post(self.credentials.token_url, data=self.credentials.form())
        except httpx.HTTPError as error:
            raise network_error(error, system=SYSTEM, operation="token") from None
        answer = _json_object(response)
        if response.status_code != httpx.codes.OK:
            raise _refusal(response, answer)
        return _token(answer, asked_at=asked_at)


def _json_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _refusal(response: httpx.Response, answer: dict[str, Any] | None) -> VismaError:
    # Only the error's code is repeated: a description may hold what was sent.
    code = str((answer or {}).get("error", ""))
    if response.status_code in (400, 401) and _ERROR_CODE.fullmatch(code):
        kind, advice = _ERRORS.get(
            code, (VismaAuthenticationError, "See RFC 6749, section 5.2, for the code.")
        )
        return kind("no token was issued", system=SYSTEM, operation="token", code=code, advice=advice)
    return status_error(
        response.status_code,
        response.headers,
        system=SYSTEM,
        operation="token",
        advice="Check the address of the token endpoint."
        if response.status_code in (400, 404, 405)
        else None,
    )


def _token(answer: dict[str, Any] | None, *, asked_at: float) -> AccessToken:
    if answer is None:
        raise VismaIncompleteAnswerError(
            "the answer is not a JSON object",
            system=SYSTEM,
            operation="token",
            advice="Something else than the token endpoint may have answered, such as a proxy.",
        )
    value = answer.get("access_token")
    kind = str(answer.get("token_type", "Bearer"))
    if not isinstance(value, str) or not _HEADER_SAFE.fullmatch(value) or kind.lower() != "bearer":
        raise VismaContentError("the answer holds no bearer token", system=SYSTEM, operation="token")
    try:
        lifetime = float(answer["expires_in"])
    except (KeyError, TypeError, ValueError):
        lifetime = None
    valid = _UNSTATED_LIFETIME if lifetime is None else max(lifetime, 0.0)
    scopes = answer.get("scope")
    return AccessToken(
        value=value,
        lifetime=lifetime,
        scopes=scopes if isinstance(scopes, str) and _SCOPES.fullmatch(scopes) else None,
        # A short-lived token keeps a proportionate margin, or it would never be fresh.
        fresh_until=asked_at + valid - min(_LONGEST_MARGIN, valid / 5),
    )


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


_cache_lock = threading.Lock()


@lru_cache(maxsize=64)
def _cached_source(credentials: ClientCredentials) -> TokenSource:
    return TokenSource(credentials, open_client=httpx.Client)


def shared_source(
    credentials: ClientCredentials,
    *,
    open_client: Callable[[], httpx.Client],
    on_token: Callable[[str], None] | None = None,
) -> TokenSource:
    """Return the process's one source for *credentials*, so that all who sign in alike share a token.

    It goes by what the credentials are and not by a connection's id; the way out to the network
    (*open_client*) is the latest caller's, so that a corrected proxy or CA bundle takes effect.
    """
    with _cache_lock:
        source = _cached_source(credentials)
        source.open_client, source.on_token = open_client, on_token
        return source
