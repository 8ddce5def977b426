"""The read operations about what is worked on: cases, phases, items, activities.

What must stay true: a list of what belongs to a case looks only at the computed rows that can be meant, so
that a narrow question to a large organisation stays cheap.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from visma_sandbox.severa.changes import GUID_FORM, Entity, Keep
from visma_sandbox.severa.faults import SeveraFault
from visma_sandbox.severa.reads import account_filter
from visma_sandbox.severa.view import (
    Answer,
    Read,
    View,
    between,
    both,
    by_guid,
    by_member,
    having,
    mandatory,
)

_INTERNAL_ONLY, _EXCLUDE_CLOSED, _EXCLUDE_OPEN = 16, 32, 64


def _all_cases(view: View, arguments: Mapping[str, Any]) -> Answer:
    cases = view.world.cases
    return view.rows(cases, None, view.in_units(cases, arguments["businessUnitGUID"]))


def _cases_of_account(view: View, arguments: Mapping[str, Any]) -> Answer:
    world, guid = view.world, view.get(view.world.accounts, arguments["accountGuid"], "empty")["GUID"]
    index = world.accounts.index_of(guid)
    candidates = world.cases.of_account(index) if index is not None else ()
    in_units = view.in_units(world.cases, arguments["businessUnitGUID"])
    return view.rows(world.cases, candidates, both(in_units, having("AccountGUID", guid)))


def _case_filter(view: View, options: int) -> Keep:
    """The options of GetCasesChangedSince; 2, 4 and 8 are taken to be about the case's account."""
    accounts = view.world.accounts
    account_keep = account_filter(view, options)

    def keep(_: int, row: Entity) -> bool:
        if options & _INTERNAL_ONLY and not row.get("IsInternal"):
            return False
        if options & (_EXCLUDE_CLOSED if row.get("IsClosed") else _EXCLUDE_OPEN):
            return False
        account = accounts.index_of(row.get("AccountGUID"))
        return account is None or account_keep(account, accounts.row(account))

    return keep


def _cases_changed(view: View, arguments: Mapping[str, Any]) -> Answer:
    cases, options = view.world.cases, arguments["options"] or 0
    keep = both(view.in_units(cases, arguments["businessUnitGUID"]), _case_filter(view, options))
    return view.changed(cases, arguments["startDateTime"], options=options, keep=keep)


def _case_of_task(view: View, arguments: Mapping[str, Any]) -> Answer:
    phase = view.get(view.world.phases, arguments["taskGuid"], "null")
    return view.get(view.world.cases, phase["CaseGUID"], "null")


def _case_members(view: View, arguments: Mapping[str, Any]) -> Answer:
    case = view.get(view.world.cases, arguments["caseGuid"])
    owner = view.find(view.world.users, case.get("CaseOwnerUserGUID"))
    return iter(() if owner is None else (owner,))


def _forecast(view: View, arguments: Mapping[str, Any]) -> Answer:
    case = view.get(view.world.cases, arguments["caseGuid"], "empty")
    index, month = view.world.cases.index_of(case["GUID"]) or 0, view.world.midnight.replace(day=1)
    return (
        {
            "BillingForecast": Decimal(index * 125 + 1000 * ahead) / 4,
            "GUID": f"{GUID_FORM.format(number=0x26)}{index * 3 + ahead + 1:012x}",
            "Month": (month.month - 1 + ahead) % 12 + 1,
            "Notes": "Raming «fase 2»" if ahead else None,
            "Year": month.year + (month.month - 1 + ahead) // 12,
        }
        for ahead in range(3)
    )


def of_case(table_name: str, parameter: str) -> Read:
    """An operation that answers what belongs to a case; an unknown case has nothing."""

    def read(view: View, arguments: Mapping[str, Any]) -> Answer:
        guid = view.get(view.world.cases, arguments[parameter], "empty")["GUID"]
        table = getattr(view.world, table_name)
        index = view.world.cases.index_of(guid)
        candidates = table.of_case(index) if index is not None else ()
        return view.rows(table, candidates, having("CaseGUID", guid))

    return read


def _phases_by_code(view: View, arguments: Mapping[str, Any]) -> Answer:
    code, case = arguments["phaseCode"], arguments["caseGUID"]
    filters = both(having("Code", code), having("CaseGUID", case) if case else None)
    return view.rows(view.world.phases, None, filters)


def _phases_changed(view: View, arguments: Mapping[str, Any]) -> Answer:
    phases = view.world.phases
    keep = view.in_units(phases, arguments["businessUnitGUID"])
    return view.changed(phases, arguments["startDateTime"], options=arguments["options"], keep=keep)


def _phase_members(view: View, arguments: Mapping[str, Any]) -> Answer:
    phase = view.get(view.world.phases, arguments["phaseGUID"])
    owner = phase.get("OwnerUserGUID")
    return [] if owner is None else [owner]


def _phase_tree(view: View, arguments: Mapping[str, Any]) -> Answer:
    """The phases of the cases that the user works on, each root with its own below it."""
    world = view.world
    user = world.users.index_of(view.get(world.users, arguments["userGUID"], "empty")["GUID"])
    numbers = {((user or 0) * 7 + place) % len(world.cases) for place in range(4)} if len(world.cases) else ()
    return (
        _tree(world.cases.row(case), list(map(world.phases.row, world.phases.of_case(case))))
        for case in sorted(numbers)
    )


