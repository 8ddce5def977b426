"""The faults of Nmbrs, word for word: its own codes, and those of the ASP.NET framework around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal
from xml.sax.saxutils import escape

SoapVersion = Literal["1.1", "1.2"]

ENVELOPE_NAMESPACE: Final[Mapping[SoapVersion, str]] = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
CONTENT_TYPE: Final[Mapping[SoapVersion, str]] = {
    "1.1": "text/xml; charset=utf-8",
    "1.2": "application/soap+xml; charset=utf-8",
}

# Code and text as clients quote them; the misspelling of 9999 is the vendor's. Of codes without a quoted
# text, the title of the vendor's list of error codes is used.
CODE_TEXTS: Final = {
    "1001": "Invalid Authentication",
    "1002": "Unauthorized access",
    "1003": "Unauthorized access",
    "1004": "Disabled, no valid subscription",
    "1006": "Generic Login Security Failure",
    "2003": "Unauthorized access",
    "2004": "Unauthorized access",
    "2006": "Invalid Period",
    "2009": "Unauthorized access",
    "2011": "UnprotectedMode needed",
    "2030": "Invalid Set of Values",
    "2040": "Provide File Name with an Extension",
    "2041": "File Too Large",
    "2046": "Not Found",
    "2047": "Invalid Document Type",
    "9999": "Unkown",
}
NO_ACTION: Final = (
    "Unable to handle request without a valid action parameter. Please supply a valid soap action."
)
_CODES_OF_1_2: Final = {"Client": "Sender", "Server": "Receiver"}


class SoapFault(Exception):
    """Ends a call with a SOAP fault, HTTP 500.

    :param code: the SOAP 1.1 fault code; SOAP 1.2 renames ``Client`` and ``Server``.
    :param text: the whole fault string.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @classmethod
    def of_code(cls, code: str, text: str | None = None) -> SoapFault:
        """A fault of the service itself: ``Server was unable to process request. ---> 1001: …``."""
        text = CODE_TEXTS.get(code, CODE_TEXTS["9999"]) if text is None else text
        return cls("Server", f"Server was unable to process request. ---> {code}: {text}")

    @classmethod
    def injected(cls, args: Mapping[str, Any]) -> SoapFault:
        """A fault asked for through the control endpoint.

        :param args: ``code`` (default 9999) and ``text`` for a fault of the service; or ``faultcode`` and
            ``faultstring`` to say both in full.
        """
        if "faultstring" in args:
            return cls(str(args.get("faultcode", "Server")), str(args["faultstring"]))
        text = args.get("text")
        return cls.of_code(str(args.get("code", "9999")), None if text is None else str(text))

    def envelope(self, version: SoapVersion) -> bytes:
        """Write the fault as a whole answer."""
        text = escape(self.text)
        if version == "1.1":
            fault = f"<faultcode>soap:{self.code}</faultcode><faultstring>{text}</faultstring><detail />"
        else:
            code = _CODES_OF_1_2.get(self.code, self.code)
            fault = (
                f"<soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code>"
                f'<soap:Reason><soap:Text xml:lang="en">{text}</soap:Text></soap:Reason><soap:Detail />'
            )
        head, tail = envelope_around(version)
        return f"{head}<soap:Fault>{fault}</soap:Fault>{tail}".encode()


class HttpRefusal(Exception):
    """Ends a call with an HTTP status and an empty body, as ASP.NET does: 400 for malformed XML, 415."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def unreadable(line: int, column: int, reason: str) -> SoapFault:
    """A value that is not of its type."""
    return SoapFault(
        "Client",
        "Server was unable to read request. ---> "
        f"There is an error in XML document ({line}, {column}). ---> {reason}",
    )


def envelope_around(version: SoapVersion) -> tuple[str, str]:
    """What comes before and after the body of an answer; attributes in ASP.NET's order."""
    head = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<soap:Envelope xmlns:soap="{ENVELOPE_NAMESPACE[version]}"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
        "<soap:Body>"
    )
    return head, "</soap:Body></soap:Envelope>"
