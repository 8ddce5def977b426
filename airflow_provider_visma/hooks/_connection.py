"""An Airflow connection, read once into what the protocols need.

A hook must never send the connection's extras as headers, which is what HttpHook does with those it
does not know; so HttpHook is given a connection that holds the transport options and nothing else.
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk import Connection
from requests.utils import get_environ_proxies

from airflow_provider_visma.exceptions import VismaConnectionConfigError
from airflow_provider_visma.protocols.http import HttpLimits, build_client, httpx, tls_context

if TYPE_CHECKING:
    import requests

_TRANSPORT_KEYS = ("verify", "verify_ssl", "cert", "proxy", "proxies", "trust_env")


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """What every system's connection has in common.

    :param base_url: scheme, host, port and path, without a slash at the end.
    :param extra: the connection's extras as a dict.
    """

    conn_id: str
    system: str
    base_url: str
    login: str | None
    password: str | None = field(repr=False)
    extra: dict[str, Any] = field(repr=False)

    @classmethod
    def read(
        cls, connection: Any, *, system: str, default_host: str | None = None, extra: Any = None
    ) -> ConnectionSettings:
        """Read *connection*, an :class:`airflow.sdk.Connection`.

        :param default_host: address to use where the connection names none.
        :param extra: the extras, where the caller has read them already (asynchronously).
        :raises VismaConnectionConfigError: there is no usable address.
        """
        host = (connection.host or default_host or "").strip()
        if "://" not in host and host:
            host = f"{connection.schema or 'https'}://{host}"
        address = _address(host.rstrip("/"), port=connection.port)
        if address is None:
            raise VismaConnectionConfigError(
                "the connection's host is not an address",
                system=system,
                conn_id=connection.conn_id,
                advice="Set host to something like https://api.example.com, without user name or password.",
            )
        return cls(
            conn_id=connection.conn_id,
            system=system,
            base_url=address,
            login=connection.login or None,
            password=connection.password or None,
            extra=dict(extra if extra is not None else connection.extra_dejson),
        )

    def required(self, **named: Any) -> None:
        """Check that fields are filled in.

        :param named: label (with ``_`` for a space) and value of each field.
        :raises VismaConnectionConfigError: names every empty one.
        """
        missing = [label.replace("_", " ") for label, value in named.items() if not value]
        if missing:
            raise VismaConnectionConfigError(
                f"the connection lacks {', '.join(missing)}",
                system=self.system,
                conn_id=self.conn_id,
                advice="Fill it in under Admin > Connections.",
            )

    def positive_int(self, key: str, default: int) -> int:
        """Return extra *key* as a whole number above zero."""
        value = self.extra.get(key)
        if value in (None, ""):
            return default
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = 0
        if number < 1:
            raise VismaConnectionConfigError(
                f"the connection's extra {key} is not a whole number above zero",
                system=self.system,
                conn_id=self.conn_id,
                advice="Correct it under Admin > Connections.",
            )
        return number

    def is_on(self, key: str) -> bool:
        """Return whether the switch *key* among the extras is on; from the form it is a boolean or text."""
        return str(self.extra.get(key)).strip().lower() == "true"

    @property
    def limits(self) -> HttpLimits:
        """Bounds on a call, with the connection's own time-out."""
        return HttpLimits(read=float(self.positive_int("timeout", 120)))

    @property
    def verify_option(self) -> bool | str:
        """Whether to verify certificates, or the path of what to verify them against."""
        value = self.extra.get("verify", self.extra.get("verify_ssl"))
        text = "" if value is None else str(value).strip()
        return {"": True, "true": True, "false": False}.get(text.lower(), text)

    @property
    def verify(self) -> ssl.SSLContext:
        """The TLS context that the connection asks for.

        :raises VismaConnectionConfigError: the CA bundle cannot be read.
        """
        try:
            return tls_context(self.verify_option)
        except OSError as error:  # an unreadable file, or one without certificates
            raise VismaConnectionConfigError(
                f"the CA bundle cannot be read ({type(error).__name__})",
                system=self.system,
                conn_id=self.conn_id,
                advice="Correct the connection's extra verify; it is a path where the task runs.",
            ) from None

    @property
    def proxy(self) -> str | None:
        """Address of the proxy for this connection's scheme: the connection's, else the environment's.

        :raises VismaConnectionConfigError: it is no address.
        """
        proxies = self.extra.get("proxies") or self.extra.get("proxy") or get_environ_proxies(self.base_url)
        if isinstance(proxies, dict):
            proxies = proxies.get(urlsplit(self.base_url).scheme)
        proxy = str(proxies or "").strip()
        if proxy and "://" not in proxy:
            proxy = f"http://{proxy}"  # as curl and requests read it
        if proxy and _http_parts(proxy) is None:
            # Said here: the clients' own errors repeat it, with the password that it may hold.
            raise VismaConnectionConfigError(
                "the proxy is not an address",
                system=self.system,
                conn_id=self.conn_id,
                advice="Write it like http://proxy.example.com:3128.",
            )
        return proxy or None

    def open_client(self, limits: HttpLimits | None = None, auth: httpx.Auth | None = None) -> httpx.Client:
        """Return a client for the connection's address, with its proxy, TLS and time-out."""
        return build_client(
            self.base_url, auth=auth, verify=self.verify, proxy=self.proxy, limits=limits or self.limits
        )

    def requests_session(self) -> requests.Session:
        """Return a session from HttpHook: its proxy, TLS and adapters, no credentials and no extra header."""
        session = _TransportHook(self).get_conn()
        if session.verify is not True:
            # requests lets REQUESTS_CA_BUNDLE override a session's own choice, but not a request's.
            session.request = partial(session.request, verify=session.verify)  # type: ignore[method-assign]
        return session


def _address(host: str, *, port: int | None) -> str | None:
    """Return *host* with *port*, which the form has a field of its own for; None where it is no address."""
    parts = _http_parts(host)
    if parts is None or "@" in parts.netloc:
        return None
    netloc = f"{parts.netloc}:{port}" if parts.port is None and port else parts.netloc
    return parts._replace(netloc=netloc).geturl()


def _http_parts(address: str) -> SplitResult | None:
    """Return the parts of an http(s) address, None where it is none."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


class _TransportHook(HttpHook):
    """HttpHook on the transport part of a connection."""

    def __init__(self, settings: ConnectionSettings) -> None:
        super().__init__(http_conn_id=settings.conn_id)
        self._settings = settings

    def get_connection(self, conn_id: str) -> Connection:  # type: ignore[override]
        """Return the connection's address and transport options, without its secrets."""
        options = {key: value for key, value in self._settings.extra.items() if key in _TRANSPORT_KEYS}
        options.pop("verify_ssl", None)
        options["verify"] = self._settings.verify_option
        options.pop("proxy", None)
        proxies = options.pop("proxies", None)
        if isinstance(proxies, dict):
            options["proxies"] = proxies
        elif self._settings.proxy:
            options["proxies"] = dict.fromkeys(("http", "https"), self._settings.proxy)
        return Connection(
            conn_id=conn_id,
            conn_type="http",
            host=self._settings.base_url,
            extra=json.dumps(options),
        )
