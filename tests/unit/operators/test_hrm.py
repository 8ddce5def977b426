"""What the HRM operators are to a DAG: arguments, mapping, assets, links."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, ObjectStoragePath, TaskGroup

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.export_assets import HRM
from airflow_provider_visma.hrm_landing import Landing, run_folder
from airflow_provider_visma.operators._exports import ExportedFilesLink, browser_address
from airflow_provider_visma.operators.hrm import (
    HrmDownloadOperator,
    HrmExportOperator,
    HrmStartExportOperator,
)
from airflow_provider_visma.retry import VISMA_RETRY_POLICY

ROOT = Path(__file__).parents[3]
EXPORT = {"task_id": "export", "destination": "file:///tmp/x"}


@pytest.mark.parametrize(
    "operator",
    [
        HrmStartExportOperator(task_id="start", dataset="employees"),
        HrmDownloadOperator(task_id="download", dataset="employees", job_id="1", destination="file:///tmp/x"),
        HrmExportOperator(dataset="employees", **EXPORT),  # type: ignore[arg-type]
    ],
)
def test_every_templated_field_is_an_attribute_and_the_retry_policy_is_ours(operator: Any) -> None:
    assert all(hasattr(operator, field) for field in operator.template_fields)
    assert operator.retry_policy is VISMA_RETRY_POLICY


def mapped(operator: type, **arguments: Any) -> Any:
    with DAG("a_dag", schedule=None):
        return operator.partial(**{**EXPORT, **arguments}).expand(dataset=["employees", "contracts"])  # type: ignore[attr-defined]


def test_a_mapped_task_declares_its_assets_when_the_dag_is_parsed() -> None:
    task = mapped(HrmExportOperator)
    assert task.partial_kwargs["inlets"] == [HRM.watermarks("visma_hrm_default")]
    assert task.partial_kwargs["outlets"] == [HRM.alias("visma_hrm_default")]
    assert mapped(HrmDownloadOperator, job_id="1").partial_kwargs["inlets"] == []


def test_an_instance_of_a_mapped_task_has_them_once_with_what_the_author_added() -> None:
    author = HRM.alias("own")
    task = mapped(HrmExportOperator, hrm_conn_id="other", outlets=[author]).unmap({"dataset": "employees"})
    assert task.inlets == [HRM.watermarks("other")]
    assert task.outlets == [HRM.alias("other"), author]
    assert (task.hrm_conn_id, task.dataset, task.retry_policy) == ("other", "employees", VISMA_RETRY_POLICY)


@pytest.mark.parametrize("is_mapped", [False, True])
def test_default_args_name_the_connection_of_a_mapped_task_too(is_mapped: bool) -> None:
    def export(task_id: str, **arguments: str) -> Any:
        arguments |= {"task_id": task_id, "destination": "file:///tmp/x"}
        if is_mapped:
            return HrmExportOperator.partial(**arguments).expand(dataset=["employees"])
        return HrmExportOperator(dataset="employees", **arguments)  # type: ignore[arg-type]

    author = HRM.alias("own")
    with DAG("a_dag", schedule=None, default_args={"hrm_conn_id": "of_the_dag", "outlets": [author]}):
        plain = export("plain")
        # mypy reads the type of the converter of this attrs class wrongly.
        with TaskGroup("group", default_args={"hrm_conn_id": "of_the_group"}):  # type: ignore[arg-type]
            grouped = export("grouped")
            own = export("own", hrm_conn_id="of_the_task")
    for task, conn_id in ((plain, "of_the_dag"), (grouped, "of_the_group"), (own, "of_the_task")):
        assert (task.partial_kwargs["hrm_conn_id"] if is_mapped else task.hrm_conn_id) == conn_id
        assert task.inlets == [HRM.watermarks(conn_id)]
        assert task.outlets == [HRM.alias(conn_id), author]


def test_watermarks_of_two_connections_are_kept_apart() -> None:
    assert HRM.watermarks("a") != HRM.watermarks("b")
    assert HRM.alias("a") != HRM.alias("b")


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("manual__2026-11-21T02:00:00+00:00", "run_id=manual__2026-11-21T02:00:00+00:00"),
        ("a/b", "run_id=a%2Fb"),
        ("..", "run_id=.."),
        ("x#y?z", "run_id=x%23y%3Fz"),
    ],
)
def test_a_run_has_a_folder_of_its_own(run_id: str, name: str) -> None:
    folder = run_folder("file:///tmp/x/", dataset="metadata/cost-centers", run_id=run_id)
    assert folder.path == f"/tmp/x/metadata/cost-centers/{name}"


@pytest.mark.parametrize("dataset", ["../employees", "/etc", "employees/../..", "Employees", ""])
def test_a_dataset_cannot_lead_out_of_the_destination(dataset: str) -> None:
    with pytest.raises(VismaRequestError):
        run_folder("file:///tmp/x", dataset=dataset, run_id="1")


def test_parquet_without_pyarrow_is_refused_before_an_export_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airflow_provider_visma.csv_files.find_spec", lambda name: None)
    with pytest.raises(VismaRequestError, match="pyarrow"):
        Landing(folder=ObjectStoragePath("file:///tmp/x"), file_format="parquet").check()


def test_a_type_that_pyarrow_does_not_have_is_refused_before_an_export_is_started(tmp_path: Path) -> None:
    folder = ObjectStoragePath(f"file://{tmp_path}")
    Landing(folder=folder, file_format="parquet", schema={"salary": "double"}).check()
    with pytest.raises(VismaRequestError, match="salary the type 'money'"):
        Landing(folder=folder, file_format="parquet", schema={"salary": "money"}).check()


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("file:///data/hrm/run_id=1", "file:///data/hrm/run_id=1"),
        (
            "s3://conn@bucket/hrm/run_id=a+b",
            "https://console.aws.amazon.com/s3/buckets/bucket?prefix=hrm/run_id%3Da%2Bb/",
        ),
        ("gs://bucket/hrm/x", "https://console.cloud.google.com/storage/browser/bucket/hrm/x"),
        ("abfs://container@account/hrm", "abfs://container@account/hrm"),
    ],
)
def test_a_link_opens_the_place_of_the_files(uri: str, address: str) -> None:
    operator = HrmExportOperator(dataset="employees", **EXPORT)  # type: ignore[arg-type]
    key: Any = None
    assert ExportedFilesLink().get_link(operator, ti_key=key) == ""
    operator.published_uri = uri
    assert ExportedFilesLink().get_link(operator, ti_key=key) == address == browser_address(uri)
