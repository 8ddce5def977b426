"""Tokens for the services that a program signs in to by itself (RFC 6749, section 4.4)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaPermissionError,
    VismaRequestError,
)
from airflow_provider_visma.protocols.bearer import AccessToken, TokenSource, fresh_for
from airflow_provider_visma.protocols.http import httpx
from airflow_provider_visma.protocols.token_endpoint import Refusals, request_token

SYSTEM = "Visma Connect"

_REFUSALS: Refusals = {
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


class ClientCredentialsSource(TokenSource):
    """Keeps a token fresh with the client's own credentials.

    :param credentials: who signs in.
    :param open_client: opens the HTTP client that a fetch uses and closes.
    :param on_token: as for :class:`TokenSource`.
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
        super().__init__(on_token=on_token, clock=clock)
        self.credentials = credentials
        self.open_client = open_client

    def _obtain(self) -> AccessToken:
        asked_at = self._clock()
        answer = request_token(
            self.credentials.token_url,
            self.credentials.form(),
            open_client=self.open_client,
            system=SYSTEM,
            refusals=_REFUSALS,
        )
        return AccessToken(
            value=answer.access_token,
            lifetime=answer.lifetime,
            scopes=answer.scopes,
            fresh_until=asked_at + fresh_for(answer.lifetime),
        )


_cache_lock = threading.Lock()


@lru_cache(maxsize=64)
def _cached_source(credentials: ClientCredentials) -> ClientCredentialsSource:
    return ClientCredentialsSource(credentials, open_client=httpx.Client)


def shared_source(
    credentials: ClientCredentials,
    *,
    open_client: Callable[[], httpx.Client],
    on_token: Callable[[str], None] | None = None,
) -> ClientCredentialsSource:
    """Return the process's one source for *credentials*, so that all who sign in alike share a token.

    It goes by what the credentials are and not by a connection's id; the way out to the network
    (*open_client*) is the latest caller's, so that a corrected proxy or CA bundle takes effect.
    """
    with _cache_lock:
        source = _cached_source(credentials)
        source.open_client, source.on_token = open_client, on_token
        return source
