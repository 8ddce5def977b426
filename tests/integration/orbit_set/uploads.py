"""A file of rows, the task that sends them to Orbit, and what Orbit holds in the end."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.operators.orbit_set import OrbitSetOperator
from tests.integration.task_context import TaskRuns
from tests.integration.waiting import Try
from visma_sandbox.client import SandboxProcess

SET = "companies.set"

Row = dict[str, Any]


class Task:
    """A task that sends rows: every execution is a new operator, and only its destination remembers."""

    def __init__(self, ledger: str, path: Path | ObjectStoragePath, **arguments: Any) -> None:
        uri = f"file://{path}" if isinstance(path, Path) else str(path)
        self._arguments = {
            "ledger": ledger,
            "path": uri,
            "resource": "companies",
            "batch_size": 5,
            "settle_time": timedelta(0),
            **arguments,
        }

    def run(self, run_id: str = "run-1", **changes: Any) -> dict[str, Any]:
        """Execute one try."""
        return _execute({**self._arguments, **changes}, run_id)

    def start(self, run_id: str = "run-1", **changes: Any) -> Try:
        """Begin a try in a process of its own."""
        process = Try(target=_execute, args=({**self._arguments, **changes}, run_id))
        process.start()
        return process


class _Hurried(OrbitSetOperator):
    """Does not wait where the service asks for it."""

    def _sleep(self, seconds: float) -> None:
        pass


def _execute(arguments: dict[str, Any], run_id: str) -> dict[str, Any]:
    operator = _Hurried(task_id="upload", **arguments, retries=0)
    return operator.execute(TaskRuns().context(operator, run_id))


class Companies:
    """What Orbit holds beyond what it held in the beginning, and what it was sent."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self._sandbox = sandbox
        self.before = self._all()

    def _all(self) -> dict[str, Row]:
        return {row["id"]: row for row in self._sandbox.orbit_rows("companies", top=100_000)}

    @property
    def made(self) -> list[Row]:
        """The new rows, as they were made."""
        return [row for row_id, row in self._all().items() if row_id not in self.before]

    @property
    def names(self) -> list[str]:
        """The names of the new rows, a row each."""
        return sorted(row["name"] for row in self.made)

    @property
    def stored(self) -> int:
        """How many rows are new."""
        return int(self._sandbox.counts()["orbit"]["companies"]) - len(self.before)

    def now(self, row_id: str) -> Row:
        """A row as it is now."""
        return self._all()[row_id]

    @property
    def notes(self) -> list[dict[str, Any]]:
        """What the journal tells of each row that was sent."""
        return [entry["note"] for entry in self._sandbox.journal("orbit", SET)]

    @property
    def sent(self) -> int:
        """How many rows the service was sent, whatever it made of them."""
        return len(self.notes)


ROWS: list[Row] = [
    {"name": f"Nieuw {number}", "city": "Testdam" if number % 2 else "", "vatcode": f"NL{number}"}
    for number in range(1, 13)
]
"""Rows that Orbit takes, and that have no id."""

NAMES = sorted(row["name"] for row in ROWS)


def write_csv(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def read_csv(uri: str) -> list[dict[str, str]]:
    with open(uri.removeprefix("file://"), newline="") as file:
        return list(csv.DictReader(file))
