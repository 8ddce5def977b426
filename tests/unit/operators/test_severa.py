"""What the export operator of Severa is to a DAG: arguments, mapping, assets."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.export_assets import HRM, SEVERA
from airflow_provider_visma.operators._exports import ExportedFilesLink
from airflow_provider_visma.operators.severa import SeveraExportOperator
from airflow_provider_visma.retry import VISMA_RETRY_POLICY

EXPORT: dict[str, Any] = {
    "task_id": "export",
    "contract": "IHourEntry",
    "operation": "GetHourEntriesChangedSince",
    "destination": "file:///tmp/x",
}


def test_every_templated_field_is_an_attribute_and_the_retry_policy_is_ours() -> None:
    operator = SeveraExportOperator(**EXPORT)
    assert all(hasattr(operator, field) for field in operator.template_fields)
    assert operator.retry_policy is VISMA_RETRY_POLICY


def test_templates_reach_into_arguments_and_window() -> None:
    operator = SeveraExportOperator(
        **{**EXPORT, "operation": "{{ operation }}"},
        arguments={"businessUnitGUID": "{{ unit }}", "options": 1},
        window=("{{ first }}", "{{ last }}"),
        fields=["GUID", "{{ field }}"],
    )
    operator.render_template_fields(
        {"operation": "GetX", "unit": "u", "first": "2026-11-01", "last": "2026-11-30", "field": "Name"}  # type: ignore[typeddict-unknown-key]
    )
    assert operator.operation == "GetX"
    assert operator.arguments == {"businessUnitGUID": "u", "options": 1}
    assert operator.window == ("2026-11-01", "2026-11-30")
    assert operator.fields == ["GUID", "Name"]


def test_a_mapped_task_declares_its_assets_when_the_dag_is_parsed() -> None:
    with DAG("a_dag", schedule=None, default_args={"severa_conn_id": "of_the_dag"}):
        arguments = {name: value for name, value in EXPORT.items() if name != "operation"}
        task = SeveraExportOperator.partial(**arguments).expand(operation=["GetX", "GetY"])
    assert task.partial_kwargs["inlets"] == [SEVERA.watermarks("of_the_dag")]
    assert task.partial_kwargs["outlets"] == [SEVERA.alias("of_the_dag")]
    instance = task.unmap({"operation": "GetX"})
    assert (instance.severa_conn_id, instance.operation) == ("of_the_dag", "GetX")
    assert (instance.inlets, instance.outlets) == (
        [SEVERA.watermarks("of_the_dag")],
        [SEVERA.alias("of_the_dag")],
    )


def test_an_author_adds_inlets_and_outlets() -> None:
    own = SEVERA.alias("own")
    operator = SeveraExportOperator(**EXPORT, inlets=[HRM.watermarks("x")], outlets=[own])
    assert operator.inlets == [SEVERA.watermarks("severa_default"), HRM.watermarks("x")]
    assert operator.outlets == [SEVERA.alias("severa_default"), own]


def test_the_systems_keep_their_assets_apart() -> None:
    assert SEVERA.watermarks("a") != HRM.watermarks("a")
    assert SEVERA.alias("a") != HRM.alias("a")
    assert HRM.exported("tenant", "employees").uri == "visma://hrm/tenant/employees"
    assert SEVERA.exported("severa_default", "hours").uri == "visma://severa/severa_default/hours"


def test_the_link_opens_the_files() -> None:
    operator = SeveraExportOperator(**EXPORT)
    key: Any = None
    assert ExportedFilesLink().get_link(operator, ti_key=key) == ""
    operator.published_uri = "gs://bucket/severa"
    assert ExportedFilesLink().get_link(operator, ti_key=key).endswith("/bucket/severa")


def test_parquet_without_pyarrow_is_refused_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_visma.csv_files.find_spec", lambda name: None)
    operator = SeveraExportOperator(**EXPORT, file_format="parquet")
    with pytest.raises(VismaRequestError, match="pyarrow"):
        _landing_of(operator).check()


def _landing_of(operator: SeveraExportOperator) -> Any:
    from tests.integration.task_context import TaskRuns

    landing = operator._landing(TaskRuns().context(operator))
    assert landing.folder == ObjectStoragePath(
        "file:///tmp/x/IHourEntry.GetHourEntriesChangedSince/run_id=run-1"
    )
    return landing
