"""What Airflow's button "Test" learns about a Severa connection: versions, and whether the key is let in.

One row of one small list is read, and nothing of it gets into the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_visma.exceptions import VismaAuthenticationError, VismaPermissionError
from airflow_provider_visma.hooks._severa_faults import causes_of_denial

if TYPE_CHECKING:
    from airflow_provider_visma.hooks.severa import SeveraHook

_LONGEST_VERSION = 40


def check(hook: SeveraHook) -> tuple[bool, str]:
    """Ask for the versions and make one cheap call that needs the key.

    :raises VismaError: the service cannot be reached or fails.
    """
    address = hook.settings.base_url
    try:
        version = hook.call("IAPI", "GetVersion")
        schema = hook.schema_version()
        # Small in every organisation, and every user of the API may see some of it.
        next(hook.rows("IWorkType", "GetAllWorkTypes", fields=["GUID"]), None)
    except (VismaAuthenticationError, VismaPermissionError) as error:
        return False, f"{address} answers and denies access ({error.code}). {causes_of_denial()}."
    quota = hook.quota
    used = f" {quota.used} of today's {quota.limit} calls are used." if quota else ""
    return True, (
        f"{address} accepts the API key. API version {_short(version)}, entity schema {_short(schema)}.{used}"
        " What the API user may not see is left out of every answer without a word:"
        " compare row counts with Severa itself."
    )


def _short(version: object) -> str:
    return str(version or "unknown")[:_LONGEST_VERSION]
