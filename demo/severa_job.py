"""Severa's two DAGs: a night, the day after it on which people work, and the next night.

The day is what makes the second night worth a look: hours are uploaded, and somebody changes a case and
deletes an invoice in Severa itself.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet

from demo.airflow_api import AirflowApi
from demo.parquet_files import path_of
from demo.severa_outcome import night_outcome, upload_outcome
from visma_sandbox.client import SandboxClient

NIGHT_DAG: Final = "severa_hours_and_invoices"
UPLOAD_DAG: Final = "severa_upload_hours"
UPLOADED_ROWS: Final = 20

Finished = Callable[[AirflowApi, str, str], str]


@dataclass(frozen=True, slots=True)
class SeveraJob:
    """Runs Severa's DAGs on one Airflow against one sandbox.

    :param files: folder that everything lands in.
    :param finished: waits for a run and returns its state, or raises.
    """

    api: AirflowApi
    sandbox: SandboxClient
    files: Path
    finished: Finished

    def start_night(self) -> str:
        """Start the nightly export and return the run's id."""
        return self.api.run(NIGHT_DAG, {"destination": f"file://{self.files / 'severa'}"})

    def night(self, run_id: str) -> dict[str, Any]:
        """Wait for a nightly export and return its summary."""
        state = self.finished(self.api, NIGHT_DAG, run_id)
        manifests = [self.api.xcom(one) for one in self.api.task_instances(NIGHT_DAG, run_id, "export")]
        return night_outcome(state, manifests)

    def day(self, night: dict[str, Any]) -> dict[str, Any]:
        """Upload hours, let something happen in Severa, and return the summary of the upload.

        :param night: summary of the night before it.
        """
        # Severa tells changes to the minute; before the first night there were none.
        self.sandbox.settings(severa_counts_since=(datetime.now(UTC) - timedelta(minutes=2)).isoformat())
        inbox = self.files / "severa_hours" / "inbox"
        inbox.mkdir(parents=True)
        _write_hours(
            inbox / "hours.csv", _rows(night, "hour_entries", "UserGUID", "PhaseGUID", "WorkTypeGUID")
        )
        uploaded = self._upload(quiet_seconds=0)
        (case, *_) = _rows(night, "cases", "GUID")
        self.sandbox.change_severa("case", case["GUID"], changes={"Name": "Hernoemd"})
        for invoice in _rows(night, "invoices", "GUID")[:1]:
            self.sandbox.change_severa("invoice", invoice["GUID"], delete=True)
        return uploaded

    def upload_again(self) -> dict[str, Any]:
        """Upload the same file once more, and return the summary of that."""
        (taken,) = (self.files / "severa_hours" / "taken").rglob("hours.csv")
        return self._upload(files=[f"file://{taken}"])

    def _upload(self, **conf: Any) -> dict[str, Any]:
        folder = f"file://{self.files / 'severa_hours'}"
        run_id = self.api.run(UPLOAD_DAG, {"folder": folder, **conf})
        state = self.finished(self.api, UPLOAD_DAG, run_id)
        results = [self.api.xcom(one) for one in self.api.task_instances(UPLOAD_DAG, run_id, "upload")]
        return upload_outcome(state, results)


def _rows(night: dict[str, Any], name: str, *columns: str) -> list[dict[str, Any]]:
    (file,) = (file for file in night["files"] if file["export"] == name)
    read = pyarrow.parquet.read_table(path_of(file), columns=list(columns))
    rows: list[dict[str, Any]] = read.slice(0, UPLOADED_ROWS).to_pylist()
    return rows


def _write_hours(path: Path, entries: list[dict[str, Any]]) -> None:
    """Write today's hours of somebody who worked on each entry's phase."""
    today = datetime.now(UTC).date().isoformat()
    rows = [{**entry, "EventDate": today, "Quantity": "1.5", "IsBillable": "true"} for entry in entries]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
