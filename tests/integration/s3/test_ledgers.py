"""Ledgers at S3: an object is written once, and what others wrote is seen at once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.dialog_reviews.ledger import Ledger as ReviewLedger
from airflow_provider_visma.dialog_reviews.ledger import State
from airflow_provider_visma.exceptions import VismaPermissionError, VismaTransientError
from airflow_provider_visma.storage import place
from airflow_provider_visma.upload_ledger import write_once
from airflow_provider_visma.upload_ledger.ledger import Ledger, Owner
from sandbox.tests.waiting import wait_until
from tests.integration.hour_uploads import ADD, Hours, Task, as_counter, write_csv
from tests.integration.s3.conftest import BUCKET
from tests.integration.s3.server import S3
from visma_sandbox.client import SandboxProcess

ME, ANOTHER = Owner("dag", "upload", "run-1"), Owner("dag", "upload", "run-2")


@pytest.fixture
def folder(destination: str) -> ObjectStoragePath:
    return place(destination) / "ledger"


def written_by_another(s3: S3, path: ObjectStoragePath, name: str) -> None:
    """Let another process write an object that is like *path*."""
    found = s3.client.get_object(Bucket=BUCKET, Key=path.path.removeprefix(f"{BUCKET}/"))
    s3.put(BUCKET, (path.parent / name).path.removeprefix(f"{BUCKET}/"), found["Body"].read())


def test_a_request_that_is_repeated_meets_its_own_object_in_a_folder_listed_before(
    s3: S3, folder: ObjectStoragePath
) -> None:
    write_once.create(folder / "000001.intent.json", {"rows": [1]})
    write_once.names(folder)
    s3.fail("PUT .*000002", None, times=1, carried_out=True)
    write_once.create(folder / "000002.intent.json", {"rows": [2]})
    assert write_once.read(folder / "000002.intent.json") == {"rows": [2]}


def test_an_object_of_another_process_is_read_in_a_folder_listed_before(
    s3: S3, folder: ObjectStoragePath
) -> None:
    write_once.create(folder / "000001.owner.json", {"run_id": "1"})
    assert write_once.names(folder) == ["000001.owner.json"]
    written_by_another(s3, folder / "000001.owner.json", "000002.owner.json")
    assert write_once.read(folder / "000002.owner.json") == {"run_id": "1"}


def test_of_two_owners_at_once_one_is_told_who_the_other_is(s3: S3, folder: ObjectStoragePath) -> None:
    first, second = (Ledger(folder, system="Severa") for _ in range(2))
    first.claim(ANOTHER, is_over=lambda owner: None, take_over=False)
    first.release()

    def meanwhile(path: ObjectStoragePath, content: object) -> None:
        written_by_another(s3, folder / "000001.owner.json", "000002.owner.json")
        create(path, content)

    create = write_once.create
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(write_once, "create", meanwhile)
        with pytest.raises(VismaTransientError, match="run run-2 is uploading the same file"):
            second.claim(ME, is_over=lambda owner: None, take_over=False)


def test_many_try_to_own_a_ledger_and_one_does(folder: ObjectStoragePath) -> None:
    def claims(number: int) -> bool:
        owner = Owner("dag", "upload", f"run-{number}")
        try:
            Ledger(folder, system="Severa").claim(owner, is_over=lambda other: False, take_over=False)
        except VismaTransientError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(claims, range(8))) == 1


def test_a_decision_of_another_process_about_a_review_is_seen(s3: S3, folder: ObjectStoragePath) -> None:
    ledger = ReviewLedger(folder, domain="acme")
    mine = ledger.entry("r1")
    mine.begin(employee_id=7, sha256="0" * 64, size=1, owner=ME)
    late = ledger.entry("r1")
    mine.decide()
    assert late.give_up() is False
    assert late.state is State.IN_DOUBT


def test_a_decision_that_is_stored_though_the_answer_was_lost_is_ones_own(
    s3: S3, folder: ObjectStoragePath
) -> None:
    ReviewLedger(folder, domain="acme").entry("r1").begin(employee_id=7, sha256="", size=1, owner=ANOTHER)
    entry = ReviewLedger(folder, domain="acme").entry("r1")
    s3.fail("PUT .*decision", None, times=1, carried_out=True)
    entry.decide()
    assert entry.state is State.IN_DOUBT


def test_a_ledger_that_may_not_be_written_sends_nothing(s3: S3, folder: ObjectStoragePath) -> None:
    s3.fail("PUT .*intent", "AccessDenied", status=403)
    with pytest.raises(VismaPermissionError, match=r"connection store.*AccessDenied"):
        Ledger(folder, system="Severa").intend([1], before=())


def test_hours_whose_upload_is_killed_are_sent_once(
    s3: S3, sandbox: SandboxProcess, destination: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.settings(severa_hour_entries=300)
    patient = sandbox.connections()["severa_default"]
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_PATIENT", json.dumps(patient))
    hours = Hours(sandbox)
    rows = hours.patterns(12)
    source = place(destination) / "hours.csv"
    s3.put(
        BUCKET,
        source.path.removeprefix(f"{BUCKET}/"),
        write_csv(tmp_path / "hours.csv", rows).read_bytes(),
    )
    task = Task(f"{destination}/ledger", source)
    sandbox.inject("severa", ADD, "act_then_hang", after=6, seconds=60)
    process = task.start(severa_conn_id="severa_patient")
    wait_until(lambda: hours.sent == 7 and hours.stored == 7)
    process.kill()
    process.wait()
    sandbox.clear_faults()
    assert task.run(settle_time=timedelta(0))["accepted"] == 12
    assert hours.rows == as_counter(rows)
    assert task.run("run-2")["sent"] == 0
