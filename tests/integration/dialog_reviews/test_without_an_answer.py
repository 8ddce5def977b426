"""Uploads and downloads that break off: what is in doubt, and what a retry does."""

from __future__ import annotations

import errno
import json
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaNotFoundError,
    VismaStorageError,
    VismaTransientError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.staged_file import StagedFile
from airflow_provider_visma.upload_ledger import write_once
from tests.integration.dialog_reviews.review_filings import UPLOAD, Reviews, Task
from visma_sandbox.client import SandboxProcess


@pytest.mark.parametrize(("fault", "kept"), [("act_then_hang", 1), ("act_then_reset", 1), ("hang", 0)])
def test_an_upload_without_an_answer_is_in_doubt_until_a_person_says_what_they_found(
    service: SandboxProcess, reviews: Reviews, task: Task, fault: str, kept: int
) -> None:
    made = reviews.finish()
    service.inject("nmbrs", UPLOAD, fault)
    for run_id in ("run-1", "run-1", "run-2"):
        with pytest.raises(VismaUnknownOutcomeError, match="1 in doubt"):
            task.run(run_id)
    assert (reviews.sent, len(reviews.filed)) == (1, kept)
    assert task.report()[made["id"]]["document"].endswith(".pdf")
    found = json.dumps({made["id"]: "filed" if kept else "not filed"})
    result = task.run("run-2", settled=found)
    assert (result["settled"], result["filed"], result["filed_before"]) == (1, 1 - kept, kept)
    assert task.run("run-3", settled=found)["filed_before"] == 1
    assert reviews.filed == [(reviews.employees[0], made["sha256"])]


