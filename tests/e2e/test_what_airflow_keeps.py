"""What Airflow's database and logs hold after runs that went well and runs that did not: nothing of anybody.

The last test of the session by its file's name, so that it also reads what every other test left behind.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from demo.airflow_stack import AirflowStack
from visma_sandbox.client import SandboxProcess

pytestmark = pytest.mark.e2e

CANARY_ADDRESS = "canary.address@example.com"
CANARY_TOKEN = "canary-token-9f1c6f0e2b"
WORDS = f"{CANARY_ADDRESS} {CANARY_TOKEN}"
PERSONAL_OR_SECRET = re.compile(
    # every address of the sandbox's people, the canary's token, a signature of a link, any bearer
    r"@example\.(com|org)|canary-token|[?&]sig=(?!\*)|Bearer [A-Za-z0-9]|eyJ[A-Za-z0-9_-]{20}"
)
Fault = tuple[str, dict[str, Any]]
# One dataset each, so that all of them go wrong at the same time.
EXPORT_FAULTS: list[tuple[str, str, str, Fault]] = [
    ("contracts", "hrm", "command", ("status", {"status": 400, "body": WORDS})),
    ("users", "hrm", "query", ("status", {"status": 403, "body": WORDS})),
    ("metadata/cost-centers", "hrm", "query", ("unknown_status", {"status": WORDS})),
    ("metadata/organization-units", "hrm", "query", ("job_failed", {"status": "Failed"})),
    ("employees/user-defined-field-histories", "files", "download", ("html_error_page", {"body": WORDS})),
    (
        "contracts/user-defined-field-histories",
        "files",
        "download",
        ("redirect", {"location": f"http://127.0.0.1/?sig={CANARY_TOKEN}"}),
    ),
]
FAULTS: list[tuple[str, str, Fault]] = [
    ("export_once", "connect", ("oauth_error", {"description": WORDS})),
    ("snapshot_once", "nmbrs", ("status", {"status": 403, "body": WORDS})),
    ("snapshot_once", "nmbrs", ("soap_fault", {"code": 1001, "message": WORDS})),
    ("snapshot_once", "nmbrs", ("html_error_page", {"body": WORDS})),
]


def everything_kept(airflow: AirflowStack) -> Iterator[tuple[str, str]]:
    """Yield each table and each log with its text; what is encrypted at rest comes decrypted."""
    settings = RawConfigParser()
    settings.read(airflow.home / "airflow.cfg")
    fernet = Fernet(settings["core"]["fernet_key"])
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                yield table, " ".join(readable(value, fernet) for value in row)
    for log in airflow.log_folder.rglob("*.log*"):
        yield str(log.relative_to(airflow.log_folder)), log.read_text(errors="replace")


def readable(value: object, fernet: Fernet) -> str:
    if isinstance(value, str) and value.startswith("gAAAA"):
        return fernet.decrypt(value.encode()).decode()
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def secrets_of(sandbox: SandboxProcess) -> set[str]:
    return {connection["password"] for connection in sandbox.connections().values()}


def provoke(airflow: AirflowStack, sandbox: SandboxProcess, conf: dict[str, Any]) -> None:
    """Let every fault hit a run of its own, and see that it did."""
    for dag_id, system, (kind, arguments) in FAULTS:
        sandbox.inject(system, "*", kind, count=None, **arguments)
        assert finish(airflow, dag_id, conf) == "failed", kind
        sandbox.clear_faults()
    runs = []
    for dataset, system, step, (kind, arguments) in EXPORT_FAULTS:
        sandbox.inject(system, f"{step}/{dataset}", kind, count=None, **arguments)
        runs.append(airflow.api.run("export_once", {**conf, "dataset": dataset}))
    states = [airflow.api.wait_for_run("export_once", run_id, seconds=180) for run_id in runs]
    assert states == ["failed"] * len(EXPORT_FAULTS)
    sandbox.clear_faults()


def finish(airflow: AirflowStack, dag_id: str, conf: dict[str, Any]) -> str:
    return airflow.api.wait_for_run(dag_id, airflow.api.run(dag_id, conf), seconds=180)


def test_no_address_token_or_signature_is_in_the_database_or_a_log(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    airflow.wait_for_dags("export_once", "snapshot_once")
    sandbox.change_person(email_work=CANARY_ADDRESS, nickname="Canary", last_name="Testpersoon")
    conf = {"destination": f"file://{destination}"}
    assert finish(airflow, "export_once", conf) == "success"
    provoke(airflow, sandbox, conf)
    sandbox.inject("hrm", "command/*", "never_ends")
    run_id = airflow.api.run("export_once", conf)
    instance = airflow.api.wait_for_task("export_once", run_id, "export", states=["deferred"], seconds=180)

    kept = list(everything_kept(airflow))
    airflow.api.mark(instance, "failed")

    assert {"trigger", "xcom", "log", "asset_event"} <= {name for name, _ in kept}
    assert any("HrmJobTrigger" in text for name, text in kept if name == "trigger")
    forbidden = re.compile("|".join([PERSONAL_OR_SECRET.pattern, *map(re.escape, secrets_of(sandbox))]))
    found = {f"{name}: {match.group()}" for name, text in kept for match in forbidden.finditer(text)}
    assert found == set()
