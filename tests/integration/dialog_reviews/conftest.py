"""People in both systems, and the task that files their reviews."""

from __future__ import annotations

import json
from collections.abc import Iterator

import fsspec
import pytest
import requests
from airflow.sdk.io import attach

from airflow_provider_visma.hooks.nmbrs import NmbrsHook
from tests.impatience import IMPATIENT
from tests.integration.dialog_reviews.review_filings import Reviews, Task
from tests.integration.waiting import give_up_where_the_sandbox_hangs
from visma_sandbox.client import SandboxProcess


@pytest.fixture
def service(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """A sandbox that hears little of patience: a request that it keeps waiting is given up."""
    for system in ("nmbrs", "dialog"):
        connection = sandbox.connections()[f"{system}_default"]
        monkeypatch.setenv(f"AIRFLOW_CONN_{system.upper()}_PATIENT", json.dumps(connection))
        connection["extra"] = {**connection.get("extra", {}), "timeout": IMPATIENT}
        monkeypatch.setenv(f"AIRFLOW_CONN_{system.upper()}_DEFAULT", json.dumps(connection))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    give_up_where_the_sandbox_hangs(sandbox, monkeypatch)
    return sandbox


@pytest.fixture
def reviews(service: SandboxProcess) -> Reviews:
    """Three linked people, one invited and one imported, all of them in Nmbrs."""
    hook = NmbrsHook()
    company = next(hook.companies()).id
    employees = [employee.id for employee in hook.employees(company, 2)][:5]
    dialog = service.connections()["dialog_default"]
    headers = {"Authorization": f"Bearer {dialog['password']}", "Content-Type": "application/scim+json"}
    for number, state in zip(employees, ["linked"] * 3 + ["invited", "imported"], strict=True):
        requests.post(
            f"{dialog['host']}/Users",
            headers=headers,
            json={
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": f"{number}@example.com",
                "externalId": str(number),
            },
            timeout=10,
        ).raise_for_status()
        if state != "imported":
            service.move_user(number, state)
    service.clear_journal()
    return Reviews(service, employees)


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder in a store that is none of files."""
    store = fsspec.filesystem("memory")
    attach(protocol="memory", fs=store)
    yield "memory://bucket/reviews"
    store.rm("/bucket", recursive=True)


@pytest.fixture
def task(destination: str) -> Task:
    return Task(destination)
