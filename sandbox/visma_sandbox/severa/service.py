"""Severa's SOAP service: one address for all contracts, the operation in SOAPAction, the key in the header.

One request runs through: reading, routing, faults, quota, arguments, key, answer; each step may end it with a
fault, and nothing is written before all of them have let it pass. From the quota on, every answer says in its
header how much of it is used. The key is compared and forgotten: neither journal nor log ever sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import formatdate
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiohttp import web

from visma_sandbox.exchange import Exchange
from visma_sandbox.severa import requests
from visma_sandbox.severa.access import VERSION_CONTRACT, Access, Quota, naive_utc
from visma_sandbox.severa.answers import Form, envelope, response
from visma_sandbox.severa.calls import Call
from visma_sandbox.severa.contract import SERVICE_NAMESPACE, Operation, operations
from visma_sandbox.severa.faults import (
    HttpRefusal,
    NotFound,
    Refusal,
    SeveraFault,
    injected,
    unknown_action,
)
from visma_sandbox.severa.requests import Arguments, Message, MessageReader
from visma_sandbox.severa.wsdl import wsdl
from visma_sandbox.text_answers import send_text

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

FAULT_KINDS: Final = frozenset({"soap_fault"})
SETTINGS: Final[Mapping[str, Any]] = {
    # Calls in a UTC day, and those used already: setting another figure makes it the count.
    "severa_quota": 100_000,
    "severa_used_quota": 0,
    # Whether the organisation has the API add-on, and has approved the terms of service.
    "severa_addon": True,
    "severa_tos_approved": True,
    # The administrator pressed "Create API key" again: only the new key is good from then on.
    "severa_key_regenerated": False,
    # Shell patterns on Contract.Operation that answer NoPermissionException.
    "severa_denied_operations": [],
    # Whether the two operations of IAPI want a key is not known, nor what their values look like.
    "severa_version_needs_key": False,
    "severa_version": "S3 sandbox",
    "severa_entity_schema_version": "2016.2",
    # What nothing found is, everywhere: "fault", "null" or "empty". None: as each operation has it.
    "severa_not_found": None,
    # Members that the service has added since the contract was written.
    "severa_newer_members": False,
    # A null is an element with i:nil ("nil"), or no element ("absent").
    "severa_nil_form": "nil",
    # What follows a dateTime; WCF writes nothing for a time without a kind.
    "severa_zone": "",
    # Bytes of a request; not published. This is what clients are told to allow for an answer.
    "severa_request_limit": 64 << 20,
}
_ADDRESS: Final = "/webservice/S3/API.svc"
_CONTENT_TYPE: Final = "text/xml; charset=utf-8"
_UNKNOWN: Final = "unknown"


class Answering(Protocol):
    """What is behind the transport."""

    def served(self) -> frozenset[tuple[str, str]]:
        """The operations it answers, as contract and name."""

    def answer(self, call: Call) -> Any:
        """Answer a call.

        :raises SeveraFault: before the first row.
        :raises NotFound: likewise.
        """

    def counts(self) -> dict[str, int]:
        """Totals for the control endpoint."""

    def reset(self) -> None:
        """Forget what was written."""


def service_routes(sandbox: Sandbox, answering: Answering) -> list[web.RouteDef]:
    """The service, and what the control endpoint offers for it alone."""
    service = _Service(sandbox, answering)
    sandbox.on_reset(service.quota.reset)
    sandbox.on_reset(answering.reset)
    sandbox.counts["severa"] = answering.counts
    return [
        web.get(_ADDRESS, service.describe),
        web.get(f"{_ADDRESS}/{{wsdl:(?i:wsdl)}}", service.describe),
        web.post(_ADDRESS, service.call),
        web.get("/_control/severa/operations", service.list_operations),
    ]


@dataclass(slots=True)
class _Received:
    """A request that was read.

    :param operation: None when there is none of this action.
    :param refusal: why it is refused, when it has no operation or no arguments.
    :param arguments: None when they cannot be read.
    """

    message: Message
    operation: Operation | None
    refusal: Refusal
    arguments: Arguments | None = None


class _Service:
    def __init__(self, sandbox: Sandbox, answering: Answering) -> None:
        self._sandbox = sandbox
        self._answering = answering
        self._served = answering.served()
        self._access = Access(sandbox)
        self.quota = Quota(sandbox)

    async def describe(self, request: web.Request) -> web.StreamResponse:
        """The WSDL at ``?wsdl`` or ``/WSDL``; else the page that a browser sees."""
        if "wsdl" in request.match_info or "wsdl" in {name.lower() for name in request.query}:
            exchange = await self._sandbox.begin(request, system="severa", operation="WSDL")
            body = wsdl(f"{request.scheme}://{request.host}{_ADDRESS}")
            return await exchange.respond(web.Response(body=body, content_type="text/xml", charset="utf-8"))
        exchange = await self._sandbox.begin(request, system="severa", operation="page")
        page = f'<html><body><h1>API Service</h1><a href="{_ADDRESS}?wsdl">WSDL</a></body></html>'
        return await exchange.respond(web.Response(text=page, content_type="text/html"))

    async def list_operations(self, request: web.Request) -> web.Response:
        """What is simulated: ``IHourEntry.GetHourEntriesByDate`` and so on."""
        return web.json_response(
            sorted(each.full_name for each in operations().values() if self._serves(each))
        )

    async def call(self, request: web.Request) -> web.StreamResponse:
        """A SOAP call, from its bytes to its answer."""
        try:
            message, size = await _read(request, limit=int(self._sandbox.settings["severa_request_limit"]))
        except HttpRefusal as refused:
            return await self._refuse(request, refused)
        received = _understand(message, request.headers.get("SOAPAction", ""))
        name = received.operation.full_name if received.operation else _UNKNOWN
        exchange = await self._sandbox.begin(request, system="severa", operation=name, note=_note(received))
        exchange.entry.body_size = size
        now = naive_utc(self._sandbox.clock())
        self.quota.count(now)
        status = 200
        try:
            content = self._content(exchange, received, now)
        except Refusal as refusal:
            status, content = 500, iter((refusal.xml(),))
        texts = envelope(content, quota=self.quota.limit, used_quota=self.quota.used)
        # By the sandbox's clock, which tests move, as everything else that Severa says of time.
        date = formatdate(self._sandbox.clock(), usegmt=True)
        headers = {"Content-Type": _CONTENT_TYPE, "Cache-Control": "private", "Date": date}
        return await send_text(exchange, texts, headers=headers, status=status)

    async def _refuse(self, request: web.Request, refused: HttpRefusal) -> web.StreamResponse:
        exchange = await self._sandbox.begin(request, system="severa", operation=_UNKNOWN)
        return await exchange.respond(web.Response(status=refused.status, reason=refused.reason))

    def _content(self, exchange: Exchange, received: _Received, now: datetime) -> Iterator[str]:
        """The content of the answer's body; whatever is wrong is raised before its first piece."""
        if exchange.fault is not None and exchange.fault_is("soap_fault"):
            raise injected(exchange.fault.args)
        operation, given = received.operation, received.arguments
        if operation is None or given is None:
            raise received.refusal
        self.quota.check()
        exchange.entry.authorized = False
        user = self._access.user(operation, received.message.key)
        exchange.entry.authorized = True
        exchange.entry.note["user"] = user.name
        call = Call(operation.contract, operation.name, given.values, user, now)
        result = self._result(operation, call)
        return response(operation, result, self._form())

    def _result(self, operation: Operation, call: Call) -> Any:
        settings = self._sandbox.settings
        if operation.contract == VERSION_CONTRACT:
            return settings[_VERSION_SETTINGS[operation.name]]
        if not self._serves(operation):
            raise SeveraFault(
                "GeneralFailureException", f"The sandbox does not simulate {operation.full_name}."
            )
        try:
            result = self._answering.answer(call)
            if operation.returns is not None and operation.returns.is_list and result is not None:
                return _started(iter(result))
        except NotFound as missing:
            return _nothing(operation, settings["severa_not_found"] or missing.form)
        return result

    def _serves(self, operation: Operation) -> bool:
        return operation.contract == VERSION_CONTRACT or (operation.contract, operation.name) in self._served

    def _form(self) -> Form:
        settings = self._sandbox.settings
        return Form(
            newer=bool(settings["severa_newer_members"]),
            nil=settings["severa_nil_form"] == "nil",
            zone=str(settings["severa_zone"]),
        )


