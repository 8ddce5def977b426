"""``POST /orbit/<resource>.<verb>``: from a request to its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from visma_sandbox import credentials
from visma_sandbox.exchange import Exchange
from visma_sandbox.orbit.answers import Refusal, refusal_response
from visma_sandbox.orbit.lists import Lists
from visma_sandbox.orbit.oauth import ROOT, SYSTEM
from visma_sandbox.orbit.resources import NOT_SIMULATED, RESOURCES
from visma_sandbox.orbit.rows import Row
from visma_sandbox.orbit.sessions import SessionBook
from visma_sandbox.orbit.sets import set_row
from visma_sandbox.orbit.tables import Table, UnknownRowError
from visma_sandbox.text_answers import send_text

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

FAULT_KINDS: Final = frozenset({"expired_token"})
SETTINGS: Final[Mapping[str, Any]] = {
    # Rows of every resource but users, or an object by resource; 0 is as many as the people call for.
    "orbit_rows": 0,
    "orbit_first_page": 1,
    # What a number before the first page answers: "error", "first" (the first page) or "empty".
    "orbit_page_before_first": "error",
    # The largest page; a larger size gets that without a word. 0 is no limit.
    "orbit_page_limit": 0,
    # The member that holds a list's items or a single row; empty: nothing is around them.
    "orbit_list_wrapper": "",
    "orbit_get_wrapper": "",
    # "served", "ignored" or "refused".
    "orbit_filter": "served",
    "orbit_order": "served",
    # Whose sign-in it is: which of the users `me` answers.
    "orbit_me": 0,
    # "row", "id" (an object with the id alone) or "empty".
    "orbit_set_answer": "row",
    # A field that `set` does not know: "ignored" or "refused".
    "orbit_unknown_fields": "ignored",
    # "json" or "html".
    "orbit_errors": "json",
    # Whose clock the moments are of, which have no zone.
    "orbit_zone": "Europe/Amsterdam",
}


def service_routes(sandbox: Sandbox, book: SessionBook) -> list[web.RouteDef]:
    """The API, and what the control endpoint offers for it alone."""
    service = _Service(sandbox, book)
    sandbox.counts[SYSTEM] = service.counts
    sandbox.on_reset(service.reset)
    return [
        web.post(f"{ROOT}/{{resource:[A-Za-z]+}}.{{verb:[A-Za-z]+}}", service.call),
        web.get(
            f"{ROOT}/{{resource:users}}.{{verb:me}}", service.call, allow_head=False
        ),  # as a known client asks
        web.route("*", f"{ROOT}/{{beyond:.*}}", service.nowhere),
        web.get("/_control/orbit/rows/{resource}", service.list_rows),
        web.post("/_control/orbit/change", service.change),
    ]


class _Service:
    def __init__(self, sandbox: Sandbox, book: SessionBook) -> None:
        self._sandbox = sandbox
        self._book = book
        self._lists = Lists(sandbox)
        self._tables = {name: Table(sandbox, name) for name in RESOURCES}
        self._verbs: Mapping[str, Callable[[Table, Mapping[str, Any], Exchange], Iterable[str]]] = {
            "list": self._list,
            "get": self._get,
            "me": self._me,
            "set": self._set,
        }

    def counts(self) -> dict[str, int]:
        """Rows by resource."""
        return {name: table.count() for name, table in self._tables.items()}

    def reset(self) -> None:
        """Forget what was set and changed."""
        for table in self._tables.values():
            table.clear()

    async def call(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        body = await request.read()
        operation = f"{request.match_info['resource']}.{request.match_info['verb']}"
        known = operation in NOT_SIMULATED or self._is_served(operation)
        exchange = await self._sandbox.begin(
            request, system=SYSTEM, operation=operation if known else "unknown", body=body
        )
        try:
            self._check_bearer(request, exchange)
            if not known:
                raise Refusal(404, "not_found", "Not found.")
            sent = {} if request.method == "GET" else _object(body)
            exchange.entry.note["asked"] = {
                name: sent[name]
                for name in ("filter", "order", "page")
                if operation.endswith(".list") and name in sent
            }
            if operation in NOT_SIMULATED:
                raise Refusal(501, "not_simulated", "The sandbox does not simulate this.")
            table = self._tables[request.match_info["resource"]]
            texts = self._verbs[request.match_info["verb"]](table, sent, exchange)
        except Refusal as refusal:
            form = "html" if not known else str(self._sandbox.settings["orbit_errors"])
            return await exchange.respond(refusal_response(refusal, form=form))
        return await send_text(exchange, texts, headers={"Content-Type": "application/json; charset=utf-8"})

    async def nowhere(self, request: web.Request) -> web.StreamResponse:
        """What is no call: a page, as the real service has it."""
        exchange = await self._sandbox.begin(request, system=SYSTEM, operation="unknown")
        return await exchange.respond(refusal_response(Refusal(404, "not_found", "Not found."), form="html"))

    def _is_served(self, operation: str) -> bool:
        name, _, verb = operation.partition(".")
        return name in RESOURCES and verb in RESOURCES[name].verbs

    def _check_bearer(self, request: web.Request, exchange: Exchange) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if exchange.fault_is("expired_token"):
            self._book.forget(token)
        access = self._book.access(token) if scheme.lower() == "bearer" else None
        exchange.entry.authorized = access is not None
        if access is None:
            raise Refusal(401, "invalid_token", "The access token is not valid.")
        exchange.entry.note.update(session=access.session.number, access=access.number)

    def _list(self, table: Table, body: Mapping[str, Any], exchange: Exchange) -> Iterable[str]:
        wish = self._lists.read(body, table)
        indexes = self._lists.page(table, wish)
        exchange.entry.note["rows"] = len(indexes)
        return _array(table.items(indexes), str(self._sandbox.settings["orbit_list_wrapper"]))

    def _get(self, table: Table, body: Mapping[str, Any], exchange: Exchange) -> Iterable[str]:
        return self._one(table.row(_index(table, body.get("id"))))

    def _me(self, table: Table, body: Mapping[str, Any], exchange: Exchange) -> Iterable[str]:
        return self._one(
            {
                **table.row(table.indexes()[int(self._sandbox.settings["orbit_me"])]),
                "email": credentials.ORBIT_USER,
            }
        )

    def _set(self, table: Table, body: Mapping[str, Any], exchange: Exchange) -> Iterable[str]:
        settings = self._sandbox.settings
        index = set_row(
            self._tables,
            table.resource.name,
            body,
            note=exchange.entry.note,
            strict=settings["orbit_unknown_fields"] == "refused",
        )
        row = table.row(index)
        exchange.entry.note["row_id"] = row["id"]
        match settings["orbit_set_answer"]:
            case "empty":
                return ["{}"]
            case "id":
                return self._one({"id": row["id"]})
            case _:
                return self._one(row)

    def _one(self, row: Row) -> Iterable[str]:
        wrapper = str(self._sandbox.settings["orbit_get_wrapper"])
        return [json.dumps({wrapper: row} if wrapper else row, ensure_ascii=False)]

    async def list_rows(self, request: web.Request) -> web.Response:
        """Rows as a list should have them: the sandbox's own account."""
        table = self._tables.get(request.match_info["resource"])
        if table is None:
            raise web.HTTPNotFound
        skip, top = int(request.query.get("skip", 0)), int(request.query.get("top", 1000))
        return web.json_response(list(table.items(table.indexes()[skip : skip + top])))

    async def change(self, request: web.Request) -> web.Response:
        """What somebody does in Orbit itself."""
        try:
            return web.json_response(self._change(**await request.json()))
        except (TypeError, ValueError, LookupError) as wrong:
            raise web.HTTPBadRequest(text=f"{type(wrong).__name__}: {wrong}") from wrong

    def _change(
        self,
        *,
        resource: str,
        id: str | None = None,
        changes: Mapping[str, Any] | None = None,
        at: str | None = None,
        delete: bool = False,
    ) -> dict[str, Any]:
        if resource not in self._tables:
            raise UnknownRowError(f"no resource {resource}; there are {', '.join(self._tables)}")
        table = self._tables[resource]
        unknown = sorted((changes or {}).keys() - table.row(0).keys() - {"id"})
        if unknown or "id" in (changes or {}):
            raise UnknownRowError(f"{resource} cannot be given {', '.join(unknown) or 'another id'}")
        moment = None if at is None else datetime.fromisoformat(at).replace(tzinfo=None)
        if id is None:
            index = table.add(changes or {}, moment)
        else:
            index = table.index(id)
            if delete:
                table.delete(index)
            else:
                table.change(index, changes or {}, moment)
        return {"id": table.row(index)["id"], **table.stamps(index)}


def _object(body: bytes) -> Mapping[str, Any]:
    """The object in a body; the real service refuses ``[]``, which an empty array of PHP becomes."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "invalid_request", "The body is not JSON.") from None
    if not isinstance(sent, dict):
        raise Refusal(400, "invalid_request", "The body must be an object.")
    return sent


def _index(table: Table, row_id: object) -> int:
    try:
        return table.index(row_id)
    except UnknownRowError:
        raise Refusal(404, "not_found", "There is no such id.") from None


def _array(rows: Iterator[Row], wrapper: str) -> Iterator[str]:
    yield f"{{{json.dumps(wrapper)}:[" if wrapper else "["
    separator = ""
    for row in rows:
        yield separator + json.dumps(row, ensure_ascii=False)
        separator = ","
    yield "]}" if wrapper else "]"
