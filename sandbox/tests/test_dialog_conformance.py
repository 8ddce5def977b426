"""Dialog holds to RFC 7643 and RFC 7644, as scim2-tester reads them: another hand's judgement, not ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from scim2_client import BaseSyncSCIMClient
from scim2_tester import CheckResult, Status, check_server

from visma_sandbox.client import start_sandbox

CHECKS_AT_LEAST = 150
RESOURCE_TYPES = {"User", "Department", "Function"}


class RequestsSCIMClient(BaseSyncSCIMClient):
    """scim2-client over requests; its bundled engines want an HTTP library that is not installed."""

    def __init__(self, base_url: str, token: str) -> None:
        super().__init__()
        self.base_url = base_url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def _parse_json(self, response: Any) -> Any:
        return response.json()

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return not endpoint.startswith("http") or endpoint.startswith(self.base_url)

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        target = url if url.startswith("http") else f"{self.base_url}/{url.lstrip('/')}"
        return self.session.request(method, target, timeout=30, **kwargs)


@pytest.fixture(scope="module")
def results() -> Iterator[list[CheckResult]]:
    with start_sandbox(employees=1) as sandbox:
        sandbox.settings(dialog_any_state=True)  # the suite gives every attribute any value
        dialog = sandbox.connections()["dialog_default"]
        client = RequestsSCIMClient(dialog["host"], dialog["password"])
        with client.session:
            yield check_server(client)


def test_every_check_passes(results: list[CheckResult]) -> None:
    failed = [result for result in results if result.status is not Status.SUCCESS]
    assert failed == []


def test_the_checks_reached_every_resource_type(results: list[CheckResult]) -> None:
    assert {result.resource_type for result in results if result.resource_type} == RESOURCE_TYPES
    assert len(results) >= CHECKS_AT_LEAST