_VERSION_SETTINGS: Final = {
    "GetVersion": "severa_version",
    "GetEntitySchemaVersion": "severa_entity_schema_version",
}


def _nothing(operation: Operation, form: str) -> Any:
    """Nothing found; what cannot be null, because it is a number or nothing at all, is always a fault."""
    kind = operation.returns
    if form == "fault" or kind is None or not kind.nullable:
        raise SeveraFault("NotFoundException", "Nothing was found with the given identifier.")
    return [] if form == "empty" and kind.is_list else None


def _understand(message: Message, action: str) -> _Received:
    action = action.strip().strip('"')
    received = _Received(message, operations().get(action), refusal=unknown_action(action))
    if received.operation is None:
        return received
    try:
        received.arguments = requests.arguments(received.operation, message.wrapper)
    except Refusal as refusal:
        received.refusal = refusal
    return received


def _note(received: _Received) -> dict[str, Any]:
    """What tests may know of a request: names, and of the values those that are no text."""
    message, given = received.message, received.arguments
    names = (tag.removeprefix(f"{{{SERVICE_NAMESPACE}}}") for tag in message.headers)
    note: dict[str, Any] = {"key": message.key is not None, "headers": sorted(names)}
    if given is not None:
        values = {name: _plain(value) for name, value in given.values.items()}
        note |= {
            "arguments": given.came,
            "values": {name: value for name, value in values.items() if value is not None},
            "dropped": given.dropped,
        }
    return note


def _plain(value: Any) -> bool | int | str | None:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, (bool, int)) else None


async def _read(request: web.Request, *, limit: int) -> tuple[Message, int]:
    if request.content_type.lower() != "text/xml":
        expected = f"the content type '{request.content_type}' was not the expected type '{_CONTENT_TYPE}'"
        raise HttpRefusal(415, f"Cannot process the message because {expected}.")
    reader, size = MessageReader(), 0
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > limit:
            raise HttpRefusal(413)
        reader.feed(piece)
    return reader.close(), size


def _started(items: Iterable[Any]) -> Iterator[Any]:
    """The same items, the first of them made already: what goes wrong with it is raised here."""
    remaining = iter(items)
    for first in remaining:
        return chain((first,), remaining)
    return iter(())
