"""Severa's operations over the simulated organisation: what the transport calls, and what tests steer.

What must stay true: a list looks the same to the operation that answers it and to :meth:`Operations.counts`,
which are the figures that a run is held against.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from visma_sandbox.severa import reads, reads_hours, reads_invoices, reads_work, writes, writes_invoices
from visma_sandbox.severa.access import ApiUser
from visma_sandbox.severa.calls import Call
from visma_sandbox.severa.changes import Entity, Table, UnknownEntityError
from visma_sandbox.severa.contract import TypeName, entity
from visma_sandbox.severa.entities import World
from visma_sandbox.severa.faults import SeveraFault
from visma_sandbox.severa.view import Answer, Read, View

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

SETTINGS: Final[Mapping[str, Any]] = {
    # How many hour entries there are before anybody writes one; 0 is twenty for every person.
    "severa_hour_entries": 0,
    # Characters of each hour entry's description; 0 leaves them as they are, some of them null.
    "severa_description_length": 0,
    # The day (YYYY-MM-DD) that the last months count from; empty is the day on which the sandbox started.
    "severa_today": "",
    # By what GetInvoicesByDate goes: "changes" (inserted or changed in the frame) or "invoice_date".
    "severa_invoice_dates": "changes",
    # A moment (ISO 8601, UTC): counts tell how much changed since then; empty leaves that out.
    "severa_counts_since": "",
}
_READS: Final[Mapping[tuple[str, str], Read]] = {
    **reads.READS,
    **reads_work.READS,
    **reads_hours.READS,
    **reads_invoices.READS,
}
_WRITES: Final[Mapping[tuple[str, str], Read]] = {**writes.WRITES, **writes_invoices.WRITES}
_ADMINISTRATOR: Final = ApiUser(name="administrator", key="")


class Operations:
    """Every operation that the sandbox simulates, and the state behind them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        started = datetime.fromtimestamp(sandbox.clock(), UTC).date()
        self.world = World(sandbox.organisation, sandbox.settings, started=started)

    def served(self) -> frozenset[tuple[str, str]]:
        """The operations that :meth:`answer` knows, as (contract, operation)."""
        return frozenset({**_READS, **_WRITES})

    def answer(self, call: Call) -> Answer:
        """Answer a call.

        :raises NotFound: nothing has the id asked for.
        :raises SeveraFault: a ValidationException, or a NoPermissionException for a write.
        """
        key = (call.contract, call.operation)
        view = View(self.world, call)
        if key in _READS:
            return _READS[key](view, call.arguments)
        if not view.may_write:
            raise SeveraFault("NoPermissionException", f"{call.operation}: the user may not do this")
        return _WRITES[key](view, call.arguments)

    def counts(self) -> dict[str, int]:
        """What the administrator should get, in rows.

        :return: ``users`` and ``active_users``; ``cases`` and ``cases_of_active_accounts`` (without the
            option to include inactive ones); ``customers``; ``hour_entries``; ``invoices`` and
            ``invoices_this_month`` (GetInvoicesByDate from its first to its last minute). With the switch
            ``severa_counts_since`` also ``…_changed`` of users, cases and hour entries, inactive ones too.
        """
        world, view = self.world, self._view()
        today = world.midnight
        last = monthrange(today.year, today.month)[1]
        month = (today.replace(day=1), today.replace(day=last, hour=23, minute=59))
        counts = {
            "users": world.users.count(),
            "active_users": _length(world.users.rows(None, lambda _, row: row["IsActive"])),
            "cases": world.cases.count(),
            "cases_of_active_accounts": _length(self._ask("ICase", "GetCasesChangedSince", datetime.min, 0)),
            "customers": world.accounts.count(),
            "hour_entries": world.hour_entries.count(),
            "invoices": world.invoices.count(),
            "invoices_this_month": _length(reads_invoices.invoices_between(view, *month)),
        }
        if since := self._sandbox.settings["severa_counts_since"]:
            start = _moment(since)
            counts |= {
                "users_changed": _length(self._ask("IUser", "GetUsersChangedSince", start, 2)),
                "cases_changed": _length(self._ask("ICase", "GetCasesChangedSince", start, 2)),
                "hour_entries_changed": _length(self._ask("IHourEntry", "GetHourEntriesChangedSince", start)),
            }
        return counts

    def reset(self) -> None:
        """Forget everything that was written or changed."""
        for table in self.world.tables.values():
            table.reset()

    def change(
        self,
        *,
        kind: str,
        guid: str | None = None,
        changes: Mapping[str, Any] | None = None,
        at: str | None = None,
        delete: bool = False,
    ) -> dict[str, Any]:
        """What somebody does in Severa itself: change a row, delete it, or add one when `guid` is None.

        :param kind: ``hour_entry``, ``case``, ``invoice``, ``user`` and so on.
        :param changes: members and their new values, as JSON has them.
        :param at: ISO 8601, UTC; by the sandbox's clock by default.
        :return: ``guid`` and ``changed_at``.
        :raises UnknownEntityError: no such kind, row or member.
        """
        table = self.world.tables.get(kind)
        if table is None:
            raise UnknownEntityError(f"no kind {kind}; there are {', '.join(self.world.tables)}")
        if delete and guid is None:
            raise UnknownEntityError("to delete a row its GUID is needed")
        moment = self._now() if at is None else _moment(at)
        return table.change(guid, _typed(table, changes or {}), at=moment, delete=delete)

    def routes(self) -> list[web.RouteDef]:
        """What the control endpoint offers for Severa's data."""
        return [web.post("/_control/severa/change", self._change)]

    async def _change(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(self.change(**await request.json()))
        except (TypeError, ValueError, ArithmeticError) as wrong:
            raise web.HTTPBadRequest(text=f"{type(wrong).__name__}: {wrong}") from wrong

    def _ask(self, contract: str, operation: str, start: datetime, options: int = 0) -> Any:
        arguments = {"startDateTime": start, "startDate": start, "options": options, "businessUnitGUID": ""}
        return _READS[contract, operation](self._view(), arguments)

    def _view(self) -> View:
        return View(self.world, Call("", "", {}, _ADMINISTRATOR, self._now()))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._sandbox.clock(), UTC).replace(tzinfo=None)


def _length(rows: Any) -> int:
    return sum(1 for _ in rows)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _typed(table: Table, changes: Mapping[str, Any]) -> Entity:
    """Values of JSON as the contract types them."""
    members = entity(table.name).members
    unknown = changes.keys() - members.keys()
    if unknown:
        raise UnknownEntityError(f"{table.name} has no {', '.join(sorted(unknown))}")
    return {name: _value(members[name], value) for name, value in changes.items()}


def _value(kind: TypeName, value: Any) -> Any:
    if value is None or kind.is_list:
        return value
    if kind.name == "dateTime":
        return _moment(value)
    return Decimal(str(value)) if kind.name == "decimal" else value
