"""Severa's read operations: what their options and bounds leave out."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sandbox.tests.severa_reads.asking import CASE, INVOICE, NOBODY, ask, guid


@pytest.mark.parametrize(
    ("options", "share"),
    [
        (2, 1.0),
        (2 | 16, 0.04),
        (2 | 32, 0.9),
        (2 | 64, 0.1),
        (2 | 32 | 64, 0.0),
        (0, 0.9),
        (4 | 2, 0.9),
    ],
)
def test_the_options_of_changed_cases_leave_out_what_they_say(severa, options: int, share: float) -> None:
    found = ask(severa, "ICase.GetCasesChangedSince", options=options) or []

    assert len(found) == pytest.approx(50 * share)


def test_a_change_made_in_severa_itself_shows_in_the_row(severa) -> None:
    severa.sandbox.change_severa("case", CASE, changes={"Name": "anders"}, at="2026-11-21T12:00:00")
    added = severa.sandbox.change_severa("hour_entry", changes={"Quantity": "1.5"})["guid"]

    case = ask(severa, "ICase.GetCaseByGUID")
    entry = ask(severa, "IHourEntry.GetHourEntryByGUID", hourEntryGUID=added)
    assert (case["Name"], case["UpdatedTs"]) == ("anders", datetime(2026, 11, 21, 12))
    assert (str(entry["Quantity"]), entry["InvoiceGUID"], entry["IsReadOnly"]) == ("1.5", None, False)


def test_a_guid_is_never_changed(severa) -> None:
    severa.sandbox.change_severa("case", CASE, changes={"GUID": NOBODY, "Name": "anders"})

    assert (ask(severa, "ICase.GetCaseByGUID")["GUID"], ask(severa, "ICase.GetCaseByGUID")["Name"]) == (
        CASE,
        "anders",
    )


@pytest.mark.parametrize("days", [1, 3, 20, 60, 130])
def test_every_invoice_changed_in_a_frame_is_in_it(severa, days: int) -> None:
    found = []
    frames = min(220 // days + 1, 30)
    end = datetime(2026, 12, 1)
    for step in range(frames):
        start = end - timedelta(days=days * (step + 1))
        frame = {"startDate": start, "endDate": start + timedelta(days=days, minutes=-1)}
        found += [row["GUID"] for row in ask(severa, "IInvoice.GetInvoicesByDate", **frame) or ()]

    together = {"startDate": start} if days * frames < 220 else {}
    assert found
    assert sorted(found) == sorted(
        row["GUID"] for row in ask(severa, "IInvoice.GetInvoicesByDate", **together)
    )


def test_new_only_leaves_out_what_was_only_changed(severa) -> None:
    severa.sandbox.change_severa("case", CASE, changes={"Name": "anders"}, at="2026-11-21T12:00:00")
    added = severa.sandbox.change_severa("case", at="2026-11-21T12:00:00")["guid"]
    start = {"startDateTime": datetime(2026, 11, 21)}

    both = ask(severa, "ICase.GetCasesChangedSince", options=2, **start)
    new = ask(severa, "ICase.GetCasesChangedSince", options=3, **start)

    assert ([row["GUID"] for row in both], [row["GUID"] for row in new]) == ([CASE, added], [added])


@pytest.mark.parametrize(("options", "found"), [(2, 0), (2 | 64, 0), (2 | 128, 1), (2 | 224, 1)])
def test_an_account_counts_as_changed_through_its_contacts_only_when_asked(
    severa, options: int, found: int
) -> None:
    severa.sandbox.change_severa("contact", guid(6), changes={"JobTitle": "CEO"}, at="2026-11-21T12:00:00")

    changed = ask(
        severa, "IAccount.GetAccountsChangedSince", startDateTime=datetime(2026, 11, 21), options=options
    )

    assert len(changed or ()) == found


@pytest.mark.parametrize(
    ("by", "frame", "options", "found"),
    [
        ("changes", ("2026-11-21T10:00", "2026-11-21T10:00"), 0, True),
        ("changes", ("2026-11-21T10:01", "2026-11-21T10:05"), 0, False),
        ("changes", ("2026-11-21T10:00", "2026-11-21T10:00"), 1, False),
        ("invoice_date", ("2026-11-21T10:00", "2026-11-21T10:00"), 0, False),
        ("invoice_date", ("2026-06-01T00:00", "2026-06-01T00:00"), 0, True),
    ],
)
def test_invoices_by_date_go_by_when_they_changed(
    severa, by: str, frame: tuple[str, str], options: int, found: bool
) -> None:
    severa.sandbox.settings(severa_invoice_dates=by)
    severa.sandbox.change_severa(
        "invoice", INVOICE, changes={"Notes": "x", "Date": "2026-06-01T00:00:00"}, at="2026-11-21T10:00:59"
    )
    start, end = map(datetime.fromisoformat, frame)

    rows = ask(severa, "IInvoice.GetInvoicesByDate", startDate=start, endDate=end, options=options)

    assert (INVOICE in [row["GUID"] for row in rows or ()]) == found


@pytest.mark.parametrize(
    ("unit", "options", "all_of_them"), [("", 0, True), (guid(0), 0, True), (guid(0), 16, False)]
)
def test_invoices_of_a_unit_are_those_of_the_units_below_it_too_unless_told(
    severa, unit: str, options: int, all_of_them: bool
) -> None:
    rows = ask(severa, "IInvoice.GetInvoicesByDate", businessUnitGUID=unit, options=options)

    assert bool(rows) == all_of_them
    assert len(rows or ()) in (0, severa.sandbox.counts()["severa"]["invoices"])


def test_invoices_by_status_come_at_most_as_many_as_asked(severa) -> None:
    some = ask(severa, "IInvoice.GetInvoicesByStatus", maxInvoices=3)
    rest = ask(severa, "IInvoice.GetInvoicesByStatus", maxInvoices=None)

    assert (len(some), {row["InvoiceStatus"] for row in rest}) == (3, {"Paid"})
    assert len(rest) > 3
