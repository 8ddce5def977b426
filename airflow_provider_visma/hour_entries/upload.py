"""Hours to Severa: how an entry is added, and how one is recognised that was added without an answer.

A general failure is an answer, to be believed unless something was stored all the same. Rights that are too
narrow leave entries out and say nothing: absent to such a user is not absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Protocol

from airflow_provider_visma.exceptions import (
    VismaError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
)
from airflow_provider_visma.hour_entries.doubt import Entry, guid_of, is_similar, settle
from airflow_provider_visma.upload_ledger.ledger import Ledger, Rejected
from airflow_provider_visma.upload_ledger.rows import Members
from airflow_provider_visma.upload_ledger.settlement import Settlement
from airflow_provider_visma.upload_ledger.upload import RowUpload

_GENERAL_FAILURE = "GeneralFailureException"
_LATELY = timedelta(days=180)


class HourEntries(Protocol):
    """What the upload needs of Severa."""

    def add(self, members: Members) -> str | None:
        """Add one entry and return its GUID, None where the service returned none."""

    def of_user(self, user_guid: str, first: date, last: date) -> list[Entry]:
        """Return the entries of one user from one day to another, both included."""


class Upload(RowUpload):
    """One try to bring a file's hours to Severa."""

    system = "Severa"
    look = (
        "Look in Severa for the hours of these rows, then run again with settled={row: GUID of its entry, "
        "or None where there is none}."
    )

    def __init__(self, service: HourEntries, ledger: Ledger, **arguments: Any) -> None:
        super().__init__(ledger, operation="IHourEntry.AddNewHourEntry", **arguments)
        self._service = service
        self._seen: set[str] = set()
        self._has_warned = False

    def _carry_out(self, members: Members) -> str | None:
        return self._service.add(members)

    def _refusal(self, error: VismaError, members: Members) -> Rejected | None:
        # A refusal without the service's own code was never sent: it would meet every row.
        of_the_row = isinstance(error, (VismaRequestError, VismaNotFoundError)) or (
            isinstance(error, VismaPermissionError) and error.code == "NoPermissionException"
        )
        if not of_the_row or not (error.code or "").endswith("Exception"):
            return None
        return Rejected(type(error).__name__, error.code, error.reason)

    def _is_believed(self, error: VismaError) -> bool:
        return error.code != _GENERAL_FAILURE

    def _before(self, batch: Mapping[int, Members]) -> set[str]:
        return {
            guid_of(entry)
            for entry in self._entries(batch)
            if any(is_similar(members, entry) for members in batch.values())
        }

    def _settle(self, rows: Mapping[int, Members], known: set[str]) -> Settlement:
        entries = self._entries(rows)
        new = {guid_of(entry) for entry in entries} - known
        accepted = self._ledger.accepted_among(new) if new else set()
        return settle(rows, entries, known=known | accepted)

    def _shows(self, members: Members) -> bool:
        """Return whether the API user was shown any hours of the row's user, lately or ever in this try."""
        user_guid, day = members["UserGUID"].lower(), members["EventDate"].date()
        if user_guid in self._seen or self._of_user(user_guid, day - _LATELY, day):
            return True
        if not self._has_warned:
            self._has_warned = True
            self._log.warning(
                "The API user sees no hours of some users, so a row without an answer cannot be looked up: "
                "unless these are their first hours, give it the Administrator profile"
            )
        return False

    def _entries(self, rows: Mapping[int, Members]) -> list[Entry]:
        """Return what Severa holds for the users and days of *rows*, in one call per user."""
        days: dict[str, list[date]] = {}
        for members in rows.values():
            days.setdefault(members["UserGUID"].lower(), []).append(members["EventDate"].date())
        return [
            entry
            for user_guid, of_user in days.items()
            for entry in self._of_user(user_guid, min(of_user), max(of_user))
        ]

    def _of_user(self, user_guid: str, first: date, last: date) -> list[Entry]:
        entries = self._service.of_user(user_guid, first, last)
        if entries:
            self._seen.add(user_guid)
        return entries
