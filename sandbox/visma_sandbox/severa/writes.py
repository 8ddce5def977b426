"""The write operations.

What must stay true: the service is lenient, as the real one is: it stores the same entry twice without a
word, and a member that is not sent stays as it was. What it refuses, it refuses before anything has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from visma_sandbox.severa.changes import Entity, Table
from visma_sandbox.severa.faults import NotFound, SeveraFault
from visma_sandbox.severa.hours import MAX_QUANTITY
from visma_sandbox.severa.view import Answer, Read, View, mandatory

_HOUR_DEFAULTS: Final[Entity] = {
    "IsBillable": True,
    "IsReadOnly": False,
    "UnitCost": Decimal(0),
    "UnitPrice": Decimal(0),
    "UnitPriceInBaseCurrency": Decimal(0),
}
_HOUR_MEMBERS: Final = (
    "Description", "EndTime", "InvoiceDescription", "InvoiceGUID", "InvoiceQuantity", "InvoiceRowGUID",
    "IsApproved", "IsProductive", "OverTimeGUID", "StartTime", "TaskGUID",
)  # fmt: skip


def invalid(reason: str) -> SeveraFault:
    """A ValidationException that says what is wrong, without the value."""
    return SeveraFault("ValidationException", reason)


def given(arguments: Mapping[str, Any], parameter: str) -> Entity:
    """The entity in an argument.

    :raises SeveraFault: there is none.
    """
    entity = arguments[parameter]
    if not isinstance(entity, Mapping):
        raise invalid(f"{parameter} is mandatory")
    return dict(entity)


def index_of_given(view: View, table: Table, guid: str | None) -> int:
    """The index of the row to write to.

    :raises NotFound: there is none, or the user may not see it.
    """
    index = table.index_of(guid)
    if index is None or not view.sees(table, table.row(index)):
        raise NotFound("fault")
    return index


def _known(view: View, entity: Mapping[str, Any], *, optional: bool) -> None:
    """Check that what an hour entry points at exists."""
    world = view.world
    tables: Mapping[str, Table] = {
        "CaseGUID": world.cases,
        "PhaseGUID": world.phases,
        "UserGUID": world.users,
        "WorkTypeGUID": world.work_types,
        "OverTimeGUID": world.overtimes,
    }
    for member, table in tables.items():
        guid = entity.get(member)
        needless = (optional and member not in entity) or member in ("OverTimeGUID", "CaseGUID")
        if not guid and needless:
            continue
        if table.index_of(guid) is None:
            raise invalid(f"HourEntry.{member}: {'unknown' if guid else 'missing'}")


def _quantity(entity: Mapping[str, Any]) -> None:
    quantity = entity.get("Quantity")
    if quantity is None or not 0 < quantity <= MAX_QUANTITY:
        raise invalid(f"HourEntry.Quantity: must be more than 0 and at most {MAX_QUANTITY}")


def _placed(view: View, entity: Entity) -> Entity:
    """The entry with the case and the account of its phase; they are the phase's, whatever was sent."""
    phase = view.world.phases.find(entity.get("PhaseGUID")) or {}
    sent = entity.get("CaseGUID")
    if sent and sent.lower() != phase.get("CaseGUID"):
        raise invalid("HourEntry.PhaseGUID: of another case")
    case = view.world.cases.find(phase.get("CaseGUID")) or {}
    return {**entity, "AccountGUID": case.get("AccountGUID"), "CaseGUID": case.get("GUID")}


def _add_hour(view: View, arguments: Mapping[str, Any]) -> Answer:
    entity = given(arguments, "hourEntryInfo")
    if entity.get("EventDate") is None:
        raise invalid("HourEntry.EventDate: missing")
    _quantity(entity)
    _known(view, entity, optional=False)
    empty = dict.fromkeys(_HOUR_MEMBERS)
    sent = {name: value for name, value in entity.items() if value is not None}
    placed = _placed(view, {**empty, **_HOUR_DEFAULTS, **sent})
    return view.world.hour_entries.add(placed, view.now)


def _update_hour(view: View, arguments: Mapping[str, Any]) -> Answer:
    entity = given(arguments, "hourEntryInfo")
    hours = view.world.hour_entries
    index = index_of_given(view, hours, entity.get("GUID"))
    merged = {**hours.row(index), **({"CaseGUID": None} if "PhaseGUID" in entity else {}), **entity}
    _quantity(merged)
    _known(view, entity, optional=True)
    if hours.row(index).get("InvoiceGUID"):
        raise invalid("HourEntry: invoiced, and cannot be changed")
    return hours.update(index, _placed(view, merged), view.now)


def _delete_hour(view: View, arguments: Mapping[str, Any]) -> Answer:
    hours = view.world.hour_entries
    index = index_of_given(view, hours, arguments["hourEntryGUID"])
    if hours.row(index).get("InvoiceGUID"):
        raise invalid("HourEntry: invoiced, and cannot be deleted")
    hours.delete(index, view.now)
    return True


