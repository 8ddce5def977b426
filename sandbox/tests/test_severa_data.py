"""Severa's entities: the same for the same seed, any number of them, and fitting together."""

from __future__ import annotations

import tracemalloc
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from visma_sandbox.organisation import Organisation
from visma_sandbox.severa.contract import entity
from visma_sandbox.severa.entities import World
from visma_sandbox.severa.operations import SETTINGS

TODAY = date(2026, 11, 22)
MIDNIGHT = datetime(2026, 11, 22)
KINDS = tuple(World(Organisation(0), SETTINGS, started=TODAY).tables)


def world(employees: int = 100, seed: int = 1, **settings: Any) -> World:
    return World(Organisation(employees, seed), {**SETTINGS, **settings}, started=TODAY)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_rows(kind: str) -> None:
    assert list(world().tables[kind].rows()) == list(world().tables[kind].rows())


@pytest.mark.parametrize("kind", ["user", "account", "case", "hour_entry", "invoice", "activity"])
def test_another_seed_gives_other_rows(kind: str) -> None:
    assert list(world().tables[kind].rows()) != list(world(seed=2).tables[kind].rows())


@pytest.mark.parametrize("employees", [0, 1, 3, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_a_guid_of_its_own_and_only_members_of_the_contract(kind: str, employees: int) -> None:
    table = world(employees).tables[kind]
    rows = list(table.rows())

    assert len(rows) == len(table) == table.count()
    assert [table.index_of(row["GUID"]) for row in rows] == list(range(len(rows)))
    assert [table.index_of(row["GUID"].upper()) for row in rows] == list(range(len(rows)))
    members = entity(table.name).members.keys() | ({"GUID"} if kind == "invoice_status" else set())
    assert all(row.keys() <= members for row in rows)


def test_no_two_kinds_share_a_guid() -> None:
    guids = [row["GUID"] for table in world().tables.values() for row in table.rows()]

    assert len(guids) == len(set(guids))


def test_an_hour_entry_has_every_member_so_that_writing_it_is_fast() -> None:
    assert world().hour_entries.base(7).keys() == entity("HourEntry").members.keys()


@pytest.mark.parametrize("today", ["2026-11-22", "2026-03-01", "2028-02-29", "2026-01-01"])
@pytest.mark.parametrize("kind", KINDS)
def test_everything_computed_was_last_changed_before_the_day_of_the_start(kind: str, today: str) -> None:
    here = world(severa_today=today)
    table = here.tables[kind]
    moments = [table.moments(index) for index in range(len(table))]

    assert all(inserted <= changed <= here.midnight for inserted, changed in moments)


@pytest.mark.parametrize("today", ["2026-11-22", "2026-03-01", "2026-01-01"])
def test_there_are_invoices_of_this_month_and_of_the_five_before(today: str) -> None:
    here = world(severa_today=today)
    months = {(row["Date"].year, row["Date"].month) for row in here.invoices.rows()}

    assert len(months) == 6
    assert max(months) == (here.midnight.year, here.midnight.month)
    assert max(row["Date"] for row in here.invoices.rows()) <= here.midnight


@pytest.mark.parametrize("employees", [1, 7, 100])
@pytest.mark.parametrize("hour_entries", [0, 5, 1_000, 9_999])
def test_an_invoice_and_its_hours_name_each_other(employees: int, hour_entries: int) -> None:
    here = world(employees, severa_hour_entries=hour_entries)
    by_row: dict[str, list[str]] = {}
    for entry in here.hour_entries.rows():
        assert (entry["InvoiceGUID"] is None) == (entry["InvoiceRowGUID"] is None)
        if entry["InvoiceRowGUID"]:
            by_row.setdefault(entry["InvoiceRowGUID"], []).append(entry["GUID"])
    rows = [row for invoice in here.invoices.rows() for row in invoice["InvoiceRows"]]

    assert {row["GUID"]: row["HourGUIDs"] for row in rows if row["HourGUIDs"]} == by_row
    assert len({row["GUID"] for row in rows}) == len(rows)


@pytest.mark.parametrize("today", ["2026-11-22", "2026-03-01", "2028-02-29"])
@pytest.mark.parametrize("frame", [(0, 0), (0, 40), (20, 25), (100, 400), (-9, -5), (30, 20)])
def test_the_invoices_between_two_days_are_found_without_looking_at_others(
    today: str, frame: tuple[int, int]
) -> None:
    here = world(severa_today=today)
    start, end = here.midnight - timedelta(days=frame[1]), here.midnight - timedelta(days=frame[0])
    wanted = [index for index, row in enumerate(here.invoices.rows()) if start <= row["Date"] <= end]

    assert list(here.invoices.between(start, end)) == wanted


def test_an_invoice_is_the_sum_of_its_rows() -> None:
    for invoice in world().invoices.rows():
        rows, totals = invoice["InvoiceRows"], invoice["InvoiceDetails"]
        assert sum(row["rowVatExcludedAmount"] for row in rows) == totals["invoiceTotalVatExcludedAmount"]
        assert sum(row["rowAmount"] for row in rows) == totals["invoiceTotalVatIncludedAmount"]
        assert (totals["invoiceTotalVatIncludedAmount"] < 0) == invoice["IsCreditNote"]


def test_what_belongs_to_an_entity_exists() -> None:
    here = world()
    tables = {
        "AccountGUID": here.accounts,
        "CaseGUID": here.cases,
        "PhaseGUID": here.phases,
        "UserGUID": here.users,
        "WorkTypeGUID": here.work_types,
        "InvoiceGUID": here.invoices,
        "BusinessUnitGUID": here.business_units,
        "RootTaskGUID": here.phases,
        "CaseOwnerUserGUID": here.users,
        "CompanyGUID": here.companies,
        "HeadOfficeAddressGUID": here.addresses,
    }
    for table in (here.hour_entries, here.cases, here.phases, here.accounts, here.companies, here.users):
        for row in table.rows():
            for member in tables.keys() & row.keys():
                assert row[member] is None or tables[member].find(row[member]), (table.name, member)
    for entry in here.hour_entries.rows():
        assert here.phases.find(entry["PhaseGUID"])["CaseGUID"] == entry["CaseGUID"]
        assert here.cases.find(entry["CaseGUID"])["AccountGUID"] == entry["AccountGUID"]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (None, None),
        (None, datetime(2026, 9, 15)),
        (datetime(2026, 9, 15), None),
        (datetime(2026, 9, 15), datetime(2026, 9, 15)),
        (datetime(2026, 9, 12), datetime(2026, 9, 13)),
        (datetime(2026, 9, 15, 12), datetime(2026, 9, 18, 12)),
        (datetime(2000, 1, 1), datetime(2001, 1, 1)),
        (datetime(2030, 1, 1), None),
        (datetime(2026, 9, 15), datetime(2026, 9, 1)),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_the_entries_between_two_days_are_found_without_looking_at_others(
    size: int, start: datetime | None, end: datetime | None
) -> None:
    entries = world(severa_hour_entries=size).hour_entries
    wanted = [
        index
        for index in range(size)
        if (start is None or entries.base(index)["EventDate"] >= start)
        and (end is None or entries.base(index)["EventDate"] <= end)
    ]

    assert list(entries.between(start, end)) == wanted


@pytest.mark.parametrize("days_ago", [0, 1, 2, 3, 5, 8, 30, 400])
def test_whatever_changed_since_is_among_the_entries_looked_at(days_ago: int) -> None:
    entries = world().hour_entries
    start = MIDNIGHT - timedelta(days=days_ago)
    changed = {index for index in range(len(entries)) if entries.changed_at(index) >= start}

    assert changed <= set(entries.maybe_changed_since(start))


@pytest.mark.parametrize("start", [datetime.min, datetime(1998, 4, 30), datetime.max])
def test_a_start_beyond_all_days_is_no_error(start: datetime) -> None:
    entries = world().hour_entries

    assert len(entries.maybe_changed_since(start)) == (0 if start == datetime.max else len(entries))


def test_a_hundred_thousand_hour_entries_cost_no_memory() -> None:
    entries = world(severa_hour_entries=100_000).hour_entries
    tracemalloc.start()
    try:
        assert sum(1 for _ in entries.rows(range(95_000, 100_000))) == 5_000
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_descriptions_are_as_long_as_told() -> None:
    entries = world(severa_description_length=700).hour_entries

    assert {len(row["Description"]) for row in entries.rows()} == {700}


def test_the_rows_are_as_untidy_as_real_ones() -> None:
    rows = list(world().hour_entries.rows())
    texts = [row["Description"] for row in rows]

    assert None in texts
    assert any(text and "\n" in text for text in texts)
    assert any(text and not text.isascii() for text in texts)
    assert any(text and {"&", "<"} & set(text) for text in texts)
    assert any(row["Quantity"].as_tuple().exponent < -2 for row in rows)
    assert all(isinstance(row["UnitPrice"], Decimal) and row["UnitPrice"] > 0 for row in rows)
    assert {row["IsApproved"] for row in rows} == {None, False, True}
    assert all(row["EventDate"].weekday() < 5 for row in rows)


def test_users_are_the_people_and_follow_what_happens_to_them() -> None:
    organisation = Organisation(100)
    here = World(organisation, SETTINGS, started=TODAY)
    user = next(row for row in here.users.rows() if row["IsActive"])
    index = here.users.index_of(user["GUID"])
    person = organisation.person(index)
    assert (user["Email"], user["Code"]) == (person.email_work, str(person.employee_id))

    organisation.change_person(
        person.employee_id, changes={"leave": "2026-11-20"}, at=datetime.fromisoformat("2026-11-22T08:00Z")
    )
    hired = organisation.change_person(changes={"nickname": "Nieuw"})

    assert here.users.row(index)["IsActive"] is False
    assert here.users.changed_at(index) == datetime(2026, 11, 22, 8)
    assert [row["Code"] for row in here.users.rows()][-1] == str(hired)


def test_nobody_can_be_mistaken_for_a_real_person() -> None:
    here = world(500)
    for contact in here.contacts.rows():
        assert contact["LastName"].startswith("Contactpersoon-")
        assert contact["CommunicationMethods"][0]["Value"].endswith("@example.com")
    assert all(row["Email"].endswith("@example.com") for row in here.companies.rows())
