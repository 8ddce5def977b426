"""Whose ledger it is: a task instance, and what Airflow knows of another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow.sdk import TaskInstanceState

from airflow_provider_visma.upload_ledger.ledger import Owner

if TYPE_CHECKING:
    from airflow.sdk import Context

_AT_WORK = frozenset(
    state.value
    for state in (
        TaskInstanceState.SCHEDULED,
        TaskInstanceState.QUEUED,
        TaskInstanceState.RUNNING,
        TaskInstanceState.RESTARTING,
        TaskInstanceState.UP_FOR_RETRY,
        TaskInstanceState.UP_FOR_RESCHEDULE,
        TaskInstanceState.DEFERRED,
        TaskInstanceState.AWAITING_INPUT,
    )
)


def owner_of(context: Context) -> Owner:
    """Return this task instance, as it owns a ledger."""
    ti = context["ti"]
    map_index = getattr(ti, "map_index", None)
    return Owner(
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        map_index=-1 if map_index is None else map_index,
        try_number=getattr(ti, "try_number", 0),
    )


def asking_airflow(context: Context) -> Callable[[Owner], bool | None]:
    """Return what tells whether another task instance has ended, None where Airflow does not know it."""

    def is_over(owner: Owner) -> bool | None:
        try:
            states = context["ti"].get_task_states(
                dag_id=owner.dag_id, task_ids=[owner.task_id], run_ids=[owner.run_id]
            )
        except Exception:  # whatever kept Airflow from answering, nobody knows then
            return None
        name = owner.task_id if owner.map_index < 0 else f"{owner.task_id}_{owner.map_index}"
        run = states.get(owner.run_id, {})
        return run[name] not in _AT_WORK if name in run else None

    return is_over
