"""A task that exports from Orbit, over its tries and runs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.export_assets import ORBIT
from airflow_provider_visma.operators.orbit import OrbitExportOperator
from airflow_provider_visma.row_files import read_rows
from tests.integration.orbit_world import CONN_ID, Orbit
from tests.integration.task_context import TaskRuns

STATE = f"visma://orbit-watermarks/{CONN_ID}"
KEY = "watermark:a_dag.export:projects"


class Task:
    """A task of a DAG: every execution is a new operator, and Airflow's stores are all it remembers.

    :ivar now: what the worker's clock says, None for what it is.
    """

    def __init__(self, orbit: Orbit, destination: str, **arguments: Any) -> None:
        self.orbit = orbit
        self.now: datetime | None = None
        self.runs = TaskRuns()
        self._arguments = {
            "destination": destination,
            "resource": "projects",
            "file_format": "jsonl",
            **arguments,
        }

    def run(self, run_id: str = "run-1", *, map_index: int = -1, **changes: Any) -> dict[str, Any]:
        """Execute one try."""
        operator = OrbitExportOperator(task_id="export", **{**self._arguments, **changes})
        operator._hook = self.orbit.hook  # type: ignore[method-assign]
        if (now := self.now) is not None:
            operator._now = lambda: now  # type: ignore[method-assign]
        self.context = self.runs.context(operator, run_id)
        self.context["ti"].map_index = map_index
        self.operator = operator
        self.orbit.sandbox.clear_journal()
        return operator.execute(self.context)

    @property
    def events(self) -> list[Any]:
        """What the last try announced."""
        found: list[Any] = self.context["outlet_events"][ORBIT.alias(CONN_ID)].asset_alias_events
        return found

    @property
    def state(self) -> Any:
        return self.runs.asset_state[STATE].values.get(KEY)


def rows_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    name = f"rows.{manifest['format']}"
    return list(read_rows(ObjectStoragePath(manifest["uri"]) / name, manifest["format"]))


def ids_of(manifest: dict[str, Any]) -> list[str]:
    return [row["id"] for row in rows_of(manifest)]


def nothing_lies_in(destination: str) -> bool:
    return not list(Path(destination.removeprefix("file://")).rglob("*.*"))
