from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "dags"

# A process of its own: this one has loaded all that a DAG file must not load.
PARSE = """
import json, socket, sys
from airflow.sdk import DAG, Asset, BaseOperator, BaseOperatorLink, BaseSensorOperator, ObjectStoragePath
from airflow.sdk import Param, RetryPolicy, dag, task, task_group

class Refused(socket.socket):
    def connect(self, address):
        raise AssertionError(f"a DAG file connects to {address}")

socket.socket = Refused
sys.modules["pyarrow"] = None  # an optional package that is not there
before = set(sys.modules)
names = {"__name__": "parsed"}
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), names)
heavy = {"httpx", "requests", "zeep", "lxml", "aiohttp", "urllib3", "tenacity", "scim2_models"}
print(json.dumps(sorted(heavy & (set(sys.modules) - before))))
"""


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_a_dag_is_parsed_without_network_connections_or_anything_heavy(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for connection in (
        "NMBRS_DEFAULT",
        "DIALOG_DEFAULT",
        "VISMA_HRM_DEFAULT",
        "SEVERA_DEFAULT",
        "TEAMLEADER_ORBIT_DEFAULT",
        "TEAMLEADER_ORBIT_REPORTING_DEFAULT",
    ):
        monkeypatch.delenv(f"AIRFLOW_CONN_{connection}", raising=False)
    parsed = subprocess.run(
        [sys.executable, "-c", PARSE, str(FOLDER / f"{name}.py")], capture_output=True, text=True
    )
    assert parsed.returncode == 0, parsed.stderr
    assert json.loads(parsed.stdout.splitlines()[-1]) == []


def test_every_dag_says_what_it_does_and_which_connections_it_needs() -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(FOLDER))

    assert bag.import_errors == {}
    needed = {
        "nmbrs_to_dialog": {"nmbrs_default", "dialog_default"},
        "dialog_reviews_to_nmbrs": {"nmbrs_default", "dialog_default"},
        "hrm_csv_export": {"visma_hrm_default"},
        "hrm_incremental_export": {"visma_hrm_default"},
        "severa_hours_and_invoices": {"severa_default"},
        "severa_upload_hours": {"severa_default"},
        "orbit_projects": {"teamleader_orbit_default"},
        "orbit_reports_to_parquet": {"teamleader_orbit_reporting_default"},
    }
    assert set(bag.dags) == set(needed)
    for dag_id, connections in needed.items():
        told = bag.dags[dag_id].doc_md or ""
        assert {name for name in connections if f"`{name}`" in told} == connections
