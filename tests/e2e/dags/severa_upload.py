"""An upload of hours with the patience of a test: a retry that comes at once."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_provider_visma.operators.severa_hours import SeveraHourEntriesOperator

with DAG(
    "upload_with_patience",
    schedule=None,
    params={"path": Param(type="string"), "ledger": Param(type="string")},
):
    SeveraHourEntriesOperator(
        task_id="upload",
        path="{{ params.path }}",
        ledger="{{ params.ledger }}",
        batch_size=5,
        settle_time=timedelta(0),
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
