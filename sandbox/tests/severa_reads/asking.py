"""Arguments for each of Severa's read operations, and how to ask one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from visma_sandbox.severa import reads, reads_hours, reads_invoices, reads_work
from visma_sandbox.severa.contract import SERVICE_NAMESPACE, operations

SINCE = datetime(2000, 1, 1)
TODAY = "2026-11-20"
NOBODY = "5e7e4a00-0001-4000-8000-00000000ffff"


def guid(number: int, index: int = 0) -> str:
    return f"5e7e4a00-{number:04x}-4000-8000-{index + 1:012x}"


USER, ACCOUNT, CASE, PHASE, ENTRY, INVOICE = (guid(number) for number in (1, 2, 0x20, 0x21, 0x30, 0x40))
# fmt: off
ARGUMENTS: dict[str, Any] = {
    "businessUnitGUID": "", "businessUnitGuid": guid(0), "businessUnitCode": "BU01",
    "rootBusinessUnitGuid": guid(0), "startDateTime": SINCE, "startDate": SINCE, "startdate": SINCE,
    "insertStartDate": SINCE, "endDate": datetime(2100, 1, 1), "enddate": datetime(2100, 1, 1),
    "insertEndDate": None, "options": 0, "userGUID": USER, "userGUIDs": {"string": [USER, guid(1, 1)]},
    "firstName": None, "lastName": None, "userCode": "500003", "includeInactive": True, "accountName": None,
    "accountNumber": 100, "accountGuid": ACCOUNT, "accountGUID": ACCOUNT, "vatNumber": "NL000000000B01",
    "companyGuid": guid(3), "startFromIndex": 0, "count": 100, "addressGUID": guid(4), "contactGUID": guid(6),
    "type": "EmailAddress", "value": "contact.0@example.com", "currencyGUID": guid(0x10),
    "currencyIsoCode": "EUR", "languageGUID": guid(0x11), "ietfLanguageTag": "nl-NL",
    "countryGUID": guid(0x12), "isoName": "FI", "countryName": "Finland", "timezoneGuid": guid(0x13),
    "overTimeGUID": guid(0x14), "productGUID": guid(0x17), "productCode": "P-003",
    "travelExpenseGUID": guid(0x18), "travelExpenseCode": "T-1", "productCategoryGUID": guid(0x16),
    "productCategoryCode": "C1", "workTypeGUID": guid(0x15), "tagGUID": guid(0x1C),
    "salesProcessGUID": guid(0x1B), "caseStatusGUID": guid(0x1A), "activityTypeGUID": guid(0x1D),
    "caseGuid": CASE, "caseGUID": CASE, "caseNumber": 1_000, "taskGuid": PHASE, "phaseGUID": PHASE,
    "phaseCode": "0.0", "onlyActive": True, "hourGUID": ENTRY, "hourEntryGUID": ENTRY, "inCreditNote": None,
    "itemGUID": guid(0x22), "poNumber": "PO-I00000", "activityGUID": guid(0x23),
    "salesStatusGUID": guid(0x24), "invoiceGUID": INVOICE, "invoiceGuid": INVOICE, "invoiceNumber": 10_001,
    "status": "Paid", "maxInvoices": 3, "invoiceNumberingBusinessUnitGUID": guid(0),
    "getAttachmentOnly": "All", "attachmentGuid": guid(0x42), "includeUnPaidAbsenses": True,
    "includeInfoForInactiveUser": True, "startsAfter": None, "startsBefore": None, "endsAfter": None,
    "endsBefore": None, "firstRow": 0, "maxRows": 5,
}
# fmt: on
ARGUMENTS_OF: dict[str, dict[str, Any]] = {
    "IAccount.GetAccountsChangedSinceOpts": {"options": "IncludeInactive"},
    "IAccount.GetAllAccounts": {"options": "None"},
    "IActivity.GetActivityInstances": {"caseGUID": None, "accountGUID": None, "activityTypeGUID": None},
}
READS = sorted(
    ".".join(key) for part in (reads, reads_work, reads_hours, reads_invoices) for key in part.READS
)


def arguments(name: str) -> dict[str, Any]:
    wanted = dict(ARGUMENTS)
    if "WorkDayInfo" in name or "TimeEntriesByDate" in name:
        wanted |= {"startdate": datetime(2026, 9, 1), "enddate": datetime(2026, 9, 30)}
        wanted |= {"eventDate": datetime(2026, 9, 15)}
    parameters = operations()[f"{SERVICE_NAMESPACE}{name.replace('.', '/')}"].parameters
    return {parameter: {**wanted, **ARGUMENTS_OF.get(name, {})}[parameter] for parameter in parameters}


def ask(severa, name: str, **changes: Any) -> Any:
    return severa.ask(name, **{**arguments(name), **changes})
