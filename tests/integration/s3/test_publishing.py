"""Files at S3 are published whole or not at all, whatever others do and however it ends."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma import stores
from airflow_provider_visma.exceptions import (
    VismaError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaStorageError,
    VismaTransientError,
)
from airflow_provider_visma.storage import Publication, place, read_jsonl, read_manifest, stage_jsonl
from sandbox.tests.waiting import PATIENCE, wait_until
from tests.integration.s3.conftest import BUCKET, connection
from tests.integration.s3.server import S3

_FORKED = multiprocessing.get_context("fork")
MIB = 1024 * 1024


@pytest.fixture
def folder(destination: str) -> ObjectStoragePath:
    return place(destination) / "run_id=manual__2026-11-21T01:00:00+00:00"


def publish(folder: ObjectStoragePath, count: int = 3, name: str = "rows.jsonl") -> dict[str, Any]:
    with Publication(folder) as publication:
        stage_jsonl(publication, name, ({"row": number} for number in range(count)))
        return publication.publish({"kind": "test"})


def publish_large(folder: str, staging: Path) -> None:
    with Publication(place(folder), staging_dir=staging) as publication:
        with publication.stage("large.bin") as staged:
            for _ in range(17):
                staged.write(os.urandom(MIB))
        publication.publish({"kind": "test"})


def key_of(path: ObjectStoragePath) -> str:
    return path.path.removeprefix(f"{BUCKET}/")


def held(s3: S3, path: ObjectStoragePath) -> bytes:
    """What another client of the server reads."""
    return bytes(s3.client.get_object(Bucket=BUCKET, Key=key_of(path))["Body"].read())


def test_another_client_finds_the_files_that_the_manifest_names(s3: S3, folder: ObjectStoragePath) -> None:
    manifest = publish(folder)
    assert json.loads(held(s3, folder / "_manifest.json")) == manifest
    (file,) = manifest["files"]
    assert len(held(s3, ObjectStoragePath(file["uri"]))) == file["bytes"]
    assert s3.keys(BUCKET) == [key_of(folder / name) for name in ("_manifest.json", "rows.jsonl")]


def test_the_manifest_comes_last_and_goes_first(s3: S3, folder: ObjectStoragePath) -> None:
    publish(folder, name="earlier.jsonl")
    s3.journal.clear()
    publish(folder)
    changes = [
        line.split("?")[0].rsplit("/", 1)[-1] for line in s3.journal if line.startswith(("PUT", "DEL"))
    ]
    assert changes == ["_manifest.json", "rows.jsonl", "earlier.jsonl", "_manifest.json"]
    assert len(s3.keys(BUCKET)) == 2


def test_what_another_process_published_is_seen_in_a_folder_listed_before(
    s3: S3, folder: ObjectStoragePath
) -> None:
    s3.put(BUCKET, key_of(folder / "others.txt"), b"")
    folder.fs.ls(folder.path)
    s3.put(BUCKET, key_of(folder / "_manifest.json"), b'{"kind": "test", "files": []}')
    assert read_manifest(folder) == {"kind": "test", "files": []}


def test_a_file_that_grew_is_read_to_its_end_in_a_folder_listed_before(
    s3: S3, folder: ObjectStoragePath
) -> None:
    publish(folder, 1)
    folder.fs.ls(folder.path)
    s3.put(BUCKET, key_of(folder / "rows.jsonl"), b'{"row": 7}\n' * 3)
    assert list(read_jsonl(folder / "rows.jsonl")) == [{"row": 7}] * 3


def test_a_large_file_goes_in_parts_of_which_few_are_in_memory(
    s3: S3, destination: str, tmp_path: Path
) -> None:
    publish_large(destination, tmp_path)
    parts = [line for line in s3.journal if "partNumber" in line]
    assert len(parts) == 3
    assert s3.uploads(BUCKET) == []
    (file,) = (read_manifest(place(destination)) or {})["files"]
    assert file["bytes"] == 17 * MIB
    assert not list(tmp_path.iterdir())


def test_an_object_may_have_ten_thousand_parts(destination: str) -> None:
    store = place(destination).fs
    for size in (1, 100 * MIB, 79_000 * MIB, 200_000 * MIB, 5 * 1024 * 1024 * MIB):
        assert size <= 10_000 * stores.in_parts(store, size)["chunksize"]


@pytest.mark.parametrize("request_held", ["partNumber=2", "PUT .*_manifest"])
def test_a_worker_killed_while_it_uploads_has_published_nothing_and_a_retry_all(
    s3: S3, destination: str, tmp_path: Path, request_held: str
) -> None:
    publish(place(destination))  # what an earlier try of the run left
    with s3.held(request_held) as barrier:
        process = _FORKED.Process(target=publish_large, args=(destination, tmp_path))
        process.start()
        assert barrier.reached.wait(PATIENCE)
        assert read_manifest(place(destination)) is None
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join(PATIENCE)
        s3.fail(request_held, None, times=1)  # what it sent last does not get there
    wait_until(lambda: not s3.busy)
    assert read_manifest(place(destination)) is None
    publish_large(destination, tmp_path)
    assert [file["bytes"] for file in (read_manifest(place(destination)) or {})["files"]] == [17 * MIB]
    assert not list(tmp_path.iterdir())


def test_a_store_that_is_slow_for_a_while_costs_patience_alone(s3: S3, folder: ObjectStoragePath) -> None:
    s3.fail("PUT .*rows", "SlowDown", times=2)
    s3.fail("PUT .*_manifest", None, times=1, carried_out=True)
    assert publish(folder)["rows"] == 3
    assert read_manifest(folder)


def test_parts_are_given_up_when_the_store_stays_away(s3: S3, destination: str, tmp_path: Path) -> None:
    s3.fail("partNumber=2", "InternalError", status=500)
    with pytest.raises(VismaStorageError, match=r"InternalError.*nobody reads them; a retry"):
        publish_large(destination, tmp_path)
    assert (s3.keys(BUCKET), s3.uploads(BUCKET)) == ([], [])


def refused(address: str) -> VismaError:
    """Return why nothing can be published there."""
    with pytest.raises(VismaError) as caught:
        publish(place(address))
    return caught.value


def test_a_bucket_that_is_missing_is_told_before_anything_is_begun(s3: S3) -> None:
    error = refused("s3://store@hr-dta/out")
    assert isinstance(error, VismaNotFoundError)
    assert all(part in str(error) for part in ("s3://store@hr-dta/out", "connection store", "NoSuchBucket"))
    assert not any(line.startswith("PUT") for line in s3.journal)


@pytest.mark.parametrize("request_refused", [r"HEAD .*_manifest", r"PUT .*rows"])
def test_a_right_that_is_missing_is_no_reason_to_try_again(
    s3: S3, destination: str, request_refused: str
) -> None:
    s3.fail(request_refused, "AccessDenied", status=403)
    error = refused(destination)
    assert isinstance(error, VismaPermissionError)
    assert all(part in str(error) for part in (destination, "connection store", "read, write and delete"))


def test_a_store_that_does_not_answer_is_asked_again_by_a_retry(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", json.dumps(connection("http://127.0.0.1:9")))
    error = refused(f"s3://away@{BUCKET}/out")
    assert isinstance(error, VismaTransientError)
    assert "EndpointConnectionError" in str(error)


def test_a_name_that_no_bucket_can_have_is_a_wrong_request(s3: S3) -> None:
    assert isinstance(refused("s3://store@HR_data!/out"), VismaRequestError)
