"""What was done on these pages, in Airflow's audit log, beside what was done elsewhere in Airflow."""

from __future__ import annotations

import json
from collections.abc import Mapping

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.models.log import Log
from airflow.utils.session import create_session


def record(
    event: str, *, user: BaseUser, conn_id: str | None, extra: Mapping[str, str | int] | None = None
) -> None:
    """Add a row to the audit log.

    :param event: what was done, e.g. ``visma_orbit.signed_in``; 60 characters at most.
    :param user: who did it.
    :param conn_id: the connection that it was done with, where it is known.
    :param extra: counts, ids and codes; never a name, an address or a secret.
    """
    details = {**({"conn_id": conn_id} if conn_id else {}), **(extra or {})}
    name = user.get_name()
    with create_session(scoped=False) as session:
        session.add(Log(event=event, owner=name, owner_display_name=name, extra=json.dumps(details)))
