"""Rows to Severa, each at most once.

Before a row is sent the ledger says that it will be. A row without an answer is looked up before anything
else is sent: found, it counts as accepted; absent, it may be sent; and where neither is certain the upload
stops and a person looks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from itertools import islice
from typing import Any, Protocol

from airflow_provider_visma.exceptions import (
    VismaError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hour_entries.doubt import Entry, Settlement, guid_of, is_similar, settle
from airflow_provider_visma.hour_entries.ledger import Accepted, Ledger, NotSent, Outcome, Rejected
from airflow_provider_visma.hour_entries.rows import Members

_GENERAL_FAILURE = "GeneralFailureException"
_UNANSWERED_IN_A_ROW = 3
_SHOWN = 20
_LATELY = timedelta(days=180)
# Who waits this long for an answer may have been taken for dead meanwhile, and replaced.
_OWNED_FOR = 1.0


class HourEntries(Protocol):
    """What the upload needs of Severa."""

    def add(self, members: Members) -> str | None:
        """Add one entry and return its GUID, None where the service returned none."""

    def of_user(self, user_guid: str, first: date, last: date) -> list[Entry]:
        """Return the entries of one user from one day to another, both included."""


class Log(Protocol):
    """Where progress goes."""

    def info(self, event: Any, *args: Any, **kw: Any) -> Any:
        """Note a step."""

    def warning(self, event: Any, *args: Any, **kw: Any) -> Any:
        """Note a trouble."""


class Upload:
    """One try to bring a file's rows to Severa.

    :param ask: look rows in doubt up in Severa; False stops at the first one.
    :param settle_seconds: how long a request without an answer may go on working in the service: a row
        counts as absent only when it is not there after that time either.
    """

    def __init__(
        self,
        service: HourEntries,
        ledger: Ledger,
        *,
        batch_size: int,
        ask: bool,
        settle_seconds: float,
        sleep: Callable[[float], None],
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._ledger = ledger
        self._batch_size = batch_size
        self._ask = ask
        self._settle_seconds = settle_seconds
        self._sleep = sleep
        self._log = log
        self._clock = clock
        self._owned_at = -math.inf
        self._in_flight: int | None = None
        self._unanswered = 0
        self._seen: set[str] = set()
        self.sent = 0

    def settle_earlier(self, rows: Mapping[int, Members], *, told: Mapping[int, str | None]) -> None:
        """Find out what became of the rows that earlier tries left in doubt.

        :param rows: members of (at least) these rows.
        :param told: what a person found: the GUID of a row's entry, None where there is none.
        :raises VismaUnknownOutcomeError: neither Severa nor a person says so of some row.
        """
        batches = dict(self._ledger.in_doubt)
        if not batches:
            return
        self._conclude(
            batches,
            {row: Accepted(guid) if guid else NotSent() for row, guid in told.items() if row in batches},
        )
        doubtful = {row: rows[row] for row in self._ledger.in_doubt}
        if not doubtful:
            return
        if not self._ask:
            raise self._unclear(doubtful)
        before = self._ledger.before(set(self._ledger.in_doubt.values()))
        settlement = self._look_up(doubtful, known=before)
        found: dict[int, Outcome] = {row: Accepted(guid) for row, guid in settlement.found.items()}
        self._conclude(batches, found | dict.fromkeys(settlement.absent, NotSent()))
        self._log.info(
            "Looked up what an earlier try had sent",
            found=len(settlement.found),
            absent=len(settlement.absent),
            unclear=len(settlement.unclear),
        )
        if settlement.unclear:
            raise self._unclear(settlement.unclear)

    def send(self, rows: Iterable[tuple[int, Members]]) -> None:
        """Send rows, batch after batch, one call at a time.

        :raises VismaError: something other than a row is wrong. The ledger knows how far it went.
        """
        remaining = iter(rows)
        while batch := dict(islice(remaining, self._batch_size)):
            self._check_ownership()
            self._send_batch(batch)
            self._log.info(
                "Sent a batch",
                until_row=max(batch),
                sent=self.sent,
                accepted=self._ledger.accepted,
                rejected=len(self._ledger.rejected),
            )

    def _send_batch(self, batch: Mapping[int, Members]) -> None:
        # Only these could be mistaken for a row of the batch, should it come to looking one up.
        before = (
            {
                guid_of(entry)
                for entry in self._entries(batch)
                if any(is_similar(members, entry) for members in batch.values())
            }
            if self._ask
            else set()
        )
        number = self._ledger.intend(batch, before=before)
        outcomes: dict[int, Outcome] = {}
        self._in_flight = None
        try:
            for row, members in batch.items():
                accepted = {each.guid.lower() for each in outcomes.values() if isinstance(each, Accepted)}
                outcomes[row] = self._send(row, members, known=before | accepted)
        finally:
            # Whatever ends this, a kill aside: what was not begun is known not to be there. A row that was
            # begun stays in flight until its outcome is noted: SIGTERM and time-outs come between any two
            # instructions.
            for row in batch:
                if row not in outcomes and row != self._in_flight:
                    outcomes[row] = NotSent()
            self._ledger.conclude(number, outcomes)

    def _send(self, row: int, members: Members, *, known: set[str]) -> Outcome:
        for _ in range(2):
            if self._clock() - self._owned_at > _OWNED_FOR:
                self._check_ownership()
            self._in_flight = row
            self.sent += 1
            refusal: Rejected | None = None
            try:
                guid = self._service.add(members)
                if guid:
                    self._unanswered = 0
                    return Accepted(guid)
            except VismaUnknownOutcomeError:
                pass
            except VismaError as error:
                refusal = _refusal(error)
                if refusal is None:
                    self._in_flight = None
                    raise
                if error.code != _GENERAL_FAILURE or not self._ask:
                    self._unanswered = 0
                    return refusal
            if not self._ask:
                raise self._unclear([row])
            # A general failure is an answer, to be believed unless something was stored all the same.
            settlement = self._look_up({row: members}, known=known, was_answered=refusal is not None)
            if settlement.unclear:
                raise self._unclear([row])
            if settlement.found:
                return Accepted(settlement.found[row])
            if refusal is not None:
                return refusal
        self._unanswered += 1
        if self._unanswered >= _UNANSWERED_IN_A_ROW:
            self._in_flight = None
            raise VismaUnavailableError(
                f"{self._unanswered} rows in succession got no answer, each of them twice",
                system="Severa",
                operation="IHourEntry.AddNewHourEntry",
                advice="None of them is in Severa. A retry goes on from there.",
            )
        return Rejected("VismaUnknownOutcomeError", reason="no answer, twice; Severa does not hold the row")

    def _check_ownership(self) -> None:
        self._owned_at = self._clock()
        self._ledger.still_owned()

    def _look_up(
        self, rows: Mapping[int, Members], *, known: set[str], was_answered: bool = False
    ) -> Settlement:
        settlement = self._settle(rows, known)
        if was_answered:
            return settlement
        if settlement.absent:
            self._sleep(self._settle_seconds)
            settlement = self._settle(rows, known)
        unseen = [row for row in settlement.absent if not self._sees_hours_of(rows[row])]
        if unseen:
            settlement.unclear += unseen
            settlement.absent = [row for row in settlement.absent if row not in unseen]
            self._log.warning(
                "The API user sees no hours of some users, so a row without an answer cannot be looked up: "
                "unless these are their first hours, give it the Administrator profile"
            )
        return settlement

    def _settle(self, rows: Mapping[int, Members], known: set[str]) -> Settlement:
        entries = self._entries(rows)
        new = {guid_of(entry) for entry in entries} - known
        accepted = self._ledger.accepted_among(new) if new else set()
        return settle(rows, entries, known=known | accepted)

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

    def _sees_hours_of(self, members: Members) -> bool:
        """Return whether the API user was shown any hours of the row's user, lately or ever in this try.

        Rights that are too narrow leave entries out and say nothing: absent to such a user is not absent.
        """
        user_guid, day = members["UserGUID"].lower(), members["EventDate"].date()
        return user_guid in self._seen or bool(self._of_user(user_guid, day - _LATELY, day))

    def _of_user(self, user_guid: str, first: date, last: date) -> list[Entry]:
        entries = self._service.of_user(user_guid, first, last)
        if entries:
            self._seen.add(user_guid)
        return entries

    def _conclude(self, batches: Mapping[int, int], outcomes: Mapping[int, Outcome]) -> None:
        for number in sorted({batches[row] for row in outcomes}):
            self._ledger.conclude(
                number, {row: outcome for row, outcome in outcomes.items() if batches[row] == number}
            )

    def _unclear(self, rows: Iterable[int]) -> VismaUnknownOutcomeError:
        numbers = sorted(rows)
        shown = ", ".join(str(number) for number in numbers[:_SHOWN])
        more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
        return VismaUnknownOutcomeError(
            f"row {shown}{more} may or may not have been carried out",
            system="Severa",
            operation="IHourEntry.AddNewHourEntry",
            advice="Look in Severa for the hours of these rows, then run again with settled={row: GUID of "
            "its entry, or None where there is none}. Until then nothing more is sent.",
        )


def open_rows(rows: Iterable[tuple[int, Members]], ledger: Ledger) -> Iterator[tuple[int, Members]]:
    """Yield the rows that have still to be sent."""
    return ((number, members) for number, members in rows if ledger.is_open(number))


def _refusal(error: VismaError) -> Rejected | None:
    """Return the rejection of a row, None for an error that is about something else."""
    # A refusal without the service's own code was never sent: it would meet every row.
    of_the_row = isinstance(error, (VismaRequestError, VismaNotFoundError)) or (
        isinstance(error, VismaPermissionError) and error.code == "NoPermissionException"
    )
    if not of_the_row or not (error.code or "").endswith("Exception"):
        return None
    return Rejected(type(error).__name__, error.code, error.reason)
