"""An export of one report with the patience of a test: a retry that comes at once."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_provider_visma.operators.orbit_reporting import OrbitReportExportOperator

with DAG(
    "report_with_patience",
    schedule=None,
    params={"destination": Param(type="string"), "report": Param(type="string")},
):
    OrbitReportExportOperator(
        task_id="export",
        report="{{ params.report }}",
        destination="{{ params.destination }}",
        max_age=timedelta(hours=1),
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