def test_what_a_person_found_holds_for_the_attempt_that_they_looked_for_and_for_no_later_one(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    made = reviews.finish()
    service.inject("nmbrs", UPLOAD, "hang")
    with pytest.raises(VismaUnknownOutcomeError):
        task.run("run-1")
    found = {made["id"]: "not filed"}
    service.inject("nmbrs", UPLOAD, "act_then_reset")
    # Airflow retries the run that a person began with the same arguments, whatever they would find now.
    for _ in range(3):
        with pytest.raises(VismaUnknownOutcomeError, match="1 in doubt"):
            task.run("run-2", settled=found)
    assert (reviews.sent, len(reviews.filed)) == (2, 1)
    assert task.run("run-3", settled={made["id"]: "filed"})["filed_before"] == 1


@pytest.mark.parametrize("fault", ["act_then_reset", "soap_fault"])
def test_a_nmbrs_that_answers_nothing_is_not_sent_one_review_after_the_other(
    service: SandboxProcess, reviews: Reviews, task: Task, fault: str
) -> None:
    for _ in range(8):
        reviews.finish()
    service.inject("nmbrs", UPLOAD, fault, count=None, **({"code": "9999"} if fault == "soap_fault" else {}))
    with pytest.raises(VismaUnknownOutcomeError, match="5 reviews in a row"):
        task.run()
    assert reviews.sent == 5
    service.clear_faults()
    with pytest.raises(
        VismaUnknownOutcomeError, match="3 reviews were filed, 0 refused, 0 failed, 5 in doubt"
    ):
        task.run("run-2")


def test_an_upload_that_breaks_off_for_every_review_ends_the_run(
    service: SandboxProcess, reviews: Reviews, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(8):
        reviews.finish(size=500_000)

    def broken(self: Any) -> Any:
        yield b"AAAA"
        raise ConnectionResetError

    monkeypatch.setattr("airflow_provider_visma.protocols.soap.Octets.encoded", broken)
    with pytest.raises(VismaUnavailableError, match="not sent to its end"):
        task.run()
    assert reviews.downloaded == 5


def test_an_answer_of_the_service_itself_that_it_failed_leaves_doubt(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    reviews.finish()
    service.inject("nmbrs", UPLOAD, "soap_fault", code="9999")
    with pytest.raises(VismaUnknownOutcomeError, match="1 in doubt"):
        task.run()


def test_a_nmbrs_that_does_not_answer_the_door_fails_the_try_and_a_retry_files(
    service: SandboxProcess, reviews: Reviews, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews.finish(size=2_000_000)

    def broken(self: Any) -> Any:
        yield b"AAAA"
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr("airflow_provider_visma.protocols.soap.Octets.encoded", broken)
        with pytest.raises(VismaTransientError, match="1 failed, 0 in doubt"):
            task.run()
    assert task.run()["filed"] == 1
    assert len(reviews.filed) == 1


@pytest.mark.parametrize("fault", ["truncated", "reset_body", "hang", "status", "other_document"])
def test_a_document_that_does_not_come_whole_is_failed_and_a_retry_files_it(
    service: SandboxProcess, reviews: Reviews, task: Task, fault: str
) -> None:
    reviews.finish(size=500_000)
    service.inject("dialog", "Reviews.document", fault)
    with pytest.raises(VismaTransientError, match="0 reviews were filed, 0 refused, 1 failed"):
        task.run()
    assert (reviews.filed, task.ledger()) == ([], [])
    assert task.run()["filed"] == 1


@pytest.mark.parametrize("operation", ["Reviews.document", "Users.get"])
@pytest.mark.parametrize("status", [400, 403])
def test_what_dialog_keeps_to_itself_of_one_review_does_not_stop_the_rest(
    service: SandboxProcess, reviews: Reviews, task: Task, operation: str, status: int
) -> None:
    kept, given = (reviews.finish(employee_id=each) for each in reviews.employees[:2])
    service.inject("dialog", operation, "status", status=status)
    with pytest.raises(VismaTransientError, match="1 reviews were filed, 0 refused, 1 failed"):
        task.run()
    assert task.report()[kept["id"]]["why"] == [f"HTTP {status}"]
    assert reviews.filed == [(reviews.employees[1], given["sha256"])]


def test_a_token_that_dialog_refuses_ends_the_run(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    for _ in range(2):
        reviews.finish()
    service.inject("dialog", "Reviews.document", "status", status=401, count=None)
    with pytest.raises(VismaAuthenticationError):
        task.run()
    assert reviews.downloaded == 1


def test_a_worker_without_room_ends_the_run_and_the_report_tells_what_was_filed(
    service: SandboxProcess, reviews: Reviews, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = reviews.finish(size=10_000), reviews.finish(size=500_000)
    write = StagedFile.write

    def full(self: StagedFile, chunk: bytes) -> None:
        if self.size + len(chunk) > 100_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, chunk)

    with monkeypatch.context() as patched:
        patched.setattr(StagedFile, "write", full)
        with pytest.raises(VismaStorageError, match="No space left on device"):
            task.run()
    assert task.report()[first["id"]]["outcome"] == "filed"
    assert task.run()["filed"] == 1


def test_a_store_that_refuses_the_ledger_is_no_refusal_by_nmbrs(
    service: SandboxProcess, reviews: Reviews, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        reviews.finish()
    create = write_once.create

    def gone(path: ObjectStoragePath, members: Any) -> None:
        if path.name.endswith("decision.json"):
            raise VismaNotFoundError("it is gone", operation="s3://ledger", code="NoSuchBucket")
        create(path, members)

    with monkeypatch.context() as patched:
        patched.setattr(write_once, "create", gone)
        with pytest.raises(VismaNotFoundError, match="s3://ledger: it is gone"):
            task.run()
    assert (reviews.downloaded, reviews.filed) == (1, [])
    assert task.run()["filed"] == 2


def test_a_dialog_that_is_down_is_not_asked_for_every_review(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    for _ in range(8):
        reviews.finish()
    service.inject("dialog", "Reviews.document", "status", count=None)
    with pytest.raises(VismaUnavailableError):
        task.run()
    assert reviews.downloaded == 5
    service.clear_faults()
    assert task.run()["filed"] == 8


def test_a_dialog_without_reviews_is_an_error_that_says_so(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    service.settings(dialog_reviews=False)
    with pytest.raises(VismaNotFoundError, match="offers finished reviews"):
        task.run()
