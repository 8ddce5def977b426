from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.tests.clients import HrmClient, NmbrsClient, OrbitReader, SeveraClient
from visma_sandbox.client import SandboxProcess, start_sandbox


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[SandboxProcess]:
    with start_sandbox(employees=100, seed=1) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: SandboxProcess) -> SandboxProcess:
    running_sandbox.reset()
    return running_sandbox


@pytest.fixture
def hrm(sandbox: SandboxProcess) -> HrmClient:
    client = HrmClient(sandbox)
    client.authorize()
    return client


@pytest.fixture(scope="session")
def running_nmbrs() -> Iterator[SandboxProcess]:
    with start_sandbox(employees=2_000) as sandbox:
        yield sandbox


@pytest.fixture
def nmbrs(running_nmbrs: SandboxProcess) -> NmbrsClient:
    running_nmbrs.reset()
    return NmbrsClient(running_nmbrs)


@pytest.fixture
def severa(sandbox: SandboxProcess) -> SeveraClient:
    return SeveraClient(sandbox)


@pytest.fixture
def orbit(sandbox: SandboxProcess) -> OrbitReader:
    return OrbitReader(sandbox)


@pytest.fixture
def large_orbit() -> Iterator[OrbitReader]:
    with start_sandbox(employees=100) as sandbox:
        yield OrbitReader(sandbox)


@pytest.fixture
def large_nmbrs() -> Iterator[NmbrsClient]:
    with start_sandbox(employees=20_000) as sandbox:
        yield NmbrsClient(sandbox)


@pytest.fixture
def large_severa() -> Iterator[SeveraClient]:
    with start_sandbox(employees=100) as sandbox:
        sandbox.settings(severa_hour_entries=62_500, severa_description_length=200)
        yield SeveraClient(sandbox)
