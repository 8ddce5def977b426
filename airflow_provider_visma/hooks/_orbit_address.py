"""Where a tenant's reports are, and what a report may be called.

A password goes to a server of Teamleader Orbit, or to one that the connection itself calls a test server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_visma.exceptions import VismaConnectionConfigError

if TYPE_CHECKING:
    from airflow_provider_visma.hooks._connection import ConnectionSettings

_SERVICE = "/odata.svc"
_TENANT = re.compile(r"([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.orbit\.teamleader\.eu")
_NOT_A_TENANT = "api"  # the regular API's

# Type prefix and 13 characters, none of which can be read for another.
_REPORT_ID = re.compile(r"RP[1-9A-HJKMNP-Z]{13}")


@dataclass(frozen=True, slots=True)
class ReportService:
    """The reporting service of one tenant.

    :param tenant: as it stands in the addresses of assets.
    :param address: of the service, without a slash at the end.
    """

    tenant: str
    address: str

    @classmethod
    def of(cls, settings: ConnectionSettings) -> ReportService:
        """Read it from a connection.

        :raises VismaConnectionConfigError: the host is not a tenant's server.
        """
        prefix = settings.base_url.partition(_SERVICE)[0].rstrip("/")  # people paste a report's address
        parts = urlsplit(prefix)
        host = (parts.hostname or "").rstrip(".")
        if settings.is_on("test_server"):
            return cls(str(settings.extra.get("tenant") or host), prefix + _SERVICE)
        found = _TENANT.fullmatch(host)
        if (
            found is None
            or found[1] == _NOT_A_TENANT
            or parts.scheme != "https"
            or parts.port not in (None, 443)
            or parts.path
        ):
            raise VismaConnectionConfigError(
                "the connection's host is not a tenant's server of Teamleader Orbit",
                system=settings.system,
                conn_id=settings.conn_id,
                advice="Set host to the server name, which always ends in orbit.teamleader.eu, as in"
                " acme.orbit.teamleader.eu. A test server elsewhere needs the extra test_server.",
            )
        return cls(found[1], f"https://{host}{_SERVICE}")


def is_report_id(name: str) -> bool:
    """Return whether *name* is what Orbit calls a report by, such as RP5N2K8W3QHT7JV."""
    return _REPORT_ID.fullmatch(name) is not None
