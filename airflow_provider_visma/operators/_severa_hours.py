"""What an upload of hours needs of Severa."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from airflow_provider_visma.hour_entries.rows import MEMBERS

if TYPE_CHECKING:
    from airflow_provider_visma.hooks.severa import SeveraHook
    from airflow_provider_visma.hour_entries.doubt import Entry
    from airflow_provider_visma.upload_ledger.rows import Members


class SeveraHourEntries:
    """IHourEntry, as an upload needs it."""

    def __init__(self, hook: SeveraHook) -> None:
        self._hook = hook

    def add(self, members: Members) -> str | None:
        """Add one entry and return its GUID."""
        entry = self._hook.call("IHourEntry", "AddNewHourEntry", hourEntryInfo=members)
        return str(entry["GUID"]) if isinstance(entry, dict) and entry.get("GUID") else None

    def of_user(self, user_guid: str, first: date, last: date) -> list[Entry]:
        """Return the entries of one user from one day to another, both included."""
        # Whether the service counts the last day is not documented: one more, on both sides.
        rows = self._hook.rows(
            "IHourEntry",
            "GetHourEntriesByDateAndUserGUID",
            fields=("GUID", *MEMBERS),
            startdate=first - timedelta(days=1),
            enddate=last + timedelta(days=1),
            userGUID=user_guid,
        )
        return [row for row in rows if (day := row.get("EventDate")) and first <= day.date() <= last]
