"""Teamleader Orbit: every night the reports that users defined, each to a parquet file."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from airflow_provider_visma.operators.orbit_reporting import OrbitReportExportOperator
from airflow_provider_visma.retry import VISMA_RETRY_POLICY


@dag(
    schedule=CronTriggerTimetable("0 3 * * *", timezone="Europe/Amsterdam"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={
        "destination": Param(
            os.environ.get("VISMA_DESTINATION", "file:///tmp/visma") + "/orbit",
            type="string",
            description="Any address that ObjectStoragePath takes.",
        ),
        "reports": Param(
            [],
            type="array",
            items={"type": "string"},
            description="Ids of reports, such as RP7K2M9XW4H1TQZ. None: all that the service document lists.",
        ),
        "max_age": Param(
            0,
            type="integer",
            minimum=0,
            description="Seconds for which a copy counts as new: a younger one is not fetched again.",
        ),
        "on_column_change": Param(
            "warn", enum=["warn", "fail"], description="`fail` publishes nothing where columns changed."
        ),
    },
    default_args={"retries": 3},
    tags=["visma", "orbit"],
)
def orbit_reports_to_parquet():
    """
    ### The reports of Teamleader Orbit

    One task per report. Files land at `<destination>/<report>/run_id=<run id>/rows.parquet`, and
    `_manifest.json` last, with the columns, their types, and which of them came, went or changed their type
    since the copy before. Each copy is an event of the asset `visma://orbit-reporting/<tenant>/<report>`.

    Not every server lists its reports: then name them in `reports`.

    **Connection:** `teamleader_orbit_reporting_default` (Teamleader Orbit reporting), with a user who may
    read the reports.
    """

    @task(retry_policy=VISMA_RETRY_POLICY)
    def reports(params: dict[str, Any]) -> list[str]:
        from airflow_provider_visma.exceptions import VismaRequestError
        from airflow_provider_visma.hooks.orbit_reporting import OrbitReportingHook

        if params["reports"]:
            return list(dict.fromkeys(params["reports"]))
        listed = OrbitReportingHook().reports()
        if listed is None:
            raise VismaRequestError(
                "the server does not list its reports",
                system="Teamleader Orbit",
                advice="Name them in the parameter `reports`; Orbit shows the id of each.",
            )
        return list(dict.fromkeys(each.name for each in listed))  # several workspaces may list one

    OrbitReportExportOperator.partial(
        task_id="export",
        destination="{{ params.destination }}",
        file_format="parquet",
        max_age="{{ params.max_age }}",
        on_column_change="{{ params.on_column_change }}",
        map_index_template="{{ task.report }}",
    ).expand(report=reports())


orbit_reports_to_parquet()
