"""An export of Severa as a test runs it: tries and runs that Airflow's stores alone connect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.operators.severa import SeveraExportOperator
from airflow_provider_visma.row_files import read_rows
from tests.integration.task_context import TaskRuns
from visma_sandbox.client import SandboxProcess

WATERMARKS = "visma://severa-watermarks/severa_default"
NARROW_KEY = "visma-sandbox-severa-key-narrow"
WEEK = timedelta(days=7)
CHANGES = {"contract": "IHourEntry", "operation": "GetHourEntriesChangedSince"}
HOURS = {
    "contract": "IHourEntry",
    "operation": "GetHourEntriesByDate",
    "arguments": {"businessUnitGUID": ""},
}
ALL_CASES = {"contract": "ICase", "operation": "GetAllCases", "arguments": {"businessUnitGUID": ""}}


class Task:
    """A task of a DAG: every execution is a new operator, and Airflow's stores are all it remembers.

    :ivar now: what the worker's clock says.
    """

    def __init__(self, destination: str, **arguments: Any) -> None:
        self.runs = TaskRuns()
        self.now = datetime(2026, 11, 20, 2, 0, 30, tzinfo=UTC)
        self._arguments = {"destination": destination, **arguments}

    def operator(self, **changes: Any) -> SeveraExportOperator:
        operator = SeveraExportOperator(task_id="export", **{**self._arguments, **changes})
        operator._now = lambda: self.now  # type: ignore[method-assign]
        return operator

    def run(self, run_id: str = "run-1", *, at: str | None = None, **changes: Any) -> dict[str, Any]:
        """Execute one try.

        :param at: what the clock says from then on, ``02:00:30`` or ``2026-11-21T02:00:30``.
        """
        if at is not None:
            text = at if "T" in at else f"{self.now:%Y-%m-%d}T{at}"
            self.now = datetime.fromisoformat(text).replace(tzinfo=UTC)
        operator = self.operator(**changes)
        context = self.runs.context(operator, run_id)
        context["data_interval_start"] = self.now
        self.last_context = context
        return operator.execute(context)

    @property
    def watermarks(self) -> dict[str, Any]:
        stored = self.runs.asset_state[WATERMARKS].values
        return {key: value for key, value in stored.items() if key.startswith("watermark:")}

    @property
    def watermark(self) -> str | None:
        """When the read began that the next one follows."""
        return next((value["read_at"] for value in self.watermarks.values()), None)


def change(service: SandboxProcess, at: str, guid: str | None = None, **values: Any) -> str:
    """Somebody changes an hour entry, or adds one; return its GUID."""
    at = at if "T" in at else f"2026-11-20T{at}"
    changed = service.change_severa("hour_entry", guid, changes=values, at=at)
    return str(changed["guid"])


def delete(service: SandboxProcess, guid: str) -> None:
    service.change_severa("hour_entry", guid, delete=True, at="2026-11-20T02:00:00")


def rows(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """What was published."""
    path = ObjectStoragePath(manifest["uri"]) / f"rows.{manifest['format']}"
    return list(read_rows(path, manifest["format"]))


def guids(manifest: dict[str, Any]) -> list[str]:
    return [row["GUID"] for row in rows(manifest)]


def asked(service: SandboxProcess, name: str = "startDate") -> list[str]:
    """From when each read asked."""
    entries = service.journal("severa", "*.Get*ChangedSince")
    return [entry["note"]["values"][name] for entry in entries]


def staged(tmp_path: Path) -> list[Path]:
    return list(tmp_path.rglob(".visma-staging-*"))
