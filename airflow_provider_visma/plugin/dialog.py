"""The integration screen of Dialog: the link's health, the last import, and starting one.

Dialog's manual (1.3, 1.4, 2.3) has somebody activate and test the link, and import by hand or wait for the
night. Looking takes the right to read connections; acting takes the right to edit this one, and what Airflow
asks of whoever starts or unpauses the DAG.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from airflow_provider_visma.dialog_import.rules import SetAsideReason
from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.plugin import audit, dialog_reports, dialog_runs
from airflow_provider_visma.plugin.access import Editor, PostedForm, Reader, may
from airflow_provider_visma.plugin.addresses import CONNECTION
from airflow_provider_visma.plugin.listing import ListedConnection, find_connection, readable_connections
from airflow_provider_visma.plugin.pages import Notice, path, redirect, render
from airflow_provider_visma.plugin.texts import LANGUAGES

router = APIRouter(prefix="/dialog")

CONNECTION_TYPE: Final = "dialog"
_DEFAULT_ID: Final = "dialog_default"
_COUNTS: Final = (
    "employees",
    "created",
    "updated",
    "unchanged",
    "frozen",
    "frozen_different",
    "gone",
    "conflicts",
    "refused",
    "failed",
    "not_sent",
)


@dataclass(frozen=True, slots=True)
class Link:
    """What belongs to a Dialog connection.

    :param nmbrs_conn_id: where its users come from.
    :param dag_id: the DAG that brings them; None where nothing says which one.
    """

    connection: ListedConnection
    nmbrs_conn_id: str
    dag_id: str | None


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of testing one connection.

    :param works: None where it was not tested, since this user may not read it.
    """

    system: str
    works: bool | None
    message: str = ""

    @property
    def outcome(self) -> str:
        """A word for it, also the end of its text's key."""
        return {True: "works", False: "fails", None: "hidden"}[self.works]


def link_of(user: BaseUser, conn_id: str) -> Link:
    """Return the connection and what belongs to it.

    :raises HTTPException: 404 where there is no such connection of Dialog for this user.
    """
    for one in readable_connections(user, CONNECTION_TYPE):
        if one.conn_id == conn_id:
            extra = _extra(conn_id)
            # Without its own DAG another connection's users would be brought into the wrong Dialog.
            usual = "nmbrs_to_dialog" if conn_id == _DEFAULT_ID else None
            return Link(one, extra.get("nmbrs_conn_id") or "nmbrs_default", extra.get("import_dag") or usual)
    raise HTTPException(404)


def back_to(request: Request, name: str, conn_id: str) -> RedirectResponse:
    """Return a redirect to a page of the connection, in the language that was chosen where it starts."""
    address = path(request, name, conn_id=conn_id)
    chosen = request.query_params.get("lang")
    return RedirectResponse(f"{address}?lang={chosen}" if chosen in LANGUAGES else address, status_code=303)


@router.get("", name="dialog_page", response_model=None)
def page(request: Request, user: Reader) -> HTMLResponse | RedirectResponse:
    """Show the connections to Dialog, or the only one."""
    found = readable_connections(user, CONNECTION_TYPE)
    if len(found) == 1:
        return redirect(request, "dialog_overview", conn_id=found[0].conn_id)
    return render(request, "dialog/index.html", user=user, connections=found)


@router.get(f"/{CONNECTION}", name="dialog_overview")
def overview(request: Request, conn_id: str, user: Reader) -> HTMLResponse:
    """Show the link, the last import and the next one."""
    return _overview(request, user, link_of(user, conn_id))


@router.get(f"/{CONNECTION}/progress", name="dialog_progress")
def progress(request: Request, conn_id: str, user: Reader) -> HTMLResponse:
    """Show how the newest run stands, for the script that puts it into the page."""
    link = link_of(user, conn_id)
    dag = dialog_runs.import_dag(user, link.dag_id)
    return render(request, "dialog/run.html", user=user, link=link, run=dialog_runs.last_run(dag))


@router.get(f"/{CONNECTION}/test", name="dialog_tested")
@router.get(f"/{CONNECTION}/import", name="dialog_imported")
@router.get(f"/{CONNECTION}/activate", name="dialog_activated")
def back(request: Request, conn_id: str, user: Reader) -> RedirectResponse:
    """Return to the page from the address that a form was sent to."""
    return back_to(request, "dialog_overview", conn_id)


