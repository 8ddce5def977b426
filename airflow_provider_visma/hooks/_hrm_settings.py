"""A ``visma_hrm`` connection, checked before anything is sent, and the ways out that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk.log import mask_secret

from airflow_provider_visma.exceptions import VismaConnectionConfigError
from airflow_provider_visma.export_request import SYSTEM
from airflow_provider_visma.hooks._connection import ConnectionSettings
from airflow_provider_visma.protocols.bearer import TokenSource
from airflow_provider_visma.protocols.http import HttpLimits, httpx
from airflow_provider_visma.protocols.oauth2 import ClientCredentials, shared_source

if TYPE_CHECKING:
    from airflow.sdk import Connection

DEFAULT_HOST = "https://api.analytics1.hrm.visma.net"
DEFAULT_TOKEN_URL = "https://connect.visma.com/connect/token"  # noqa: S105 - an address, not a token


@dataclass(frozen=True, slots=True)
class HrmSettings:
    """A ``visma_hrm`` connection, read and checked."""

    connection: ConnectionSettings
    credentials: ClientCredentials

    @classmethod
    def read(cls, connection: Connection, *, extra: Mapping[str, Any] | None = None) -> HrmSettings:
        """Read *connection*.

        :param extra: its extras, where the caller has read them already.
        :raises VismaConnectionConfigError: a field is missing or unusable.
        """
        settings = ConnectionSettings.read(connection, system=SYSTEM, default_host=DEFAULT_HOST, extra=extra)
        tenant_id = str(settings.extra.get("tenant_id") or "").strip()
        settings.required(client_ID=settings.login, client_secret=settings.password, tenant_ID=tenant_id)
        token_url = str(settings.extra.get("connect_url") or DEFAULT_TOKEN_URL).strip()
        if urlsplit(token_url).scheme not in ("http", "https") or not urlsplit(token_url).hostname:
            raise VismaConnectionConfigError(
                "the connection's extra connect_url is not an address",
                system=SYSTEM,
                conn_id=settings.conn_id,
                advice=f"Leave it empty for {DEFAULT_TOKEN_URL}.",
            )
        credentials = ClientCredentials(
            token_url=token_url,
            client_id=str(settings.login),
            client_secret=str(settings.password),
            tenant_id=tenant_id,
            scopes=" ".join(str(settings.extra.get("scopes") or "").split()),
        )
        return cls(settings, credentials)

    def open_client(self, limits: HttpLimits | None = None, auth: httpx.Auth | None = None) -> httpx.Client:
        """Return a client for the API and for the token endpoint."""
        return self.connection.open_client(limits, auth)

    def token_source(self) -> TokenSource:
        """Return the source of tokens that everything with these credentials shares."""
        return shared_source(self.credentials, open_client=self.open_client, on_token=mask_secret)