def _add_case(view: View, arguments: Mapping[str, Any]) -> Answer:
    entity = given(arguments, "caseInfo")
    mandatory("Case.Name", entity.get("Name"))
    world = view.world
    account = world.accounts.find(entity.get("AccountGUID"))
    if account is None:
        raise invalid("Case.AccountGUID: missing or unknown")
    owner = world.users.find(entity.get("CaseOwnerUserGUID"))
    if owner is None:
        raise invalid("Case.CaseOwnerUserGUID: missing or unknown")
    values = {
        "AccountName": account.get("Name"),
        "AccountNumber": account.get("Number"),
        "BusinessUnitGUID": owner.get("BusinessUnitGUID"),
        "CaseNumber": 1_000 + world.cases.count(),
        "InsertTs": view.now,
        "IsClosed": False,
        "IsInternal": False,
        "Priority": 0,
        "StartDate": view.now.replace(hour=0, minute=0, second=0, microsecond=0),
        **entity,
        "UpdatedTs": view.now,
    }
    case = world.cases.add(values, view.now)
    root = world.phases.add({"CaseGUID": case["GUID"], "Name": case["Name"], "IsLocked": False}, view.now)
    index = index_of_given(view, world.cases, case["GUID"])
    return world.cases.update(index, {"RootTaskGUID": root["GUID"]}, view.now)


def _add(table_name: str, parameter: str, *, needs: tuple[str, ...] = ()) -> Read:
    """An operation that adds an entity; `needs` are its mandatory members."""

    def write(view: View, arguments: Mapping[str, Any]) -> Answer:
        entity = given(arguments, parameter)
        for member in needs:
            mandatory(f"{parameter}.{member}", entity.get(member))
        return _table(view, table_name).add({"IsActive": True, **entity}, view.now)

    return write


def _add_items(view: View, arguments: Mapping[str, Any]) -> Answer:
    """All items, or when one cannot be added none."""
    items = arguments["items"] or []
    for item in items:
        mandatory("Item.CaseGUID", item.get("CaseGUID"))
        mandatory("Item.Name", item.get("Name"))
    return iter([view.world.items.add(item, view.now) for item in items])


def _update(table_name: str, parameter: str, *, stamp: str = "") -> Read:
    """An operation that changes an entity; `stamp` is the member that tells when."""

    def write(view: View, arguments: Mapping[str, Any]) -> Answer:
        entity, table = given(arguments, parameter), _table(view, table_name)
        index = index_of_given(view, table, entity.get("GUID"))
        return table.update(index, {**entity, **({stamp: view.now} if stamp else {})}, view.now)

    return write


def _delete(table_name: str, parameter: str) -> Read:
    def write(view: View, arguments: Mapping[str, Any]) -> Answer:
        table = _table(view, table_name)
        table.delete(index_of_given(view, table, arguments[parameter]), view.now)
        return True

    return write


def _activate(*, active: bool) -> Read:
    def write(view: View, arguments: Mapping[str, Any]) -> Answer:
        users = view.world.users
        users.update(index_of_given(view, users, arguments["userGUID"]), {"IsActive": active}, view.now)
        return True

    return write


def _add_account(view: View, arguments: Mapping[str, Any]) -> Answer:
    world, entity = view.world, given(arguments, "accountInfo")
    mandatory("Account.Name", entity.get("Name"))
    address = world.addresses.add(dict(arguments["addressInfo"] or {}), view.now)
    company_values = {"Name": entity["Name"], **(arguments["companyInfo"] or {})}
    company_values["HeadOfficeAddressGUID"] = address["GUID"]
    company = world.companies.add(company_values, view.now)
    account = world.accounts.add(_new_account(view, entity, company["GUID"]), view.now)
    if arguments["contactInfo"]:
        contact = {**arguments["contactInfo"], "AccountGUID": account["GUID"]}
        world.contacts.add({"IsActive": True, **contact}, view.now)
    return account


def _add_customer(view: View, arguments: Mapping[str, Any]) -> Answer:
    world, entity = view.world, given(arguments, "customer")
    mandatory("Customer.Name", entity.get("Name"))
    company = world.companies.add({"Name": entity["Name"]}, view.now)
    account = world.accounts.add(_new_account(view, entity, company["GUID"]), view.now)
    return world.accounts.as_customer(account)


def _new_account(view: View, entity: Entity, company: str) -> Entity:
    moments = {"InsertTS": view.now, "UpdatedTS": view.now}
    return {"IsActive": True, **entity, **moments, "CompanyGUID": company}


def _update_customer(view: View, arguments: Mapping[str, Any]) -> Answer:
    accounts, entity = view.world.accounts, given(arguments, "customer")
    index = index_of_given(view, accounts, entity.get("GUID"))
    return accounts.as_customer(accounts.update(index, {**entity, "UpdatedTS": view.now}, view.now))


