"""Arguments for every operation that the sandbox's Severa serves, taken from what it has.

A parameter means the same in most operations, so most reads need no line of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from airflow_provider_visma.hooks.severa import SeveraHook
from visma_sandbox.severa.contract import Operation, entities

LONG_AGO = "2000-01-01"
FAR_AHEAD = "2100-01-01"

Row = dict[str, Any]


class SeveraWorld:
    """One row of each kind, read once."""

    def __init__(self, hook: SeveraHook) -> None:
        self._hook = hook

    def first(self, contract: str, operation: str, **arguments: Any) -> Row:
        return next(self._hook.rows(contract, operation, **arguments))

    @cached_property
    def unit(self) -> Row:
        units = self._hook.rows(
            "IBusinessUnit", "GetBusinessUnitsChangedSince", startDateTime=LONG_AGO, options=4 | 8
        )
        return next(units)

    @cached_property
    def hour(self) -> Row:
        """An hour entry that nothing prevents from being changed."""
        hours = self._hook.rows("IHourEntry", "GetHourEntriesByDate", startdate=LONG_AGO, enddate=FAR_AHEAD)
        return next(each for each in hours if not each["InvoiceGUID"])

    @cached_property
    def invoice(self) -> Row:
        return self.first("IInvoice", "GetInvoicesByDate", startDate=LONG_AGO, endDate=FAR_AHEAD)

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """A value for each parameter of a read, by its name in lower case."""
        customer = self.first("ICustomer", "GetAllCustomers")
        case = self._hook.call("ICase", "GetCaseByGUID", caseGuid=self.hour["CaseGUID"])
        phase = self._hook.call("IPhase", "GetPhaseByGUID", phaseGUID=self.hour["PhaseGUID"])
        user = self._hook.call("IUser", "GetUserByGUID", userGUID=self.hour["UserGUID"])
        item = self.first("IItem", "GetItemsChangedSince", startDate=LONG_AGO)
        product = self.first("IProduct", "GetProductsChangedSince", startDateTime=LONG_AGO)
        travel = self.first("IProduct", "GetTravelExpensesChangedSince", startDateTime=LONG_AGO)
        category = self.first("IProductCategory", "GetProductCategoriesChangedSince", startDateTime=LONG_AGO)
        currency = self.first("ICurrency", "GetCurrencies")
        invoice = self.invoice
        attachment = self.first("IInvoice", "GetInvoiceAttachmentFileGUIDs", invoiceGuid=invoice["GUID"])
        return {
            "accountguid": customer["GUID"],
            "accountname": customer["Name"],
            "accountnumber": customer["Number"],
            "activityguid": self.first("IActivity", "GetActivityInstances")["GUID"],
            "activitytypeguid": self.first("IActivityType", "GetAllActivityTypes")["GUID"],
            "addressguid": customer["HeadOfficeAddressGUID"],
            "attachmentguid": attachment["GUID"],
            "businessunitcode": self.unit["Code"],
            "businessunitguid": "",
            "caseguid": case["GUID"],
            "casenumber": case["CaseNumber"],
            "casestatusguid": case["CurrentCaseStatusGUID"],
            "companyguid": customer["CompanyGUID"],
            "contactguid": case["ContactGUID"],
            "countryguid": user["CountryGUID"],
            "countryname": "Netherlands",
            "currencyguid": currency["GUID"],
            "currencyisocode": "EUR",
            "enddate": FAR_AHEAD,
            "eventdate": self.first("ITimeEntry", "GetTimeEntriesChangedSince", startDateTime=LONG_AGO)[
                "EventDate"
            ],
            "firstname": user["FirstName"],
            "getattachmentonly": "All",
            "hourentryguid": self.hour["GUID"],
            "hourguid": self.hour["GUID"],
            "ietflanguagetag": user["LanguageCode"],
            "includeinactive": True,
            "includeinfoforinactiveuser": True,
            "includeunpaidabsenses": True,
            "insertenddate": FAR_AHEAD,
            "insertstartdate": LONG_AGO,
            "invoiceguid": invoice["GUID"],
            "invoicenumber": invoice["Number"],
            "invoicenumberingbusinessunitguid": invoice["InvoiceNumberingBusinessUnitGUID"],
            "isoname": user["CountryCode"],
            "itemguid": item["GUID"],
            "languageguid": user["LanguageGUID"],
            "lastname": user["LastName"],
            "onlyactive": False,
            "overtimeguid": self.first("IOverTime", "GetAllOvertimes")["GUID"],
            "phasecode": phase["Code"],
            "phaseguid": phase["GUID"],
            "ponumber": item["PurchaseOrderNumber"],
            "productcategorycode": category["Code"],
            "productcategoryguid": category["GUID"],
            "productcode": product["Code"],
            "productguid": product["GUID"],
            "rootbusinessunitguid": self.unit["GUID"],
            "salesprocessguid": case["SalesProcessGUID"],
            "salesstatusguid": self.first("ISalesStatus", "GetSalesStatusesForCase", caseGuid=case["GUID"])[
                "GUID"
            ],
            "startdate": LONG_AGO,
            "startdatetime": LONG_AGO,
            "status": invoice["InvoiceStatus"],
            "tagguid": self.first("ITag", "GetAllCaseTags")["GUID"],
            "taskguid": phase["GUID"],
            "timezoneguid": user["TimezoneGUID"],
            "travelexpensecode": travel["Code"],
            "travelexpenseguid": travel["GUID"],
            "type": "EmailAddress",
            "usercode": user["Code"],
            "userguid": user["GUID"],
            "userguids": {"string": [user["GUID"]]},
            "value": "contact.0@example.com",
            "vatnumber": customer["VatNumber"],
            "worktypeguid": self.hour["WorkTypeGUID"],
        }

    def reading(self, operation: Operation) -> Row:
        """Arguments for a read; what is not known is left out, as it may be."""
        match operation.full_name:
            case "IActivity.GetActivityInstances":
                return {}  # its parameters are filters that would leave nothing together
            case "IBusinessUnit.GetBusinessUnitByGUID":
                return {"businessUnitGuid": self.unit["GUID"]}
            case "IHourEntry.GetReimbursedHourEntryByGUID":
                reimbursed = self.first(
                    "IHourEntry", "GetReimbursedHourEntriesByDate", startdate=LONG_AGO, enddate=FAR_AHEAD
                )
                return {"hourEntryGUID": reimbursed["GUID"]}
            case "IHourEntry.GetInvoicedHourEntriesByCaseGUID":
                return {"caseGuid": self.invoiced_hour["CaseGUID"]}
            case "IHourEntry.GetWorkDayInfoByDateRangeAndUserGUID":
                return {"startdate": "2026-03-02", "enddate": "2026-03-06", "userGUID": self.hour["UserGUID"]}
            case "ITimeEntry.GetTimeEntriesByDateAndUserGUID":
                entry = self.first("ITimeEntry", "GetTimeEntriesChangedSince", startDateTime=LONG_AGO)
                return {"eventDate": entry["EventDate"], "userGUID": entry["UserGUID"]}
        values = self.values
        return {name: values[name.lower()] for name in operation.parameters if name.lower() in values}

    @cached_property
    def invoiced_hour(self) -> Row:
        hours = self._hook.rows("IHourEntry", "GetHourEntriesByDate", startdate=LONG_AGO, enddate=FAR_AHEAD)
        return next(each for each in hours if each["InvoiceGUID"])

    def writing(self, operation: Operation) -> Row:
        """Arguments for a write: a new name, the change of one, or what is to be deleted."""
        values = self.values
        special = self._special_writes.get(operation.full_name)
        if special is not None:
            return special
        arguments: Row = {}
        for name, kind in operation.parameters.items():
            if kind.name not in entities():
                arguments[name] = values[name.lower()]
            elif operation.name.startswith("AddNew"):
                arguments[name] = {"Name": "Nieuw"}
            else:
                guid = {"BusinessUnit": self.unit["GUID"], "Customer": values["accountguid"]}
                arguments[name] = {
                    "Name": "Anders",
                    "GUID": guid.get(kind.name) or values[f"{kind.name.lower()}guid"],
                }
        return arguments

    @cached_property
    def _special_writes(self) -> Mapping[str, Row]:
        values, hour, invoice = self.values, self.hour, self.invoice
        item = {"CaseGUID": values["caseguid"], "Name": "Nieuw", "Quantity": 2, "UnitPrice": 12.5}
        phone = {"Type": "Phone", "Value": "+31000000000", "Name": "Werk"}
        return {
            "IAccount.AddNewAccount": {
                "accountInfo": {"Name": "Nieuw"},
                "companyInfo": {"Website": "https://nieuw.example.com"},
                "addressInfo": {"City": "Testdam"},
                "contactInfo": {"LastName": "Voorbeeld"},
            },
            "IAccount.UpdateAccount": {"accountInfo": {"GUID": values["accountguid"], "Name": "Anders"}},
            "IActivity.AddNewActivity": {
                "activityInfo": {"Name": "Nieuw", "StartDateTime": LONG_AGO, "EndDateTime": LONG_AGO}
            },
            "IAddress.AddNewAddress": {"addressInfo": {"City": "Testdam"}},
            "IAddress.UpdateAddress": {"addressInfo": {"GUID": values["addressguid"], "City": "Testdam"}},
            "ICase.AddNewCase": {
                "caseInfo": {
                    "Name": "Nieuw",
                    "AccountGUID": values["accountguid"],
                    "CaseOwnerUserGUID": values["userguid"],
                }
            },
            "ICaseStatus.AddNewCaseStatus": {"caseStatusInfo": {"Name": "Nieuw"}, "insertPosition": 1},
            "ICaseStatus.DeleteCaseStatus": {"caseStatusGUID": values["casestatusguid"]},
            "IActivityType.DeleteActivityType": {"activityTypeGUID": values["activitytypeguid"]},
            "IContact.AddNewContact": {
                "contactInfo": {
                    "LastName": "Voorbeeld",
                    "CommunicationMethods": {"Contact.CommunicationMethod": [phone]},
                    "AccountGUID": values["accountguid"],
                }
            },
            "IContact.UpdateContact": {
                "contactInfo": {"GUID": values["contactguid"], "LastName": "Voorbeeld"}
            },
            "IHourEntry.AddNewHourEntry": {"hourEntryInfo": self.new_hour},
            "IHourEntry.UpdateHourEntry": {"hourEntryInfo": {"GUID": hour["GUID"], "Description": "x"}},
            "IInvoice.AddNewInvoiceLogEntry": {
                "invoiceGuid": invoice["GUID"],
                "context": "import",
                "text": "gelezen",
                "source": "Airflow",
                "eventTimeUtc": datetime(2026, 3, 14, tzinfo=UTC),
                "ignoreDuplicates": True,
            },
            "IInvoice.CreateInvoices": {
                "invoiceInformation": {
                    "ItemGUIDs": {"string": [self.open_item["GUID"]]},
                    "InvoiceStatus": invoice["InvoiceStatus"],
                    "Date": "2026-03-14",
                }
            },
            "IInvoice.SetInvoiceNumber": {
                "invoiceGUID": invoice["GUID"],
                "invoiceNumber": 4711,
                "referenceNumber": "47110",
                "status": invoice["InvoiceStatus"],
            },
            "IInvoice.SetInvoicePaymentDate": {"invoiceGUID": invoice["GUID"], "paymentDate": "2026-03-14"},
            "IItem.AddNewItem": {"itemInfo": item, "currencyCode": "EUR"},
            "IItem.AddNewItems": {"items": {"Item": [item, item]}},
            "IPhase.AddNewPhase": {
                "phaseInfo": {"CaseGUID": values["caseguid"], "Name": "Nieuw"},
                "members": {"string": [values["userguid"]]},
            },
            "IPhase.DeletePhase": {
                "phaseGUID": values["phaseguid"],
                "phaseGUIDToTransferItemsTo": values["phaseguid"],
            },
            "IUser.AddNewUser": {"userInfo": {"FirstName": "Test", "LastName": "Voorbeeld"}},
            "IUser.UpdateUser": {"userInfo": {"GUID": values["userguid"], "LastName": "Voorbeeld"}},
        }

    @property
    def new_hour(self) -> Row:
        """An hour entry that the service accepts."""
        of_the_same = {name: self.hour[name] for name in ("UserGUID", "PhaseGUID", "WorkTypeGUID")}
        return {"EventDate": "2026-03-14", "Quantity": 7.5, **of_the_same}

    @cached_property
    def open_item(self) -> Row:
        items = self._hook.rows("IItem", "GetItemsChangedSince", startDate=LONG_AGO)
        return next(each for each in items if not each["InvoiceGUID"])
