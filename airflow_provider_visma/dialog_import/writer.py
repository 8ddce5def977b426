"""A plan's changes, brought to Dialog: each settled once, whatever happens on the way.

One change that fails does not stop the others. After an answer that did not come, nothing is sent again
before Dialog has been asked what it holds now; and a user who was invited meanwhile is left alone.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

import tenacity

from airflow_provider_visma.dialog_import.plan import Create, Frozen, Held, Kind, Update
from airflow_provider_visma.dialog_import.planning import updated
from airflow_provider_visma.dialog_import.service import DialogService
from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConflictError,
    VismaContentError,
    VismaError,
    VismaNotFoundError,
    VismaThrottledError,
    VismaTransientError,
)
from airflow_provider_visma.protocols.scim_bulk import BulkItem, BulkLimits, batches

_ATTEMPTS = 3
_FAILURES_IN_A_ROW = 5
_ABOUT_ONE_USER = frozenset({"HTTP 400", "HTTP 413", "HTTP 422"})

Write = Create | Update


class Outcome(StrEnum):
    """What became of one change."""

    CREATED = "created"
    UPDATED = "updated"
    FROZEN = "frozen"
    CONFLICT = "conflict"
    FAILED = "failed"
    REFUSED = "refused"
    NOT_SENT = "not_sent"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A change that did not arrive, and why; says nothing about the person but the number."""

    kind: Kind
    external_id: str
    outcome: Outcome
    error: str
    code: str | None


@dataclass(slots=True)
class WriteReport:
    """What became of a plan's changes.

    :param fatal: the error that made the rest pointless: nobody is let in, nothing answers, or nothing may
        be written.
    """

    counts: Counter[tuple[Outcome, Kind]] = field(default_factory=Counter)
    trouble: list[Trouble] = field(default_factory=list)
    fatal: VismaError | None = None

    def total(self, *outcomes: Outcome) -> int:
        """Return how many changes had one of *outcomes*."""
        return sum(number for (outcome, _), number in self.counts.items() if outcome in outcomes)


