"""A file of hours, the task that uploads it, and what Severa holds in the end."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.hooks.severa import SeveraHook
from airflow_provider_visma.operators.severa_hours import SeveraHourEntriesOperator
from tests.integration.task_context import TaskRuns
from tests.integration.waiting import Try
from visma_sandbox.client import SandboxProcess

ADD = "IHourEntry.AddNewHourEntry"
NOWHERE = "5e7e4a00-ffff-4000-8000-00000000ffff"  # a phase that does not exist
COLUMNS = ("UserGUID", "PhaseGUID", "WorkTypeGUID", "EventDate", "Quantity", "IsBillable", "Description")
LONG_AGO, FAR_AHEAD = date(2000, 1, 1), date(2050, 1, 1)

Row = dict[str, str]


class Task:
    """A task that uploads hours: every execution is a new operator, and only its destination remembers."""

    def __init__(self, ledger: str, path: Path | ObjectStoragePath) -> None:
        self.states: dict[str, dict[str, str | None]] | None = None
        uri = f"file://{path}" if isinstance(path, Path) else str(path)
        self._arguments = {"ledger": ledger, "path": uri, "batch_size": 5}

    def arguments(self, **changes: Any) -> dict[str, Any]:
        return {**self._arguments, **changes}

    def run(self, run_id: str = "run-1", **changes: Any) -> dict[str, Any]:
        """Execute one try."""
        return execute(self.arguments(**changes), run_id, self.states)

    def start(self, run_id: str = "run-1", **changes: Any) -> Try:
        """Begin a try in a process of its own."""
        process = Try(target=execute, args=(self.arguments(**changes), run_id, None))
        process.start()
        return process


def execute(
    arguments: dict[str, Any], run_id: str, states: dict[str, dict[str, str | None]] | None
) -> dict[str, Any]:
    operator = SeveraHourEntriesOperator(
        task_id="upload", **{"settle_time": timedelta(0), **arguments, "retries": 0}
    )
    context = TaskRuns().context(operator, run_id)
    if states is not None:
        context["ti"].get_task_states = lambda **asked: states
    return operator.execute(context)


class Hours:
    """What Severa holds beyond what it held in the beginning."""

    def __init__(self, service: SandboxProcess) -> None:
        self._service = service
        self._hook = SeveraHook()
        self._before = {entry["GUID"] for entry in self._all()}
        self._count_before = self._count()

    def _all(self) -> list[dict[str, Any]]:
        return list(
            self._hook.rows("IHourEntry", "GetHourEntriesByDate", startdate=LONG_AGO, enddate=FAR_AHEAD)
        )

    @property
    def added(self) -> list[dict[str, Any]]:
        return [entry for entry in self._all() if entry["GUID"] not in self._before]

    def _count(self) -> int:
        return int(self._service.counts()["severa"]["hour_entries"])

    @property
    def stored(self) -> int:
        """How many entries are new, by the sandbox's own figure: cheap to ask again and again."""
        return self._count() - self._count_before

    @property
    def rows(self) -> Counter[str]:
        """The new entries, as the rows that they were made of."""
        return Counter(_as_row(entry) for entry in self.added)

    @property
    def sent(self) -> int:
        """How many rows the service was sent, whatever it made of them."""
        return len(self._service.journal("severa", ADD))

    def patterns(self, count: int) -> list[Row]:
        """Rows that the service takes, many of a kind; some are identical."""
        source = self._all()
        # A day after hours of the same people: Severa has to show some for a row to count as absent.
        day = source[len(source) // 2]["EventDate"].date()
        rows = []
        for number in range(count):
            entry = source[number // 3]
            rows.append(
                {
                    **{name: str(entry[name]) for name in COLUMNS[:3]},
                    "EventDate": day.isoformat(),
                    "Quantity": "7.5",
                    "IsBillable": "true",
                    # The second of each three is like the first.
                    "Description": "" if number % 3 == 2 else "Bouw; fase 2",
                }
            )
        return rows


def as_counter(rows: list[Row]) -> Counter[str]:
    return Counter("|".join(row[name] for name in COLUMNS) for row in rows)


def _as_row(entry: dict[str, Any]) -> str:
    values = {
        **entry,
        "EventDate": entry["EventDate"].date().isoformat(),
        "IsBillable": str(entry["IsBillable"]).lower(),
        "Description": entry["Description"] or "",
    }
    return "|".join(str(values[name]) for name in COLUMNS)


def write_csv(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_csv(uri: str) -> list[Row]:
    with open(uri.removeprefix("file://"), newline="") as file:
        return list(csv.DictReader(file))
