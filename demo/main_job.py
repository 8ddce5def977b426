"""The main DAGs on a real Airflow against a sandbox of 500 people, and the proof that they worked."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from demo.airflow_api import AirflowApi
from demo.airflow_stack import AirflowStack, tail
from demo.orbit_outcome import orbit_differences, orbit_outcome
from demo.outcome import differences, export_outcome, import_outcome
from demo.reviews_job import REVIEWS_DAG, ReviewsJob, filed_line, reviews_differences
from demo.severa_job import NIGHT_DAG, UPLOAD_DAG, SeveraJob
from demo.severa_outcome import severa_differences
from demo.table import show
from visma_sandbox.client import SandboxProcess, start_sandbox

ROOT: Final = Path(__file__).parents[1]
EMPLOYEES: Final = 500
RUN_SECONDS: Final = 180.0
IMPORT_DAG: Final = "nmbrs_to_dialog"
EXPORT_DAG: Final = "hrm_csv_export"
REPORTS_DAG: Final = "orbit_reports_to_parquet"
SUMMARY: Final = "summary.json"
FIRST_DAGS: Final = (IMPORT_DAG, EXPORT_DAG, REPORTS_DAG)
TROUBLED: Final = frozenset({"failed", "up_for_retry", "running", "deferred"})
DAG_IDS: Final = (
    IMPORT_DAG,
    EXPORT_DAG,
    "hrm_incremental_export",
    NIGHT_DAG,
    UPLOAD_DAG,
    REPORTS_DAG,
    REVIEWS_DAG,
)


class DemonstrationError(Exception):
    """Something is not as it should be; the message says what."""


@contextmanager
def surroundings(folder: Path) -> Iterator[tuple[SandboxProcess, AirflowStack]]:
    """Start the sandbox and a new Airflow with all DAGs.

    :param folder: what Dialog holds is kept in it; Airflow's home and the files of an earlier run are not.
    :raises DemonstrationError: when another one uses the folder.
    """
    with _sole_use(folder):
        for earlier in ("airflow", "files"):
            shutil.rmtree(folder / earlier, ignore_errors=True)
        (folder / SUMMARY).unlink(missing_ok=True)
        (folder / "airflow").mkdir()
        with (
            start_sandbox(employees=EMPLOYEES, dialog_file=folder / "dialog.json") as sandbox,
            AirflowStack(
                folder / "airflow", dag_folders=[ROOT / "dags"], environment=sandbox.environment()
            ) as airflow,
        ):
            airflow.wait_for_dags(*DAG_IDS)
            yield sandbox, airflow


@contextmanager
def _sole_use(folder: Path) -> Iterator[None]:
    """Keep a second demonstration out: it would clear away what the first one is using."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemonstrationError(f"another one is using {folder}") from None
        yield


def run(folder: Path) -> None:
    """Run the DAGs, print and store what they did, and hold it against the sandbox's own count.

    :param folder: gets `summary.json` and all that Airflow leaves behind.
    :raises DemonstrationError: when a DAG fails or anything differs from what it should be.
    """
    print(f"Starting Airflow and the sandbox with {EMPLOYEES} employees", flush=True)
    with surroundings(folder) as (sandbox, airflow):
        print(f"Running {', '.join((*FIRST_DAGS, NIGHT_DAG))} on {airflow.url}", flush=True)
        files = folder.resolve() / "files"
        severa = SeveraJob(airflow.api, sandbox, files, _finished)
        before = sandbox.counts()
        night_run = severa.start_night()
        conf = {"destination": f"file://{files}"}
        runs = {dag_id: airflow.api.run(dag_id, conf) for dag_id in FIRST_DAGS}
        states = {dag_id: _finished(airflow.api, dag_id, run_id) for dag_id, run_id in runs.items()}
        night = severa.night(night_run)
        print(f"Running {UPLOAD_DAG}, and {NIGHT_DAG} once more", flush=True)
        upload = severa.day(night)
        night["next_run"] = severa.night(severa.start_night())
        upload["again"] = severa.upload_again()
        manifests = _manifests(airflow.api, EXPORT_DAG, runs[EXPORT_DAG], "export.download")
        reports = _manifests(airflow.api, REPORTS_DAG, runs[REPORTS_DAG], "export")
        summary = {
            IMPORT_DAG: import_outcome(states[IMPORT_DAG], _report(airflow.api, runs[IMPORT_DAG])),
            EXPORT_DAG: export_outcome(states[EXPORT_DAG], manifests),
            NIGHT_DAG: night,
            UPLOAD_DAG: upload,
            REPORTS_DAG: orbit_outcome(states[REPORTS_DAG], reports),
        }
        print(f"Running {REVIEWS_DAG}, twice", flush=True)
        summary[REVIEWS_DAG] = reviews = ReviewsJob(airflow.api, sandbox, files, _finished).run()
        after = sandbox.counts()
        show(summary, before=before["severa"], after=after["severa"], reports=before["orbit_reporting"])
        _check_deferral(airflow.api, runs[EXPORT_DAG])
        datasets = [manifest["dataset"] for manifest in manifests]
        found = [
            *differences(summary, datasets=datasets, before=before, after=after),
            *severa_differences(night, upload, first=before["severa"], second=after["severa"]),
            *orbit_differences(summary[REPORTS_DAG], before["orbit_reporting"]),
            *reviews_differences(reviews),
        ]
        if found:
            raise DemonstrationError("the figures disagree:\n  " + "\n  ".join(found))
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
        print("The export was waited for in the triggerer, and the sandbox counts the same.")
        print(filed_line(reviews), flush=True)


def _finished(api: AirflowApi, dag_id: str, run_id: str) -> str:
    try:
        state = api.wait_for_run(dag_id, run_id, seconds=RUN_SECONDS)
    except TimeoutError:
        state = "unfinished"  # a task that waits for its retry, mostly
    if state != "success":
        troubled = [one for one in api.task_instances(dag_id, run_id) if one.state in TROUBLED]
        logs = "\n".join(f"--- {one.label}\n{tail(api.log(one))}" for one in troubled)
        raise DemonstrationError(f"{dag_id} is {state}\n{logs}")
    return state


def _report(api: AirflowApi, run_id: str) -> dict[str, Any]:
    (instance,) = api.task_instances(IMPORT_DAG, run_id, "import")
    report: dict[str, Any] = api.xcom(instance)
    return report


def _manifests(api: AirflowApi, dag_id: str, run_id: str, task_id: str) -> list[dict[str, Any]]:
    return [api.xcom(instance) for instance in api.task_instances(dag_id, run_id, task_id)]


def _check_deferral(api: AirflowApi, run_id: str) -> None:
    waits = api.task_instances(EXPORT_DAG, run_id, "export.wait")
    if not waits or not all(api.was_deferred(instance) for instance in waits):
        raise DemonstrationError(f"{EXPORT_DAG} waited on a worker instead of in the triggerer")
