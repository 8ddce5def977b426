"""Everything that Severa knows about, for an organisation and a day.

What must stay true: the same (employees, seed, day, settings) give the same rows, and the day is that on
which the sandbox started: moving its clock ages nothing that was computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from visma_sandbox.severa import code_lists, parties, projects
from visma_sandbox.severa.hours import HourEntries
from visma_sandbox.severa.invoices import Invoices

if TYPE_CHECKING:
    from visma_sandbox.organisation import Organisation
    from visma_sandbox.severa.changes import Table

HISTORY = timedelta(days=2000)


class _Settings(Protocol):
    def __getitem__(self, name: str) -> Any: ...


class World:
    """The tables, each a row of attributes by index.

    :param settings: read whenever rows are computed: ``severa_hour_entries``,
        ``severa_description_length`` and ``severa_today``.
    :param started: the day of the start, which "the last months" and "this month" count from.
    """

    def __init__(self, organisation: Organisation, settings: _Settings, *, started: date) -> None:
        self.organisation = organisation
        self.settings = settings
        self.seed = organisation.seed
        self._started = started
        self.business_units = parties.BusinessUnits(self)
        self.users = parties.Users(self)
        self.accounts = parties.Accounts(self)
        self.companies = parties.Companies(self)
        self.addresses = parties.Addresses(self)
        self.contacts = parties.Contacts(self)
        self.cases = projects.Cases(self)
        self.phases = projects.Phases(self)
        self.items = projects.Items(self)
        self.sales_statuses = projects.SalesStatuses(self)
        self.activities = projects.Activities(self)
        self.hour_entries = HourEntries(self)
        self.invoices = Invoices(self)
        self.currencies = code_lists.Currencies(self)
        self.languages = code_lists.Languages(self)
        self.countries = code_lists.Countries(self)
        self.timezones = code_lists.Timezones(self)
        self.overtimes = code_lists.OverTimes(self)
        self.work_types = code_lists.WorkTypes(self)
        self.product_categories = code_lists.ProductCategories(self)
        self.products = code_lists.Products(self)
        self.travel_expenses = code_lists.TravelExpenses(self)
        self.invoice_statuses = code_lists.InvoiceStatuses(self)
        self.case_statuses = code_lists.CaseStatuses(self)
        self.sales_processes = code_lists.SalesProcesses(self)
        self.tags = code_lists.Tags(self)
        self.activity_types = code_lists.ActivityTypes(self)

    @property
    def midnight(self) -> datetime:
        """The start of the day that everything computed lies before."""
        wanted = self.settings["severa_today"]
        day = date.fromisoformat(wanted) if wanted else self._started
        return datetime(day.year, day.month, day.day)

    @property
    def founded(self) -> datetime:
        """When the organisation began with Severa; the code lists are as old."""
        return self.midnight - HISTORY

    @property
    def tables(self) -> Mapping[str, Table]:
        """Every table by the control endpoint's name of it: ``hour_entry``."""
        return {
            "business_unit": self.business_units,
            "user": self.users,
            "account": self.accounts,
            "company": self.companies,
            "address": self.addresses,
            "contact": self.contacts,
            "case": self.cases,
            "phase": self.phases,
            "item": self.items,
            "sales_status": self.sales_statuses,
            "activity": self.activities,
            "hour_entry": self.hour_entries,
            "invoice": self.invoices,
            "currency": self.currencies,
            "language": self.languages,
            "country": self.countries,
            "timezone": self.timezones,
            "overtime": self.overtimes,
            "work_type": self.work_types,
            "product_category": self.product_categories,
            "product": self.products,
            "travel_expense": self.travel_expenses,
            "invoice_status": self.invoice_statuses,
            "case_status": self.case_statuses,
            "sales_process": self.sales_processes,
            "tag": self.tags,
            "activity_type": self.activity_types,
        }