@router.post(f"/{CONNECTION}/test", name="dialog_test")
def test(request: Request, conn_id: str, user: Editor, form: PostedForm) -> HTMLResponse:
    """Test both connections of the link; nothing is changed."""
    link = link_of(user, conn_id)
    tested = [_tested("Dialog", conn_id)]
    readable = may(user, "GET", conn_id=link.nmbrs_conn_id)
    tested.append(_tested("Nmbrs", link.nmbrs_conn_id) if readable else Tested("Nmbrs", None))
    outcome = {one.system.lower(): one.outcome for one in tested}
    audit.record("visma_dialog.tested", user=user, conn_id=conn_id, extra=outcome)
    return _overview(request, user, link, tested=tuple(tested))


@router.post(f"/{CONNECTION}/import", name="dialog_import")
def import_now(request: Request, conn_id: str, user: Editor, form: PostedForm) -> RedirectResponse:
    """Start the import."""
    link = link_of(user, conn_id)
    try:
        run_id = dialog_runs.start(user, link.dag_id or "")
    except dialog_runs.CannotStartError as error:
        key = f"dialog.start.{error}"
        return redirect(request, "dialog_overview", notice=Notice("problem", key), conn_id=conn_id)
    audit.record(
        "visma_dialog.import_started",
        user=user,
        conn_id=conn_id,
        extra={"dag_id": link.dag_id or "", "run_id": run_id},
    )
    notice = Notice("done", "dialog.start.done")
    return redirect(request, "dialog_overview", notice=notice, conn_id=conn_id)


@router.post(f"/{CONNECTION}/activate", name="dialog_activate")
def activate(request: Request, conn_id: str, user: Editor, form: PostedForm) -> RedirectResponse:
    """Let the import run every night."""
    link = link_of(user, conn_id)
    try:
        dialog_runs.activate(user, link.dag_id or "")
    except dialog_runs.CannotStartError as error:
        key = f"dialog.start.{error}"
        return redirect(request, "dialog_overview", notice=Notice("problem", key), conn_id=conn_id)
    audit.record("visma_dialog.activated", user=user, conn_id=conn_id, extra={"dag_id": link.dag_id or ""})
    return redirect(request, "dialog_overview", notice=Notice("done", "dialog.activated"), conn_id=conn_id)


@router.get(f"/{CONNECTION}/lists", name="dialog_lists")
def lists(request: Request, conn_id: str, user: Reader) -> HTMLResponse:
    """Show the departments and functions that Dialog knows, and those that it lacks."""
    from airflow_provider_visma.hooks.dialog import DialogHook

    link = link_of(user, conn_id)
    known: dict[str, list[tuple[str, str]]] | None
    problem = ""
    try:
        with DialogHook(conn_id, waited_for=True) as hook:
            known = {"department": _entries(hook.departments()), "function": _entries(hook.functions())}
    except VismaError as error:
        known, problem = None, str(error)
    dag = dialog_runs.import_dag(user, link.dag_id)
    report = dialog_runs.last_import(dag)
    missing = dialog_reports.missing(report.manifest) if report else None
    return render(
        request,
        "dialog/lists.html",
        user=user,
        link=link,
        known=known,
        problem=problem,
        dag=dag,
        report=report,
        missing=missing,
    )


def _overview(
    request: Request, user: BaseUser, link: Link, *, tested: tuple[Tested, ...] = ()
) -> HTMLResponse:
    dag = dialog_runs.import_dag(user, link.dag_id)
    report = dialog_runs.last_import(dag)
    counts = {name: report.manifest[name] for name in _COUNTS if name in report.manifest} if report else {}
    return render(
        request,
        "dialog/overview.html",
        user=user,
        link=link,
        tested=tested,
        dag=dag,
        run=dialog_runs.last_run(dag),
        report=report,
        counts=counts,
        known_reasons=frozenset(SetAsideReason),
        aside=dialog_reports.set_aside(report.manifest) if report else (),
    )


def _tested(system: str, conn_id: str) -> Tested:
    from airflow_provider_visma.hooks.dialog import DialogHook
    from airflow_provider_visma.hooks.nmbrs import NmbrsHook

    try:
        if system == "Dialog":
            works, message = DialogHook(conn_id, waited_for=True).test_connection()
        else:
            works, message = NmbrsHook(conn_id).test_connection()
    except Exception as error:  # such as a connection that is not defined; its text may hold anything
        works, message = False, type(error).__name__
    return Tested(system, works, message)


def _entries(held: Any) -> list[tuple[str, str]]:
    found = ((entry.external_id or "", getattr(entry.fields, "display_name", None) or "") for entry in held)
    return sorted(found, key=lambda pair: (len(pair[0]), pair))


def _extra(conn_id: str) -> Mapping[str, str]:
    try:
        found = json.loads(find_connection(conn_id).extra or "{}")
    except (ValueError, TypeError):
        return {}
    return {key: str(value) for key, value in found.items() if value} if isinstance(found, dict) else {}
