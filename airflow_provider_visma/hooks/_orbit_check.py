"""What a ``teamleader_orbit`` connection says of itself, without spending anything.

A refresh token is redeemed by a task, never by a test: the new one would have to be kept by whoever tests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_visma.exceptions import VismaConnectionConfigError, VismaError
from airflow_provider_visma.hooks._orbit_calls import OrbitCall
from airflow_provider_visma.hooks._orbit_settings import SYSTEM, OrbitSettings, where_to_sign_in
from airflow_provider_visma.protocols.http import HttpLimits, httpx

if TYPE_CHECKING:
    from airflow_provider_visma.protocols.authorization_code import Session

_TEST_LIMITS = HttpLimits(connect=5.0, read=10.0, total=15.0)


def first_page_of(settings: OrbitSettings) -> int | None:
    """Return the number of the first page as the connection says it, None where it is to be found out.

    :raises VismaConnectionConfigError: it is neither 0 nor 1.
    """
    told = str(settings.connection.extra.get("first_page", "")).strip()
    if told in ("", "None"):
        return None
    if told not in ("0", "1"):
        raise VismaConnectionConfigError(
            "the connection's extra first_page is neither 0 nor 1",
            system=SYSTEM,
            conn_id=settings.connection.conn_id,
            advice="Leave it empty: it is found out by asking.",
        )
    return int(told)


def checked_sign_in(settings: OrbitSettings, *, clock: Callable[[], float] = time.time) -> tuple[bool, str]:
    """Say whether somebody has signed in, and ask Orbit who that is where no token has to be renewed for it.

    :param clock: seconds since 1970.
    """
    how = f"Sign in {where_to_sign_in(settings.connection.conn_id)}"
    first_page_of(settings)
    session = settings.token_store().load()
    if session is None:
        if settings.seed:
            return True, (
                "Nobody has signed in yet. The first task will redeem the connection's own refresh token;"
                " a test does not, and nothing was asked."
            )
        return False, f"Nobody has signed in for this connection. {how}"
    since = f"{datetime.fromtimestamp(session.obtained_at, UTC):%Y-%m-%d %H:%M} UTC"
    if not session.fresh_at(clock()):
        if session.refresh_token is None:
            return False, f"The sign-in of {since} has ended, and Orbit gave no token to renew it with. {how}"
        return True, (
            f"A sign-in is stored; its access token is of {since} and has ended. The next task renews it;"
            " a test does not, and nothing was asked."
        )
    try:
        ask_who(settings, _Stored(session))
    except VismaError as error:
        return False, f"A sign-in is stored, its access token of {since}. {error}"
    return True, f"Orbit accepts the stored sign-in; its access token is of {since}."


class _Stored(httpx.Auth):
    """Signs with the access token of a session, whatever becomes of it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._session.access_token}"
        yield request


def ask_who(settings: OrbitSettings, auth: httpx.Auth) -> None:
    """Ask Orbit for the user who signed in; nothing of the answer is kept.

    :raises VismaError: Orbit does not accept the sign-in, or does not answer.
    """
    asked = OrbitCall.of("users.me", None, conn_id=settings.connection.conn_id)
    with settings.open_client(_TEST_LIMITS, auth) as client:

        def once(call: OrbitCall) -> None:
            try:
                response = client.request(**call.request())
            except (httpx.HTTPError, VismaError) as error:
                raise call.no_answer(error) from None
            call.answer(response.status_code, response.headers, response.content)

        try:
            once(asked)
        except VismaError as error:
            other = asked.otherwise(error)
            if other is None:
                raise
            once(other)
