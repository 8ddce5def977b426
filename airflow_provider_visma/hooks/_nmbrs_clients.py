"""A SOAP client for each of Nmbrs' services, made from one connection.

Namespaces come from the WSDL and stay those of production on a sandbox; the address is the connection's.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from lxml import etree

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.hooks._nmbrs_faults import fault_error
from airflow_provider_visma.hooks._wsdl_home import wsdl_cache_dir
from airflow_provider_visma.protocols.soap import SoapClient
from airflow_provider_visma.protocols.soap_contract import SoapContract
from airflow_provider_visma.protocols.wsdl_cache import WsdlCache, load_wsdl

if TYPE_CHECKING:
    import requests

    from airflow_provider_visma.hooks._connection import ConnectionSettings
    from airflow_provider_visma.protocols.http import HttpLimits

_SERVICE = re.compile(r"[A-Za-z]+")


class NmbrsClients:
    """Makes a service's client at its first use; may be used by several threads.

    :param domain: first part of the customer's Nmbrs address.
    """

    def __init__(
        self, settings: ConnectionSettings, *, domain: str, session: requests.Session, limits: HttpLimits
    ) -> None:
        self._settings = settings
        self._domain = domain
        self._session = session
        self._limits = limits
        self._clients: dict[str, SoapClient] = {}
        self._lock = threading.Lock()

    def get(self, service: str) -> SoapClient:
        """Return the client of *service*, e.g. ``EmployeeService``."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._new(service)
            return self._clients[service]

    def _new(self, service: str) -> SoapClient:
        settings = self._settings
        if not _SERVICE.fullmatch(service):
            raise VismaRequestError(
                "that is not the name of a service", system=settings.system, conn_id=settings.conn_id
            )
        endpoint = f"{settings.base_url}/soap/v3/{service}.asmx"
        document = load_wsdl(
            f"{endpoint}?WSDL",
            session=self._session,
            cache=WsdlCache(wsdl_cache_dir()),
            system=settings.system,
        )
        return SoapClient(
            SoapContract(document),
            endpoint=endpoint,
            session=self._session,
            headers=self._headers,
            fault_error=fault_error,
            system=settings.system,
            label=service,
            conn_id=settings.conn_id,
            limits=self._limits,
        )

    def _headers(self, operation: str, namespace: str) -> list[etree._Element]:
        """Return the login, in the namespace of the service that is called: no other is understood."""
        values = {
            "Username": self._settings.login,
            "Token": self._settings.password,
            "Domain": self._domain,
        }
        name = "AuthHeaderWithDomain"
        if operation == "Environment_Get":  # this is what tells the domain
            name = "AuthHeader"
            del values["Domain"]
        header = etree.Element(f"{{{namespace}}}{name}", nsmap={None: namespace})  # type: ignore[dict-item]
        for field, value in values.items():
            etree.SubElement(header, f"{{{namespace}}}{field}").text = value
        return [header]
