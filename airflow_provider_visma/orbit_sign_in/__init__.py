"""Signing in to Orbit, by whoever may edit the connection: begun here and finished here.

What has begun is a record on this side: the ``state`` that travels names it, signed, and says nothing else.
It is worth something once, for ten minutes, to the person who began. Of all who
try to finish, one does.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import tenacity

from airflow_provider_visma.exceptions import (
    VismaConflictError,
    VismaConnectionConfigError,
    VismaError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaTransientError,
)
from airflow_provider_visma.hooks._orbit_settings import SYSTEM, OrbitSettings
from airflow_provider_visma.orbit_sign_in import records
from airflow_provider_visma.orbit_sign_in.records import SignInRecord
from airflow_provider_visma.protocols.authorization_code import (
    Session,
    authorization_address,
    new_pkce,
    read_answer,
    redeem_code,
)
from airflow_provider_visma.protocols.renewal import fingerprint

if TYPE_CHECKING:
    from itsdangerous import URLSafeSerializer

CONNECTION_TYPE = "teamleader_orbit"
CALLBACK_PATH = "/visma/orbit/callback"
TERMINAL = "cli:"  # begins the name of who begins at a terminal
LASTS = 600.0

_OPERATION = "sign-in"
_AGAIN = "Begin again."


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A sign-in that has begun.

    :param address: where the person's browser is to go.
    :param redirect_uri: where the service sends the browser afterwards.
    """

    address: str = field(repr=False)
    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A sign-in that has been finished and stored."""

    conn_id: str
    session: Session


def read_settings(conn_id: str) -> OrbitSettings:
    """Return the connection *conn_id*, from wherever Airflow has it.

    :raises VismaConnectionConfigError: there is no such connection of Orbit, or it cannot be used.
    """
    from airflow.configuration import conf
    from airflow.models import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    several_teams = conf.getboolean("core", "multi_team", fallback=False)
    team_name = Connection.get_team_name(conn_id) if several_teams else None
    try:
        connection = Connection.get_connection_from_secrets(conn_id, team_name=team_name)
    except AirflowNotFoundException:
        connection = None
    if connection is None or connection.conn_type != CONNECTION_TYPE:
        raise VismaConnectionConfigError(
            f"there is no connection of the type {CONNECTION_TYPE} with this id",
            system=SYSTEM,
            conn_id=conn_id,
        )
    return OrbitSettings.read(connection)


def airflow_callback() -> str | None:
    """Return the address of this Airflow that a sign-in can return to, None where Airflow knows none."""
    from airflow.configuration import conf

    base_url = str(conf.get("api", "base_url", fallback=None) or "").strip().rstrip("/")
    return f"{base_url}{CALLBACK_PATH}" if base_url else None


def begin(settings: OrbitSettings, *, by: str, clock: Callable[[], float] = time.time) -> SignIn:
    """Begin a sign-in; what has expired by now is forgotten.

    :param by: who begins, and will have to finish.
    :param clock: seconds since 1970.
    :raises VismaConnectionConfigError: nobody says where the browser is to return to.
    """
    client = replace(settings.client, redirect_uri=settings.client.redirect_uri or airflow_callback() or "")
    if not client.redirect_uri:
        raise VismaConnectionConfigError(
            "there is no redirect_uri",
            system=SYSTEM,
            conn_id=settings.connection.conn_id,
            advice="Fill it in as it is registered for the client, or set Airflow's [api] base_url and"
            f" register that with {CALLBACK_PATH}.",
        )
    now, pkce = clock(), new_pkce()
    record_id = records.new_id(now)
    record = SignInRecord(
        conn_id=settings.connection.conn_id,
        token_key=settings.token_key,
        redirect_uri=client.redirect_uri,
        by=by,
        verifier=pkce.verifier,
    )
    records.remember(record_id, record, forget_before=now - LASTS)
    state = str(_signer().dumps(record_id))
    return SignIn(
        address=authorization_address(client, state=state, challenge=pkce.challenge),
        redirect_uri=client.redirect_uri,
    )


def finish(
    address: str,
    *,
    by: str,
    may_edit: Callable[[str], bool] = lambda conn_id: True,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> SignedIn:
    """Finish a sign-in: redeem the code in *address* and store the session.

    :param address: on which the browser ended, or its query.
    :param by: who finishes: the same person as began.
    :param may_edit: says whether that person may edit the connection of this id.
    :param clock: seconds since 1970.
    :param sleep: waits between attempts to store.
    :raises VismaError: nothing was stored. Its code says why: ``state_missing``, ``state_forged``,
        ``state_expired``, ``state_used``, ``other_user``, ``not_allowed``, ``code_missing``,
        ``connection_changed``, or what the service said, such as ``access_denied``.
    """
    answer = read_answer(address)
    record_id = _record_id(answer.state, now=clock())
    record = records.recall(record_id)
    if record is None:
        raise _used()
    if not hmac.compare_digest(record.by.encode(), by.encode()):
        raise _refusal(VismaPermissionError, "other_user", "somebody else began this sign-in", _AGAIN)
    if not may_edit(record.conn_id):
        raise _refusal(
            VismaPermissionError, "not_allowed", "you may not edit this connection", None, record.conn_id
        )
    if not records.take(record_id):
        raise _used()
    if answer.error is not None:
        raise _refusal(
            VismaPermissionError,
            answer.error,
            "access was denied" if answer.error == "access_denied" else "the service did not sign you in",
            _AGAIN,
            record.conn_id,
        )
    if answer.code is None:
        raise _refusal(VismaRequestError, "code_missing", "the address holds no code", _AGAIN, record.conn_id)
    session = _redeemed(record, answer.code, clock=clock, sleep=sleep)
    return SignedIn(conn_id=record.conn_id, session=session)


def begun_at_terminal(address: str, *, clock: Callable[[], float] = time.time) -> bool:
    """Return whether somebody waits at a terminal for this address, on which the browser ended, to be pasted.

    :param clock: seconds since 1970.
    """
    try:
        record = records.recall(_record_id(read_answer(address).state, now=clock()))
    except VismaError:
        return False
    return record is not None and record.by.startswith(TERMINAL)


def _redeemed(
    record: SignInRecord, code: str, *, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Session:
    from airflow.sdk.log import mask_secret

    settings = read_settings(record.conn_id)
    if settings.token_key != record.token_key:
        raise _refusal(
            VismaConflictError,
            "connection_changed",
            "the connection was changed after the sign-in had begun",
            _AGAIN,
            record.conn_id,
        )
    try:
        session = redeem_code(
            replace(settings.client, redirect_uri=record.redirect_uri),
            code,
            record.verifier,
            open_client=settings.open_token_client,
            clock=clock,
        )
    except VismaError as error:
        error.conn_id = record.conn_id
        raise
    session = replace(session, seed=fingerprint(settings.seed))
    for token in filter(None, (session.access_token, session.refresh_token)):
        mask_secret(token)
    # The code is used up: what is not stored now is lost.
    tenacity.Retrying(
        stop=tenacity.stop_after_attempt(4),
        wait=tenacity.wait_exponential(multiplier=0.5),
        retry=tenacity.retry_if_exception_type(VismaTransientError),
        sleep=sleep,
        reraise=True,
    )(settings.token_store().save, session)
    return session


def _signer() -> URLSafeSerializer:
    from airflow.configuration import conf
    from itsdangerous import URLSafeSerializer

    return URLSafeSerializer(str(conf.get_mandatory_value("api", "secret_key")), salt="visma-orbit-sign-in")


def _record_id(state: str | None, *, now: float) -> str:
    """Return the record that *state* names.

    :raises VismaRequestError: it names none, or one that has expired.
    """
    from itsdangerous import BadSignature

    if state is None:
        raise _refusal(
            VismaRequestError,
            "state_missing",
            "the address holds no state",
            "Use the whole address on which the browser ended.",
        )
    try:
        record_id = str(_signer().loads(state))
        began = records.began_at(record_id)
    except (BadSignature, ValueError):
        raise _refusal(VismaRequestError, "state_forged", "this sign-in was not begun here", _AGAIN) from None
    if now - began > LASTS:
        raise _refusal(
            VismaRequestError,
            "state_expired",
            f"this sign-in was begun more than {LASTS / 60:.0f} minutes ago",
            _AGAIN,
        )
    return record_id


def _used() -> VismaError:
    return _refusal(VismaNotFoundError, "state_used", "this sign-in has been used before", _AGAIN)


def _refusal(
    kind: type[VismaError], code: str, message: str, advice: str | None, conn_id: str | None = None
) -> VismaError:
    return kind(message, system=SYSTEM, operation=_OPERATION, conn_id=conn_id, code=code, advice=advice)
