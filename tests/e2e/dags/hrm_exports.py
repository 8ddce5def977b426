"""Exports with the patience of a test: short retries, and a deadline that can be waited for."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_provider_visma.operators.hrm import HrmExportOperator

for dag_id, timeout, retries in (
    ("export_with_patience", timedelta(minutes=5), 1),
    ("export_with_deadline", timedelta(seconds=4), 1),
    ("export_once", timedelta(minutes=5), 0),
):
    with DAG(
        dag_id,
        schedule=None,
        params={
            "dataset": Param("employees", type="string"),
            "destination": Param(type="string"),
            "full_refresh": Param(False, type="boolean"),
        },
    ):
        HrmExportOperator(
            task_id="export",
            dataset="{{ params.dataset }}",
            destination="{{ params.destination }}",
            full_refresh="{{ params.full_refresh }}",
            timeout=timeout,
            poll_interval=1.0,
            max_poll_interval=2.0,
            retries=retries,
            retry_delay=timedelta(seconds=1),
        )
