"""Nmbrs: the three v3 SOAP services on any host name, always with the production namespaces.

One request runs through: reading, routing, faults, credentials, rights, arguments, answer; each step may end
it with a SOAP fault or a bare HTTP status, and nothing is stored before all of them have let it pass. Large
answers leave while they are made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from visma_sandbox import nmbrs_drift
from visma_sandbox.careers import EMPLOYEE_TYPES
from visma_sandbox.exchange import Exchange
from visma_sandbox.nmbrs_access import Access, Throttle
from visma_sandbox.nmbrs_documents import DOCUMENT_TYPES, DocumentCabinet
from visma_sandbox.nmbrs_envelope import EnvelopeReader
from visma_sandbox.nmbrs_faults import (
    CONTENT_TYPE,
    HttpRefusal,
    SoapFault,
    SoapVersion,
    envelope_around,
)
from visma_sandbox.nmbrs_reads import Reads
from visma_sandbox.nmbrs_routing import (
    Incoming,
    arguments,
    assumed_version,
    check_content_type,
    credentials,
    route,
    settled_version,
)
from visma_sandbox.nmbrs_wsdl import SERVICES, Operation, namespace, operations, wsdl
from visma_sandbox.text_answers import send_text

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

FAULT_KINDS: Final = frozenset({"soap_fault", "drift"})
SETTINGS: Final[Mapping[str, Any]] = {
    # Whether a header without Domain is refused with 1001: the vendor's page and its users disagree.
    "nmbrs_domain_required": True,
    # The API user's template, as shell patterns on Service.Operation; what is denied wins.
    "nmbrs_allowed_operations": ["*"],
    "nmbrs_denied_operations": [],
    # Debtors that the user's tags hide, and the fault a hidden id gets: 1003, or the id's own 2003/2004/2009.
    "nmbrs_hidden_debtors": [],
    "nmbrs_hidden_is_1003": True,
    # Only the ids 2 and 4 are known of the vendor's table.
    "nmbrs_employee_types": {str(key): text for key, text in EMPLOYEE_TYPES.items()},
    # An empty list is `<XxxResult />` ("element"), or no Result element at all ("absent").
    "nmbrs_empty_result": "element",
    # Null items in lists, about one in a hundred.
    "nmbrs_nil_items": True,
    # Digits of a CreationDate's fraction, 0 to 7.
    "nmbrs_fraction_digits": 3,
    # More calls than this in a second are each held up by the delay, in seconds; a limit of 0 turns it off.
    "nmbrs_calls_per_second": 150,
    "nmbrs_throttle_delay": 0.5,
    # The size limit is not published.
    "nmbrs_document_limit": 25 << 20,
    "nmbrs_document_types": list(DOCUMENT_TYPES),
}
_UNKNOWN: Final = "unknown"


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The services, and what the control endpoint offers for Nmbrs alone."""
    nmbrs = _Nmbrs(sandbox)
    sandbox.on_reset(nmbrs.cabinet.clear)
    sandbox.counts["nmbrs_to_dialog"] = lambda: sandbox.organisation.counts()
    sandbox.counts["nmbrs"] = nmbrs.cabinet.counts
    services = "|".join(SERVICES)
    address = f"/soap/v3/{{service:{services}}}.asmx"
    return [
        web.get(address, nmbrs.describe),
        web.post(address, nmbrs.call),
        web.get("/_control/nmbrs/documents", nmbrs.list_documents),
        web.post("/_control/nmbrs/midnight", nmbrs.midnight),
    ]


