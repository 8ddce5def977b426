"""The control endpoint: faults, journal, switches, people, counts. It is no part of any system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from visma_sandbox.connections import connections
from visma_sandbox.faults import Fault, UnknownFaultError
from visma_sandbox.settings import UnknownSettingError

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """Everything under ``/_control``."""
    control = _Control(sandbox)
    return [
        web.get("/_control/faults", control.list_faults),
        web.post("/_control/faults", control.add_fault),
        web.delete("/_control/faults", control.clear_faults),
        web.get("/_control/journal", control.read_journal),
        web.delete("/_control/journal", control.clear_journal),
        web.get("/_control/settings", control.read_settings),
        web.patch("/_control/settings", control.change_settings),
        web.get("/_control/counts", control.counts),
        web.get("/_control/connections", control.connections),
        web.post("/_control/people", control.change_person),
        web.post("/_control/reset", control.reset),
    ]


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as malformed:
        raise _refused(f"not JSON: {malformed}") from malformed
    if not isinstance(body, dict):
        raise _refused("a JSON object is expected")
    return body


def _refused(reason: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=reason)


class _Control:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def list_faults(self, request: web.Request) -> web.Response:
        book = self._sandbox.faults
        return web.json_response(
            {"pending": [fault.as_dict() for fault in book.pending()], "kinds": sorted(book.kinds)}
        )

    async def add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = Fault(**await _object(request))
            self._sandbox.faults.add(fault)
        except (TypeError, UnknownFaultError) as wrong:
            raise _refused(str(wrong)) from wrong
        return web.json_response(fault.as_dict(), status=201)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._sandbox.faults.clear()
        self._sandbox.journal.let_go()
        return web.Response(status=204)

    async def read_journal(self, request: web.Request) -> web.Response:
        entries = self._sandbox.journal.entries(request.query.get("system"), request.query.get("operation"))
        return web.json_response([entry.as_dict() for entry in entries])

    async def clear_journal(self, request: web.Request) -> web.Response:
        self._sandbox.journal.clear()
        return web.Response(status=204)

    async def read_settings(self, request: web.Request) -> web.Response:
        return web.json_response(self._sandbox.settings.as_dict())

    async def change_settings(self, request: web.Request) -> web.Response:
        try:
            self._sandbox.settings.change(await _object(request))
        except UnknownSettingError as wrong:
            raise _refused(str(wrong)) from wrong
        return await self.read_settings(request)

    async def counts(self, request: web.Request) -> web.Response:
        return web.json_response({name: count() for name, count in self._sandbox.counts.items()})

    async def connections(self, request: web.Request) -> web.Response:
        sandbox = self._sandbox
        return web.json_response(
            connections(
                sandbox.url,
                sandbox.files_url,
                sandbox.certificate,
                orbit_redirect_uri=sandbox.settings["orbit_redirect_uri"],
            )
        )

    async def change_person(self, request: web.Request) -> web.Response:
        changes = await _object(request)
        try:
            return web.json_response(self._sandbox.change_person(**changes))
        except (LookupError, TypeError, ValueError) as wrong:
            raise _refused(f"{type(wrong).__name__}: {wrong}") from wrong

    async def reset(self, request: web.Request) -> web.Response:
        self._sandbox.reset()
        return web.Response(status=204)
