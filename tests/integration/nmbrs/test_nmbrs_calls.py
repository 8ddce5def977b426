"""Documents sent to Nmbrs, and calls that run at the same time."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaError,
    VismaNotFoundError,
    VismaRequestError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hooks._call_pace import CallPace
from airflow_provider_visma.hooks.nmbrs import NmbrsHook
from tests.integration.nmbrs.companies import DOCUMENT_TYPE, company, connect
from visma_sandbox.client import SandboxProcess


def test_a_document_arrives_as_it_is(sandbox: SandboxProcess, hook: NmbrsHook, tmp_path: Path) -> None:
    employee = next(hook.employees(company(hook), 2)).id
    file = tmp_path / "beoordeling.pdf"
    file.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 2000 + b"\n%%EOF")
    hook.upload_document(employee, file.name, file, DOCUMENT_TYPE)
    [entry] = sandbox.journal("nmbrs", "*UploadDocument")
    assert entry["status"] == 200
    assert entry["body_size"] > file.stat().st_size * 4 / 3


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"name": "zonder"}, VismaRequestError, "extension"),
        ({"document_type": "geen"}, VismaRequestError, "not a GUID"),
        ({"document_type": "00000000-0000-4000-8000-000000000000"}, VismaRequestError, "2047"),
        ({"employee_id": 1}, VismaNotFoundError, "2003"),
    ],
)
def test_a_document_that_nmbrs_would_refuse(
    hook: NmbrsHook, changes: dict[str, Any], kind: type[VismaError], message: str
) -> None:
    employee = next(hook.employees(company(hook), 2)).id
    document = {"employee_id": employee, "name": "x.pdf", "document_type": DOCUMENT_TYPE, **changes}
    with pytest.raises(kind, match=message):
        hook.upload_document(body=io.BytesIO(b"%PDF-"), **document)


def test_a_document_has_a_type_of_its_own_or_of_the_connection(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect(sandbox, monkeypatch, extra={"document_type": None})
    with pytest.raises(VismaRequestError, match="not a GUID"):
        hook.upload_document(next(hook.employees(company(hook), 2)).id, "x.pdf", io.BytesIO(b"%PDF-"))
    assert sandbox.journal("nmbrs", "*UploadDocument") == []


def test_the_connection_may_name_the_document_type(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect(sandbox, monkeypatch, extra={"document_type": DOCUMENT_TYPE})
    hook.upload_document(next(hook.employees(company(hook), 2)).id, "x.pdf", io.BytesIO(b"%PDF-"))


@pytest.mark.parametrize("kind", ["act_then_reset", "status", "empty_body", "html_error_page"])
def test_a_document_is_sent_once_whatever_comes_back(
    sandbox: SandboxProcess, hook: NmbrsHook, kind: str
) -> None:
    employee = next(hook.employees(company(hook), 2)).id
    sandbox.inject("nmbrs", "*UploadDocument", kind, count=None)
    with pytest.raises(VismaUnknownOutcomeError, match="may have been carried out"):
        hook.upload_document(employee, "x.pdf", io.BytesIO(b"%PDF-"), DOCUMENT_TYPE)
    assert len(sandbox.journal("nmbrs", "*UploadDocument")) == 1


def test_calls_run_at_the_same_time_within_the_bound(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect(sandbox, monkeypatch, extra={"max_concurrency": 3})
    running, highest, lock = 0, 0, threading.Lock()
    together = threading.Barrier(3, timeout=60)

    def task() -> list[Any]:
        nonlocal running, highest
        with lock:
            running += 1
            highest = max(highest, running)
        together.wait()  # passes only when three are here
        with lock:
            running -= 1
        return list(hook.debtors())

    assert len({len(debtors) for debtors in hook.concurrently([task] * 9)}) == 1
    assert highest == 3


def test_the_first_error_ends_what_has_not_begun(hook: NmbrsHook) -> None:
    begun: list[int] = []

    def fail() -> None:
        begun.append(1)
        raise VismaUnavailableError("kapot")

    with pytest.raises(VismaUnavailableError):
        hook.concurrently([fail] * 100)
    assert len(begun) < 100


def test_every_call_waits_for_its_turn(sandbox: SandboxProcess) -> None:
    waits: list[float] = []
    hook = NmbrsHook(pace=CallPace(1, clock=lambda: 0.0, sleep=waits.append), sleep=lambda seconds: None)
    list(hook.debtors())
    list(hook.debtors())
    hook.call("DebtorService", "Environment_Get")
    assert waits == [1.0, 1.0]
