"""A snapshot of Nmbrs that is not tried again."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_visma.operators.nmbrs import NmbrsSnapshotOperator

with DAG("snapshot_once", schedule=None, params={"destination": Param(type="string")}):
    NmbrsSnapshotOperator(task_id="snapshot", destination="{{ params.destination }}", retries=0)
