"""A hook of Nmbrs that never sleeps."""

from __future__ import annotations

import pytest

from airflow_provider_visma.hooks.nmbrs import NmbrsHook
from visma_sandbox.client import SandboxProcess


@pytest.fixture
def hook(sandbox: SandboxProcess) -> NmbrsHook:
    return NmbrsHook(sleep=lambda seconds: None)
