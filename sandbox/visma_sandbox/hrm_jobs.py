"""Export jobs: when they are done, what they answer, and where their files are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from visma_sandbox.hrm_datasets import Dataset
from visma_sandbox.hrm_export import Export

IN_PROGRESS: Final = "InProgress"
COMPLETED: Final = "Completed"
_JOBS_KEPT = 20_000
_WORKS_KEPT = 1_000
_PATIENCE = 5.0


@dataclass(slots=True)
class Job:
    """One export somebody asked for.

    :param started: the sandbox's time when it was accepted.
    :param change_before: the timestamp a completed answer carries; None for datasets without one.
    :param work: writes the files; shared by all jobs that want the same bytes.
    :param stuck: it never ends.
    :param failure: the status it ends with instead of Completed.
    :param empty_array: without rows it lists no file, rather than one that is only a header.
    """

    dataset: Dataset
    started: float
    change_before: str | None
    work: asyncio.Future[Export]
    callback: str | None = None
    stuck: bool = False
    failure: str | None = None
    empty_array: bool = False
    polls: int = 0
    id: str = field(default_factory=lambda: str(uuid4()))

    async def status(self, now: float, *, polls_wanted: int, seconds_wanted: float) -> str:
        """InProgress, Completed or the failure's name.

        A job with a callback address ends by the clock alone, since nobody need poll it. When only the
        writing of the files is not done yet, the poll waits for it: the number of polls then does not
        depend on the speed of the machine.
        """
        polled = self.callback is not None or self.polls > polls_wanted
        if self.stuck or not polled or now - self.started < seconds_wanted:
            return IN_PROGRESS
        await asyncio.wait([self.work], timeout=_PATIENCE)
        if not self.work.done():
            return IN_PROGRESS
        if self.failure is not None:
            return self.failure
        return COMPLETED if self.work.exception() is None else "Failed"

    def answer(self, status: str, links: list[str]) -> dict[str, Any]:
        """The body of a query, keys in the vendor's order; nulls until the job is completed."""
        completed = status == COMPLETED
        body: dict[str, Any] = {}
        if self.change_before is not None:
            body["changeTimestampBefore"] = self.change_before if completed else None
        body[self.dataset.file_field] = links if completed else None
        body["status"] = status
        return body


class JobBook:
    """The jobs by id, the newest of them, and the work they share."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._works: dict[Any, asyncio.Future[Export]] = {}

    def add(self, job: Job) -> None:
        """Remember a job, forgetting the oldest when there are too many."""
        self._jobs[job.id] = job
        if len(self._jobs) > _JOBS_KEPT:
            del self._jobs[next(iter(self._jobs))]

    def find(self, job_id: str) -> Job | None:
        """The job of an id."""
        return self._jobs.get(job_id)

    def drop(self, job_id: str) -> None:
        """Forget a job, as if it had expired."""
        self._jobs.pop(job_id, None)

    def work(self, key: Any, write: Callable[[], Export]) -> asyncio.Future[Export]:
        """The export of a key, written in a thread the first time it is asked for."""
        if key not in self._works:
            self._works[key] = asyncio.ensure_future(asyncio.to_thread(write))
            if len(self._works) > _WORKS_KEPT:
                del self._works[next(iter(self._works))]
        return self._works[key]

    def clear(self) -> None:
        """Forget every job and every export."""
        self._jobs.clear()
        self._works.clear()
