"""A review's PDF from Dialog to Nmbrs: through the operator, and by plain requests and zeep.

Both run against the sandbox, each in a process of its own that has loaded its library and done nothing yet:
first a PDF of 10 kB, which shows what the first call costs, then the large one.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import requests

from benchmarks.memory import peak_mib
from visma_sandbox.client import SandboxClient, SandboxProcess, start_sandbox
from visma_sandbox.people import FIRST_EMPLOYEE_ID

ROUNDS = 3
SMALL, LARGE = 10_000, 20_000_000
GOAL_MIB = 30

File = Callable[[str], None]
"""Brings the review with this id to Nmbrs."""


def operator_filer(url: str, folder: str) -> File:
    """File with our operator."""
    from airflow_provider_visma.operators.dialog_reviews import DialogReviewsToNmbrsOperator

    def file(review: str) -> None:
        operator = DialogReviewsToNmbrsOperator(
            task_id="file", ledger=f"file://{folder}/ledger", destination=f"file://{folder}/report", retries=0
        )
        context: Any = {
            "ti": SimpleNamespace(dag_id="benchmark", task_id="file", run_id="run-1"),
            "run_id": "run-1",
        }
        assert review in operator.execute(context)["filed_reviews"]

    return file


def plain_filer(url: str, folder: str) -> File:
    """File with requests and zeep, as their documentation has it."""
    import zeep

    connections = SandboxClient(url).connections()
    dialog, nmbrs = connections["dialog_default"], connections["nmbrs_default"]
    client: Any = zeep.Client(f"{url}/soap/v3/EmployeeService.asmx?WSDL")  # type: ignore[no-untyped-call]
    account = {"Username": nmbrs["login"], "Token": nmbrs["password"], "Domain": nmbrs["extra"]["domain"]}
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {dialog['password']}"

    def file(review: str) -> None:
        found = session.get(f"{dialog['host']}/Reviews/{review}", timeout=60).json()
        user = session.get(f"{dialog['host']}/Users/{found['user']['value']}", timeout=60).json()
        client.service.EmployeeDocument_UploadDocument(
            EmployeeId=int(user["externalId"]),
            StrDocumentName=f"{found['title']}.pdf",
            Body=session.get(found["document"]["$ref"], timeout=60).content,
            GuidDocumentType=nmbrs["extra"]["document_type"],
            _soapheaders={"AuthHeaderWithDomain": account},
        )

    return file


FILERS = {"operator": operator_filer, "requests and zeep": plain_filer}


def measure(name: str, url: str) -> str:
    """File a small and a large review in this process; return seconds and growth of the peak as JSON."""
    sandbox = SandboxClient(url)
    with tempfile.TemporaryDirectory() as folder:
        file = FILERS[name](url, folder)
        idle = peak_mib()
        file(sandbox.finish_review(FIRST_EMPLOYEE_ID, size=SMALL)["id"])
        small = peak_mib()
        large = sandbox.finish_review(FIRST_EMPLOYEE_ID, size=LARGE)
        began = time.perf_counter()
        file(large["id"])
        seconds = time.perf_counter() - began
    assert sandbox.documents()[-1]["sha256"] == large["sha256"]
    peak = peak_mib()
    return json.dumps({"seconds": seconds, "idle": idle, "small": small - idle, "large": peak - idle})


def main() -> int:
    """Print medians; 1 when ours misses its goal."""
    print(f"A review's PDF of {LARGE // 10**6} MB from Dialog to Nmbrs, a process each, median of {ROUNDS}")
    with (
        tempfile.TemporaryDirectory(prefix="visma-benchmark-") as home,
        start_sandbox(employees=50) as sandbox,
    ):
        runs = [(name, _in_a_process(name, sandbox, home)) for _ in range(ROUNDS) for name in FILERS]
    growth: dict[str, float] = {}
    for name in FILERS:
        mine = [run for each, run in runs if each == name]
        seconds, idle, small, growth[name] = (
            statistics.median(run[figure] for run in mine) for figure in ("seconds", "idle", "small", "large")
        )
        memory = f"{growth[name]:6.1f} MiB over the idle worker's {idle:.0f} (10 kB: {small:.1f})"
        print(f"  {name:18} {seconds:6.2f} s {memory}")
    met = growth["operator"] < GOAL_MIB
    print(f"  goal: under {GOAL_MIB} MiB: {'met' if met else 'MISSED'}")
    return 0 if met else 1


def _in_a_process(name: str, sandbox: SandboxProcess, home: str) -> dict[str, float]:
    sandbox.reset()
    _link(sandbox, FIRST_EMPLOYEE_ID)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reviews", "measure", name, sandbox.url],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **sandbox.environment(), "AIRFLOW_HOME": home},
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _link(sandbox: SandboxProcess, employee_id: int) -> None:
    """Let an employee of Nmbrs be linked in Dialog."""
    dialog = sandbox.connections()["dialog_default"]
    user = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "persoon@example.com",
        "externalId": str(employee_id),
    }
    headers = {"Authorization": f"Bearer {dialog['password']}", "Content-Type": "application/scim+json"}
    requests.post(f"{dialog['host']}/Users", headers=headers, json=user, timeout=60).raise_for_status()
    sandbox.move_user(employee_id, "linked")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["measure", name, url]:
            print(measure(name, url))
        case _:
            raise SystemExit(main())
