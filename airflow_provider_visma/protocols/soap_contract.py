"""A service's WSDL as a contract: requests are built and checked against it before anything is sent.

A SOAP service of the .asmx or WCF kind ignores what it does not know and reads 0 where a number is
missing; so an argument that the WSDL does not know must never leave this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from lxml import etree
from zeep.exceptions import Error as ZeepError
from zeep.wsdl import Document
from zeep.wsdl.bindings.soap import Soap11Binding, SoapOperation
from zeep.xsd.types import ComplexType, builtins

from airflow_provider_visma.exceptions import VismaContentError, VismaRequestError
from airflow_provider_visma.protocols.soap_shape import Shape, nearest, shape_of


@dataclass(frozen=True, slots=True)
class AnswerShape:
    """Where an operation's result is found.

    :param response: the element in the Body.
    :param result: the element in it, None where the operation returns nothing.
    """

    response: str
    result: Shape | None


class SoapContract:
    """One SOAP 1.1 port of a WSDL.

    :param document: the WSDL.
    :param port: the port's name; the first SOAP 1.1 port where None.
    """

    def __init__(self, document: Document, *, port: str | None = None) -> None:
        ports = {
            name: candidate
            for service in document.services.values()
            for name, candidate in service.ports.items()
            if isinstance(candidate.binding, Soap11Binding)
        }
        chosen = ports.get(port) if port else next(iter(ports.values()), None)
        if chosen is None:
            if port:
                raise VismaRequestError(f"the WSDL has no SOAP 1.1 port {port}{nearest(port, ports)}")
            raise VismaContentError("the WSDL has no SOAP 1.1 port")
        self._operations: dict[str, SoapOperation] = chosen.binding.all()

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of the port's operations."""
        return tuple(self._operations)

    def _operation(self, name: str) -> SoapOperation:
        try:
            return self._operations[name]
        except KeyError:
            raise VismaRequestError(
                f"the service has no operation {name}{nearest(name, self._operations)}"
            ) from None

    def namespace(self, operation: str) -> str:
        """Return the namespace of the operation's request element."""
        return str(_body(self._operation(operation).input).qname.namespace)

    def action(self, operation: str) -> str:
        """Return the operation's SOAPAction."""
        return self._operation(operation).soapaction or ""

    def envelope(
        self, operation: str, arguments: Mapping[str, Any], *, headers: list[etree._Element]
    ) -> etree._Element:
        """Return the request, checked.

        :param arguments: by the WSDL's own names; a mapping for a complex value.
        :raises VismaRequestError: names the argument and, where one is near, the right one.
        """
        known = self._operation(operation)
        check_arguments(_body(known.input).type, arguments, f"{operation}()")
        try:
            message = known.create(**arguments, _soapheaders=headers)  # type: ignore[no-untyped-call]
        except (ZeepError, TypeError, ValueError) as error:
            raise VismaRequestError(f"{operation}() does not fit the WSDL: {_reason(error)}") from None
        envelope: etree._Element = message.content
        etree.cleanup_namespaces(envelope)
        return envelope

    def answer(self, operation: str) -> AnswerShape:
        """Return where the operation's result is found."""
        response = shape_of(_body(self._operation(operation).output))
        return AnswerShape(response.tag, next(iter(response.parts.values()), None))


def _body(message: Any) -> Any:
    return message.body


def _reason(error: Exception) -> str:
    # A zeep message names elements, never values; other errors may quote a value.
    return str(error) if isinstance(error, ZeepError) else type(error).__name__


def check_arguments(kind: Any, arguments: Any, where: str) -> None:
    """Check names and simple values against a zeep type; what is missing, zeep finds itself.

    :param where: how to call the place in an error.
    :raises VismaRequestError: a name is unknown or a value is not of its type.
    """
    if not isinstance(arguments, Mapping):
        raise VismaRequestError(f"{where} takes named values, not {type(arguments).__name__}")
    elements = dict(kind.elements)
    for name, value in arguments.items():
        element = elements.get(name)
        if element is None:
            raise VismaRequestError(f"{where} has no argument {name}{nearest(name, elements)}")
        values = value if element.accepts_multiple and isinstance(value, (list, tuple)) else [value]
        for item in values:
            if item is None:
                continue
            place = f"{name} of {where}"
            if isinstance(element.type, ComplexType):
                check_arguments(element.type, item, place)
            elif problem := _problem(element.type, item):
                raise VismaRequestError(f"{place} takes {problem}, not {type(item).__name__}")


_WHOLE_NUMBER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def _problem(kind: Any, value: Any) -> str | None:
    """Return what *kind* takes instead of *value*, or None where the value fits."""
    expected, fits = "text", isinstance(value, str)
    match kind:
        case builtins.Boolean():
            expected, fits = "true or false", isinstance(value, bool)
        case builtins.Integer():
            expected, fits = "a whole number", _is_whole_number(kind, value)
        case builtins.Decimal() | builtins.Float() | builtins.Double():
            expected = "a number"
            fits = (isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)) or (
                isinstance(value, str) and _NUMBER.fullmatch(value) is not None
            )
        case builtins.DateTime():
            expected, fits = "a date and time", isinstance(value, date) or _is_iso(value)
        case builtins.Date():
            fits = (isinstance(value, date) and not isinstance(value, datetime)) or _is_iso(value)
            expected = "a date"
        case builtins.Base64Binary():
            expected, fits = "bytes", isinstance(value, (bytes, Placeholder))
    return None if fits else expected


def _is_whole_number(kind: Any, value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    limit = 2**31 if isinstance(kind, builtins.Int) else 2**63
    return isinstance(value, int) and -limit <= value < limit


def _is_iso(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


class Placeholder(str):
    """Stands in the envelope for bytes that are encoded while the request is being sent."""

    __slots__ = ()
