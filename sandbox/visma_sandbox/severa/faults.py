"""What ends a call of Severa with a SOAP fault: its own typed faults, and those of WCF around it.

A typed fault says in the detail's Description what is wrong; the fault string is only its kind. That it comes
with HTTP 500 is what WCF does; the contract page marks it as inferred.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from visma_sandbox.severa.contract import FAULT_NAMESPACE, SERVICE_NAMESPACE

ENVELOPE_NAMESPACE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
INSTANCE_NAMESPACE: Final = "http://www.w3.org/2001/XMLSchema-instance"
DISPATCHER: Final = "http://schemas.microsoft.com/net/2005/12/windowscommunicationfoundation/dispatcher"
ADDRESSING: Final = "http://schemas.microsoft.com/ws/2005/05/addressing/none"
ACCESS_DENIED: Final = "Access denied"
# That of the quota is the vendor's own; the others are only told apart by their types.
_FAULT_STRINGS: Final = {
    "QuotaLimitExceededException": "Quota limit reached",
    "TosNotApprovedException": "Terms of service not approved",
    "AuthenticationFailureException": ACCESS_DENIED,
    "NoPermissionException": "No permission",
    "NotFoundException": "Not found",
    "ValidationException": "Validation failed",
    "GeneralFailureException": "General failure",
}
_DESCRIPTIONS: Final = {"QuotaLimitExceededException": "Quota limit"}
_INTERNAL_ERROR: Final = (
    "The server was unable to process the request due to an internal error.  For more information about the "
    "error, either turn on IncludeExceptionDetailInFaults (either from ServiceBehaviorAttribute or from the "
    "<serviceDebug> configuration behavior) on the server in order to send the exception information back to "
    "the client, or turn on tracing as per the Microsoft .NET Framework SDK documentation and inspect the "
    "server trace logs."
)


class Refusal(Exception):
    """Ends a call with a SOAP fault.

    :param code: the fault code's local name, in ``code_namespace`` or, when that is None, of SOAP itself.
    :param text: the fault string.
    :param detail: XML of the detail element's content; empty for a fault without one.
    """

    def __init__(self, code: str, text: str, *, code_namespace: str | None = None, detail: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.code_namespace = code_namespace
        self.detail = detail

    def xml(self) -> str:
        """Write the fault as the content of a body."""
        if self.code_namespace is None:
            code = f"<faultcode>s:{self.code}</faultcode>"
        else:
            code = f'<faultcode xmlns:a="{self.code_namespace}">a:{self.code}</faultcode>'
        detail = f"<detail>{self.detail}</detail>" if self.detail else ""
        text = f'<faultstring xml:lang="en-US">{escape(self.text)}</faultstring>'
        return f"<s:Fault>{code}{text}{detail}</s:Fault>"


class SeveraFault(Refusal):
    """Ends a call with a fault of the service itself.

    :param type: local name of the detail element: ``ValidationException``.
    :param description: its Description, which tells a person what is wrong.
    :param text: the fault string, when it is not the usual one of the type.
    :param source: the detail's Source, null in every sample.
    """

    def __init__(
        self, type: str, description: str, *, text: str | None = None, source: str | None = None
    ) -> None:
        detail = (
            f'<{type} xmlns="{FAULT_NAMESPACE}" xmlns:i="{INSTANCE_NAMESPACE}">'
            f"{_nillable('Description', description)}{_nillable('Source', source)}</{type}>"
        )
        super().__init__("Client", _FAULT_STRINGS.get(type, type) if text is None else text, detail=detail)
        self.type = type
        self.description = description

    @classmethod
    def of_type(cls, type: str) -> SeveraFault:
        """A fault with the usual words of its type."""
        return cls(type, _DESCRIPTIONS.get(type, _FAULT_STRINGS.get(type, type)))


class NotFound(Exception):
    """Says that nothing has the id asked for; whether that is a fault, null or an empty list differs.

    :param form: ``fault``, ``null`` or ``empty``, as this operation has it.
    """

    def __init__(self, form: str) -> None:
        super().__init__(form)
        self.form = form


class HttpRefusal(Exception):
    """Ends a call with an HTTP status and an empty body, before there is a message: 400, 413, 415."""

    def __init__(self, status: int, reason: str | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.reason = reason


def injected(args: Mapping[str, Any]) -> Refusal:
    """The fault asked for through the control endpoint.

    :param args: ``type``: the name of a typed fault (default GeneralFailureException), declared or not;
        ``ExceptionDetail`` for WCF's debug form; ``InternalServiceFault`` for an error without a type or a
        detail. ``description``, ``faultstring`` and ``source`` replace its usual words.
    """
    type, text = str(args.get("type", "GeneralFailureException")), args.get("faultstring")
    description = args.get("description")
    if type in ("ExceptionDetail", "InternalServiceFault"):
        return internal_error(
            None if type == "InternalServiceFault" else str(description or "Object reference not set."),
            text=None if text is None else str(text),
        )
    return SeveraFault(
        type,
        SeveraFault.of_type(type).description if description is None else str(description),
        text=None if text is None else str(text),
        source=args.get("source"),
    )


def internal_error(message: str | None = None, *, text: str | None = None) -> Refusal:
    """An exception that the service did not foresee.

    :param message: the exception's own; with it, the fault has the detail that WCF adds for debugging.
    """
    if text is None:
        text = _INTERNAL_ERROR if message is None else message
    detail = ""
    if message is not None:
        detail = (
            '<ExceptionDetail xmlns="http://schemas.datacontract.org/2004/07/System.ServiceModel"'
            f' xmlns:i="{INSTANCE_NAMESPACE}">'
            f"{_nillable('HelpLink', None)}{_nillable('InnerException', None)}"
            f"<Message>{escape(message)}</Message><StackTrace>   at Severa.API.Sandbox()</StackTrace>"
            "<Type>System.NullReferenceException</Type></ExceptionDetail>"
        )
    return Refusal("InternalServiceFault", text, code_namespace=DISPATCHER, detail=detail)


def unknown_action(action: str) -> Refusal:
    """No operation has this SOAPAction."""
    return Refusal(
        "ActionNotSupported",
        f"The message with Action '{action}' cannot be processed at the receiver, due to a ContractFilter "
        "mismatch at the EndpointDispatcher. This may be because of either a contract mismatch (mismatched "
        "Actions between sender and receiver) or a binding/security mismatch between the sender and the "
        "receiver.  Check that sender and receiver have the same contract and the same binding (including "
        "security requirements, e.g. Message, Transport, None).",
        code_namespace=ADDRESSING,
    )


def unreadable(parameter: str, reason: str) -> Refusal:
    """A value that is not of its type.

    :param parameter: of the operation; the value may lie deep in it.
    """
    return Refusal(
        "DeserializationFailed",
        "The formatter threw an exception while trying to deserialize the message: There was an error while "
        f"trying to deserialize parameter {SERVICE_NAMESPACE}:{parameter}. The InnerException message was "
        f"'{reason}'.  Please see InnerException for more details.",
        code_namespace=DISPATCHER,
    )


def _nillable(tag: str, text: str | None) -> str:
    return f'<{tag} i:nil="true"/>' if text is None else f"<{tag}>{escape(text)}</{tag}>"
