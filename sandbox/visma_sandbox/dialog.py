"""Dialog as a SCIM 2.0 service (RFC 7643, RFC 7644) under /scim/v2.

Dialog publishes no import API: that it would speak SCIM is this project's assumption. What it does with
users follows seed 003, part 2.3; where that leaves room there is a switch (``SETTINGS``).
"""

from __future__ import annotations

import hmac
import json
from asyncio import IncompleteReadError
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from scim2_models import NotFoundException, SCIMException, UnauthorizedException
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Target

from visma_sandbox import dialog_reviews
from visma_sandbox.credentials import DIALOG_TOKEN
from visma_sandbox.dialog_file import DialogFile
from visma_sandbox.dialog_schemas import SETTINGS as SCIM_SETTINGS
from visma_sandbox.dialog_schemas import Capabilities, UserState, provider_of
from visma_sandbox.dialog_scim import CHANGED_MEANWHILE, DialogHandler, DialogService, operation_name
from visma_sandbox.dialog_store import DialogStore
from visma_sandbox.dialog_transitions import Transitions, moment
from visma_sandbox.faults import Fault

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

__all__ = ["FAULT_KINDS", "SETTINGS", "routes"]

ROOT: Final = "/scim/v2"

SETTINGS: Final = {**SCIM_SETTINGS, **dialog_reviews.SETTINGS}
FAULT_KINDS: Final = frozenset({CHANGED_MEANWHILE}) | dialog_reviews.FAULT_KINDS
"""``changed_meanwhile``: the resource gets another version just before the request is looked at.

For one operation within a bulk request the system is ``dialog_bulk``, and ``status`` refuses it alone.
"""


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """Serve Dialog and what its administrator can do."""
    dialog = Dialog(sandbox)
    sandbox.counts["dialog"] = dialog.store.counts
    sandbox.on_reset(dialog.store.clear)
    if sandbox.dialog_file is not None:
        sandbox.background.append(DialogFile(sandbox.dialog_file, dialog.store).kept)
    reviews = dialog_reviews.Reviews(sandbox, dialog.store, authorized=_authorized)
    return [
        *reviews.routes(ROOT),
        web.route("*", ROOT + "{path:(/.*)?}", dialog.serve),
        web.post("/_control/dialog/users/{external_id}/state", dialog.set_state),
        web.post("/_control/dialog/existing", dialog.add_existing),
        web.get("/_control/dialog/counts", dialog.show_counts),
    ]


class Dialog:
    """The service and what it keeps."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.store = DialogStore(sandbox.clock)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one SCIM request."""
        note: dict[str, Any] = {}
        service = DialogService(
            provider_of(Capabilities.of(self.sandbox.settings)),
            freeze=self.sandbox.settings["dialog_freeze"],
            transitions=self._transitions(),
            note=note,
        )
        scim = ScimRequest(
            request.method,
            f"{request.scheme}://{request.host}{ROOT}",
            request.match_info["path"],
            request.query,
            list(request.headers.items()),
        )
        scim.body = await _body(request, service.max_body_size(scim))
        target = _target(service, scim)
        name = operation_name(target) if target is not None else "unknown"
        exchange = await self.sandbox.begin(request, system="dialog", operation=name, body=scim.body)
        exchange.entry.authorized = _authorized(request)
        if exchange.fault_is(CHANGED_MEANWHILE) and target is not None and target.resource_id is not None:
            self.store.touch(target.resource_id)
        try:
            if not exchange.entry.authorized:
                raise UnauthorizedException
            handler = DialogHandler(service, self.store, take_fault=self._bulk_fault)
            answer = handler.handle(scim)
        except SCIMException as refused:
            answer = service.error_response(refused)
        exchange.entry.note.update(note)
        return await exchange.respond(_response(answer))

    def _transitions(self) -> Transitions:
        settings = self.sandbox.settings
        return Transitions(
            existing=self.store,
            now=moment(self.sandbox.clock()),
            undo=timedelta(seconds=settings["dialog_undo_seconds"]),
            any_state=settings["dialog_any_state"],
        )

    def _bulk_fault(self, operation: str) -> Fault | None:
        return self.sandbox.faults.take("dialog_bulk", operation)

    async def set_state(self, request: web.Request) -> web.Response:
        """Invite or link a user: ``{"state": "invited"}``."""
        try:
            state = UserState((await request.json())["state"])
            self.store.move(request.match_info["external_id"], state)
        except (KeyError, ValueError):
            raise web.HTTPBadRequest(text=f"state: one of {', '.join(UserState)}") from None
        except NotFoundException:
            raise web.HTTPNotFound(text="no user has this externalId") from None
        return web.Response(status=204)

    async def add_existing(self, request: web.Request) -> web.Response:
        """Let Dialog have users of its own, from before the integration: ``{"count": 5}``.

        Each has the work e-mail of an employee, beside a login name of their own.
        """
        try:
            count = int((await request.json())["count"])
        except (KeyError, ValueError, TypeError):
            raise web.HTTPBadRequest(text="count: how many") from None
        people = self.sandbox.organisation.people()
        named = (
            each for each in people if each.nickname and each.last_name and (each.email_work or "").strip()
        )
        ids = [self.store.add_existing(number, person) for number, person in enumerate(islice(named, count))]
        return web.json_response({"ids": ids})

    async def show_counts(self, request: web.Request) -> web.Response:
        """Answer the sandbox's own figures of Dialog."""
        return web.json_response(self.store.counts())


def _target(service: DialogService, request: ScimRequest) -> Target | None:
    try:
        return service.match(request)
    except SCIMException:
        return None


async def _body(request: web.Request, limit: int | None) -> bytes:
    """Read a body, and of one that is too large just enough to see that it is."""
    if limit is None:
        return await request.read()
    try:
        return await request.content.readexactly(limit + 1)
    except IncompleteReadError as whole:
        return whole.partial


def _authorized(request: web.Request) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), DIALOG_TOKEN.encode())


def _response(answer: ScimResponse) -> web.Response:
    if answer.body is None:
        headers = {name: value for name, value in answer.headers.items() if name != "Content-Type"}
        return web.Response(status=answer.status, headers=headers)
    body = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":"))
    return web.Response(status=answer.status, headers=answer.headers, body=body.encode())
