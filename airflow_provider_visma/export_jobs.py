"""When to poll an export job again, when to give up, and when to re-attach to one.

Pure: no I/O, and the clock is handed in. The trigger and the sensor's waiting loop both ask the one
:class:`Poller` here what an answer means, so they cannot drift apart.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaContentError,
    VismaError,
    VismaJobDeadlineError,
    VismaJobFailedError,
    VismaNotFoundError,
    VismaPermanentError,
    VismaRequestError,
    VismaThrottledError,
    VismaUnavailableError,
)
from airflow_provider_visma.export_request import SYSTEM, checked_job_id

MAX_FAILURES_IN_A_ROW = 5
_GROWTH = 1.5
_JITTER = 0.2


class JobStatus(StrEnum):
    """State of an export job."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


# ``InProgress`` and ``Completed`` have been seen; how the service names a failure is not documented, so
# these are the names that mean one in any service. Another name is an error, not a guess.
_STATUS_BY_NAME = {
    "inprogress": JobStatus.IN_PROGRESS,
    "completed": JobStatus.COMPLETED,
    **dict.fromkeys(("failed", "faulted", "error", "cancelled", "canceled", "aborted"), JobStatus.FAILED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """An export job as the service describes it.

    :param status_name: the status in the service's own word.
    :param watermark: ``changeTimestampBefore`` as the service wrote it: the next export's ``changed_after``.
    :param file_uris: signed links, one per part; to be logged nowhere.
    :param retry_after: seconds that the service asked to wait before the next query.
    :param oddities: what contradicts the documented protocol without making the answer useless.
    """

    dataset: str
    job_id: str
    status: JobStatus
    status_name: str
    watermark: str | None = None
    file_uris: tuple[str, ...] = field(default=(), repr=False)
    retry_after: float | None = None
    oddities: tuple[str, ...] = ()


def parse_job_id(body: Any, *, dataset: str) -> str:
    """Return the id of the job that starting an export answered.

    :param body: the decoded JSON.
    :raises VismaContentError: there is none.
    """
    try:
        return checked_job_id(body["jobId"] if isinstance(body, dict) else None)
    except (KeyError, VismaRequestError):
        raise VismaContentError(
            "the answer holds no job id", system=SYSTEM, operation=f"command {dataset}"
        ) from None


def parse_job(
    body: Any, *, dataset: str, job_id: str, http_status: int, retry_after: float | None = None
) -> ExportJob:
    """Return the job that a query's JSON answer describes.

    The status in the body is the truth; 202 while running and 200 when done is a cross-check.

    :param body: the decoded JSON.
    :raises VismaContentError: the status is unknown or the answer has another shape.
    """

    def unusable(message: str) -> VismaContentError:
        return VismaContentError(
            message,
            system=SYSTEM,
            operation=f"query {dataset}",
            advice="The service has changed; see whether there is a newer version of this provider.",
        )

    if not isinstance(body, dict) or not isinstance(body.get("status"), str):
        raise unusable("the answer about the job is not an object with a status")
    name = body["status"]
    status = _STATUS_BY_NAME.get(name.casefold())
    if status is None:
        # A single word is the service's vocabulary; anything else could be anybody's text.
        raise unusable(
            f"the job has the unknown status {name[:40]!r}"
            if name.isalpha()
            else "the job's status is no word"
        )

    oddities = []
    if (http_status == 202) != (status is JobStatus.IN_PROGRESS):
        oddities.append(f"HTTP {http_status} came with the status {name}")

    file_keys = [key for key in body if key.endswith("FileUris") and key.isalnum()]
    if len(file_keys) > 1:
        raise unusable(f"the answer has more than one file list: {', '.join(sorted(file_keys))[:120]}")
    uris = body[file_keys[0]] if file_keys else None
    if uris is not None and not (isinstance(uris, list) and all(isinstance(uri, str) for uri in uris)):
        raise unusable(f"{file_keys[0][:60]} is not a list of links")
    watermark = body.get("changeTimestampBefore")
    if watermark is not None and not isinstance(watermark, str):
        raise unusable("changeTimestampBefore is not a string")
    if status is JobStatus.COMPLETED:
        if not file_keys:
            raise unusable("the job is completed, but the answer has no key ending in FileUris")
        if uris is None:
            # Nothing changed, or the list was not there yet: so the next export begins where this one did.
            oddities.append("the job is completed with null instead of a file list")
            watermark = None
    return ExportJob(
        dataset=dataset,
        job_id=job_id,
        status=status,
        status_name=name,
        watermark=watermark,
        file_uris=tuple(uris or ()),
        retry_after=retry_after,
        oddities=tuple(oddities),
    )


class Attachment(StrEnum):
    """What a task does about a job that an earlier try may have started."""

    SUBMIT = "submit"
    REATTACH = "reattach"
    FINISHED = "finished"


def decide_attachment(
    stored: Mapping[str, Any] | None, *, fingerprint: str, read_job: Callable[[str], ExportJob]
) -> tuple[Attachment, ExportJob | None]:
    """Return what to do, and the job unless a new one has to be submitted.

    A stored job is never trusted blindly: Airflow keeps it after a task is cleared, when the
    parameters may be others.

    :param stored: ``{"job_id": …, "fingerprint": …}`` as an earlier try stored it, or None.
    :param fingerprint: :meth:`ExportRequest.fingerprint` of what is wanted now.
    :param read_job: reads a job by id; raises :class:`VismaNotFoundError` for one that is gone.
    """
    if not stored or stored.get("fingerprint") != fingerprint:
        return Attachment.SUBMIT, None
    try:
        job = read_job(stored["job_id"])
    except VismaNotFoundError:
        return Attachment.SUBMIT, None
    if job.status is JobStatus.FAILED:
        return Attachment.SUBMIT, None
    return (Attachment.FINISHED if job.status is JobStatus.COMPLETED else Attachment.REATTACH), job


class PollOutcome(StrEnum):
    """How the waiting ended; the ``status`` of an event."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    GAVE_UP = "gave_up"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class PollDecision:
    """What to do after one poll.

    :param outcome: how the waiting ended, or None to poll again.
    :param wait: seconds before the next poll.
    :param message: for people; free of links, tokens and personal data.
    :param changed: whether the message says something new, and is worth a line in the log.
    """

    outcome: PollOutcome | None = None
    wait: float = 0.0
    message: str
    changed: bool = False


class Poller:
    """Decides after each poll of one job; a new one per run.

    The status is looked at before the deadline: a job that is done counts as done, however late.
    Between two polls there is always at least *poll_interval*, whatever the service answers.

    :param deadline: seconds since the epoch. Absolute, so that a restart of the triggerer does not extend it.
    :param poll_interval: seconds before the second poll; each next wait is half as long again.
    :param max_poll_interval: seconds that a wait does not exceed unless the service asks for more.
    :param clock: seconds since the epoch.
    :param chance: a random number from 0 to 1, so that jobs started together are not polled together.
    """

    def __init__(
        self,
        *,
        dataset: str,
        job_id: str,
        deadline: float,
        poll_interval: float = 2.0,
        max_poll_interval: float = 60.0,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._dataset = dataset
        self._job_id = job_id
        self._job = f"Job {job_id} of {dataset}"
        self._deadline = deadline
        self._shortest = poll_interval
        self._longest = max(max_poll_interval, poll_interval)
        self._interval = poll_interval
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._token_refused = False
        self._last_state = ""

    def on_job(self, job: ExportJob) -> PollDecision:
        """Decide after an answer."""
        self._failures = 0
        self._token_refused = False
        oddities = f" ({'; '.join(job.oddities)})" if job.oddities else ""
        message = f"{self._job} has status {job.status_name}{oddities}"
        match job.status:
            case JobStatus.COMPLETED:
                return self._end(PollOutcome.COMPLETED, message)
            case JobStatus.FAILED:
                return self._end(PollOutcome.FAILED, message)
            case JobStatus.IN_PROGRESS:
                return self._again(message, job.retry_after)

    def on_error(self, error: VismaError) -> PollDecision:
        """Decide after a poll that brought no usable answer."""
        message = f"{self._job} could not be polled: {error}"
        if isinstance(error, VismaAuthenticationError) and error.code == "HTTP 401":
            # The token may have been revoked; the refusal of another one is final.
            if self._token_refused:
                return self._end(PollOutcome.REFUSED, message)
            self._token_refused = True
            return self._again(message, None)
        # A job that was only just started may not be found yet, so that is no verdict the first time.
        if isinstance(error, VismaPermanentError) and not isinstance(error, VismaNotFoundError):
            return self._end(PollOutcome.REFUSED, message)
        # A service that says when to come back is well; only silence and refusals are counted.
        if not (isinstance(error, VismaThrottledError) and error.retry_after is not None):
            self._failures += 1
        if self._failures >= MAX_FAILURES_IN_A_ROW:
            fate = "The job was left as it is; a retry re-attaches to it."
            return self._end(
                PollOutcome.GAVE_UP, f"Gave up after {self._failures} failures in a row. {message} {fate}"
            )
        return self._again(message, error.retry_after)

    def event(self, decision: PollDecision) -> dict[str, str]:
        """Return what a trigger tells its task about the end: small, and nothing that must not be stored."""
        return {
            "status": str(decision.outcome),
            "dataset": self._dataset,
            "job_id": self._job_id,
            "message": decision.message,
        }

    def _again(self, message: str, retry_after: float | None) -> PollDecision:
        left = self._deadline - self._clock()
        wait = max(self._interval * (1 - _JITTER * self._chance()), self._shortest)
        self._interval = min(self._interval * _GROWTH, self._longest)
        if retry_after is None:
            wait = min(wait, max(left, self._shortest))  # so that the last look is at the deadline
        else:
            wait = max(retry_after, self._shortest)
        if left <= 0 or (retry_after is not None and wait > left):
            end = datetime.fromtimestamp(self._deadline, tz=UTC).isoformat(timespec="seconds")
            fate = "It may still be running: the API cannot cancel a job. A retry re-attaches to it."
            return self._end(PollOutcome.TIMEOUT, f"The deadline {end} has passed. {message}. {fate}")
        changed = message != self._last_state
        self._last_state = message
        return PollDecision(wait=wait, message=message, changed=changed)

    def _end(self, outcome: PollOutcome, message: str) -> PollDecision:
        return PollDecision(outcome=outcome, message=message, changed=True)


_ERROR_BY_OUTCOME: dict[PollOutcome, type[VismaError]] = {
    PollOutcome.FAILED: VismaJobFailedError,
    PollOutcome.TIMEOUT: VismaJobDeadlineError,
    PollOutcome.GAVE_UP: VismaUnavailableError,
    PollOutcome.REFUSED: VismaPermanentError,
}


def outcome_error(event: Mapping[str, Any] | None, *, conn_id: str) -> VismaError | None:
    """Return the error that a trigger's event stands for, or None when the job is completed.

    :param event: what :meth:`Poller.event` returned.
    :raises VismaContentError: there is no event, or its status is unknown.
    """
    event = event or {}
    status = event.get("status")
    if status not in list(PollOutcome):
        raise VismaContentError(
            f"the trigger's event has the unknown status {str(status)[:40]!r}", system=SYSTEM, conn_id=conn_id
        )
    kind = _ERROR_BY_OUTCOME.get(PollOutcome(status))
    return kind(str(event.get("message")), system=SYSTEM, conn_id=conn_id) if kind else None
