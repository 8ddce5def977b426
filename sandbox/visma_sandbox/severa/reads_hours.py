"""The read operations about hours, and the work types and clocked times that go with them.

What must stay true: a list by date, and what changed since, look only at the computed entries that can be
meant: a day of a hundred thousand entries costs what a day costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from visma_sandbox.severa.changes import GUID_FORM, Entity, Keep
from visma_sandbox.severa.faults import SeveraFault
from visma_sandbox.severa.view import Answer, Read, View, between, both, by_guid, having, mandatory

MAX_DAYS: Final = 366
_TIME_ENTRY: Final = GUID_FORM.format(number=0x31)
_TIME_MEMBERS: Final = (
    "Description",
    "EndTime",
    "EventDate",
    "PhaseGUID",
    "Quantity",
    "StartTime",
    "UserGUID",
)


def _hours_between(
    view: View, arguments: Mapping[str, Any], *filters: Keep | None, start: str, end: str
) -> Iterator[Entity]:
    hours = view.world.hour_entries
    first, last = arguments[start], arguments[end]
    day = between("EventDate", first, last)
    unit = view.in_units(hours, arguments.get("businessUnitGUID"))
    return view.rows(hours, hours.between(first, last), both(day, unit, *filters))


def _hours_by_date(view: View, arguments: Mapping[str, Any]) -> Answer:
    return _hours_between(view, arguments, start="startdate", end="enddate")


def _hours_of_user(view: View, arguments: Mapping[str, Any]) -> Answer:
    guid = mandatory("userGUID", arguments["userGUID"]).lower()
    return _hours_between(view, arguments, having("UserGUID", guid), start="startdate", end="enddate")


def _hours_of_case(view: View, arguments: Mapping[str, Any]) -> Answer:
    guid = view.get(view.world.cases, arguments["caseGuid"], "empty")["GUID"]
    return _hours_between(view, arguments, having("CaseGUID", guid), start="startDate", end="endDate")


def _invoiced_hours_of_case(view: View, arguments: Mapping[str, Any]) -> Answer:
    guid = view.get(view.world.cases, arguments["caseGuid"], "empty")["GUID"]
    hours = view.world.hour_entries
    return view.rows(
        hours, None, lambda _, row: row.get("CaseGUID") == guid and row.get("InvoiceGUID") is not None
    )


def _hours_changed(view: View, arguments: Mapping[str, Any]) -> Answer:
    hours, start = view.world.hour_entries, mandatory("startDate", arguments["startDate"])
    return view.changed(hours, start, candidates=hours.maybe_changed_since(start))


def _reimbursed(view: View, rows: Iterable[Entity], in_credit_note: bool | None) -> Iterator[Entity]:
    """The hours on credited invoices; on their credit notes they are seen once more."""
    invoices = view.world.invoices
    for row in rows:
        index = invoices.index_of(row.get("InvoiceGUID"))
        if index is not None and index < len(invoices) and invoices.is_reimbursed(index):
            if not in_credit_note:
                yield row
            if in_credit_note is not False and index + 1 < len(invoices):
                yield {**row, "InvoiceGUID": invoices.guid(index + 1)}


def _reimbursed_by_date(view: View, arguments: Mapping[str, Any]) -> Answer:
    rows = _hours_between(view, arguments, start="startdate", end="enddate")
    return _reimbursed(view, rows, arguments["inCreditNote"])


def _reimbursed_changed(view: View, arguments: Mapping[str, Any]) -> Answer:
    hours, start = view.world.hour_entries, mandatory("startDate", arguments["startDate"])
    rows = view.changed(hours, start, candidates=hours.maybe_changed_since(start))
    return _reimbursed(view, rows, arguments["inCreditNote"])


def _reimbursed_hour(view: View, arguments: Mapping[str, Any]) -> Answer:
    row = view.get(view.world.hour_entries, arguments["hourEntryGUID"])
    return view.first(_reimbursed(view, (row,), None), "null")


def _work_days(view: View, arguments: Mapping[str, Any]) -> Answer:
    start, end = (mandatory(name, arguments[name]) for name in ("startdate", "enddate"))
    if end - start > timedelta(days=MAX_DAYS):
        raise SeveraFault("ValidationException", f"a range of more than {MAX_DAYS} days")
    user = view.get(view.world.users, arguments["userGUID"])
    if not user.get("IsActive") and not arguments["includeInfoForInactiveUser"]:
        return iter(())
    return (
        _work_day(view, user["GUID"], start + timedelta(days=place))
        for place in range((end - start).days + 1)
    )


def _work_day(view: View, user: str, day: datetime) -> Entity:
    hours = view.world.hour_entries
    wanted = both(between("EventDate", day, day), having("UserGUID", user))
    entries = list(view.rows(hours, hours.between(day, day), wanted))
    return {
        "Activities": [],
        "Date": day,
        "Entries": entries,
        "ExpectedHours": Decimal("7.5") if day.weekday() < 5 else Decimal(0),
        "OvertimeAllowed": True,
        "ReadOnly": False,
        "Ready": bool(entries),
        "TotalHours": sum((entry["Quantity"] for entry in entries), Decimal(0)),
    }


def _time_entries(view: View, rows: Iterable[Entity]) -> Iterator[Entity]:
    """The hour entries with a start and an end, once more as they were clocked."""
    for row in rows:
        if row.get("StartTime") is not None:
            yield {**{name: row.get(name) for name in _TIME_MEMBERS}, "GUID": _TIME_ENTRY + row["GUID"][24:]}


def _time_entries_by_date(view: View, arguments: Mapping[str, Any]) -> Answer:
    day, hours = mandatory("eventDate", arguments["eventDate"]), view.world.hour_entries
    user = arguments.get("userGUID")
    keep = both(between("EventDate", day, day), having("UserGUID", user.lower()) if user else None)
    return _time_entries(view, view.rows(hours, hours.between(day, day), keep))


def _time_entries_changed(view: View, arguments: Mapping[str, Any]) -> Answer:
    hours, start = view.world.hour_entries, mandatory("startDateTime", arguments["startDateTime"])
    return _time_entries(view, view.changed(hours, start, candidates=hours.maybe_changed_since(start)))


def _work_type_of_hour(view: View, arguments: Mapping[str, Any]) -> Answer:
    entry = view.get(view.world.hour_entries, arguments["hourGUID"])
    return view.get(view.world.work_types, entry.get("WorkTypeGUID"), "null")


def _work_types_of_phase(view: View, arguments: Mapping[str, Any]) -> Answer:
    view.get(view.world.phases, arguments["phaseGUID"], "empty")
    return view.rows(view.world.work_types, None, lambda _, row: row["IsActive"])


READS: Final[Mapping[tuple[str, str], Read]] = {
    ("IHourEntry", "GetWorkDayInfoByDateRangeAndUserGUID"): _work_days,
    ("IHourEntry", "GetInvoicedHourEntriesByCaseGUID"): _invoiced_hours_of_case,
    ("IHourEntry", "GetHourEntryByGUID"): by_guid("hour_entries", "hourEntryGUID"),
    ("IHourEntry", "GetReimbursedHourEntryByGUID"): _reimbursed_hour,
    ("IHourEntry", "GetHourEntriesByDate"): _hours_by_date,
    ("IHourEntry", "GetReimbursedHourEntriesByDate"): _reimbursed_by_date,
    ("IHourEntry", "GetHourEntriesByDateAndUserGUID"): _hours_of_user,
    ("IHourEntry", "GetHourEntriesByDateAndUser"): _hours_of_user,
    ("IHourEntry", "GetHourEntriesByCaseGUID"): _hours_of_case,
    ("IHourEntry", "GetHourEntriesChangedSince"): _hours_changed,
    ("IHourEntry", "GetReimbursedHourEntriesChangedSince"): _reimbursed_changed,
    ("ITimeEntry", "GetTimeEntriesByDate"): _time_entries_by_date,
    ("ITimeEntry", "GetTimeEntriesByDateAndUserGUID"): _time_entries_by_date,
    ("ITimeEntry", "GetTimeEntriesChangedSince"): _time_entries_changed,
    ("IWorkType", "GetWorkTypeByHourGUID"): _work_type_of_hour,
    ("IWorkType", "GetWorkTypesByPhaseGUID"): _work_types_of_phase,
}
