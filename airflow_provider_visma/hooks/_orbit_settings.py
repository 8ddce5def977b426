"""A ``teamleader_orbit`` connection, checked before anything is sent, and the ways out that it opens."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk.log import mask_secret

from airflow_provider_visma.exceptions import VismaConnectionConfigError
from airflow_provider_visma.hooks._connection import ConnectionSettings
from airflow_provider_visma.protocols.authorization_code import OAuthClient
from airflow_provider_visma.protocols.http import HttpLimits, build_async_client, httpx
from airflow_provider_visma.protocols.renewal import RenewingTokenSource
from airflow_provider_visma.token_store import VariableTokenStore, token_key

if TYPE_CHECKING:
    from airflow.sdk import Connection

SYSTEM = "Teamleader Orbit"
DEFAULT_HOST = "https://api.orbit.teamleader.eu"

# An address becomes part of a content security policy, where a semicolon or a space would begin another rule.
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")

# All of it within a turn (:mod:`airflow_provider_visma.protocols.turns`): when that is over, the next one
# redeems the same refresh token.
_TOKEN_LIMITS = HttpLimits(connect=10.0, read=60.0, total=15.0, max_bytes=1024 * 1024)


@dataclass(frozen=True, slots=True)
class OrbitSettings:
    """A ``teamleader_orbit`` connection, read and checked.

    :param token_key: the Variable of the session: it goes by what the connection is, so that two ids of
        one connection share it, and so does Airflow's test, which makes up an id. Whoever changes where
        tokens are sent to gets no session that was begun elsewhere.
    :param seed: a refresh token in the connection itself.
    """

    connection: ConnectionSettings
    client: OAuthClient
    token_key: str
    seed: str | None = field(repr=False)

    @classmethod
    def read(cls, connection: Connection, *, extra: Mapping[str, Any] | None = None) -> OrbitSettings:
        """Read *connection*.

        :param extra: its extras, where the caller has read them already.
        :raises VismaConnectionConfigError: a field is missing or unusable.
        """
        settings = ConnectionSettings.read(connection, system=SYSTEM, default_host=DEFAULT_HOST, extra=extra)
        settings.required(client_ID=settings.login)
        client_id = str(settings.login).strip()
        client = OAuthClient(
            authorize_url=_address(settings, "authorize_url", f"{settings.base_url}/oauth2/authorize"),
            token_url=_address(settings, "connect_url", f"{settings.base_url}/oauth2/access_token"),
            client_id=client_id,
            client_secret=settings.password or "",
            redirect_uri=_address(settings, "redirect_uri", ""),
            scope=_text(settings, "scope"),
            system=SYSTEM,
        )
        key = token_key(settings.base_url, client.token_url, client_id, _text(settings, "account"))
        return cls(settings, client, key, _text(settings, "refresh_token") or None)

    def open_client(self, limits: HttpLimits | None = None, auth: httpx.Auth | None = None) -> httpx.Client:
        """Return a client for the API."""
        return self.connection.open_client(limits, auth)

    def open_token_client(self) -> httpx.Client:
        """Return a client for the token endpoint, which is done within a turn."""
        read = min(self.connection.limits.read, _TOKEN_LIMITS.read)
        return self.open_client(replace(_TOKEN_LIMITS, read=read))

    def open_async_client(
        self, limits: HttpLimits | None = None, auth: httpx.Auth | None = None
    ) -> httpx.AsyncClient:
        """Return a client for the API, for use on an event loop."""
        return build_async_client(
            self.connection.base_url,
            auth=auth,
            verify=self.connection.verify,
            proxy=self.connection.proxy,
            limits=limits or self.connection.limits,
        )

    def token_store(self) -> VariableTokenStore:
        """Return where the session is kept."""
        return VariableTokenStore(self.token_key, system=SYSTEM, conn_id=self.connection.conn_id)

    def new_token_source(self) -> RenewingTokenSource:
        """Return a source of tokens that knows only what is stored."""
        source = _new_source(self.client, self.token_key, self.seed, self.connection.conn_id)
        source.open_client = self.open_token_client
        return source

    def token_source(self) -> RenewingTokenSource:
        """Return the source of tokens that everything with this connection shares in this process."""
        with _cache_lock:
            source = _cached_source(self.client, self.token_key, self.seed, self.connection.conn_id)
            source.open_client = self.open_token_client  # so that a corrected proxy or CA takes effect
            return source


def where_to_sign_in(conn_id: str) -> str:
    """Return where a person signs in for a connection, to go on from "sign in"."""
    return f"on the page /visma/orbit of Airflow's UI, or with: airflow visma orbit-login {conn_id}"


_cache_lock = threading.Lock()


def _new_source(client: OAuthClient, key: str, seed: str | None, conn_id: str) -> RenewingTokenSource:
    return RenewingTokenSource(
        client,
        VariableTokenStore(key, system=SYSTEM, conn_id=conn_id),
        open_client=httpx.Client,
        seed=seed,
        conn_id=conn_id,
        sign_in=f"Sign in again {where_to_sign_in(conn_id)}",
        on_token=mask_secret,
    )


_cached_source = lru_cache(maxsize=64)(_new_source)


def _text(settings: ConnectionSettings, key: str) -> str:
    return str(settings.extra.get(key) or "").strip()


def _address(settings: ConnectionSettings, key: str, default: str) -> str:
    """Return the address in an extra.

    :raises VismaConnectionConfigError: it is none.
    """
    address = _text(settings, key) or default
    try:
        parts = urlsplit(address)
        usable = not address or (
            parts.scheme in ("http", "https") and bool(_HOST.fullmatch(parts.netloc)) and parts.port != 0
        )
    except ValueError:
        usable = False
    if not usable or "#" in address or not address.isprintable():
        raise VismaConnectionConfigError(
            f"the connection's {f'extra {key}' if _text(settings, key) else 'host'} is not an address",
            system=SYSTEM,
            conn_id=settings.conn_id,
            advice="Leave it empty, or write it like https://airflow.example.com/visma/orbit/callback.",
        )
    return address
