"""The read operations about parties and code lists.

What must stay true: an operation checks its arguments when it is called, and computes its rows while they are
sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from visma_sandbox.severa.calls import Row
from visma_sandbox.severa.changes import Entity, Keep, closest_minute, minute
from visma_sandbox.severa.faults import SeveraFault
from visma_sandbox.severa.view import (
    EXCLUDE_NO_WON_CASES,
    EXCLUDE_NOT_NUMBERED,
    INCLUDE_INACTIVE,
    Answer,
    Read,
    View,
    active_unless,
    both,
    by_guid,
    by_member,
    changed_since,
    everything,
    mandatory,
    table_of,
)

MAX_CUSTOMERS: Final = 100
_ROOT, _HIERARCHY = 4, 8
_ADDRESS_CHANGES, _CONTACT_CHANGES = 64, 128
_ACCOUNT_OPTIONS: Final = {
    "NewOnly": 1,
    "IncludeInactive": 2,
    "ExcludeNotNumbered": 4,
    "ExcludeWithNoWonCases": 8,
    "CheckAccountGroupChanges": 32,
    "CheckAddressChanges": 64,
    "CheckContactChanges": 128,
    "CheckChildChanges": 224,
}


def _hierarchy(view: View, arguments: Mapping[str, Any]) -> Answer:
    units = view.world.business_units
    root = view.get(units, mandatory("rootBusinessUnitGuid", arguments["rootBusinessUnitGuid"]))
    below = units.within(root["GUID"])
    keep = both(lambda _, row: row["GUID"] in below, active_unless(arguments["options"]))
    return view.rows(units, None, keep)


def _units_changed(view: View, arguments: Mapping[str, Any]) -> Answer:
    units, options = view.world.business_units, arguments["options"] or 0
    guid = arguments["businessUnitGUID"]
    wanted: Keep | None = None
    if guid:
        below = units.within(guid) if options & _HIERARCHY else _children(view, guid)
        chosen = below | {guid.lower()} if options & _ROOT else below - {guid.lower()}
        wanted = lambda _, row: row["GUID"] in chosen  # noqa: E731
    keep = both(wanted, active_unless(options))
    return view.changed(units, arguments["startDateTime"], options=options, keep=keep)


def _children(view: View, guid: str) -> frozenset[str]:
    rows = view.world.business_units.rows()
    return frozenset(row["GUID"] for row in rows if row.get("ParentBusinessUnitGUID") == guid.lower())


def _all_users(view: View, arguments: Mapping[str, Any]) -> Answer:
    users = view.world.users
    active = active_unless(INCLUDE_INACTIVE if arguments["includeInactive"] else 0)
    return view.rows(users, None, both(view.in_units(users, arguments["businessUnitGUID"]), active))


def _users_changed(view: View, arguments: Mapping[str, Any]) -> Answer:
    users, options = view.world.users, arguments["options"]
    keep = both(view.in_units(users, arguments["businessUnitGUID"]), active_unless(options))
    return view.changed(users, arguments["startDateTime"], options=options, keep=keep)


def _user_by_name(view: View, arguments: Mapping[str, Any]) -> Answer:
    first, last = arguments["firstName"], arguments["lastName"]
    named = view.rows(
        view.world.users, None, lambda _, row: row.get("FirstName") == first and row.get("LastName") == last
    )
    return view.first(named, "null")


def _users_by_guids(view: View, arguments: Mapping[str, Any]) -> Answer:
    found = (view.find(view.world.users, guid) for guid in arguments["userGUIDs"] or ())
    return (row for row in found if row is not None)


def _account_options(value: Any) -> int:
    """The bits of an options argument; AccountGetOptions is a flags enumeration, sent as names."""
    if value is None or isinstance(value, int):
        return value or 0
    total = 0
    for name in value.split():
        total |= _ACCOUNT_OPTIONS.get(name, 0)
    return total


def account_filter(view: View, options: int) -> Keep:
    """The options 2, 4 and 8, which are about the account."""
    accounts, cases = view.world.accounts, view.world.cases

    def keep(index: int, row: Entity) -> bool:
        if options & EXCLUDE_NOT_NUMBERED and row.get("Number") is None:
            return False
        if not options & INCLUDE_INACTIVE and row.get("IsActive") is False:
            return False
        if options & EXCLUDE_NO_WON_CASES:
            return index < len(accounts) and any(map(cases.is_won, cases.of_account(index)))
        return True

    return keep


def _accounts_changed(view: View, arguments: Mapping[str, Any]) -> Iterator[Entity]:
    world, options = view.world, _account_options(arguments["options"])
    start = arguments["startDateTime"]
    keep = account_filter(view, options)
    if not options & (_ADDRESS_CHANGES | _CONTACT_CHANGES):
        return view.changed(world.accounts, start, options=options, keep=keep)
    first = closest_minute(mandatory("startDateTime", start))

    def touched(index: int, row: Entity) -> bool:
        moments = [world.accounts.changed_at(index)]
        if options & _ADDRESS_CHANGES:
            moments.append(world.addresses.changed_at(index))
        if options & _CONTACT_CHANGES:
            moments += [world.contacts.changed_at(2 * index + place) for place in (0, 1)]
        return minute(max(moments)) >= first and keep(index, row)

    return view.rows(world.accounts, None, touched)


def _customers_changed(view: View, arguments: Mapping[str, Any]) -> Answer:
    return map(view.world.accounts.as_customer, _accounts_changed(view, arguments))


def _accounts_inserted(view: View, arguments: Mapping[str, Any]) -> Answer:
    accounts = view.world.accounts
    start = mandatory("insertStartDate", arguments["insertStartDate"])
    end = arguments["insertEndDate"] or view.now
    return view.rows(accounts, None, lambda index, _: start <= accounts.inserted_at(index) <= end)


def _account_page(view: View, options: int, start: int, count: int) -> Iterator[Entity]:
    if start < 0 or count < 0:
        raise SeveraFault("ValidationException", "startFromIndex and count must be 0 or more")
    rows = view.rows(view.world.accounts, None, account_filter(view, options))
    return islice(rows, start, start + count)


def _all_accounts(view: View, arguments: Mapping[str, Any]) -> Answer:
    options = _account_options(arguments["options"])
    rows = _account_page(view, options, arguments["startFromIndex"] or 0, arguments["count"] or 0)
    return ({name: row.get(name) for name in ("GUID", "Name", "Number")} for row in rows)


def _all_customers(view: View, arguments: Mapping[str, Any]) -> Answer:
    count = min(arguments["count"] or 0, MAX_CUSTOMERS)
    rows = _account_page(view, arguments["options"] or 0, arguments["startFromIndex"] or 0, count)
    return map(view.world.accounts.as_customer, rows)


def _customer(view: View, arguments: Mapping[str, Any]) -> Answer:
    accounts = view.world.accounts
    return accounts.as_customer(view.get(accounts, arguments["accountGuid"]))


def _accounts_of_company(view: View, arguments: Mapping[str, Any]) -> Answer:
    company = arguments["companyGuid"]
    view.get(view.world.companies, company, "empty")
    return view.rows(view.world.accounts, None, lambda _, row: row.get("CompanyGUID") == company)


def _account_by_vat_number(view: View, arguments: Mapping[str, Any]) -> Answer:
    number = mandatory("vatNumber", arguments["vatNumber"])
    companies = view.rows(view.world.companies, None, lambda _, row: row.get("VatNumber") == number)
    company = view.first(companies, "null")["GUID"]
    accounts = view.rows(view.world.accounts, None, lambda _, row: row.get("CompanyGUID") == company)
    return view.first(accounts, "null")


def _head_office(view: View, arguments: Mapping[str, Any]) -> Answer:
    account = view.get(view.world.accounts, arguments["accountGUID"])
    company = view.get(view.world.companies, account.get("CompanyGUID"), "null")
    return view.get(view.world.addresses, company.get("HeadOfficeAddressGUID"), "null")


def _of_account(arguments: Mapping[str, Any], member: str = "AccountGUID") -> Keep | None:
    guid = arguments["accountGUID"]
    return (lambda _, row: row.get(member) == guid.lower()) if guid else None


def _contacts_changed(view: View, arguments: Mapping[str, Any]) -> Answer:
    contacts, accounts = view.world.contacts, view.world.accounts
    options = arguments["options"] or 0
    account_keep = account_filter(view, options)

    def account_wanted(_: int, row: Entity) -> bool:
        index = accounts.index_of(row.get("AccountGUID"))
        return index is not None and account_keep(index, accounts.row(index))

    keep = both(_of_account(arguments), account_wanted)
    return view.changed(contacts, arguments["startDateTime"], options=options, keep=keep)


def _addresses_changed(view: View, arguments: Mapping[str, Any]) -> Answer:
    account = view.find(view.world.accounts, arguments["accountGUID"])
    company = account.get("CompanyGUID") if account else arguments["accountGUID"] or None
    keep: Keep | None = (lambda _, row: row.get("CompanyGUID") == company) if company else None
    options = arguments["options"]
    return view.changed(view.world.addresses, arguments["startDateTime"], options=options, keep=keep)


def _contacts_of_account(view: View, arguments: Mapping[str, Any]) -> Answer:
    view.get(view.world.accounts, arguments["accountGUID"], "empty")
    return view.rows(view.world.contacts, None, _of_account(arguments))


def _contacts_by_method(view: View, arguments: Mapping[str, Any]) -> Answer:
    kind, value = arguments["type"], arguments["value"]

    def keep(_: int, row: Entity) -> bool:
        methods: list[Row] = row.get("CommunicationMethods") or []
        return any(each.get("Type") == kind and each.get("Value") == value for each in methods)

    return view.rows(view.world.contacts, None, keep)


def tags_of(context: str) -> Read:
    """The tags of cases, or those of users."""
    return lambda view, _: view.rows(view.world.tags, None, lambda _, row: row["Context"] == context)


def _whole(table_name: str) -> Read:
    table = table_of(table_name)
    return lambda view, _: view.rows(table(view))


READS: Final[Mapping[tuple[str, str], Read]] = {
    ("IBusinessUnit", "GetBusinessUnitByGUID"): by_guid("business_units", "businessUnitGuid"),
    ("IBusinessUnit", "GetBusinessUnitByCode"): by_member("business_units", "businessUnitCode", "Code"),
    ("IBusinessUnit", "GetBusinessUnitHierarchy"): _hierarchy,
    ("IBusinessUnit", "GetBusinessUnitsChangedSince"): _units_changed,
    ("IUser", "GetAllUsers"): _all_users,
    ("IUser", "GetUserByName"): _user_by_name,
    ("IUser", "GetUserByGUID"): by_guid("users", "userGUID"),
    ("IUser", "GetUsersByGUIDs"): _users_by_guids,
    ("IUser", "GetUserByCode"): by_member("users", "userCode", "Code", "null"),
    ("IUser", "GetUsersChangedSince"): _users_changed,
    ("IAccount", "GetAccountByName"): by_member("accounts", "accountName", "Name", "null"),
    ("IAccount", "GetAccountByNumber"): by_member("accounts", "accountNumber", "Number", "null"),
    ("IAccount", "GetAccountByGUID"): by_guid("accounts", "accountGuid"),
    ("IAccount", "GetAccountByVatNumber"): _account_by_vat_number,
    ("IAccount", "GetAccountsByCompanyGUID"): _accounts_of_company,
    ("IAccount", "GetAccountsByInsertDate"): _accounts_inserted,
    ("IAccount", "GetAccountsChangedSince"): _accounts_changed,
    ("IAccount", "GetAccountsChangedSinceOpts"): _accounts_changed,
    ("IAccount", "GetAllAccounts"): _all_accounts,
    ("IAccount", "GetHeadOfficeAddressByAccountGUID"): _head_office,
    ("ICustomer", "GetCustomerByGUID"): _customer,
    ("ICustomer", "GetCustomersChangedSince"): _customers_changed,
    ("ICustomer", "GetAllCustomers"): _all_customers,
    ("ICompany", "GetCompanyByGUID"): by_guid("companies", "companyGuid"),
    ("IAddress", "GetAddressByGUID"): by_guid("addresses", "addressGUID"),
    ("IAddress", "GetAddressesChangedSince"): _addresses_changed,
    ("IAddress", "GetFirstAccountsBillingAddress"): _head_office,
    ("IContact", "GetContactByGUID"): by_guid("contacts", "contactGUID", "null"),
    ("IContact", "GetContactsByAccountGUID"): _contacts_of_account,
    ("IContact", "GetContactsByCommunicationMethodType"): _contacts_by_method,
    ("IContact", "GetContactsChangedSince"): _contacts_changed,
    ("ICurrency", "GetCurrencyByGUID"): by_guid("currencies", "currencyGUID"),
    ("ICurrency", "GetCurrencyByIsoCode"): by_member("currencies", "currencyIsoCode", "IsoCode", "null"),
    ("ICurrency", "GetCurrencies"): everything("currencies"),
    ("ILanguage", "GetLanguageByGUID"): by_guid("languages", "languageGUID"),
    ("ILanguage", "GetLanguageByIetfTag"): by_member(
        "languages", "ietfLanguageTag", "IetfLanguageTag", "null"
    ),
    ("ICountry", "GetCountryByGUID"): by_guid("countries", "countryGUID"),
    ("ICountry", "GetCountryByISO"): by_member("countries", "isoName", "IsoCodea2", "null"),
    ("ICountry", "GetCountryByName"): by_member("countries", "countryName", "Name", "null"),
    ("ITimezone", "GetTimezoneByGUID"): by_guid("timezones", "timezoneGuid"),
    ("ITimezone", "GetAllTimezones"): everything("timezones"),
    ("IOverTime", "GetOverTimeByGUID"): by_guid("overtimes", "overTimeGUID"),
    ("IOverTime", "GetAllOvertimes"): everything("overtimes"),
    ("IProduct", "GetProductByGUID"): by_guid("products", "productGUID"),
    ("IProduct", "GetProductByCode"): by_member("products", "productCode", "Code", active=True),
    ("IProduct", "GetProductByCodeIncludeInactive"): by_member("products", "productCode", "Code"),
    ("IProduct", "GetProductsChangedSince"): changed_since("products"),
    ("IProduct", "GetTravelExpenseByGUID"): by_guid("travel_expenses", "travelExpenseGUID"),
    ("IProduct", "GetTravelExpenseByCode"): by_member(
        "travel_expenses", "travelExpenseCode", "Code", active=True
    ),
    ("IProduct", "GetTravelExpenseByCodeIncludeInactive"): by_member(
        "travel_expenses", "travelExpenseCode", "Code"
    ),
    ("IProduct", "GetTravelExpensesChangedSince"): changed_since("travel_expenses"),
    ("IProductCategory", "GetProductCategoryByGUID"): by_guid("product_categories", "productCategoryGUID"),
    ("IProductCategory", "GetProductCategoryByCode"): by_member(
        "product_categories", "productCategoryCode", "Code"
    ),
    ("IProductCategory", "GetProductCategoriesChangedSince"): changed_since("product_categories"),
    ("IWorkType", "GetWorkTypeByGUID"): by_guid("work_types", "workTypeGUID"),
    ("IWorkType", "GetAllWorkTypes"): _whole("work_types"),
    ("IWorkType", "GetWorkTypesChangedSince"): changed_since("work_types"),
    ("ITag", "GetTagByGUID"): by_guid("tags", "tagGUID"),
    ("ITag", "GetAllCaseTags"): tags_of("Case"),
    ("ITag", "GetAllUserTags"): tags_of("User"),
    ("ISalesProcess", "GetAllSalesProcesses"): everything("sales_processes"),
    ("ISalesProcess", "GetSalesProcessByGUID"): by_guid("sales_processes", "salesProcessGUID"),
    ("ICaseStatus", "GetAllCaseStatuses"): _whole("case_statuses"),
    ("ICaseStatus", "GetCaseStatusByGUID"): by_guid("case_statuses", "caseStatusGUID"),
    ("IActivityType", "GetAllActivityTypes"): everything("activity_types"),
    ("IActivityType", "GetActivityTypeByGUID"): by_guid("activity_types", "activityTypeGUID"),
    ("IInvoiceStatus", "GetAllInvoiceStatuses"): _whole("invoice_statuses"),
}
