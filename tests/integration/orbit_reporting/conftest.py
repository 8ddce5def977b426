"""A hook and a task for the sandbox's reports."""

from __future__ import annotations

import pytest

from airflow_provider_visma.hooks.orbit_reporting import OrbitReportingHook
from tests.integration.orbit_reporting.exporting import Task
from visma_sandbox.client import SandboxProcess


@pytest.fixture
def task(service: SandboxProcess, destination: str) -> Task:
    return Task(destination)


@pytest.fixture
def hook(service: SandboxProcess) -> OrbitReportingHook:
    return OrbitReportingHook(sleep=lambda seconds: None)