def _table(view: View, name: str) -> Table:
    table: Table = getattr(view.world, name)
    return table


WRITES: Final[Mapping[tuple[str, str], Read]] = {
    ("IHourEntry", "AddNewHourEntry"): _add_hour,
    ("IHourEntry", "UpdateHourEntry"): _update_hour,
    ("IHourEntry", "DeleteHourEntry"): _delete_hour,
    ("ICase", "AddNewCase"): _add_case,
    ("ICase", "UpdateCase"): _update("cases", "caseInfo", stamp="UpdatedTs"),
    ("ICase", "DeleteCase"): _delete("cases", "caseGuid"),
    ("IPhase", "AddNewPhase"): _add("phases", "phaseInfo", needs=("Name", "CaseGUID")),
    ("IPhase", "UpdatePhase"): _update("phases", "phaseInfo"),
    ("IPhase", "DeletePhase"): _delete("phases", "phaseGUID"),
    ("IWorkType", "AddNewWorkType"): _add("work_types", "workTypeInfo", needs=("Name",)),
    ("IWorkType", "UpdateWorkType"): _update("work_types", "workTypeInfo"),
    ("IUser", "AddNewUser"): _add("users", "userInfo", needs=("FirstName", "LastName")),
    ("IUser", "UpdateUser"): _update("users", "userInfo"),
    ("IUser", "DisableUser"): _activate(active=False),
    ("IUser", "EnableUser"): _activate(active=True),
    ("IAccount", "AddNewAccount"): _add_account,
    ("IAccount", "UpdateAccount"): _update("accounts", "accountInfo", stamp="UpdatedTS"),
    ("ICustomer", "AddNewCustomer"): _add_customer,
    ("ICustomer", "UpdateCustomer"): _update_customer,
    ("IContact", "AddNewContact"): _add("contacts", "contactInfo", needs=("LastName", "AccountGUID")),
    ("IContact", "UpdateContact"): _update("contacts", "contactInfo"),
    ("IAddress", "AddNewAddress"): _add("addresses", "addressInfo"),
    ("IAddress", "UpdateAddress"): _update("addresses", "addressInfo"),
    ("IProduct", "AddNewProduct"): _add("products", "productInfo", needs=("Name",)),
    ("IProduct", "UpdateProduct"): _update("products", "productInfo"),
    ("IProduct", "DeleteProduct"): _delete("products", "productGUID"),
    ("IProduct", "AddNewTravelExpense"): _add("travel_expenses", "travelExpenseInfo", needs=("Name",)),
    ("IProduct", "UpdateTravelExpense"): _update("travel_expenses", "travelExpenseInfo"),
    ("IProduct", "DeleteTravelExpense"): _delete("travel_expenses", "travelExpenseGUID"),
    ("IProductCategory", "AddNewProductCategory"): _add("product_categories", "productCategoryInfo"),
    ("IProductCategory", "UpdateProductCategory"): _update("product_categories", "productCategoryInfo"),
    ("IProductCategory", "DeleteProductCategory"): _delete("product_categories", "productCategoryGUID"),
    ("ICaseStatus", "AddNewCaseStatus"): _add("case_statuses", "caseStatusInfo", needs=("Name",)),
    ("ICaseStatus", "UpdateCaseStatus"): _update("case_statuses", "caseStatusInfo"),
    ("ICaseStatus", "DeleteCaseStatus"): _delete("case_statuses", "caseStatusGUID"),
    ("IActivityType", "AddNewActivityType"): _add("activity_types", "activityTypeInfo", needs=("Name",)),
    ("IActivityType", "UpdateActivityType"): _update("activity_types", "activityTypeInfo"),
    ("IActivityType", "DeleteActivityType"): _delete("activity_types", "activityTypeGUID"),
    ("ISalesProcess", "AddNewSalesProcess"): _add("sales_processes", "salesProcessInfo", needs=("Name",)),
    ("IBusinessUnit", "AddNewBusinessUnit"): _add("business_units", "businessUnitInfo", needs=("Name",)),
    ("IBusinessUnit", "UpdateBusinessUnit"): _update("business_units", "businessUnitInfo", stamp="UpdatedTS"),
    ("IItem", "AddNewItem"): _add("items", "itemInfo", needs=("CaseGUID", "Name")),
    ("IItem", "AddNewItems"): _add_items,
    ("IItem", "DeleteItem"): _delete("items", "itemGUID"),
    ("IActivity", "AddNewActivity"): _add("activities", "activityInfo", needs=("Name",)),
    ("IActivity", "UpdateActivity"): _update("activities", "activityInfo"),
    ("IActivity", "DeleteActivity"): _delete("activities", "activityGUID"),
}