class DialogWriter:
    """Writes through *service*.

    :param max_concurrency: requests at once, where the service has no Bulk.
    :param sleep: waits that many seconds between two tries.
    """

    def __init__(
        self,
        service: DialogService,
        *,
        max_concurrency: int,
        sleep: Callable[[float], None] = tenacity.nap.sleep,
    ) -> None:
        self._service = service
        self._max_concurrency = max_concurrency
        self._sleep = sleep
        self._lock = threading.Lock()
        self._failures_in_a_row = 0
        self._report = WriteReport()
        self._refusal: VismaError | None = None

    def write(self, lines: Iterable[Write]) -> WriteReport:
        """Send *lines*; those of one kind stand together, and a kind is finished before the next."""
        self._report = WriteReport()
        self._failures_in_a_row = 0
        self._refusal = None
        limits = self._service.scim.bulk_limits
        pool = ThreadPoolExecutor(self._max_concurrency)
        try:
            for _, group in groupby(lines, key=lambda line: line.kind):
                # Of each batch the rest is settled before the next: should the service be down, that shows.
                for unsettled in self._batches(group, limits):
                    list(pool.map(lambda pair: self._settle(*pair), unsettled))
        finally:
            # A task that is killed finishes the requests under way and starts no other.
            pool.shutdown(cancel_futures=True)
        if self._report.fatal is None and not self._report.total(Outcome.CREATED, Outcome.UPDATED):
            self._report.fatal = self._refusal
        return self._report

    def _batches(
        self, lines: Iterable[Write], limits: BulkLimits | None
    ) -> Iterator[list[tuple[Write, bool]]]:
        """Yield what is to be settled singly, and whether it may have arrived already."""
        if limits is None:
            yield [(line, False) for line in lines]
            return
        pending: dict[str, Write] = {}

        def items() -> Iterator[BulkItem]:
            for line in lines:
                pending[line.external_id] = line
                yield self._service.bulk_item(line)

        for batch in batches(items(), limits):
            statuses, in_doubt = self._send(batch)
            unsettled = []
            for item in batch:
                line = pending.pop(item.key)
                status = statuses.get(item.key)
                if status is not None and 200 <= status < 300:
                    self._note(line, Outcome.CREATED if isinstance(line, Create) else Outcome.UPDATED)
                else:
                    unsettled.append((line, in_doubt if status is None else status >= 500))
            yield unsettled

    def _send(self, batch: Sequence[BulkItem]) -> tuple[dict[str, int], bool]:
        if self._report.fatal is not None:
            return {}, False
        try:
            return self._service.scim.bulk(batch), True
        except VismaAuthenticationError as error:
            self._report.fatal = error
            return {}, False
        except VismaError as error:
            return {}, isinstance(error, (VismaTransientError, VismaContentError))

    def _settle(self, line: Write, in_doubt: bool) -> None:
        if self._report.fatal is not None:
            self._note(line, Outcome.NOT_SENT, self._report.fatal)
            return
        try:
            outcome = self._create(line, in_doubt) if isinstance(line, Create) else self._update(line)
        except VismaAuthenticationError as error:
            self._report.fatal = error
            self._note(line, Outcome.NOT_SENT, error)
        except VismaConflictError as error:
            self._note(line, Outcome.CONFLICT if error.code == "HTTP 409" else Outcome.FAILED, error)
        except (VismaTransientError, VismaNotFoundError) as error:
            self._note(line, Outcome.FAILED, error)
            self._count_failure(error)
        except VismaError as error:
            self._note(line, Outcome.REFUSED, error)
            if error.code not in _ABOUT_ONE_USER:
                # One user may be out of our reach, say; five in a row mean that everybody is.
                self._refusal = error
                self._count_failure(error)
        else:
            self._failures_in_a_row = 0
            self._note(line, outcome)

    def _create(self, line: Create, in_doubt: bool) -> Outcome:
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda error: (
                    isinstance(error, VismaTransientError) and not isinstance(error, VismaThrottledError)
                )
            ),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_exponential_jitter(max=10),
            sleep=self._sleep,
            reraise=True,
        )
        for attempt in attempts:
            with attempt:
                if (in_doubt or attempt.retry_state.attempt_number > 1) and self._find(line):
                    break
                try:
                    self._service.create(line)
                except (VismaConflictError, VismaContentError):
                    # Refused because an earlier try of ours arrived after all? Then it is done.
                    if self._find(line) is None:
                        raise
        return Outcome.CREATED

    def _update(self, line: Update) -> Outcome:
        try:
            self._service.change(line)
        except VismaConflictError as error:
            if error.code != "HTTP 412":
                raise
        else:
            return Outcome.UPDATED
        # Changed since it was read: by our own lost try, or by somebody who invited the user.
        held = self._find(line)
        if held is None:
            raise VismaNotFoundError("it was removed since it was read", system="Dialog", code="HTTP 412")
        decision = updated(held, line.wanted, self._service.user_fields | {"display_name"})
        if isinstance(decision, Frozen):
            return Outcome.FROZEN
        if decision is not None:
            self._service.change(decision)
        return Outcome.UPDATED

    def _find(self, line: Write) -> Held | None:
        return self._service.find(line.kind, line.external_id)

    def _count_failure(self, error: VismaError) -> None:
        with self._lock:
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= _FAILURES_IN_A_ROW:
                # Each was tried as often as it may be: what all of them met, the rest would meet as well.
                self._report.fatal = error

    def _note(self, line: Write, outcome: Outcome, error: VismaError | None = None) -> None:
        with self._lock:
            self._report.counts[outcome, line.kind] += 1
            if error is not None:
                self._report.trouble.append(
                    Trouble(line.kind, line.external_id, outcome, type(error).__name__, error.code)
                )
