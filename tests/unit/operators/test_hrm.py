"""What the operators of HRM make of their arguments before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, Asset, TaskGroup

from airflow_provider_visma.hrm_assets import export_alias, watermark_asset
from airflow_provider_visma.operators.hrm import HrmExportOperator
from airflow_provider_visma.retry import VISMA_RETRY_POLICY

EXTRA = Asset("file:///of-the-author")


def export(mapped: bool, task_id: str = "export", **arguments: Any) -> Any:
    if mapped:
        return HrmExportOperator.partial(task_id=task_id, destination="/d", **arguments).expand(
            dataset=["employees"]
        )
    return HrmExportOperator(task_id=task_id, destination="/d", dataset="employees", **arguments)


@pytest.mark.parametrize("mapped", [False, True])
def test_default_args_name_the_connection_of_a_mapped_task_too(mapped: bool) -> None:
    with DAG("a_dag", default_args={"hrm_conn_id": "of_the_dag", "outlets": [EXTRA]}):
        plain = export(mapped)
        # mypy reads the type of the converter of this attrs class wrongly.
        with TaskGroup("group", default_args={"hrm_conn_id": "of_the_group"}):  # type: ignore[arg-type]
            grouped = export(mapped)
            own = export(mapped, task_id="own", hrm_conn_id="of_the_task")
    for operator, conn_id in ((plain, "of_the_dag"), (grouped, "of_the_group"), (own, "of_the_task")):
        named = operator.partial_kwargs["hrm_conn_id"] if mapped else operator.hrm_conn_id
        assert named == conn_id
        assert operator.inlets == [watermark_asset(conn_id)]
        assert operator.outlets == [export_alias(conn_id), EXTRA]
        assert operator.retry_policy is VISMA_RETRY_POLICY
