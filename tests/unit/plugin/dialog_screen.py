"""A Dialog with users in it, the DAG that imports into it, and its pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.db import synchronize_log_template
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from fastapi.testclient import TestClient
from sqlalchemy import delete, select

from airflow_provider_visma.protocols.http import httpx
from tests.unit.plugin.conftest import BASE_URL, csrf_of

Browser = Callable[..., TestClient]
CONN_ID = "dialog_default"
ROOT = f"/visma/dialog/{CONN_ID}"
DAG_ID = "nmbrs_to_dialog"
_BUNDLE = "tests"


def send(browser: TestClient, address: str, /, **form: Any) -> httpx.Response:
    """Send a form of the screen, as its own page would."""
    form.setdefault("csrf_token", csrf_of(browser.get(f"{ROOT}/users").text))
    return browser.post(f"{ROOT}{address}", data=form, headers={"origin": BASE_URL})


def rows(page: str) -> dict[str, str]:
    """Return the text of each row of the list, by employee number."""
    found = re.findall(r'<tr data-employee="(\d*)">(.*?)</tr>', page, re.DOTALL)
    return {number: text_of(row) for number, row in found}


def text_of(page: str) -> str:
    """Return what is to be read."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def ticked(page: str, *numbers: int) -> dict[str, Any]:
    """Return what the form sends once these employees are ticked."""
    found = dict(re.findall(r'<tr data-employee="(\d+)">.*?name="version-([^"]+)"', page, re.DOTALL))
    versions = re.findall(r'name="(version-[^"]+)" value="([^"]*)"', page)
    return {
        **{name: unescape(version) for name, version in versions},
        "user": [found[str(number)] for number in numbers],
    }


def only(page: str, number: int) -> dict[str, Any]:
    """Return what the form sends with the button of one employee."""
    form = ticked(page, number)
    (one,) = form.pop("user")
    return {**form, "one": one}


def stored_dag() -> Iterator[None]:
    """Keep the importing DAG in Airflow's database, and take it out with all its runs."""
    bag = DagBag(str(Path("dags/nmbrs_to_dialog.py").resolve()), bundle_name=_BUNDLE)
    synchronize_log_template()  # which every run refers to
    with create_session() as session:
        session.merge(DagBundleModel(name=_BUNDLE))
        session.flush()
        sync_bag_to_db(bag, _BUNDLE, bundle_version=None, session=session)
        session.flush()
        dag = session.scalar(select(DagModel).where(DagModel.dag_id == DAG_ID))
        assert dag is not None
        dag.is_paused = False
        dag.next_dagrun_create_after = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
    yield
    with create_session() as session:
        for model in (XComModel, TaskInstance, DagRun):
            session.execute(delete(model))


def change_dag(**changes: Any) -> None:
    with create_session() as session:
        dag = session.scalar(select(DagModel).where(DagModel.dag_id == DAG_ID))
        assert dag is not None
        for name, value in changes.items():
            setattr(dag, name, value)


def add_run(
    run_id: str,
    *,
    state: DagRunState = DagRunState.SUCCESS,
    tasks: dict[str, TaskInstanceState] | None = None,
    report: dict[str, Any] | None = None,
) -> None:
    """Add a run as the scheduler and its tasks would."""
    from airflow.models.dagbag import DBDagBag

    now = datetime.now(UTC)
    with create_session() as session:
        dag = DBDagBag().get_latest_version_of_dag(DAG_ID, session=session)
        assert dag is not None
        run = dag.create_dagrun(
            run_id=run_id,
            run_type=DagRunType.SCHEDULED,
            state=state,
            run_after=now,
            triggered_by=DagRunTriggeredByType.TIMETABLE,
            session=session,
        )
        run.start_date = now
        run.end_date = now if state == DagRunState.SUCCESS else None
        for instance in run.get_task_instances(session=session):
            instance.state = (tasks or {}).get(instance.task_id)
        session.flush()
        if report is not None:
            session.add(
                XComModel(
                    dag_run_id=run.id,
                    task_id="import",
                    map_index=-1,
                    key="return_value",
                    dag_id=DAG_ID,
                    run_id=run_id,
                    value=report,
                    timestamp=now,
                )
            )


def runs() -> list[tuple[str, str, str | None]]:
    """Return id, kind and who started each run."""
    with create_session() as session:
        found = session.scalars(select(DagRun).order_by(DagRun.id))
        return [(run.run_id, run.run_type, run.triggering_user_name) for run in found]
