"""Which file links may be followed, and to which network address.

A link comes from outside: whoever can make the service return one must not be able to make a worker
call something inside its own network. So a link is checked, its host is resolved once, and the
connection goes to the very addresses that were checked; a DNS answer that changes afterwards is not seen.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from airflow_provider_visma.exceptions import VismaConnectionConfigError, VismaUnavailableError

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver: TypeAlias = Callable[[str, int], Sequence[str]]

# RFC 3986 knows no other characters; parsers disagree about the rest, and that is how checks are passed by.
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]{1,16384}")
# Azure answers virtual machines about themselves at this address, which looks like any other public one.
_AZURE_METADATA = ipaddress.ip_address("168.63.129.16")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ADVICE = (
    "If the service now keeps its files elsewhere, add that host to the connection's file hosts, "
    "after checking that it is the service's own."
)


class LinkRefusedError(VismaConnectionConfigError):
    """A file link leads where the connection does not allow to go; a retry would be refused again."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A link that passed the rules.

    :param addresses: where to connect to, in order of preference; empty where a proxy connects.
    :param target: path and query, the part that is secret.
    """

    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]
    target: str

    @property
    def is_default_port(self) -> bool:
        """Whether the port goes without saying in a Host field."""
        return self.port == (443 if self.scheme == "https" else 80)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRules:
    """Where export files may come from: https, port 443, an expected host at a public address.

    :param hosts: host names; one that begins with a dot allows every host below it.
    :param allow_insecure: accept http, other ports and private addresses too; for a test server only.
    """

    hosts: tuple[str, ...]
    allow_insecure: bool = False

    def check(self, link: str, *, resolve: Resolver | None) -> Destination:
        """Return where *link* leads.

        :param resolve: host and port to addresses; None where a proxy is in between, which resolves
            names itself.
        :raises LinkRefusedError: the link may not be followed. The message holds nothing of its path.
        """
        if not _URL_CHARACTERS.fullmatch(link):
            raise LinkRefusedError("a file link holds characters that no link has", advice=_ADVICE)
        try:
            parts = urlsplit(link)
            port = parts.port
        except ValueError:
            raise LinkRefusedError("a file link cannot be read", advice=_ADVICE) from None
        host = (parts.hostname or "").rstrip(".")
        if parts.scheme != "https" and not (self.allow_insecure and parts.scheme == "http"):
            raise LinkRefusedError(f"a file link is not https but {parts.scheme[:10]!r}", advice=_ADVICE)
        if parts.username is not None or parts.password is not None:
            raise LinkRefusedError("a file link holds a user name or password", advice=_ADVICE)
        if not self._expects(host):
            raise LinkRefusedError(f"a file link leads to the unexpected host {host[:80]!r}", advice=_ADVICE)
        if port is None:
            port = 443 if parts.scheme == "https" else 80
        if port != 443 and not self.allow_insecure:
            raise LinkRefusedError(f"a file link leads to port {port}", advice=_ADVICE)
        return Destination(
            scheme=parts.scheme,
            host=host,
            port=port,
            addresses=() if resolve is None else self._addresses(host, port, resolve),
            target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        )

    def _expects(self, host: str) -> bool:
        return bool(host) and any(
            host.endswith(expected) if expected.startswith(".") else host == expected
            for expected in (name.lower().rstrip(".") for name in self.hosts)
            if expected
        )

    def _addresses(self, host: str, port: int, resolve: Resolver) -> tuple[str, ...]:
        addresses = tuple(resolve(host, port))
        # All of them are checked: a name that has even one inside address is not the service's.
        for address in addresses:
            if not self._may_connect(ipaddress.ip_address(address)):
                raise LinkRefusedError(
                    f"the host {host[:80]!r} of a file link has an address inside this network",
                    advice="A file host of the service has public addresses only.",
                )
        return addresses

    def _may_connect(self, address: _Address) -> bool:
        address = _unwrapped(address)
        if address.is_link_local or address == _AZURE_METADATA:
            return False  # where clouds answer machines about their credentials
        if self.allow_insecure:
            return True
        return address.is_global and not address.is_multicast


def resolve_host(host: str, port: int) -> list[str]:
    """Return the addresses of *host*.

    :raises VismaUnavailableError: it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise VismaUnavailableError(
            f"the file host {host[:80]!r} has no address",
            advice="Check the name service; a retry asks again.",
        ) from None
    return [str(sockaddr[0]).split("%", 1)[0] for *_, sockaddr in found]


def _unwrapped(address: _Address) -> _Address:
    """Return the IPv4 address inside an IPv6 one that only carries it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
