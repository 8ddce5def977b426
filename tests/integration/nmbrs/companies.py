"""A company of the sandbox, and a hook on another connection to Nmbrs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_visma.hooks.nmbrs import NmbrsHook
from visma_sandbox.client import SandboxProcess

PERSONAL_INFO = "EmployeeService.PersonalInfo_GetAll_AllEmployeesByCompany"
CANARY = "kanarie@geheim.example.com"
DOCUMENT_TYPE = "7f0b5c1e-0000-4000-8000-00000000d001"


def company(hook: NmbrsHook) -> int:
    return next(hook.companies()).id


def connect(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> NmbrsHook:
    connection = sandbox.connections()["nmbrs_default"]
    connection["extra"] |= changes.pop("extra", {})
    monkeypatch.setenv("AIRFLOW_CONN_CHANGED", json.dumps(connection | changes))
    return NmbrsHook("changed", sleep=lambda seconds: None)
