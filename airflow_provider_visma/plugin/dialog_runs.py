"""The DAG behind a Dialog connection: its runs, its last import, its next run, and starting it.

Airflow's auth manager is asked about the DAG besides the connection: who may not see its runs, its tasks or
what they returned sees none of it here, and who may not start it cannot start it here.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from airflow.api.common.trigger_dag import trigger_dag
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.configuration import conf
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk.exceptions import AirflowException
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select, update
from sqlalchemy.orm import Session

IMPORT_KIND: Final = "dialog-import"
_RUNS_LOOKED_AT: Final = 60
_UNDERWAY: Final = (DagRunState.QUEUED, DagRunState.RUNNING)
_STARTING: Final = threading.Lock()

Readiness = Literal["unnamed", "hidden", "missing", "broken", "paused", "ready"]


@dataclass(frozen=True, slots=True)
class ImportDag:
    """The DAG that imports into a Dialog.

    :param readiness: whether there is one that can be started, and that this user may see.
    :param next_run: when it runs by itself, in seconds since 1970.
    :param may_start: this user may start it.
    :param may_activate: this user may let it run.
    :param hides_tasks: this user may not see the tasks of its runs.
    :param hides_results: this user may not see what its tasks returned.
    """

    dag_id: str
    readiness: Readiness
    next_run: float | None = None
    may_start: bool = False
    may_activate: bool = False
    hides_tasks: bool = False
    hides_results: bool = False

    @property
    def hides_runs(self) -> bool:
        """Whether there is no DAG named, or none whose runs this user may see."""
        return self.readiness in ("unnamed", "hidden")


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run of the DAG.

    :param tasks: each task and its state, in the order in which they began.
    """

    run_id: str
    state: str
    by_hand: bool
    began: float | None
    ended: float | None
    tasks: tuple[tuple[str, str], ...]

    @property
    def underway(self) -> bool:
        """Whether it goes on."""
        return self.state in _UNDERWAY


@dataclass(frozen=True, slots=True)
class LastImport:
    """What the last import that came to its end reported.

    :param manifest: its counts and the places of its files.
    """

    run_id: str
    at: float
    manifest: dict[str, Any]


class CannotStartError(Exception):
    """The DAG was not started or activated. The only argument says why: the end of a text's key."""


def import_dag(user: BaseUser, dag_id: str | None) -> ImportDag:
    """Return the DAG as *user* may know it.

    :param dag_id: None where the connection names none.
    """
    if not dag_id:
        return ImportDag("", "unnamed")
    if not _may(user, "GET", dag_id, DagAccessEntity.RUN):
        return ImportDag(dag_id, "hidden", hides_tasks=True, hides_results=True)
    seen = ImportDag(
        dag_id,
        "missing",
        hides_tasks=not _may(user, "GET", dag_id, DagAccessEntity.TASK_INSTANCE),
        hides_results=not _may(user, "GET", dag_id, DagAccessEntity.XCOM),
    )
    with create_session(scoped=False) as session:
        found = session.scalar(select(DagModel).where(DagModel.dag_id == dag_id, ~DagModel.is_stale))
        if found is None:
            return seen
        readiness: Readiness = "ready"
        if found.has_import_errors:
            readiness = "broken"
        elif found.is_paused:
            readiness = "paused"
        next_run = found.next_dagrun_create_after if readiness == "ready" else None
    return replace(
        seen,
        readiness=readiness,
        next_run=_seconds(next_run),
        may_start=_may(user, "POST", dag_id, DagAccessEntity.RUN),
        may_activate=_may(user, "PUT", dag_id),
    )


