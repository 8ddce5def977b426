"""The task that files reviews, tries of it in processes of their own, and what Nmbrs holds in the end."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_visma.hooks.nmbrs import NmbrsHook
from airflow_provider_visma.operators.dialog_reviews import DialogReviewsToNmbrsOperator
from airflow_provider_visma.protocols.soap import Octets
from tests.integration.task_context import TaskRuns
from tests.integration.waiting import Try
from visma_sandbox.client import SandboxProcess
from visma_sandbox.nmbrs_documents import DOCUMENT_TYPES

UPLOAD = "EmployeeService.EmployeeDocument_UploadDocument"
_FORKED = multiprocessing.get_context("fork")

Prepare = Callable[[], None]


class Task:
    """A task that files reviews: every execution is a new operator, and only its destination remembers."""

    def __init__(self, folder: str, **arguments: Any) -> None:
        self.states: dict[str, dict[str, str | None]] | None = None
        self.folder = folder
        self._arguments = {
            "ledger": f"{folder}/ledger",
            "destination": f"{folder}/report",
            "document_type": DOCUMENT_TYPES[0],
            **arguments,
        }

    def run(self, run_id: str = "run-1", **changes: Any) -> dict[str, Any]:
        """Execute one try."""
        return execute({**self._arguments, **changes}, run_id, self.states)

    def start(self, run_id: str = "run-1", *, prepare: Prepare = lambda: None, **changes: Any) -> Try:
        """Begin a try in a process of its own.

        :param prepare: called in it first.
        """
        destination = f"{self.folder}/report-{time.monotonic_ns()}"
        arguments = {**self._arguments, "destination": destination, **changes}
        process = Try(target=_prepared, args=(prepare, arguments, run_id))
        process.start()
        return process

    def report(self) -> dict[str, dict[str, Any]]:
        """Return the lines of the last report, by review."""
        path = Path(f"{self.folder}/report/reviews.jsonl".removeprefix("file://"))
        return {line["review"]: line for line in map(json.loads, path.read_text().splitlines())}

    def ledger(self) -> list[str]:
        """Return the names of all objects of the ledger."""
        root = Path(f"{self.folder}/ledger".removeprefix("file://"))
        return sorted(path.name for path in root.rglob("*.json"))


def execute(
    arguments: dict[str, Any], run_id: str, states: dict[str, dict[str, str | None]] | None
) -> dict[str, Any]:
    operator = DialogReviewsToNmbrsOperator(task_id="file", **{**arguments, "retries": 0})
    context = TaskRuns().context(operator, run_id)
    if states is not None:
        context["ti"].get_task_states = lambda **asked: states
    return operator.execute(context)


def _prepared(prepare: Prepare, arguments: dict[str, Any], run_id: str) -> None:
    prepare()
    execute(arguments, run_id, None)


class Reviews:
    """Reviews in Dialog and documents in Nmbrs, of people who are in both."""

    def __init__(self, sandbox: SandboxProcess, employees: list[int]) -> None:
        self._sandbox = sandbox
        self.employees = employees

    def finish(self, **wishes: Any) -> dict[str, Any]:
        """Finish a review of the first employee, unless another is wished for."""
        wishes.setdefault("employee_id", self.employees[0])
        return self._sandbox.finish_review(**wishes)

    @property
    def filed(self) -> list[tuple[int, str]]:
        """Who has which document in Nmbrs."""
        return [(each["employee_id"], each["sha256"]) for each in self._sandbox.documents()]

    @property
    def sent(self) -> int:
        """How many uploads came to Nmbrs' door."""
        return len(self._sandbox.journal("nmbrs", UPLOAD))

    @property
    def downloaded(self) -> int:
        """How many documents were asked of Dialog."""
        return len(self._sandbox.journal("dialog", "Reviews.document"))


def stop_before(part: str) -> tuple[Any, Prepare]:
    """Return what lets a process say that it came so far, and wait there until it is killed."""
    reached = _FORKED.Event()

    def stay(*arguments: Any) -> Any:
        reached.set()
        threading.Event().wait()

    def prepare() -> None:
        if part == "sending":
            NmbrsHook.upload_document = stay  # type: ignore[method-assign]
            return
        whole = Octets.encoded

        def half(self: Octets) -> Any:
            pieces = whole(self)
            yield next(pieces)
            stay()

        Octets.encoded = half  # type: ignore[method-assign]

    return reached, prepare
