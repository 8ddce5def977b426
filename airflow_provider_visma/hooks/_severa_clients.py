"""A SOAP client for each of Severa's service contracts, from one WSDL that is read once.

The key goes into the SOAP header and nowhere else, and nothing else goes there. The address is the
connection's, whatever the WSDL says.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from lxml import etree
from zeep.wsdl.bindings.soap import Soap11Binding

from airflow_provider_visma.exceptions import VismaConnectionConfigError, VismaError, VismaRequestError
from airflow_provider_visma.hooks._severa_arguments import prepared
from airflow_provider_visma.hooks._severa_faults import fault_error
from airflow_provider_visma.hooks._wsdl_home import wsdl_cache_dir
from airflow_provider_visma.protocols.soap import SoapClient
from airflow_provider_visma.protocols.soap_contract import SoapContract
from airflow_provider_visma.protocols.soap_shape import nearest
from airflow_provider_visma.protocols.wsdl_cache import WsdlCache, load_wsdl

if TYPE_CHECKING:
    import requests
    from zeep.wsdl import Document

    from airflow_provider_visma.hooks._connection import ConnectionSettings
    from airflow_provider_visma.hooks._severa_quota import QuotaWatch
    from airflow_provider_visma.protocols.http import HttpLimits

# "Severa.API.IHourEntry"; WCF's own default would be "BasicHttpBinding_IHourEntry".
_CONTRACT_OF_PORT = re.compile(r"[A-Za-z0-9]+$")


class SeveraClients:
    """Makes a contract's client at its first use; may be used by several threads.

    :param endpoint: address of the service; one for all contracts.
    :param quota: told of every answer's header.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        endpoint: str,
        session: requests.Session,
        limits: HttpLimits,
        quota: QuotaWatch,
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._session = session
        self._limits = limits
        self._quota = quota
        self._clients: dict[str, SoapClient] = {}
        self._lock = threading.RLock()

    def get(self, contract: str) -> SoapClient:
        """Return the client of *contract*, e.g. ``IHourEntry``.

        :raises VismaRequestError: the WSDL has no such contract.
        """
        with self._lock:
            if contract not in self._clients:
                self._clients[contract] = self._new(contract)
            return self._clients[contract]

    def parameters(self, contract: str, operation: str) -> dict[str, Any]:
        """Return the operation's parameters as zeep elements, by name, in the contract's order.

        :raises VismaRequestError: the WSDL has no such contract or operation.
        """
        namespace = self.get(contract).contract.namespace(operation)
        with self._lock:
            request = self._document.types.get_element(f"{{{namespace}}}{operation}")
        return dict(request.type.elements)

    def prepared(self, contract: str, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return *arguments* in the form in which this service understands them."""
        return prepared(contract, operation, self.parameters(contract, operation), arguments)

    def _new(self, contract: str) -> SoapClient:
        port = self._ports.get(contract)
        if port is None:
            raise VismaRequestError(
                f"the service has no contract {contract}{nearest(contract, self._ports)}",
                system=self._settings.system,
                conn_id=self._settings.conn_id,
            )
        return SoapClient(
            SoapContract(self._document, port=port),
            endpoint=self._endpoint,
            session=self._session,
            headers=self._headers,
            fault_error=partial(fault_error, quota=self._quota),
            on_header=self._quota.note,
            system=self._settings.system,
            label=contract,
            conn_id=self._settings.conn_id,
            limits=self._limits,
        )

    @cached_property
    def _ports(self) -> dict[str, str]:
        return {
            found[0]: name
            for service in self._document.services.values()
            for name, port in service.ports.items()
            if isinstance(port.binding, Soap11Binding) and (found := _CONTRACT_OF_PORT.search(name))
        }

    @cached_property
    def _document(self) -> Document:
        try:
            return self._load("?wsdl")
        except VismaError as error:
            error.conn_id = self._settings.conn_id
            try:
                return self._load("/WSDL")  # where older clients found it
            except VismaError:
                raise error from None

    def _load(self, suffix: str) -> Document:
        return load_wsdl(
            f"{self._endpoint}{suffix}",
            session=self._session,
            cache=WsdlCache(wsdl_cache_dir()),
            system=self._settings.system,
        )

    def _headers(self, operation: str, namespace: str) -> list[etree._Element]:
        """Return the key, in the namespace of the contract; it tells user and organisation."""
        header = etree.Element(f"{{{namespace}}}WebServicePassword", nsmap={None: namespace})  # type: ignore[dict-item]
        try:
            header.text = self._settings.password
        except ValueError:
            raise VismaConnectionConfigError(
                "the API key holds characters that XML cannot carry",
                advice="Copy it again from the API user's profile in Severa.",
            ) from None
        return [header]
