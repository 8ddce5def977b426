"""How a file host is reached: at the address that was checked, with the connection's TLS and proxy.

Plain urllib3, for it is the fastest here (benchmarks/downloads.py), and because it adds nothing by itself:
requests would take credentials for the host from ``~/.netrc``.
"""

from __future__ import annotations

import random
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3

from airflow_provider_visma.protocols.http import HttpLimits, tls_context
from airflow_provider_visma.protocols.links import Destination, LinkRules, Resolver, resolve_host

FILE_LIMITS = HttpLimits(read=120.0, total=4 * 3600.0, max_bytes=64 * 1024**3)


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
        if self.proxy:
            proxy = urllib3.ProxyManager(
                self.proxy, ssl_context=self._tls(), proxy_headers=_proxy_authorization(self.proxy)
            )
            url = f"{destination.scheme}://{host}{destination.target}"
            return proxy.urlopen("GET", url, headers=headers, assert_same_host=False, **options)
        headers = {"Host": host, **headers}
        return self._pool(destination).urlopen("GET", destination.target, headers=headers, **options)

    def _pool(self, destination: Destination) -> urllib3.HTTPConnectionPool:
        address = random.choice(destination.addresses)  # noqa: S311 - so that a retry may find a better one
        if destination.scheme == "http":
            return urllib3.HTTPConnectionPool(address, destination.port)
        # The certificate is checked against the host of the link, not against the address. Not by
        # assert_hostname: urllib3 then turns check_hostname off in the context, which others use too.
        return urllib3.HTTPSConnectionPool(
            address, destination.port, ssl_context=self._tls(), server_hostname=destination.host
        )

    def _tls(self) -> ssl.SSLContext:
        return tls_context(self.verify) if isinstance(self.verify, bool) else self.verify


def _proxy_authorization(proxy: str) -> dict[str, str] | None:
    """Return the header for the user name and password in the address; urllib3 passes over them."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return None
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return dict(urllib3.make_headers(proxy_basic_auth=credentials))