def last_run(dag: ImportDag) -> ShownRun | None:
    """Return the newest run of the DAG, as far as the user may see it; None where there is none."""
    if dag.hides_runs:
        return None
    dag_id = dag.dag_id
    newest = select(DagRun).where(DagRun.dag_id == dag_id).order_by(DagRun.run_after.desc(), DagRun.id.desc())
    with create_session(scoped=False) as session:
        run = session.scalar(newest.limit(1))
        if run is None:
            return None
        columns = (TaskInstance.task_id, TaskInstance.state, TaskInstance.start_date)
        tasks = session.execute(
            select(*columns).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run.run_id)
        ).all()
        ordered = sorted(tasks, key=lambda row: (row.start_date is None, row.start_date or "", row.task_id))
        return ShownRun(
            run_id=run.run_id,
            state=str(run.state),
            by_hand=run.run_type == DagRunType.MANUAL,
            began=_seconds(run.start_date),
            ended=_seconds(run.end_date),
            tasks=()
            if dag.hides_tasks
            else tuple((row.task_id, str(row.state or "none")) for row in ordered),
        )


def last_import(dag: ImportDag) -> LastImport | None:
    """Return what the last import reported; None where none came to its end lately, or it is not shown."""
    if dag.hides_runs or dag.hides_results:
        return None
    reports = (
        select(XComModel.value, XComModel.run_id, XComModel.timestamp)
        .where(XComModel.dag_id == dag.dag_id, XComModel.key == "return_value")
        .order_by(XComModel.timestamp.desc())
        .limit(_RUNS_LOOKED_AT)
    )
    with create_session(scoped=False) as session:
        for value, run_id, timestamp in session.execute(reports):
            report = XComModel.deserialize_value(_Stored(value))
            if isinstance(report, dict) and report.get("kind") == IMPORT_KIND:
                return LastImport(run_id, timestamp.timestamp(), report)
    return None


def activate(user: BaseUser, dag_id: str) -> None:
    """Let the DAG run, by itself and by hand: a new one is paused.

    :raises CannotStartError: this user may not, or there is nothing to activate.
    """
    found = import_dag(user, dag_id)
    if found.readiness not in ("paused", "ready"):
        raise CannotStartError(found.readiness)
    if not found.may_activate:
        raise CannotStartError("forbidden")
    with create_session(scoped=False) as session:
        session.execute(update(DagModel).where(DagModel.dag_id == dag_id).values(is_paused=False))


def start(user: BaseUser, dag_id: str) -> str:
    """Start the DAG for *user* and return the run's id.

    :raises CannotStartError: it cannot be started, or runs already.
    """
    found = import_dag(user, dag_id)
    if found.readiness != "ready":
        raise CannotStartError(found.readiness)
    if not found.may_start:
        raise CannotStartError("forbidden")
    # A button that is pressed twice sends two forms at once. The row keeps other API servers waiting, where
    # the database can lock one, and the lock other requests of this one.
    with _STARTING, create_session(scoped=False) as session:
        session.execute(select(DagModel.dag_id).where(DagModel.dag_id == dag_id).with_for_update())
        runs = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.state.in_(_UNDERWAY)).limit(1)
        if session.scalar(runs) is not None:
            raise CannotStartError("underway")
        return _started(user, dag_id, session)


def _started(user: BaseUser, dag_id: str, session: Session) -> str:
    try:
        started = trigger_dag(
            dag_id,
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=user.get_name(),
            session=session,
        )
    except (AirflowException, ValueError) as error:
        raise CannotStartError("refused") from error
    if started is None:
        raise CannotStartError("refused")
    return str(started.run_id)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A value as XComModel reads it back."""

    value: Any


def _may(
    user: BaseUser,
    method: Literal["GET", "POST", "PUT"],
    dag_id: str,
    part: DagAccessEntity | None = None,
) -> bool:
    """Tell whether the user may do this with the DAG, or with one part of it."""
    several_teams = conf.getboolean("core", "multi_team", fallback=False)
    team_name = DagModel.get_team_name(dag_id) if several_teams else None
    return get_auth_manager().is_authorized_dag(
        method=method,
        access_entity=part,
        details=DagDetails(id=dag_id, team_name=team_name),
        user=user,
    )


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None
