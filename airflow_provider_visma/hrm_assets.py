"""The assets of HRM exports: what is announced when files have landed, and what keeps the watermarks.

An operator's inlets and outlets are fixed when the DAG is parsed, and for a mapped task they are the
same for every dataset; tenant and dataset are known later. So a task declares two things per
connection, and both work for mapped tasks:

- an alias as outlet, through which it adds an event to ``visma://hrm/<tenant>/<dataset>``;
- a concrete asset as inlet, whose state holds a watermark per task and dataset. An inlet, because an
  outlet would send an event of its own each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from airflow.sdk import Context


def dataset_asset(*, tenant_id: str, dataset: str) -> Asset:
    """Return the asset that stands for a tenant's dataset; schedule DAGs on it."""
    return Asset(f"visma://hrm/{tenant_id}/{dataset}")


def export_alias(hrm_conn_id: str) -> AssetAlias:
    """Return the alias for all datasets exported with a connection."""
    return AssetAlias(f"visma-hrm-exports:{hrm_conn_id}")


def watermark_asset(hrm_conn_id: str) -> Asset:
    """Return the asset whose state holds the watermarks of a connection."""
    return Asset(f"visma://hrm-watermarks/{hrm_conn_id}")


class Watermark:
    """Up to where a task has exported a dataset: ``changeTimestampBefore`` as the service wrote it.

    The key names the task too: two tasks that export the same dataset to two places must not skip what
    only the other one has.
    """

    def __init__(self, context: Context, *, hrm_conn_id: str, tenant_id: str, dataset: str) -> None:
        ti = context["ti"]
        self._state = context["asset_state_store"][watermark_asset(hrm_conn_id)]
        self.key = f"watermark:{ti.dag_id}.{ti.task_id}:{tenant_id}/{dataset}"

    def get(self) -> str | None:
        """Return the watermark, or None before the first export."""
        stored = self._state.get(self.key)
        return stored if isinstance(stored, str) else None

    def advance(self, *, basis: str | None, to: str | None) -> bool:
        """Set the watermark, if it still is what the export began from; return whether it was set.

        A run that is repeated after later ones must not turn it back.

        :param basis: the watermark when the export was started.
        :param to: the new one, or None where the service gave none: then the next export is a full one.
        """
        if to is None or self.get() != basis:
            return False
        self._state.set(self.key, to)
        return True
