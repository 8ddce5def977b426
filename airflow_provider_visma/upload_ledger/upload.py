"""Rows to a service, each at most once.

Before a row is sent the ledger says that it will be. A row without an answer is looked up before anything
else is sent: found, it counts as accepted; absent, it may be sent; and where neither is certain the upload
stops and a person looks.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar, Protocol

from airflow_provider_visma.exceptions import VismaError, VismaUnavailableError, VismaUnknownOutcomeError
from airflow_provider_visma.upload_ledger.ledger import Accepted, Ledger, NotSent, Outcome, Rejected
from airflow_provider_visma.upload_ledger.rows import Members
from airflow_provider_visma.upload_ledger.settlement import Settlement

_UNANSWERED_IN_A_ROW = 3
_SHOWN = 20
# Who waits this long for an answer may have been taken for dead meanwhile, and replaced.
_OWNED_FOR = 1.0


class Log(Protocol):
    """Where progress goes."""

    def info(self, event: Any, *args: Any, **kw: Any) -> Any:
        """Note a step."""

    def warning(self, event: Any, *args: Any, **kw: Any) -> Any:
        """Note a trouble."""


class RowUpload(ABC):
    """One try to bring a file's rows to a service.

    :param operation: of the service, that takes a row.
    :param ask: look rows in doubt up in the service; False stops at the first one.
    :param settle_seconds: how long a request without an answer may go on working in the service: a row
        counts as absent only when it is not there after that time either.
    """

    system: ClassVar[str]
    #: What a person does about rows in doubt.
    look: ClassVar[str]

    def __init__(
        self,
        ledger: Ledger,
        *,
        operation: str,
        batch_size: int,
        ask: bool,
        settle_seconds: float,
        sleep: Callable[[float], None],
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._operation = operation
        self._batch_size = batch_size
        self._ask = ask
        self._settle_seconds = settle_seconds
        self._sleep = sleep
        self._log = log
        self._clock = clock
        self._owned_at = -math.inf
        self._in_flight: int | None = None
        # Rows in succession that got no answer, with their batches.
        self._silent: dict[int, int] = {}
        self._is_away = False
        self._batch = 0
        self.sent = 0

    # What a service is like

    @abstractmethod
    def _carry_out(self, members: Members) -> str | None:
        """Send a row; return its id, empty where none was told, None where nobody knows what happened."""

    @abstractmethod
    def _refusal(self, error: VismaError, members: Members) -> Rejected | None:
        """Return the rejection of a row, None for an error that is about something else."""

    @abstractmethod
    def _before(self, batch: Mapping[int, Members]) -> set[str]:
        """Return ids of entries there already that could be taken for a row of *batch*."""

    @abstractmethod
    def _settle(self, rows: Mapping[int, Members], known: set[str]) -> Settlement:
        """Look for *rows* in the service.

        :param known: ids that cannot be one of these rows.
        """

    def _is_believed(self, error: VismaError) -> bool:
        """Return whether a row that was refused so is certainly not there."""
        return True

    def _may_repeat(self, members: Members) -> bool:
        """Return whether sending the row twice does no harm."""
        return False

    def _shows(self, members: Members) -> bool:
        """Return whether the service would show the row, were it there."""
        return True

    # What is done with every one

    def settle_earlier(self, rows: Mapping[int, Members], *, told: Mapping[int, str | None]) -> None:
        """Find out what became of the rows that earlier tries left in doubt.

        :param rows: members of (at least) these rows.
        :param told: what a person found: the id of a row's entry, None where there is none.
        :raises VismaUnknownOutcomeError: neither the service nor a person says so of some row.
        """
        batches = dict(self._ledger.in_doubt)
        if not batches:
            return
        self._conclude(
            batches,
            {row: Accepted(found) if found else NotSent() for row, found in told.items() if row in batches},
        )
        again = [row for row in self._ledger.in_doubt if self._may_repeat(rows[row])]
        self._conclude(batches, dict.fromkeys(again, NotSent()))
        doubtful = {row: rows[row] for row in self._ledger.in_doubt}
        if not doubtful:
            return
        if not self._ask:
            raise self._unclear(doubtful)
        before = self._ledger.before(set(self._ledger.in_doubt.values()))
        settlement = self._look_up(doubtful, known=before)
        found: dict[int, Outcome] = {row: Accepted(each) for row, each in settlement.found.items()}
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
        before = self._before(batch) if self._ask else set()
        number = self._ledger.intend(batch, before=before)
        outcomes: dict[int, Outcome] = {}
        self._in_flight = None
        self._batch = number
        try:
            for row, members in batch.items():
                accepted = {each.id.lower() for each in outcomes.values() if isinstance(each, Accepted)}
                outcomes[row] = self._send(row, members, known=before | accepted)
        finally:
            # Whatever ends this, a kill aside: what was not begun is known not to be there. A row that was
            # begun stays in flight until its outcome is noted: SIGTERM and time-outs come between any two
            # instructions.
            for row in batch:
                was_begun = row in outcomes or row == self._in_flight
                if not was_begun or (self._is_away and row in self._silent):
                    outcomes[row] = NotSent()
            self._ledger.conclude(number, outcomes)

    def _send(self, row: int, members: Members, *, known: set[str]) -> Outcome:
        for _ in range(2):
            self._stay_owner()
            self._in_flight = row
            self.sent += 1
            refusal: Rejected | None = None
            try:
                found = self._carry_out(members)
                if found is not None:
                    self._silent.clear()
                    return Accepted(found)
            except VismaUnknownOutcomeError:
                pass
            except VismaError as error:
                refusal = self._refusal(error, members)
                if refusal is None:
                    self._in_flight = None
                    raise
                if self._is_believed(error) or not self._ask:
                    self._silent.clear()
                    return refusal
            if self._may_repeat(members):
                continue
            if not self._ask:
                raise self._unclear([row])
            settlement = self._look_up({row: members}, known=known, was_answered=refusal is not None)
            if settlement.unclear:
                raise self._unclear([row])
            if settlement.found:
                return Accepted(settlement.found[row])
            if refusal is not None:
                return refusal
        return self._silence(row, members)

    def _silence(self, row: int, members: Members) -> Rejected:
        """Return the rejection of a row that got no answer twice; after three the service itself is away."""
        self._silent[row] = self._batch
        is_absent = not self._may_repeat(members)
        if len(self._silent) >= _UNANSWERED_IN_A_ROW:
            self._is_away = True
            self._in_flight = None
            # Nothing is wrong with them: another try sends them again.
            earlier = {each: batch for each, batch in self._silent.items() if batch != self._batch}
            self._conclude(earlier, dict.fromkeys(earlier, NotSent()))
            raise VismaUnavailableError(
                f"{len(self._silent)} rows in succession got no answer, each of them twice",
                system=self.system,
                operation=self._operation,
                advice=(f"None of them is in {self.system}. " if is_absent else "")
                + "A retry goes on from there.",
            )
        told = f"; {self.system} does not hold the row" if is_absent else ""
        return Rejected("VismaUnknownOutcomeError", reason=f"no answer, twice{told}")

    def _stay_owner(self) -> None:
        if self._clock() - self._owned_at > _OWNED_FOR:
            self._check_ownership()

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
        unseen = [row for row in settlement.absent if not self._shows(rows[row])]
        settlement.unclear += unseen
        settlement.absent = [row for row in settlement.absent if row not in unseen]
        return settlement

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
            system=self.system,
            operation=self._operation,
            advice=f"{self.look} Until then nothing more is sent.",
        )


def open_rows(rows: Iterable[tuple[int, Members]], ledger: Ledger) -> Iterator[tuple[int, Members]]:
    """Yield the rows that have still to be sent."""
    return ((number, members) for number, members in rows if ledger.is_open(number))
