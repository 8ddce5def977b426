"""The read operations about invoices.

What must stay true: "by date" means the moment an invoice was inserted or changed, in UTC and to the minute,
as the reference of GetInvoicesByDate puts it (contract, section 4); the switch ``severa_invoice_dates`` makes
it the invoice's own date instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from visma_sandbox.severa.changes import GUID_FORM, Entity, Keep, Table, minute
from visma_sandbox.severa.faults import NotFound
from visma_sandbox.severa.invoices import PAID_AFTER
from visma_sandbox.severa.view import NEW_ONLY, Answer, Read, View, both, by_guid, having, mandatory

EXCLUDE_CHILD_UNITS: Final = 16
_EPOCH: Final = datetime(1970, 1, 1)
_FILE: Final = GUID_FORM.format(number=0x42)
_PDF: Final = (
    b"%%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n%% sandbox invoice %d\ntrailer<</Root 1 0 R>>\n%%%%EOF\n"
)


def _in_units(view: View, arguments: Mapping[str, Any]) -> Keep | None:
    children = not (arguments.get("options") or 0) & EXCLUDE_CHILD_UNITS
    return view.in_units(view.world.invoices, arguments["businessUnitGUID"], children=children)


def _with_status(status: str | None) -> Keep | None:
    return (lambda _, row: row["InvoiceStatus"] == status) if status else None


def _in_frame(
    view: View, start: datetime | None, end: datetime | None, options: int, *filters: Keep | None
) -> Iterator[Entity]:
    invoices = view.world.invoices
    first, last = (None if each is None else minute(each) for each in (start, end))
    by_day = view.world.settings["severa_invoice_dates"] == "invoice_date"

    def keep(index: int, row: Entity) -> bool:
        if by_day:
            moment = row["Date"]
        else:
            moment = invoices.inserted_at(index) if options & NEW_ONLY else invoices.changed_at(index)
        moment = minute(moment)
        return (first is None or first <= moment) and (last is None or moment <= last)

    # What changed in the frame is dated before its end, and not much longer ago than it takes to be paid.
    earliest = None if first is None else max(first, _EPOCH) - PAID_AFTER - timedelta(days=1)
    return view.rows(invoices, invoices.between(earliest, last), both(keep, *filters))


def invoices_between(view: View, start: datetime, end: datetime) -> Iterator[Entity]:
    """What GetInvoicesByDate answers for all business units."""
    return _in_frame(view, start, end, 0)


def _by_date(view: View, arguments: Mapping[str, Any]) -> Answer:
    start, end = (mandatory(name, arguments[name]) for name in ("startDate", "endDate"))
    return _in_frame(view, start, end, arguments["options"] or 0, _in_units(view, arguments))


def _by_date_and_status(view: View, arguments: Mapping[str, Any]) -> Answer:
    filters = (_in_units(view, arguments), _with_status(arguments["status"]))
    return _in_frame(view, arguments["startDate"], arguments["endDate"], arguments["options"] or 0, *filters)


def _by_status(view: View, arguments: Mapping[str, Any]) -> Answer:
    status = mandatory("status", arguments["status"])
    keep = both(_in_units(view, arguments), _with_status(status))
    return islice(view.rows(view.world.invoices, None, keep), arguments.get("maxInvoices"))


def _numbered(view: View, number: int | None, *filters: Keep | None) -> Iterator[Entity]:
    invoices = view.world.invoices
    known = None if number is None else having("Number", number)
    return view.rows(invoices, invoices.with_number(number), both(known, *filters)) if known else iter(())


def _by_number(view: View, arguments: Mapping[str, Any]) -> Answer:
    return view.first(_numbered(view, arguments["invoiceNumber"], _in_units(view, arguments)), "null")


def _pdf(row: Entity) -> bytes:
    return _PDF % (row.get("Number") or 0)


def _pdf_by_number(view: View, arguments: Mapping[str, Any]) -> Answer:
    return _pdf(view.first(_numbered(view, arguments["invoiceNumber"])))


def _pdf_by_guid(view: View, arguments: Mapping[str, Any]) -> Answer:
    return _pdf(view.get(view.world.invoices, arguments["invoiceGuid"]))


def _has_file(index: int) -> bool:
    return index % 5 == 0


def _files(view: View, arguments: Mapping[str, Any]) -> Answer:
    invoices = view.world.invoices
    index = invoices.index_of(view.get(invoices, arguments["invoiceGuid"])["GUID"])
    if index is None or not _has_file(index):
        return iter(())
    guid = f"{_FILE}{index + 1:012x}"
    return iter(({"GUID": guid, "MIMEtype": "application/pdf", "Name": "bijlage «1».pdf", "PrintOrder": 1},))


def _file(view: View, arguments: Mapping[str, Any]) -> Answer:
    guid = arguments["attachmentGuid"] or ""
    invoices = view.world.invoices
    if not guid.startswith(_FILE):
        raise NotFound("fault")
    return _pdf(view.get(invoices, invoices.guid(int(guid[24:], 16) - 1)))


def _found(view: View, table: Table, guids: list[str] | None) -> list[Entity]:
    rows = (view.find(table, guid) for guid in guids or ())
    return [row for row in rows if row is not None]


def _origin(view: View, arguments: Mapping[str, Any]) -> Answer:
    world = view.world
    invoice = view.get(world.invoices, arguments["invoiceGUID"])
    case = world.cases.find(invoice.get("MainCaseGUID"))
    cases = []
    if case is not None:
        index = world.cases.index_of(case["GUID"]) or 0
        cases = [{**case, "Phases": [world.phases.row(each) for each in world.phases.of_case(index)]}]
    origins = [
        {
            "HourEntries": _found(view, world.hour_entries, row.get("HourGUIDs")),
            "InvoiceRowGUID": row.get("GUID"),
            "Items": _found(view, world.items, row.get("ItemGUIDs")),
        }
        for row in invoice.get("InvoiceRows") or ()
    ]
    return {"Cases": cases, "InvoiceRowOrigins": origins}


READS: Final[Mapping[tuple[str, str], Read]] = {
    ("IInvoice", "GetInvoiceByGUID"): by_guid("invoices", "invoiceGUID"),
    ("IInvoice", "GetInvoiceByNumber"): _by_number,
    ("IInvoice", "GetInvoicesByDate"): _by_date,
    ("IInvoice", "GetInvoicesByDateAndStatus"): _by_date_and_status,
    ("IInvoice", "GetInvoicesByStatus"): _by_status,
    ("IInvoice", "GetInvoicesByStatusAndBusinessUnit"): _by_status,
    ("IInvoice", "GetInvoicePdf"): _pdf_by_number,
    ("IInvoice", "GetInvoicePdfByInvoiceGUID"): _pdf_by_guid,
    ("IInvoice", "GetInvoiceAttachmentFileGUIDs"): _files,
    ("IInvoice", "GetInvoiceAttachmentFile"): _file,
    ("IInvoice", "GetInvoiceOriginDetailsByInvoiceGUID"): _origin,
}
