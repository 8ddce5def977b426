from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from visma_sandbox.client import SandboxProcess, start_sandbox


class HrmClient:
    """The least a client of Visma Connect and the HRM API can be: what it is told, it sends."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.connection = sandbox.connections()["visma_hrm_default"]

    def form(self, **changes: str | None) -> dict[str, str]:
        extra = self.connection["extra"]
        form = {
            "grant_type": "client_credentials",
            "client_id": self.connection["login"],
            "client_secret": self.connection["password"],
            "tenant_id": extra["tenant_id"],
            "scope": extra["scopes"],
            **changes,
        }
        return {name: value for name, value in form.items() if value is not None}

    def ask_token(self, form: dict[str, str] | None = None, **wishes: Any) -> requests.Response:
        url = self.connection["extra"]["connect_url"]
        return self.session.post(url, data=self.form() if form is None else form, timeout=10, **wishes)

    def authorize(self, **changes: str | None) -> None:
        token = self.ask_token(self.form(**changes)).json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"

    def start(self, dataset: str = "employees", **wishes: Any) -> requests.Response:
        return self.session.post(f"{self.sandbox.url}/v1/command/nl/hrm/{dataset}", timeout=10, **wishes)

    def query(self, job_id: str, dataset: str = "employees") -> requests.Response:
        return self.session.get(f"{self.sandbox.url}/v1/query/nl/hrm/{dataset}/{job_id}", timeout=10)

    def job(self, dataset: str = "employees", **wishes: Any) -> str:
        job_id: str = self.start(dataset, **wishes).json()["jobId"]
        return job_id

    def finish(self, dataset: str = "employees", **wishes: Any) -> dict[str, Any]:
        """Poll a new job until it says something other than InProgress."""
        job_id = self.job(dataset, **wishes)
        while (body := self.query(job_id, dataset).json())["status"] == "InProgress":
            pass
        assert isinstance(body, dict)
        return body

    def links(self, dataset: str = "employees", **wishes: Any) -> list[str]:
        return links_in(self.finish(dataset, **wishes))

    def rows(self, dataset: str = "employees", **wishes: Any) -> list[dict[str, str]]:
        """The rows of all files of a new export."""
        found: list[dict[str, str]] = []
        for link in self.links(dataset, **wishes):
            found += csv.DictReader(io.StringIO(requests.get(link, timeout=10).content.decode()))
        return found


def links_in(body: dict[str, Any]) -> list[str]:
    (field,) = (name for name in body if name.endswith("FileUris"))
    links: list[str] = body[field]
    return links


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
