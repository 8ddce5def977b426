"""The list of users on Dialog's integration screen, with 500 and with 50,000 users in Dialog.

Airflow's own API server application serves it on loopback, in a process of its own as the sandbox is. Each
page is asked for over HTTP, in turns with the other size, and is measured from the request to its last byte.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from visma_sandbox.client import start_sandbox

SIZES = (500, 50_000)
ROUNDS = 15
GOAL = 0.2
COOKIE = "_token"
DEPARTMENTS = 40
_URN = "urn:airflow-provider-visma:params:scim:schemas"
_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_DIALOG = f"{_URN}:extension:dialog:2.0:User"
_WANTED = ("first page", "last page", "state and department", "search")


def main() -> int:
    """Measure every way to look at the list; return 1 where one takes too long."""
    print(f"The list of users on the screen, a page of 50, median of {ROUNDS} (slowest)")
    with tempfile.TemporaryDirectory(prefix="visma-benchmark-") as folder:
        seconds = _measured(Path(folder))
    met = True
    for name in _WANTED:
        figures = {size: seconds[name, size] for size in SIZES}
        median = {size: statistics.median(each) for size, each in figures.items()}
        met = met and median[SIZES[-1]] < GOAL
        told = "  ".join(
            f"{size:6,} users {median[size] * 1000:4.0f} ms ({max(figures[size]) * 1000:.0f})"
            for size in SIZES
        )
        print(f"  {name:22}{told}", flush=True)
    print(f"  goal: under {GOAL * 1000:.0f} ms with {SIZES[-1]:,} users: {'met' if met else 'MISSED'}")
    return 0 if met else 1


def serve() -> None:
    """Serve Airflow's API server until the process ends; print address and token of one who may edit."""
    import uvicorn
    from airflow import settings
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.models.base import Base

    app = create_app("core")
    Base.metadata.create_all(settings.engine)
    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="bench", role="op"))

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            port = self.servers[0].sockets[0].getsockname()[1]
            print(json.dumps({"url": f"http://127.0.0.1:{port}", "token": token}), flush=True)

    Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning")).run()


def dialog_of(users: int) -> dict[str, Any]:
    """Return a Dialog of the sandbox with so many users, a twentieth of them invited, as it keeps them."""
    now = "2026-11-22T02:00:00Z"

    def meta(kind: str) -> dict[str, str]:
        return {"resourceType": kind, "created": now, "lastModified": now, "version": 'W/"1"'}

    def entry(kind: str, number: int) -> dict[str, Any]:
        return {
            "schemas": [f"{_URN}:dialog:2.0:{kind}"],
            "id": f"{kind}{number}",
            "externalId": str(number),
            "displayName": f"{kind} {number}",
            "meta": meta(kind),
        }

    def user(number: int) -> dict[str, Any]:
        address = f"persoon{number}@example.com"
        return {
            "schemas": [_USER, _ENTERPRISE, _DIALOG],
            "id": f"{number:032x}",
            "externalId": str(500_000 + number),
            "userName": address,
            "name": {"givenName": "Testpersoon", "familyName": f"Nummer {number * 7_919 % users:05}"},
            "emails": [{"value": address, "type": "work", "primary": True}],
            "active": True,
            "meta": meta("User"),
            _ENTERPRISE: {"department": f"Department {number % DEPARTMENTS}"},
            _DIALOG: {
                "startDate": "2020-01-01",
                "departmentCode": str(number % DEPARTMENTS),
                "functionId": str(number % DEPARTMENTS),
                "state": "invited" if number % 20 == 0 else "imported",
            },
        }

    return {
        "revision": 1,
        "User": [user(number) for number in range(users)],
        "Department": [entry("Department", number) for number in range(DEPARTMENTS)],
        "Function": [entry("Function", number) for number in range(DEPARTMENTS)],
    }


class Visitor:
    """Somebody who looks at the list of one Dialog.

    :param conn_id: the connection that leads to it.
    :param users: how many users it holds.
    """

    def __init__(self, url: str, token: str, *, conn_id: str, users: int) -> None:
        self._address = f"{url}/visma/dialog/{conn_id}/users"
        self._session = requests.Session()
        self._session.cookies.set(COOKIE, token)
        self._session.headers["Origin"] = url
        self._users = users
        page = self._get()
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found is not None, "the page has no form"
        self._csrf = found[1]

    def look(self, wanted: str) -> float:
        """Ask for a part of the list; return how many seconds it took."""
        began = time.perf_counter()
        if wanted == "first page":
            page = self._get()
        else:
            last = (self._users - 1) // 50 * 50 + 1
            page = self._post(
                {
                    "last page": {"go": str(last)},
                    "state and department": {"state": "invited", "department": "0"},
                    "search": {"search": "testpersoon 00123"},
                }[wanted]
            )
        seconds = time.perf_counter() - began
        assert 'data-employee="5' in page, f"{wanted}: nobody was found"
        return seconds

    def _get(self) -> str:
        return self._text(self._session.get(self._address, timeout=60))

    def _post(self, form: Mapping[str, str]) -> str:
        return self._text(
            self._session.post(self._address, data={**form, "csrf_token": self._csrf}, timeout=60)
        )

    @staticmethod
    def _text(answer: requests.Response) -> str:
        answer.raise_for_status()
        return answer.text


def _measured(folder: Path) -> dict[tuple[str, int], list[float]]:
    dialogs = {}
    for size in SIZES:
        dialogs[size] = folder / f"dialog{size}.json"
        dialogs[size].write_text(json.dumps(dialog_of(size)))
    with (
        start_sandbox(employees=1, dialog_file=dialogs[SIZES[0]]) as small,
        start_sandbox(employees=1, dialog_file=dialogs[SIZES[1]]) as large,
    ):
        connections = {
            f"AIRFLOW_CONN_DIALOG_{size}": json.dumps(sandbox.connections()["dialog_default"])
            for size, sandbox in zip(SIZES, (small, large), strict=True)
        }
        with _airflow(folder, connections) as (url, token):
            visitors = [Visitor(url, token, conn_id=f"dialog_{size}", users=size) for size in SIZES]
            seconds: dict[tuple[str, int], list[float]] = {}
            for name in _WANTED:
                for visitor in visitors:
                    visitor.look(name)  # the sandbox makes its columns, the page's parts are loaded
                for _ in range(ROUNDS):
                    for size, visitor in zip(SIZES, visitors, strict=True):
                        seconds.setdefault((name, size), []).append(visitor.look(name))
    return seconds


@contextmanager
def _airflow(folder: Path, connections: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    environment = {
        **os.environ,
        **connections,
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__API__SECRET_KEY": "synthetic key of the benchmark",
        "AIRFLOW__API_AUTH__JWT_SECRET": "synthetic key of the benchmark, and long enough to sign with",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "bench:op",
        "_AIRFLOW_PROCESS_CONTEXT": "server",
    }
    command = [sys.executable, "-m", "benchmarks.screen", "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            ready = next(json.loads(line) for line in server.stdout if line.startswith('{"url"'))
            yield ready["url"], ready["token"]
        finally:
            server.terminate()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        raise SystemExit(main())
