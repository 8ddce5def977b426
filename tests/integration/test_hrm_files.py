"""The files of an export job, from the sandbox to a destination."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import signal
import traceback
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.definitions.asset import AssetUniqueKey

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaJobFailedError,
    VismaTransientError,
    VismaUnavailableError,
)
from airflow_provider_visma.hooks.hrm import VismaHrmHook
from airflow_provider_visma.operators.hrm import HrmDownloadOperator
from airflow_provider_visma.protocols.downloads import LinkExpiredError
from airflow_provider_visma.protocols.links import LinkRefusedError
from airflow_provider_visma.storage import read_manifest
from sandbox.tests.waiting import wait_until
from tests.integration.task_context import TaskRuns
from tests.integration.waiting import Try
from visma_sandbox.client import SandboxProcess

CONN_ID = "visma_hrm_default"


def download(destination: str, dataset: str = "employees", **arguments: Any) -> dict[str, Any]:
    """Export a dataset and download it, as the operator does it in a task."""
    job_id = arguments.pop("job_id", None) or VismaHrmHook(CONN_ID).start_export(dataset)
    operator = HrmDownloadOperator(
        task_id="download", dataset=dataset, job_id=job_id, destination=destination, **arguments
    )
    return operator.execute(TaskRuns().context(operator))


def visible(destination: str) -> list[Path]:
    root = Path(ObjectStoragePath(destination).path)
    return sorted(path for path in root.rglob("*") if path.is_file())


def records(manifest: dict[str, Any]) -> list[dict[str, str]]:
    found = []
    for file in manifest["files"]:
        text = ObjectStoragePath(file["uri"]).read_bytes().decode("utf-8-sig")
        found += list(csv.DictReader(io.StringIO(text, newline="")))
    return found


def exported(service: SandboxProcess, dataset: str = "employees") -> int:
    """How many records the sandbox itself says there are."""
    count: int = service.counts()["hrm"][dataset]
    return count


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"hrm_parts": 4},
        {"files_gzip": "transport"},
        {"files_gzip": "file"},
        {"files_bom": True},
        {"files_crlf": True},
        {"files_bom": True, "files_crlf": True, "files_gzip": "transport", "hrm_parts": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("dataset", ["employees", "contracts", "metadata/organization-units"])
def test_what_lands_is_what_the_service_exported(
    service: SandboxProcess, destination: str, dataset: str, settings: dict[str, Any]
) -> None:
    service.settings(**settings)
    manifest = download(destination, dataset)
    folder = ObjectStoragePath(destination) / dataset / "run_id=run-1"
    assert manifest == read_manifest(folder)
    assert manifest["rows"] == exported(service, dataset) == len(records(manifest))
    assert manifest["header"] == list(records(manifest)[0])
    assert [file["uri"] for file in manifest["files"]] == [
        str(folder / f"part-{number:04d}.csv") for number in range(settings.get("hrm_parts", 1))
    ]
    for file in manifest["files"]:
        content = ObjectStoragePath(file["uri"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert all(entry["authorization"] is None for entry in service.journal("files"))


def test_the_manifest_tells_where_the_export_began(service: SandboxProcess, destination: str) -> None:
    began = "2026-01-01T00:00:00Z"
    job_id = VismaHrmHook(CONN_ID).start_export("employees", changed_after=began)
    assert download(destination, job_id=job_id, changed_after=began)["changed_after"] == began
    assert download(destination)["changed_after"] is None


def test_parquet_has_the_values_of_the_csv(service: SandboxProcess, destination: str) -> None:
    service.settings(hrm_parts=2, files_bom=True, files_crlf=True)
    job_id = VismaHrmHook(CONN_ID).start_export("employees")
    plain = download(destination + "/csv", job_id=job_id)
    manifest = download(destination + "/parquet", job_id=job_id, file_format="parquet")
    tables = [pyarrow.parquet.read_table(ObjectStoragePath(file["uri"]).path) for file in manifest["files"]]
    assert [row for table in tables for row in table.to_pylist()] == records(plain)
    assert manifest["rows"] == plain["rows"] == exported(service)
    assert [path.name for path in visible(destination + "/parquet")] == [
        "_manifest.json",
        "part-0000.parquet",
        "part-0001.parquet",
    ]


@pytest.mark.parametrize("settings", [{"hrm_header_only": True}, {"hrm_parts": 0}])
def test_an_export_without_rows_is_a_success_with_none(
    service: SandboxProcess, destination: str, settings: dict[str, Any]
) -> None:
    service.settings(**settings)
    manifest = download(destination)
    assert manifest["rows"] == 0
    assert read_manifest(ObjectStoragePath(manifest["uri"])) == manifest


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize(
    "change", [{"rename": {"nickname": "callname"}}, {"remove": ["nickname"]}, {"add": ["new"]}]
)
def test_parts_whose_columns_differ_are_not_published(
    service: SandboxProcess, destination: str, change: dict[str, Any], part: int
) -> None:
    service.settings(hrm_parts=3)
    service.inject("hrm", "command/*", "changed_header", part=part, **change)
    with pytest.raises(VismaContentError, match="other columns"):
        download(destination)
    assert visible(destination) == []


def test_a_new_column_in_every_part_is_no_error(service: SandboxProcess, destination: str) -> None:
    service.settings(hrm_added_columns={"employees": ["brandnew"]}, hrm_parts=2)
    assert "brandnew" in download(destination)["header"]


@pytest.mark.parametrize("kind", ["truncated", "reset_body"])
@pytest.mark.parametrize("keep", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("validator", ["etag", "weak_etag", "last_modified", "none"])
def test_a_download_that_breaks_off_is_completed(
    service: SandboxProcess, destination: str, kind: str, keep: float, validator: str
) -> None:
    service.settings(files_validator=validator)
    service.inject("files", "download/*", kind, keep=keep)
    manifest = download(destination)
    assert len(records(manifest)) == manifest["rows"] == exported(service)
    assert len(service.journal("files")) == 2


@pytest.mark.parametrize("kind", ["changed_validator", "wrong_range"])
def test_a_resumed_download_never_mixes_two_versions(
    service: SandboxProcess, destination: str, kind: str
) -> None:
    whole = download(destination + "/whole")
    service.inject("files", "download/*", "truncated", keep=0.5)
    service.inject("files", "download/*", kind)
    manifest = download(destination + "/resumed")
    assert [file["sha256"] for file in manifest["files"]] == [file["sha256"] for file in whole["files"]]


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("truncated", {"keep": 0.5}),
        ("truncated", {"keep": 0.5, "chunked": True}),
        ("reset_body", {}),
        ("reset", {}),
        ("status", {"status": 500}),
        ("status", {"status": 503}),
        ("status", {"status": 403}),
        ("status", {"status": 404}),
        ("status", {"status": 400}),
        ("html_error_page", {}),
        ("gzip_bomb", {"size": 1 << 26}),
        ("empty_body", {}),
        ("redirect", {"location": "http://169.254.169.254/latest/meta-data"}),
    ],
)
def test_a_download_that_always_fails_publishes_nothing(
    service: SandboxProcess, destination: str, kind: str, arguments: dict[str, Any]
) -> None:
    service.settings(hrm_parts=2)
    service.inject("files", "download/*", kind, count=None, **arguments)
    with pytest.raises(VismaError):
        download(destination)
    assert visible(destination) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_expired_links_are_read_again(service: SandboxProcess, destination: str, status: int) -> None:
    service.settings(files_expired_status=status, hrm_parts=3)
    service.inject("hrm", "query/*", "link_expired")
    service.inject("hrm", "query/*", "link_expired")
    assert len(records(download(destination))) == exported(service)
    assert len(service.journal("hrm", "query/*")) == 3
    assert len(service.journal("hrm", "command/*")) == 1


def test_links_that_stay_expired_are_a_transient_error(service: SandboxProcess, destination: str) -> None:
    service.inject("hrm", "query/*", "link_expired", count=None)
    with pytest.raises(LinkExpiredError) as caught:
        download(destination)
    assert isinstance(caught.value, VismaTransientError)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/?sig=canary",
        "http://evil.example.org/employees.csv?sig=canary",
        "file:///etc/passwd",
        "http://user:canary@127.0.0.1/employees.csv",
    ],
)
def test_a_link_to_somewhere_else_is_refused(service: SandboxProcess, destination: str, url: str) -> None:
    service.inject("hrm", "query/*", "foreign_link", count=None, url=url)
    with pytest.raises(LinkRefusedError) as caught:
        download(destination)
    assert "canary" not in str(caught.value)


def test_a_connection_that_does_not_allow_it_refuses_insecure_links(
    service: SandboxProcess, destination: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = service.connections()[CONN_ID]
    del connection["extra"]["allow_insecure_files"]
    monkeypatch.setenv("AIRFLOW_CONN_VISMA_HRM_DEFAULT", json.dumps(connection))
    with pytest.raises(LinkRefusedError, match="not https"):
        download(destination)
    assert service.journal("files") == []


@pytest.mark.parametrize(("polls", "kind"), [(5, VismaUnavailableError), (0, VismaJobFailedError)])
def test_a_job_without_files_yet_or_ever_is_not_downloaded(
    service: SandboxProcess, destination: str, polls: int, kind: type[VismaError]
) -> None:
    service.settings(hrm_job_polls=polls)
    if kind is VismaJobFailedError:
        service.inject("hrm", "command/*", "job_failed")
    with pytest.raises(kind):
        download(destination)
    assert visible(destination) == []


def test_the_asset_of_the_dataset_is_told(service: SandboxProcess, destination: str) -> None:
    job_id = VismaHrmHook(CONN_ID).start_export("employees")
    operator = HrmDownloadOperator(
        task_id="download", dataset="employees", job_id=job_id, destination=destination
    )
    context = TaskRuns().context(operator)
    manifest = operator.execute(context)
    (event,) = context["outlet_events"][operator.outlets[0]].asset_alias_events
    uri = f"visma://hrm/{VismaHrmHook(CONN_ID).tenant_id}/employees"
    assert event.dest_asset_key == AssetUniqueKey(name=uri, uri=uri)
    assert event.extra == manifest
    assert json.loads(json.dumps(manifest)) == manifest


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("status", {"status": 403, "body": "canary"}),
    ("status", {"status": 400, "body": "canary"}),
    ("status", {"status": 500, "body": "canary"}),
    ("truncated", {}),
    ("reset_body", {}),
    ("redirect", {"location": "http://evil.example.org/?sig=canary"}),
    ("html_error_page", {"body": "<html>canary</html>"}),
]


@pytest.mark.parametrize(("kind", "arguments"), FAULTS, ids=str)
def test_the_signature_of_a_link_appears_nowhere_whatever_goes_wrong(
    service: SandboxProcess,
    destination: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    arguments: dict[str, Any],
) -> None:
    masked: list[str] = []
    monkeypatch.setattr("airflow_provider_visma.hooks.hrm_files.mask_secret", masked.append)
    caplog.set_level(logging.INFO)
    said = [repr(download(destination))]
    service.inject("files", "download/*", kind, count=None, **arguments)
    try:
        download(destination)
    except VismaError as error:
        said += [repr(error), *traceback.format_exception(error)]
    said += [*capfd.readouterr(), caplog.text]
    said += [path.read_text() for path in visible(destination) if path.suffix == ".json"]
    assert masked
    signatures = [
        part.removeprefix("sig=") for query in masked for part in query.split("&") if "sig=" in part
    ]
    assert "employees" in "".join(said)
    for secret in (*signatures, "canary"):
        assert not [text for text in said if secret in text]


@pytest.mark.parametrize("after", [0.02, 0.2, 0.4])
def test_sigterm_in_mid_download_ends_at_once_and_leaves_nothing(
    service: SandboxProcess, destination: str, tmp_path: Path, after: float
) -> None:
    service.settings(hrm_parts=3)
    service.inject("files", "download/*", "slow_body", count=None, bytes=1, interval=0.05)
    process = Try(target=download, args=(destination,))
    process.start()
    wait_until(lambda: any(entry["bytes_sent"] for entry in service.journal("files")))
    process.join(after)
    assert list(tmp_path.rglob(".visma-staging-*"))
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM  # long before the files are there: that takes minutes
    assert visible(destination) == []
    assert list(tmp_path.rglob(".visma-staging-*")) == []
