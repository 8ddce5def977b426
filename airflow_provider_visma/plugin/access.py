"""Who may do what on these pages. Nothing here decides by itself: Airflow's auth manager is asked.

Looking takes the right to read connections, acting the right to edit the connection that is acted upon,
and every act carries a token that only our own page could have given to this user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
from airflow.configuration import conf
from airflow.models.connection import Connection
from fastapi import Depends, HTTPException, Request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.datastructures import FormData

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod

CSRF_FIELD: Final = "csrf_token"
CSRF_SECONDS: Final = 8 * 3600
MAX_FORM_BYTES: Final = 256 * 1024
_FIELDS_PER_FORM: Final = 2_000


class SignInNeeded(Exception):
    """Nobody is signed in to Airflow, or no longer."""


async def signed_in(request: Request) -> BaseUser:
    """Return who is signed in to Airflow, or the visitor who may look without being so.

    :raises SignInNeeded: when nobody is; the pages answer with Airflow's own login.
    """
    try:
        user: BaseUser | None = await get_user(request, None, await bearer_scheme(request))
    except HTTPException as error:
        raise SignInNeeded from error
    if user is None:  # Keycloak's answer to a token whose other cookies are gone
        raise SignInNeeded
    return user


SignedIn = Annotated[BaseUser, Depends(signed_in)]


def may_read_connections(user: SignedIn) -> BaseUser:
    """Return the user, who may read connections.

    :raises HTTPException: 403 otherwise.
    :raises SignInNeeded: otherwise, for a visitor who may gain the right by signing in.
    """
    if not may(user, "GET"):
        known(user)
        raise HTTPException(403, "read")
    return user


Reader = Annotated[BaseUser, Depends(may_read_connections)]


def known(user: SignedIn) -> BaseUser:
    """Return the user, who is a person: FAB's ``auth_role_public`` lets visitors in whom nobody knows.

    What they did could be laid to nobody, and a form of one would do for every other.

    :raises SignInNeeded: it is such a visitor.
    """
    if not user.get_id():
        raise SignInNeeded
    return user


Known = Annotated[BaseUser, Depends(known)]


def may_edit_connection(conn_id: str, user: Known) -> BaseUser:
    """Return the user, who may edit the connection that the path of the request names.

    :raises HTTPException: 403 otherwise.
    """
    if not may(user, "PUT", conn_id=conn_id):
        raise HTTPException(403, "edit")
    return user


def may(user: BaseUser, method: ResourceMethod, *, conn_id: str | None = None) -> bool:
    """Tell whether Airflow lets the user read (GET) or edit (PUT) connections, or this one."""
    several_teams = conf.getboolean("core", "multi_team", fallback=False)
    team_name = Connection.get_team_name(conn_id) if several_teams and conn_id else None
    return get_auth_manager().is_authorized_connection(
        method=method, user=user, details=ConnectionDetails(conn_id=conn_id, team_name=team_name)
    )


def csrf_token(user: BaseUser) -> str:
    """Return what a form has to carry: signed, and of use to this user alone."""
    return signer("csrf").dumps(str(user.get_id()))


async def csrf_checked(request: Request, user: SignedIn) -> FormData:
    """Return the posted form, which one of our own pages sent for this user.

    :raises HTTPException: 403 when it came from elsewhere, 413 when it is too long.
    """
    if not _from_our_pages(request):
        raise HTTPException(403, "cross-site")
    form = await _form(request)
    try:
        user_id = signer("csrf").loads(str(form.get(CSRF_FIELD, "")), max_age=CSRF_SECONDS)
    except BadSignature:
        raise HTTPException(403, "form-expired") from None
    if user_id != str(user.get_id()):
        raise HTTPException(403, "form-expired")
    return form


PostedForm = Annotated[FormData, Depends(csrf_checked)]
Editor = Annotated[BaseUser, Depends(may_edit_connection)]


def signer(purpose: str) -> URLSafeTimedSerializer:
    """Return what signs texts for one purpose, with the key that all API servers share."""
    return URLSafeTimedSerializer(
        conf.get_mandatory_value("api", "secret_key"), salt=f"airflow_provider_visma.plugin.{purpose}"
    )


def _from_our_pages(request: Request) -> bool:
    """Tell whether the browser says so. It always names the origin of a form; only browsers send forms."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is None:
        return site == "same-origin"
    addresses = (conf.get("api", "base_url", fallback=""), str(request.base_url))
    ours = [urlsplit(address) for address in addresses if address]
    return origin in {f"{parts.scheme}://{parts.netloc}" for parts in ours}


async def _form(request: Request) -> FormData:
    """Read a form within bounds. Forms of these pages hold no files."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise HTTPException(415, "form")
    length = 0
    parts = []
    async for part in request.stream():
        length += len(part)
        if length > MAX_FORM_BYTES:
            raise HTTPException(413, "form")
        parts.append(part)
    request._body = b"".join(parts)  # where Starlette looks before it reads the stream
    return await request.form(max_files=0, max_fields=_FIELDS_PER_FORM)
