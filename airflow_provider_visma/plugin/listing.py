"""Which connections of a type there are, for this user.

Airflow can list those in its database and in the environment. A secrets backend can be asked for a connection
but not for a list: those connections are not shown.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.models.connection import Connection
from airflow.secrets.environment_variables import CONN_ENV_PREFIX, EnvironmentVariablesBackend
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_visma.plugin.access import may

_log = logging.getLogger(__name__)
_TEAM_PREFIX: Final = "_"  # AIRFLOW_CONN__<TEAM>___<ID>: of one team, and of no use to a page


@dataclass(frozen=True, slots=True)
class ListedConnection:
    """A connection that the user may see.

    :param in_environment: it is defined by a variable of the environment and not in Airflow's database.
    :param may_edit: the user may act upon it.
    """

    conn_id: str
    description: str
    in_environment: bool
    may_edit: bool


def readable_connections(user: BaseUser, conn_type: str) -> list[ListedConnection]:
    """Return the connections of a type that the user may read, in the order of their ids.

    :param conn_type: e.g. ``teamleader_orbit``.
    """
    found = {
        one.conn_id: one
        # The environment comes first when Airflow looks up a connection, so it does here.
        for one in (*_in_database(user, conn_type), *_in_environment(user, conn_type))
    }
    return [found[conn_id] for conn_id in sorted(found)]


def find_connection(conn_id: str) -> Connection:
    """Return a connection from wherever Airflow keeps it.

    :raises AirflowNotFoundException: when there is none.
    """
    return Connection.get_connection_from_secrets(conn_id)


def _in_database(user: BaseUser, conn_type: str) -> Iterator[ListedConnection]:
    with create_session(scoped=False) as session:
        columns = (Connection.conn_id, Connection.description, Connection.team_name)
        rows = session.execute(select(*columns).where(Connection.conn_type == conn_type)).all()
    auth_manager = get_auth_manager()
    for team_name in {row.team_name for row in rows}:
        conn_ids = {row.conn_id for row in rows if row.team_name == team_name}
        readable = auth_manager.filter_authorized_connections(
            conn_ids=conn_ids, user=user, method="GET", team_name=team_name
        )
        editable = auth_manager.filter_authorized_connections(
            conn_ids=readable, user=user, method="PUT", team_name=team_name
        )
        for row in rows:
            if row.conn_id in readable:
                yield ListedConnection(
                    row.conn_id, row.description or "", in_environment=False, may_edit=row.conn_id in editable
                )


def _in_environment(user: BaseUser, conn_type: str) -> Iterator[ListedConnection]:
    for name in os.environ:
        if not name.startswith(CONN_ENV_PREFIX) or name.startswith(CONN_ENV_PREFIX + _TEAM_PREFIX):
            continue
        conn_id = name.removeprefix(CONN_ENV_PREFIX).lower()
        try:
            connection = EnvironmentVariablesBackend().get_connection(conn_id)
        except Exception as error:  # no connection, and no reason to show no page
            _log.debug("The variable %s holds no connection: %s", name, type(error).__name__)
            continue
        if connection and connection.conn_type == conn_type and may(user, "GET", conn_id=conn_id):
            yield ListedConnection(
                conn_id,
                connection.description or "",
                in_environment=True,
                may_edit=may(user, "PUT", conn_id=conn_id),
            )
