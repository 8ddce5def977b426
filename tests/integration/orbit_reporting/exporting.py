"""An export of a report as a test runs it, and what the sandbox says of that report."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.export_assets import ORBIT_REPORTING
from airflow_provider_visma.hooks.orbit_reporting import OrbitReportingHook
from airflow_provider_visma.operators.orbit_reporting import OrbitReportExportOperator
from airflow_provider_visma.row_files import read_rows
from tests.integration.task_context import TaskRuns
from visma_sandbox.client import SandboxProcess
from visma_sandbox.orbit_reporting.every_type import Empty, EveryType
from visma_sandbox.orbit_reporting.projects import HoursPerProject
from visma_sandbox.orbit_reporting.sales import Invoices, SalesPipeline
from visma_sandbox.orbit_reporting.staff import EmployeesAndContracts

HOURS, INVOICES = HoursPerProject.id, Invoices.id
REPORTS = [HOURS, INVOICES, SalesPipeline.id, EmployeesAndContracts.id, Empty.id, EveryType.id]
STATE = "visma://orbit-reporting-watermarks/teamleader_orbit_reporting_default"


class Task:
    """A task of a DAG: every execution is a new operator, and Airflow's stores are all it remembers.

    :ivar now: what the worker's clock says.
    """

    def __init__(self, destination: str, **arguments: Any) -> None:
        self.runs = TaskRuns()
        self.now = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
        self._arguments = {"destination": destination, "report": INVOICES, **arguments}

    def run(
        self, run_id: str = "run-1", *, after: timedelta = timedelta(), map_index: int = -1, **changes: Any
    ) -> dict[str, Any]:
        """Execute one try, so much later."""
        self.now += after
        operator = OrbitReportExportOperator(task_id="export", **{**self._arguments, **changes})
        operator._now = lambda: self.now  # type: ignore[method-assign]
        operator._hook = lambda: OrbitReportingHook(sleep=lambda seconds: None)  # type: ignore[method-assign]
        self.context = self.runs.context(operator, run_id)
        self.context["ti"].map_index = map_index
        self.operator = operator
        return operator.execute(self.context)

    @property
    def events(self) -> list[Any]:
        """What the last try announced."""
        alias = ORBIT_REPORTING.alias("teamleader_orbit_reporting_default")
        found: list[Any] = self.context["outlet_events"][alias].asset_alias_events
        return found

    @property
    def state(self) -> dict[str, Any]:
        return self.runs.asset_state[STATE].values


def rows(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """What was published."""
    path = ObjectStoragePath(manifest["uri"]) / f"rows.{manifest['format']}"
    return list(read_rows(path, manifest["format"]))


def said(service: SandboxProcess, report: str) -> list[dict[str, Any]]:
    """The rows as the sandbox itself has them, each value as on the wire."""
    with urllib.request.urlopen(f"{service.url}/_control/orbit_reporting/rows/{report}?top=100000") as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def column(service: SandboxProcess, report: str = INVOICES, /, **changes: Any) -> None:
    """Somebody edits the report."""
    service.settings(orbit_report_columns={report: changes})


def requests(service: SandboxProcess) -> list[str]:
    return [entry["operation"] for entry in service.journal("orbit_reporting")]
