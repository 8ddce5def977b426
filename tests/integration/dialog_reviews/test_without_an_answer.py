"""Uploads and downloads that break off: what is in doubt, and what a retry does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaNotFoundError,
    VismaTransientError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from tests.integration.dialog_reviews.review_filings import UPLOAD, Reviews, Task
from visma_sandbox.client import SandboxProcess


@pytest.mark.parametrize(("fault", "kept"), [("act_then_hang", 1), ("act_then_reset", 1), ("hang", 0)])
def test_an_upload_without_an_answer_is_in_doubt_until_a_person_says_what_they_found(
    service: SandboxProcess, reviews: Reviews, task: Task, fault: str, kept: int
) -> None:
    made = reviews.finish()
    service.inject("nmbrs", UPLOAD, fault, seconds=60)
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
