"""Visma.net HRM & Payroll: a full export of several datasets to CSV, step by step."""

from __future__ import annotations

import os

from airflow.sdk import Param, dag, task, task_group

from airflow_provider_visma.operators.hrm import HrmDownloadOperator, HrmStartExportOperator
from airflow_provider_visma.sensors.hrm import HrmJobSensor


@dag(
    schedule=None,
    catchup=False,
    params={
        "datasets": Param(
            ["employees", "contracts", "metadata/organization-units"],
            type="array",
            items={"type": "string"},
            description="Paths of the datasets, as in the API's own documentation.",
        ),
        "destination": Param(
            os.environ.get("VISMA_DESTINATION", "file:///tmp/visma") + "/hrm",
            type="string",
            description="Any address that ObjectStoragePath takes.",
        ),
    },
    default_args={"retries": 3},
    tags=["visma", "hrm"],
)
def hrm_csv_export():
    """
    ### HRM & Payroll to CSV

    For each dataset: start an export job, wait for it without holding a worker, download its files.
    They land at `<destination>/<dataset>/run_id=<run id>/part-0000.csv`, and `_manifest.json` last:
    whoever reads the folder reads that first.

    Every run exports everything. For what changed since the last time see `hrm_incremental_export`.

    **Connection:** `visma_hrm_default` (Visma.net HRM & Payroll).
    """

    @task
    def datasets(params: dict) -> list[str]:
        return params["datasets"]

    @task_group
    def export(dataset: str):
        start = HrmStartExportOperator(task_id="start", dataset=dataset)
        wait = HrmJobSensor(task_id="wait", dataset=dataset, job_id=start.output, timeout=2 * 3600)
        download = HrmDownloadOperator(
            task_id="download",
            dataset=dataset,
            job_id=start.output,
            destination="{{ params.destination }}",
        )
        start >> wait >> download

    export.expand(dataset=datasets())


hrm_csv_export()
