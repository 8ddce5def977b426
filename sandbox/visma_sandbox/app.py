"""The sandbox put together: one state, two applications (the services, and the file host on its own port)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from visma_sandbox import connect, control, dialog, files, hrm, nmbrs, orbit, orbit_reporting, severa, wire
from visma_sandbox.connect import TokenBook
from visma_sandbox.exchange import Exchange
from visma_sandbox.faults import FaultBook
from visma_sandbox.files import FileShelf
from visma_sandbox.journal import Journal
from visma_sandbox.organisation import Organisation
from visma_sandbox.settings import Settings

MAX_BODY = 256 << 20  # an uploaded document of 50 MB is 67 MB of base64, and the sandbox must see larger ones


class SystemModule(Protocol):
    """What a module that simulates a system offers."""

    @property
    def FAULT_KINDS(self) -> frozenset[str]:
        """The kinds it acts on besides those of wire.py."""

    @property
    def SETTINGS(self) -> Mapping[str, Any]:
        """Its switches and their defaults."""

    def routes(self, sandbox: Sandbox) -> list[web.RouteDef]:
        """Its routes on the main port; its state, its counts and its reset are registered here too."""


SYSTEMS: tuple[SystemModule, ...] = (connect, hrm, files, nmbrs, dialog, severa, orbit, orbit_reporting)


class Answered(Exception):
    """A fault has answered for the system; the handler ends here."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


class Sandbox:
    """Everything the handlers share.

    :param employees: how many people the organisation has.
    :param seed: the same seed gives the same people.
    :param folder: where exports are written; the caller removes it.
    :param dialog_file: where Dialog is kept over restarts; None forgets it.
    :ivar url: where the services are reached; set when the port is known, as is ``files_url``.
    :ivar certificate: PEM file for clients to trust; None without TLS.
    """

    def __init__(
        self, *, employees: int = 500, seed: int = 1, folder: Path, dialog_file: Path | None = None
    ) -> None:
        self.url = ""
        self.files_url = ""
        self.certificate: str | None = None
        self.folder = folder
        self.dialog_file = dialog_file
        self.organisation = Organisation(employees, seed)
        self.people_version = 0
        self.tokens = TokenBook()
        self.shelf = FileShelf(self)
        self.settings = Settings(system.SETTINGS for system in SYSTEMS)
        self.faults = FaultBook(wire.FAULT_KINDS.union(*(system.FAULT_KINDS for system in SYSTEMS)))
        self.journal = Journal()
        self.counts: dict[str, Callable[[], Any]] = {}
        self.background: list[Callable[[web.Application], AsyncIterator[None]]] = []
        self._resets: list[Callable[[], None]] = []

    def clock(self) -> float:
        """The sandbox's time, in seconds since the epoch: the machine's, moved by ``clock_offset``."""
        return time.time() + float(self.settings["clock_offset"])

    def change_person(self, *, employee_id: int | None = None, changes: Mapping[str, Any]) -> dict[str, Any]:
        """What happens to a person overnight; without an id, to someone new.

        :returns: the EmployeeId and the moment that exports by change time go by.
        """
        at = datetime.fromtimestamp(self.clock(), UTC)
        self.people_version += 1
        employee_id = self.organisation.change_person(employee_id, changes=changes, at=at)
        return {"employee_id": employee_id, "changed_at": at.isoformat()}

    def on_reset(self, forget: Callable[[], None]) -> None:
        """Register how a system forgets what it was told."""
        self._resets.append(forget)

    def reset(self) -> None:
        """Be as new: same people, no jobs, no faults, no journal, default settings."""
        self.organisation.reset()
        self.people_version += 1
        self.settings.reset()
        self.faults.clear()
        self.journal.let_go()
        self.journal.clear()
        for forget in self._resets:
            forget()

    async def begin(
        self,
        request: web.Request,
        *,
        system: str,
        operation: str,
        body: bytes | None = None,
        note: Mapping[str, Any] | None = None,
    ) -> Exchange:
        """Journal a request and let the next matching fault at it.

        :param body: the request's body, when it has been read.
        :param note: what tests may want to know of it besides; never anything secret or personal.
        :raises Answered: when a fault answers instead of the system, which then must not act.
        """
        size = len(body) if body is not None else request.content_length or 0
        entry = self.journal.record(
            request, time=self.clock(), system=system, operation=operation, body_size=size
        )
        if note:
            entry.note.update(note)
        fault = self.faults.take(system, operation)
        if fault is not None:
            entry.fault = fault.kind
            response = await wire.before(request, fault, entry)
            if response is not None:
                if request.transport is not None and not request.transport.is_closing():
                    entry.status = response.status
                    entry.bytes_sent = len(response.body or b"") if isinstance(response.body, bytes) else 0
                raise Answered(response)
        return Exchange(request, entry, fault)


def build_app(sandbox: Sandbox) -> web.Application:
    """The services: Visma Connect, HRM, Nmbrs, Severa, Dialog, Orbit, its reports, the control endpoint."""
    app = web.Application(middlewares=[_outermost(sandbox)], client_max_size=MAX_BODY)
    for system in SYSTEMS:
        app.add_routes(system.routes(sandbox))
    app.add_routes(control.routes(sandbox))
    app.cleanup_ctx.extend(sandbox.background)
    return app


def build_files_app(sandbox: Sandbox) -> web.Application:
    """The file host, which wants no bearer."""
    app = web.Application(middlewares=[_outermost(sandbox)])
    app.add_routes(files.file_routes(sandbox))
    return app


def _outermost(sandbox: Sandbox) -> Any:
    @web.middleware
    async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Answered as answered:
            return answered.response
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as refused:
            if request.match_info.http_exception is refused and not request.path.startswith("/_control/"):
                entry = sandbox.journal.record(
                    request, time=sandbox.clock(), system="none", operation="unknown", body_size=0
                )
                entry.status = refused.status
            raise

    return outermost
