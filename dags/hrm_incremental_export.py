"""Visma.net HRM & Payroll: every hour, what changed since the last time."""

from __future__ import annotations

import os
from datetime import datetime

from airflow.sdk import Param, dag, task

from airflow_provider_visma.operators.hrm import HrmExportOperator


@dag(
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
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
        "full_refresh": Param(False, type="boolean", description="Export everything, this once."),
    },
    default_args={"retries": 3},
    tags=["visma", "hrm"],
)
def hrm_incremental_export():
    """
    ### HRM & Payroll, incrementally

    One task per dataset starts an export, waits in the triggerer, downloads the files and then moves the
    dataset's watermark. The first run exports everything, each next one what changed since the watermark.
    Deletions do not show in a delta: trigger a run with `full_refresh` now and then.

    The watermarks are in the state of the asset `visma://hrm-watermarks/visma_hrm_default`, and each
    dataset's files are announced as an event of the asset `visma://hrm/<tenant>/<dataset>`.

    **Connection:** `visma_hrm_default` (Visma.net HRM & Payroll).
    """

    @task
    def datasets(params: dict) -> list[str]:
        return params["datasets"]

    HrmExportOperator.partial(
        task_id="export",
        destination="{{ params.destination }}",
        full_refresh="{{ params.full_refresh }}",
        map_index_template="{{ task.dataset }}",
    ).expand(dataset=datasets())


hrm_incremental_export()
