"""What Airflow hands to an operator, in memory, so that tries and runs of a task can follow each other."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.execution_time.context import OutletEventAccessors


class Store:
    """A state store: JSON values by key."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value


class TaskRuns:
    """The runs of one task: what lasts for a run, and what lasts for ever."""

    def __init__(self) -> None:
        self.asset_state: dict[Any, Store] = {}
        self._task_state: dict[str, Store] = {}

    def context(self, operator: BaseOperator, run_id: str = "run-1") -> Any:
        """Return the context of a (further) try of *operator* in a run."""
        asset_stores = {inlet: self.asset_state.setdefault(inlet.name, Store()) for inlet in operator.inlets}
        return {
            "ti": SimpleNamespace(
                dag_id="a_dag", task_id=operator.task_id, run_id=run_id, start_date=datetime.now(UTC)
            ),
            "run_id": run_id,
            "task_state_store": self._task_state.setdefault(run_id, Store()),
            "asset_state_store": asset_stores,
            "outlet_events": OutletEventAccessors(),
        }
