"""The page that signs Orbit connections in. It shows when a session was obtained and never what is in it.

A sign-in leaves this page for Orbit and comes back on ``/callback``, or ends elsewhere and is pasted. Either
way :func:`airflow_provider_visma.orbit_sign_in.finish` decides; the person is sent on at once, so that the
address with the code does not stay in the browser.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, Literal

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from airflow_provider_visma import orbit_sign_in
from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.hooks._orbit_check import ask_who
from airflow_provider_visma.plugin import audit, texts
from airflow_provider_visma.plugin.access import Editor, Known, PostedForm, Reader, known, may
from airflow_provider_visma.plugin.addresses import CONNECTION
from airflow_provider_visma.plugin.listing import ListedConnection, readable_connections
from airflow_provider_visma.plugin.pages import Notice, origin, redirect, render
from airflow_provider_visma.protocols.authorization_code import Session
from airflow_provider_visma.protocols.bearer import BearerAuth

router = APIRouter(prefix="/orbit")

_OTHER_PROBLEM: Final = "orbit.problem.other"

State = Literal["signed_in", "ends", "ended", "from_connection", "none", "unreadable", "unusable"]
_KINDS: Final[dict[State, str]] = {
    "signed_in": "good",
    "ends": "warn",
    "ended": "bad",
    "from_connection": "good",
    "none": "warn",
    "unreadable": "bad",
    "unusable": "bad",
}


@dataclass(frozen=True, slots=True)
class Card:
    """What the page says of one connection.

    :param obtained_at: when the access token was, in seconds since 1970.
    :param expires_at: when the access token does.
    :param redirect_uri: where Orbit sends the browser after a sign-in; has to be registered there.
    :param ends_elsewhere: that is not this Airflow.
    :param problem: why the connection cannot be used, or its session not be read.
    """

    connection: ListedConnection
    state: State
    obtained_at: float | None = None
    expires_at: float | None = None
    authorize_url: str = ""
    redirect_uri: str = ""
    ends_elsewhere: bool = False
    problem: str = ""

    @property
    def kind(self) -> str:
        """Return ``good``, ``warn`` or ``bad``."""
        return _KINDS[self.state]

    @property
    def holds_session(self) -> bool:
        """Return whether there is something to check or to forget."""
        return self.obtained_at is not None or self.state == "unreadable"


@router.get("", name="orbit_page")
def page(request: Request, user: Reader) -> HTMLResponse:
    """Show the connections and their sign-in."""
    cards = [_card(one) for one in readable_connections(user, orbit_sign_in.CONNECTION_TYPE)]
    # Orbit may hand the browser on to a login of its own before it shows a page: to where, it alone knows.
    targets = {
        origin(card.authorize_url) for card in cards if card.authorize_url and card.connection.may_edit
    }
    return render(
        request,
        "orbit.html",
        user=user,
        form_targets=("https:", *sorted(targets)) if targets else (),
        cards=cards,
        may_finish=any(card.connection.may_edit for card in cards),
    )


@router.post(f"/{CONNECTION}/sign-in", name="orbit_begin")
def begin(request: Request, conn_id: str, user: Editor, form: PostedForm) -> RedirectResponse:
    """Send the browser to Orbit."""
    try:
        sign_in = orbit_sign_in.begin(orbit_sign_in.read_settings(conn_id), by=str(user.get_id()))
    except VismaError as error:
        return redirect(request, "orbit_page", notice=_problem(error))
    audit.record("visma_orbit.sign_in_begun", user=user, conn_id=conn_id)
    return RedirectResponse(sign_in.address, status_code=303)


class BegunAtTerminal(Exception):
    """The answer is for somebody at a terminal: the browser has to stay on its address."""


def not_for_a_terminal(request: Request) -> None:
    """Check that the answer is for this page, before anybody is sent to a login and the answer is lost.

    :raises BegunAtTerminal: it is not.
    """
    if orbit_sign_in.begun_at_terminal(request.url.query):
        raise BegunAtTerminal


def copy_this_address(request: Request, error: Exception) -> HTMLResponse:
    """Say where the address of this page is to go; nothing is done with it here."""
    response = render(request, "notice.html", user=None, notice=Notice("done", "orbit.at_terminal"))
    response.headers["Referrer-Policy"] = "no-referrer"  # not even to what the page itself loads
    return response


@router.get("/callback", name="orbit_callback", dependencies=[Depends(not_for_a_terminal)])
def callback(request: Request, user: Known) -> RedirectResponse:
    """Take what Orbit answered and go on to the page."""
    return _finished(request, request.url.query, user)


@router.post("/finish", name="orbit_finish", dependencies=[Depends(known)])
def finish(request: Request, user: Reader, form: PostedForm) -> RedirectResponse:
    """Take the pasted address on which the browser ended."""
    return _finished(request, str(form.get("address", "")), user)


@router.post(f"/{CONNECTION}/check", name="orbit_check")
def check(request: Request, conn_id: str, user: Editor, form: PostedForm) -> RedirectResponse:
    """Ask Orbit whether it accepts the session, which is renewed first where a task would renew it."""
    try:
        settings = orbit_sign_in.read_settings(conn_id)
        ask_who(settings, BearerAuth(settings.new_token_source()))
    except VismaError as error:
        accepted, notice = 0, Notice("problem", _OTHER_PROBLEM, {"reason": str(error)})
    else:
        accepted, notice = 1, Notice("done", "orbit.checked", {"conn_id": conn_id})
    audit.record("visma_orbit.checked", user=user, conn_id=conn_id, extra={"accepted": accepted})
    return redirect(request, "orbit_page", notice=notice)


@router.post(f"/{CONNECTION}/sign-out", name="orbit_sign_out")
def sign_out(request: Request, conn_id: str, user: Editor, form: PostedForm) -> RedirectResponse:
    """Forget the session."""
    try:
        orbit_sign_in.read_settings(conn_id).token_store().clear()
    except VismaError as error:
        return redirect(request, "orbit_page", notice=_problem(error))
    audit.record("visma_orbit.signed_out", user=user, conn_id=conn_id)
    return redirect(request, "orbit_page", notice=Notice("done", "orbit.signed_out", {"conn_id": conn_id}))


def _finished(request: Request, answer: str, user: BaseUser) -> RedirectResponse:
    try:
        signed_in = orbit_sign_in.finish(
            answer, by=str(user.get_id()), may_edit=lambda conn_id: may(user, "PUT", conn_id=conn_id)
        )
    except VismaError as error:
        audit.record(
            "visma_orbit.sign_in_refused",
            user=user,
            conn_id=error.conn_id,
            extra={"code": error.code or type(error).__name__},
        )
        return redirect(request, "orbit_page", notice=_problem(error))
    audit.record("visma_orbit.signed_in", user=user, conn_id=signed_in.conn_id)
    return redirect(
        request, "orbit_page", notice=Notice("done", "orbit.signed_in", {"conn_id": signed_in.conn_id})
    )


def _problem(error: VismaError) -> Notice:
    key = f"orbit.problem.{error.code}"
    if key in texts.TEXTS[texts.ENGLISH] and key != _OTHER_PROBLEM:
        return Notice("problem", key)
    return Notice("problem", _OTHER_PROBLEM, {"reason": str(error)})


def _card(connection: ListedConnection) -> Card:
    try:
        settings = orbit_sign_in.read_settings(connection.conn_id)
    except VismaError as error:
        return Card(connection, "unusable", problem=str(error))
    session, problem = None, ""
    try:
        session = settings.token_store().load()
    except VismaError as error:
        problem = str(error)
    here = orbit_sign_in.airflow_callback() or ""
    redirect_uri = settings.client.redirect_uri or here
    return Card(
        connection,
        "unreadable" if problem else _state(session, seeded=bool(settings.seed), now=time.time()),
        obtained_at=session.obtained_at if session else None,
        expires_at=session.expires_at if session else None,
        authorize_url=settings.client.authorize_url,
        redirect_uri=redirect_uri,
        ends_elsewhere=redirect_uri != here,
        problem=problem,
    )


def _state(session: Session | None, *, seeded: bool, now: float) -> State:
    if session is None:
        return "from_connection" if seeded else "none"
    if session.refresh_token:
        return "signed_in"
    return "ends" if session.fresh_at(now) else "ended"