def _tree(case: Entity, phases: list[Entity]) -> Entity:
    nodes = [
        {
            "AccountGUID": case["AccountGUID"],
            "AccountName": case["AccountName"],
            "CaseGUID": case["GUID"],
            "ChildPhases": [],
            **{name: phase[name] for name in ("GUID", "IsLocked", "Name", "ParentPhaseGUID", "WorkTypeGUID")},
        }
        for phase in phases
    ]
    return {**nodes[0], "ChildPhases": nodes[1:]}


def _items_changed(view: View, arguments: Mapping[str, Any]) -> Answer:
    return view.changed(view.world.items, arguments["startDate"])


def _items_inserted(view: View, arguments: Mapping[str, Any]) -> Answer:
    items, start = view.world.items, mandatory("insertStartDate", arguments["insertStartDate"])
    end = arguments["insertEndDate"] or view.now
    return view.rows(items, None, lambda index, _: start <= items.inserted_at(index) <= end)


def _travel_expenses_by_date(view: View, arguments: Mapping[str, Any]) -> Answer:
    items = view.world.items
    days = between("EventDate", arguments["startDate"], arguments["endDate"])
    unit = view.in_units(items, arguments["businessUnitGUID"])
    return view.rows(items, None, both(having("ProductType", "TravelExpense"), days, unit))


def _activities(view: View, arguments: Mapping[str, Any]) -> Answer:
    """A page of activities; `firstRow` counts from 0, and without `maxRows` there is no end."""
    first, most = arguments["firstRow"] or 0, arguments["maxRows"]
    if first < 0 or (most is not None and most < 0):
        raise SeveraFault("ValidationException", "firstRow and maxRows must be 0 or more")
    filters = [
        having(member, arguments[parameter].lower())
        for parameter, member in (
            ("userGUID", "OwnerUserGUID"),
            ("activityTypeGUID", "ActivityTypeGUID"),
            ("accountGUID", "AccountGUID"),
        )
        if arguments[parameter]
    ]
    starts = between("StartDateTime", arguments["startsAfter"], arguments["startsBefore"])
    ends = between("EndDateTime", arguments["endsAfter"], arguments["endsBefore"])
    case = view.find(view.world.cases, arguments["caseGUID"]) if arguments["caseGUID"] else None
    if arguments["caseGUID"]:
        filters.append(having("TaskGUID", None if case is None else case.get("RootTaskGUID")))
    rows = view.rows(view.world.activities, None, both(starts, ends, *filters))
    return islice(rows, first, None if most is None else first + most)


def _tags_of_case(view: View, arguments: Mapping[str, Any]) -> Answer:
    case = view.get(view.world.cases, arguments["caseGUID"], "empty")
    index = view.world.cases.index_of(case["GUID"]) or 0
    return view.rows(view.world.tags, (index % 3,), lambda place, row: row["Context"] == "Case" and place < 5)


READS: Final[Mapping[tuple[str, str], Read]] = {
    ("ICase", "GetAllCases"): _all_cases,
    ("ICase", "GetCaseByGUID"): by_guid("cases", "caseGuid"),
    ("ICase", "GetCaseByNumber"): by_member("cases", "caseNumber", "CaseNumber", "null"),
    ("ICase", "GetCasesByAccountGUID"): _cases_of_account,
    ("ICase", "GetCaseByTaskGUID"): _case_of_task,
    ("ICase", "GetCasesChangedSince"): _cases_changed,
    ("ICase", "GetCaseMemberUsersByCaseGUID"): _case_members,
    ("ICase", "GetBillingAndExpenseForecastByCaseGUID"): _forecast,
    ("IPhase", "GetPhaseByGUID"): by_guid("phases", "phaseGUID"),
    ("IPhase", "GetPhasesByCaseGUID"): of_case("phases", "caseGUID"),
    ("IPhase", "GetPhasesByCode"): _phases_by_code,
    ("IPhase", "GetPhasesChangedSince"): _phases_changed,
    ("IPhase", "GetHourEntryPhasesByUserGUID"): _phase_tree,
    ("IPhaseMember", "GetPhaseMembersByPhaseGUID"): _phase_members,
    ("IItem", "GetItemByGUID"): by_guid("items", "itemGUID"),
    ("IItem", "GetItemByPurchaseOrderNumber"): by_member("items", "poNumber", "PurchaseOrderNumber", "null"),
    ("IItem", "GetItemsByCaseGUID"): of_case("items", "caseGUID"),
    ("IItem", "GetItemsByInsertDate"): _items_inserted,
    ("IItem", "GetItemsChangedSince"): _items_changed,
    ("IItem", "GetTravelExpensesByDate"): _travel_expenses_by_date,
    ("IActivity", "GetActivityByGUID"): by_guid("activities", "activityGUID"),
    ("IActivity", "GetActivityInstances"): _activities,
    ("ITag", "GetTagsByCaseGUID"): _tags_of_case,
    ("ISalesStatus", "GetSalesStatusesForCase"): of_case("sales_statuses", "caseGuid"),
    ("ISalesStatus", "GetSalesStatusByGUID"): by_guid("sales_statuses", "salesStatusGUID"),
}
