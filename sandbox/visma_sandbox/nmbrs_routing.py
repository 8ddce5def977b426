"""From an HTTP request to an operation and its arguments, by the rules of ASP.NET's SOAP server.

The traps of the real service are here on purpose: an unknown element is ignored, so an id in the wrong case
reads as 0; credentials in another service's namespace are not seen at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from visma_sandbox.nmbrs_envelope import Document, Entry, EnvelopeReader, Value
from visma_sandbox.nmbrs_faults import (
    ENVELOPE_NAMESPACE,
    NO_ACTION,
    HttpRefusal,
    SoapFault,
    SoapVersion,
    unreadable,
)
from visma_sandbox.nmbrs_wsdl import Operation, namespace, operations

TEXT_XML: Final = "text/xml"
SOAP_XML: Final = "application/soap+xml"
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_INT: Final = re.compile(r"[+-]?[0-9]+")
_NO_GUID: Final = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Incoming:
    """The parts of an HTTP request that routing looks at.

    :param content_type: without parameters, lower case.
    :param action: the ``SOAPAction`` header, None when absent.
    :param action_parameter: ``action`` of an ``application/soap+xml`` content type.
    """

    service: str
    content_type: str
    action: str | None
    action_parameter: str | None


def check_content_type(incoming: Incoming) -> None:
    """Refuse what is no SOAP by its content type.

    :raises HttpRefusal: 415.
    """
    if incoming.content_type not in (TEXT_XML, SOAP_XML):
        raise HttpRefusal(415)


def assumed_version(incoming: Incoming) -> SoapVersion:
    """The version assumed before reading: 1.1 when there is a SOAPAction and no SOAP 1.2 content type."""
    return "1.2" if incoming.action is None or incoming.content_type == SOAP_XML else "1.1"


def settled_version(incoming: Incoming, reader: EnvelopeReader) -> SoapVersion:
    """The version of a request that has been read.

    :raises HttpRefusal: 415, for a 1.1 envelope that is not sent as text/xml.
    :raises SoapFault: for an envelope of an unexpected version.
    """
    version = assumed_version(incoming)
    found = reader.envelope[0] if reader.envelope else ""
    if version == "1.2" and found == ENVELOPE_NAMESPACE["1.1"]:
        if incoming.content_type != TEXT_XML:
            raise HttpRefusal(415)
        return "1.1"
    expected = ENVELOPE_NAMESPACE[version]
    if found != expected:
        raise SoapFault(
            "VersionMismatch",
            f"Possible SOAP version mismatch: Envelope namespace {found} was unexpected. "
            f"Expecting {expected}.",
        )
    return version


def route(incoming: Incoming, reader: EnvelopeReader) -> Operation:
    """Find the operation: by the SOAPAction header where it counts, else by the action or the body's element.

    :raises SoapFault: when there is none.
    """
    known = operations(incoming.service)
    if incoming.action is not None and assumed_version(incoming) == "1.1":
        operation = known.get(_operation_of_action(incoming.service, incoming.action))
        if operation is None:
            action = incoming.action.strip('"')
            raise SoapFault(
                "Client", f"Server did not recognize the value of HTTP Header SOAPAction: {action}."
            )
        return operation
    operation = known.get(_operation_of_action(incoming.service, incoming.action_parameter or ""))
    if operation is None and reader.body is not None and reader.body.name[0] == namespace(incoming.service):
        operation = known.get(reader.body.name[1])
    if operation is None:
        raise SoapFault("Client", NO_ACTION)
    return operation


def _operation_of_action(service: str, action: str) -> str:
    prefix, _, name = unquote(action.strip().strip('"')).rpartition("/")
    return name if prefix == namespace(service) else ""


def arguments(operation: Operation, reader: EnvelopeReader) -> dict[str, Any]:
    """Read the operation's arguments; what is absent, or named otherwise, takes .NET's default.

    :return: by name: int (default 0), str (default None), :class:`Document` (default None), GUID text.
    :raises SoapFault: for a body of another operation, a header that must be understood and is not, or a
    value that
        is not of its type.
    """
    space = namespace(operation.service)
    for header in reader.headers:
        if header.must_understand and header.name != (space, operation.auth_header):
            raise SoapFault("MustUnderstand", f"SOAP header {header.name[1]} was not understood.")
    body = reader.body
    if body is None or body.name != (space, operation.name):
        name, line, column = ("", 1, 1) if body is None else (body.name[1], body.line, body.column)
        found = "" if body is None else body.name[0]
        raise unreadable(line, column, f"<{name} xmlns='{found}'> was not expected.")
    return {
        name: _convert(kind, body.fields.get((space, name))) for name, kind in operation.parameters.items()
    }


def _convert(kind: str, value: Value | None) -> Any:
    if value is None:
        return {"int": 0, "guid": _NO_GUID}.get(kind)
    match kind:
        case "int":
            return _to_int(value)
        case "guid":
            return _to_guid(value)
        case "base64Binary":
            return _to_document(value)
        case _:
            return value.text


def _to_int(value: Value) -> int:
    text = value.text.strip()
    if not _INT.fullmatch(text):
        raise unreadable(value.line, value.column, "Input string was not in a correct format.")
    number = int(text)
    if not -(2**31) <= number < 2**31:
        raise unreadable(value.line, value.column, "Value was either too large or too small for an Int32.")
    return number


def _to_guid(value: Value) -> str:
    text = value.text.strip()
    if not _GUID.fullmatch(text):
        reason = "Guid should contain 32 digits with 4 dashes (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx)."
        raise unreadable(value.line, value.column, reason)
    return text.lower()


def _to_document(value: Value) -> Document | None:
    if value.document is not None and not value.document.valid:
        reason = (
            "The input is not a valid Base-64 string as it contains a non-base 64 character, "
            "more than two padding characters, or an illegal character among the padding characters."
        )
        raise unreadable(value.line, value.column, reason)
    return value.document


def credentials(operation: Operation, reader: EnvelopeReader) -> Mapping[str, str]:
    """The fields of the operation's own auth header; empty when there is none in its namespace."""
    space = namespace(operation.service)
    header: Entry | None = next(
        (each for each in reader.headers if each.name == (space, operation.auth_header)), None
    )
    if header is None:
        return {}
    return {name: value.text for (found, name), value in header.fields.items() if found == space}
