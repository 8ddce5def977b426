"""A hook of Severa and the service that it talks to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_visma.hooks.severa import SeveraHook
from tests.unit.hooks.severa_service import SeveraService


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[SeveraService]:
    """A service that nobody has read the WSDL of."""
    service = SeveraService()
    with service.host:
        monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", service.connection())
        yield service


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[SeveraService, SeveraHook]]:
    service = SeveraService()
    with service.host:
        yield service, service.hook()


@pytest.fixture
def service(shared: tuple[SeveraService, SeveraHook], monkeypatch: pytest.MonkeyPatch) -> SeveraService:
    service, _ = shared
    service.forget()
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", service.connection())
    return service


@pytest.fixture
def hook(service: SeveraService, shared: tuple[SeveraService, SeveraHook]) -> SeveraHook:
    """One hook for all tests, because it reads the WSDL once."""
    return shared[1]
