"""Every export lands whole at S3, its next run finds what it left there, and its retry writes the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.operators.dialog import DialogImportOperator
from airflow_provider_visma.operators.hrm import HrmExportOperator
from airflow_provider_visma.operators.nmbrs import NmbrsSnapshotOperator
from tests.integration import orbit_exports
from tests.integration.orbit_reporting import exporting as orbit_reports
from tests.integration.orbit_world import Orbit
from tests.integration.s3.conftest import BUCKET
from tests.integration.s3.server import S3
from tests.integration.severa_export import exporting as severa_exports
from tests.integration.task_context import TaskRuns
from visma_sandbox.client import SandboxProcess


def check(s3: S3, manifest: dict[str, Any]) -> None:
    """Compare what another client finds with the manifest, which lies beside the files."""
    folder = ObjectStoragePath(manifest["uri"]).path.removeprefix(f"{BUCKET}/")
    lies_there = {
        key.removeprefix(f"{folder}/"): s3.client.head_object(Bucket=BUCKET, Key=key)["ContentLength"]
        for key in s3.keys(BUCKET)
        if key.startswith(f"{folder}/")
    }
    found = s3.client.get_object(Bucket=BUCKET, Key=f"{folder}/_manifest.json")["Body"].read()
    assert {name: json.loads(found)[name] for name in ("uri", "files")} == {
        name: manifest[name] for name in ("uri", "files")
    }
    del lies_there["_manifest.json"]
    assert lies_there == {file["uri"].rsplit("/", 1)[-1]: file["bytes"] for file in manifest["files"]}


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_hrm(s3: S3, service: SandboxProcess, destination: str, file_format: str) -> None:
    runs = TaskRuns()

    def run(run_id: str) -> dict[str, Any]:
        operator = HrmExportOperator(
            task_id="export",
            dataset="employees",
            destination=destination,
            deferrable=False,
            poll_interval=0.0,
            file_format=file_format,
        )
        return operator.execute(runs.context(operator, run_id))

    first = run("scheduled__2026-11-21T01:00:00+00:00")
    check(s3, first)
    again = run("scheduled__2026-11-21T01:00:00+00:00")
    assert (again["uri"], again["files"]) == (first["uri"], first["files"])
    check(s3, again)
    second = run("run-2")
    assert second["changed_after"] == first["watermark"]
    check(s3, second)


def test_nmbrs_and_the_plan_of_an_import(s3: S3, service: SandboxProcess, destination: str) -> None:
    for _ in range(2):
        snapshot = NmbrsSnapshotOperator(task_id="snapshot", destination=f"{destination}/nmbrs").execute({})
        check(s3, snapshot)
    plan = DialogImportOperator(
        task_id="plan", snapshot=snapshot, destination=f"{destination}/plan", dry_run=True
    ).execute({})
    check(s3, plan)
    assert plan["employees"] == snapshot["employees"]


def test_severa(s3: S3, service: SandboxProcess, destination: str) -> None:
    # Its clock is ahead of all that is told here.
    ahead = datetime(2027, 11, 20, tzinfo=UTC) - datetime.now(UTC)
    service.settings(severa_today="2026-11-19", severa_hour_entries=300, clock_offset=ahead.total_seconds())
    task = severa_exports.Task(destination, **severa_exports.CHANGES)
    first = task.run()
    check(s3, first)
    changed = severa_exports.change(service, "02:10", severa_exports.guids(first)[0], Description="x")
    second = task.run("run-2", at="03:00:30")
    check(s3, second)
    assert severa_exports.guids(second) == [changed]
    again = task.run("run-2", at="03:00:40")
    assert severa_exports.guids(again) == [changed]
    check(s3, again)


def test_orbit(s3: S3, orbit: Orbit, destination: str) -> None:
    task = orbit_exports.Task(orbit, destination)
    first = task.run()
    check(s3, first)
    second = task.run("run-2")
    check(s3, second)
    assert second["rows"] == 0
    assert second["previous"] == {"uri": first["uri"]}


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_orbit_reporting(s3: S3, service: SandboxProcess, destination: str, file_format: str) -> None:
    task = orbit_reports.Task(destination, file_format=file_format)
    first = task.run()
    check(s3, first)
    assert len(orbit_reports.rows(first)) == first["rows"] > 0
    young = task.run("run-2", after=timedelta(minutes=5), max_age=600)
    assert (young["reused"], young["uri"]) == (True, first["uri"])
    s3.client.delete_object(
        Bucket=BUCKET, Key=ObjectStoragePath(first["files"][0]["uri"]).path.removeprefix(f"{BUCKET}/")
    )
    other = task.run("run-3", after=timedelta(minutes=1), max_age=600)
    assert (other["reused"], other["column_changes"]["vanished"]) == (False, [])
    check(s3, other)