class _Nmbrs:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._access = Access(sandbox)
        self._reads = Reads(sandbox, self._access)
        self._throttle = Throttle()
        self.cabinet = DocumentCabinet(sandbox, self._access)

    async def describe(self, request: web.Request) -> web.StreamResponse:
        """``?WSDL``, or the page of links that a browser sees."""
        service = request.match_info["service"]
        if "wsdl" in {name.lower() for name in request.query}:
            exchange = await self._sandbox.begin(request, system="nmbrs", operation=f"{service}.WSDL")
            body = wsdl(service, f"{request.scheme}://{request.host}{request.path}")
            return await exchange.respond(web.Response(body=body, content_type="text/xml", charset="utf-8"))
        exchange = await self._sandbox.begin(request, system="nmbrs", operation=f"{service}.page")
        links = "".join(f"<li>{name}</li>" for name in operations(service))
        page = f'<html><body><h1>{service}</h1><a href="?WSDL">WSDL</a><ul>{links}</ul></body></html>'
        return await exchange.respond(web.Response(text=page, content_type="text/html"))

    async def call(self, request: web.Request) -> web.StreamResponse:
        """A SOAP call, from its bytes to its answer."""
        service = request.match_info["service"]
        received = await _receive(request)
        name = received.operation.name if received.operation else _UNKNOWN
        exchange = await self._sandbox.begin(
            request, system="nmbrs", operation=f"{service}.{name}", note={"soap": received.version}
        )
        exchange.entry.body_size = received.size
        try:
            await self._hold_up()
            if exchange.fault is not None and exchange.fault_is("soap_fault"):
                raise SoapFault.injected(exchange.fault.args)
            return await self._answer(exchange, received)
        except SoapFault as fault:
            headers = {"Content-Type": CONTENT_TYPE[received.version], "Cache-Control": "private"}
            body = fault.envelope(received.version)
            return await exchange.respond(web.Response(status=500, body=body, headers=headers))
        except HttpRefusal as refused:
            return await exchange.respond(web.Response(status=refused.status))

    async def _hold_up(self) -> None:
        settings = self._sandbox.settings
        limit = int(settings["nmbrs_calls_per_second"])
        if limit:
            seconds = self._throttle.delay(
                time.monotonic(), limit=limit, seconds=float(settings["nmbrs_throttle_delay"])
            )
            await asyncio.sleep(seconds)

    async def _answer(self, exchange: Exchange, received: _Received) -> web.StreamResponse:
        if received.operation is None:
            raise received.refusal
        version, operation, reader = received.version, received.operation, received.reader
        given = arguments(operation, reader)
        exchange.entry.note["parameters"] = {
            name: value for name, value in given.items() if isinstance(value, int)
        }
        exchange.entry.authorized = False
        self._access.check_credentials(operation, credentials(operation, reader))
        exchange.entry.authorized = True
        self._access.check_right(operation)
        read = self._reads.operations.get(operation.full_name)
        if read is None:
            self.cabinet.put(given)
            head, tail = envelope_around(version)
            pieces = iter(
                (f'{head}<{operation.name}Response xmlns="{namespace(operation.service)}" />{tail}',)
            )
        else:
            pieces = self._texts(exchange, version, operation, read(given))
        headers = {"Content-Type": CONTENT_TYPE[version], "Cache-Control": "private, max-age=0"}
        return await send_text(exchange, pieces, headers=headers)

    def _texts(
        self, exchange: Exchange, version: SoapVersion, operation: Operation, items: Iterator[str]
    ) -> Iterator[str]:
        if exchange.fault is not None and exchange.fault_is("drift"):
            items = nmbrs_drift.drifted(items, exchange.fault.args)
        head, tail = envelope_around(version)
        response, tag = f"{operation.name}Response", f"{operation.name}Result"
        yield f'{head}<{response} xmlns="{namespace(operation.service)}">'
        first = next(items, None)
        if first is not None:
            yield f"<{tag}>{first}"
            yield from items
            yield f"</{tag}>"
        elif self._sandbox.settings["nmbrs_empty_result"] == "element":
            yield f"<{tag} />"
        yield f"</{response}>{tail}"

    async def list_documents(self, request: web.Request) -> web.Response:
        """What was uploaded, in order: numbers, sizes and hashes."""
        return web.json_response([asdict(each) for each in self.cabinet.documents])

    async def midnight(self, request: web.Request) -> web.Response:
        """The vendor's sandbox forgets every change at midnight; here, when told that it is."""
        self._sandbox.organisation.reset()
        self.cabinet.clear()
        return web.Response(status=204)


@dataclass(slots=True)
class _Received:
    """A request that was read, as far as it could be.

    :param operation: None when the request is refused before an operation is known.
    :param refusal: why it is.
    """

    reader: EnvelopeReader
    version: SoapVersion
    operation: Operation | None = None
    refusal: SoapFault | HttpRefusal = field(default_factory=lambda: HttpRefusal(400))
    size: int = 0


async def _receive(request: web.Request) -> _Received:
    incoming = _incoming(request)
    received = _Received(EnvelopeReader((namespace("EmployeeService"), "Body")), assumed_version(incoming))
    try:
        check_content_type(incoming)
        async for piece in request.content.iter_any():
            received.size += len(piece)
            received.reader.feed(piece)
        received.reader.close()
        received.version = settled_version(incoming, received.reader)
        received.operation = route(incoming, received.reader)
    except (SoapFault, HttpRefusal) as refusal:
        received.refusal = refusal
    return received


def _incoming(request: web.Request) -> Incoming:
    parameters = dict(
        part.strip().partition("=")[::2] for part in request.headers.get("Content-Type", "").split(";")[1:]
    )
    return Incoming(
        service=request.match_info["service"],
        content_type=request.content_type.lower(),
        action=request.headers.get("SOAPAction"),
        action_parameter=parameters.get("action"),
    )
