"""The v3 contract of the three Nmbrs services: their operations and the WSDL that ``GET ?WSDL`` answers.

Everything follows from the schemas in ``nmbrs_schemas/``: an element ``X`` with an ``XResponse`` is an
operation, so that what the WSDL promises and what the service reads cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final
from xml.sax.saxutils import quoteattr

from lxml import etree

SERVICES: Final = ("DebtorService", "CompanyService", "EmployeeService")
ROOT_NAMESPACE: Final = "https://api.nmbrs.nl/soap/v3/"
AUTH_HEADER: Final = "AuthHeader"
AUTH_HEADER_WITH_DOMAIN: Final = "AuthHeaderWithDomain"
_XS: Final = "{http://www.w3.org/2001/XMLSchema}"
_BINDINGS: Final = (("Soap", "soap"), ("Soap12", "soap12"))
_DOCUMENTATION: Final = {
    "List_GetByCompany": "Get all employees that belong to a company and are active as given.",
    "Employment_GetAll_AllEmployeesByCompany": "Get all (historical) employment records",
    "Company_GetCurrentPeriod": "Get the current period, as yyyy-pp-type: 2010-5-M or 2010-4-4W",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service.

    :param parameters: names of the request's fields and their types: ``int``, ``string``, ``base64Binary``,
        ``guid``.
    :param auth_header: local name of the header element that must carry the credentials.
    """

    service: str
    name: str
    parameters: Mapping[str, str]
    auth_header: str

    @property
    def full_name(self) -> str:
        """The name used in the journal and for faults: ``EmployeeService.List_GetByCompany``."""
        return f"{self.service}.{self.name}"


def namespace(service: str) -> str:
    """The XML namespace of a service, the same on every host."""
    return ROOT_NAMESPACE + service


@cache
def operations(service: str) -> Mapping[str, Operation]:
    """The operations of a service by name."""
    elements = {
        element.get("name", ""): element for element in _read_schema(service).findall(f"{_XS}element")
    }
    return {
        name: Operation(
            service=service,
            name=name,
            parameters={
                field.get("name", ""): field.get("type", "").rpartition(":")[2]
                for field in element.iter(f"{_XS}element")
                if field is not element
            },
            # Domain is what Environment_Get is asked for, so it alone takes the header without one.
            auth_header=AUTH_HEADER if name == "Environment_Get" else AUTH_HEADER_WITH_DOMAIN,
        )
        for name, element in elements.items()
        if f"{name}Response" in elements
    }


def wsdl(service: str, location: str) -> bytes:
    """Write a service's WSDL 1.1: SOAP 1.1 and 1.2 bindings, document/literal wrapped.

    :param location: address of the service, as the asking client reaches it.
    """
    known = list(operations(service).values())
    schemas = [_read_schema(service)]
    if service == "EmployeeService":
        schemas.append(_read_schema("microsoft-types"))
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"'
        ' xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"'
        ' xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/"'
        f' xmlns:tns="{namespace(service)}" targetNamespace="{namespace(service)}">',
        "<wsdl:types>",
        *(etree.tostring(schema, encoding="unicode") for schema in schemas),
        "</wsdl:types>",
        *map(_messages, known),
        f'<wsdl:portType name="{service}Soap">',
        *map(_port_operation, known),
        "</wsdl:portType>",
        *(_binding(service, known, suffix, prefix) for suffix, prefix in _BINDINGS),
        f'<wsdl:service name="{service}">',
        *(
            f'<wsdl:port name="{service}{suffix}" binding="tns:{service}{suffix}">'
            f"<{prefix}:address location={quoteattr(location)}/></wsdl:port>"
            for suffix, prefix in _BINDINGS
        ),
        "</wsdl:service></wsdl:definitions>",
    ]
    return "".join(parts).encode()


def _messages(operation: Operation) -> str:
    name, header = operation.name, operation.auth_header
    return "".join(
        f'<wsdl:message name="{message}"><wsdl:part name="{part}" element="tns:{element}"/></wsdl:message>'
        for message, part, element in (
            (f"{name}SoapIn", "parameters", name),
            (f"{name}SoapOut", "parameters", f"{name}Response"),
            (f"{name}{header}", header, header),
        )
    )


def _port_operation(operation: Operation) -> str:
    name = operation.name
    text = _DOCUMENTATION.get(name)
    return (
        f'<wsdl:operation name="{name}">'
        f"{f'<wsdl:documentation>{text}</wsdl:documentation>' if text else ''}"
        f'<wsdl:input message="tns:{name}SoapIn"/><wsdl:output message="tns:{name}SoapOut"/></wsdl:operation>'
    )


def _binding(service: str, known: list[Operation], suffix: str, prefix: str) -> str:
    return (
        f'<wsdl:binding name="{service}{suffix}" type="tns:{service}Soap">'
        f'<{prefix}:binding transport="http://schemas.xmlsoap.org/soap/http"/>'
        f"{''.join(_bound(operation, prefix) for operation in known)}</wsdl:binding>"
    )


def _bound(operation: Operation, prefix: str) -> str:
    name, header = operation.name, operation.auth_header
    body = f'<{prefix}:body use="literal"/>'
    return (
        f'<wsdl:operation name="{name}">'
        f'<{prefix}:operation soapAction="{namespace(operation.service)}/{name}" style="document"/>'
        f'<wsdl:input>{body}<{prefix}:header message="tns:{name}{header}" part="{header}" use="literal"/>'
        f"</wsdl:input><wsdl:output>{body}</wsdl:output></wsdl:operation>"
    )


def _read_schema(name: str) -> etree._Element:
    text = files("visma_sandbox").joinpath("nmbrs_schemas", f"{name}.xsd").read_bytes()
    return etree.fromstring(text, etree.XMLParser(remove_comments=True, remove_blank_text=True))
