"""Airflow's simple auth manager, and users who may look at connections without changing them.

The simple one lets nobody read connections who may not edit them; real ones, such as FAB's, tell the two
apart, and our pages do too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import (
    SimpleAuthManager,
    SimpleAuthManagerRole,
)
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
    from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails


class ReadersLook(SimpleAuthManager):
    """Lets the role ``user`` read connections; editing them stays with ``op``, and ``viewer`` sees none."""

    def is_authorized_connection(
        self,
        *,
        method: ResourceMethod,
        user: SimpleAuthManagerUser,
        details: ConnectionDetails | None = None,
    ) -> bool:
        """Tell whether the user may do this with connections."""
        allowed: bool = self._is_authorized(
            method=method,
            allow_get_role=SimpleAuthManagerRole.USER,
            allow_role=SimpleAuthManagerRole.OP,
            user=user,
            team_name=details.team_name if details else None,
        )
        return allowed
