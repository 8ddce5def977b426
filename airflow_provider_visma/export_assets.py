"""The assets of exports: what is announced when files have landed, and what keeps the watermarks.

An operator's inlets and outlets are fixed when the DAG is parsed, and for a mapped task they are the
same for every instance; what it exports is known later. So a task declares two things per connection,
and both work for mapped tasks:

- an alias as outlet, through which it adds an event to the asset of what it exported, e.g.
  ``visma://hrm/<tenant>/<dataset>``;
- a concrete asset as inlet, whose state holds a watermark per task and export. An inlet, because an
  outlet would send an event of its own each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from airflow.sdk import Context
    from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class ExportAssets:
    """The assets of one system's exports.

    :param system: as it stands in their addresses.
    """

    system: str

    def exported(self, owner: str, name: str) -> Asset:
        """Return the asset that stands for what is exported; schedule DAGs on it.

        :param owner: whose it is: a tenant, or the connection where the system tells no tenant.
        :param name: of the dataset or export.
        """
        return Asset(f"visma://{self.system}/{owner}/{name}")

    def alias(self, conn_id: str) -> AssetAlias:
        """Return the alias for everything exported with a connection."""
        return AssetAlias(f"visma-{self.system}-exports:{conn_id}")

    def watermarks(self, conn_id: str) -> Asset:
        """Return the asset whose state holds the watermarks of a connection."""
        return Asset(f"visma://{self.system}-watermarks/{conn_id}")


HRM = ExportAssets("hrm")
SEVERA = ExportAssets("severa")
ORBIT = ExportAssets("orbit")
ORBIT_REPORTING = ExportAssets("orbit-reporting")


class Watermark:
    """Up to where a task has exported something, as the exporting operator understands it.

    The key names the task too: two tasks that export the same to two places must not skip what only
    the other one has.

    :param asset: whose state holds it; an inlet of the task.
    :param name: what is exported.
    """

    def __init__(self, context: Context, *, asset: Asset, name: str) -> None:
        ti = context["ti"]
        self._state = context["asset_state_store"][asset]
        self.key = f"watermark:{ti.dag_id}.{ti.task_id}:{name}"

    def get(self) -> JsonValue:
        """Return the watermark, or None before the first export."""
        return self._state.get(self.key)

    def advance(self, *, basis: JsonValue, to: JsonValue) -> bool:
        """Set the watermark, if it still is what the export began from; return whether it was set.

        A run that is repeated after later ones must not turn it back.

        :param basis: the watermark when the export was started.
        :param to: the new one, or None where the service gave none: then the next export is a full one.
        """
        if to is None or self.get() != basis:
            return False
        self._state.set(self.key, to)
        return True
