"""Airflow's public REST API (v2), as far as a demonstration and its tests need it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import requests
from tenacity import RetryError, Retrying, retry_if_not_result, stop_after_delay, wait_fixed

FINISHED: Final = frozenset({"success", "failed"})
TIMEOUT: Final = 60.0  # on a busy machine the first request of a worker keeps others waiting for twenty
POLL_SECONDS: Final = 0.3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TaskInstance:
    """One task of one run, as the API shows it now."""

    id: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int

    @property
    def path(self) -> str:
        """Return its place in the API, without the map index."""
        return f"/dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/{self.task_id}"

    @property
    def label(self) -> str:
        """Return a name to show: the task id, and the map index where there is one."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


def wait_until(what: str, question: Callable[[], T], *, seconds: float) -> T:
    """Ask until the answer is true, and return it.

    :param what: what is waited for, for the message.
    :raises TimeoutError: when the answer is still false after so many seconds.
    """
    retrying = Retrying(
        retry=retry_if_not_result(bool), wait=wait_fixed(POLL_SECONDS), stop=stop_after_delay(seconds)
    )
    try:
        return retrying(question)
    except RetryError as exhausted:
        raise TimeoutError(f"waited {seconds:.0f} s for {what}") from exhausted


class AirflowApi:
    """A client of one Airflow, signed in as one user.

    :param url: base URL of the API server.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the user's has no business on loopback

    def close(self) -> None:
        """Close the connections; the next call opens another."""
        self._session.close()

    def health(self) -> dict[str, Any] | None:
        """Return the state of every component, or None while the API server does not answer."""
        try:
            health: dict[str, Any] = self._call("GET", "/monitor/health")
        except requests.RequestException:
            return None
        return health

    def sign_in(self, *, user: str, password: str) -> None:
        """Get a token and use it from here on."""
        answer = self._session.post(
            f"{self.url}/auth/token", json={"username": user, "password": password}, timeout=TIMEOUT
        )
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def dag_ids(self) -> set[str]:
        """Return the ids of all DAGs that are parsed and stored."""
        return {dag["dag_id"] for dag in self._call("GET", "/dags")["dags"]}

    def import_errors(self) -> list[str]:
        """Return the traceback of every DAG file that did not parse."""
        return [error["stack_trace"] for error in self._call("GET", "/importErrors")["import_errors"]]

    def run(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run by hand, of a DAG that may still be paused, and return its id."""
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
        run = self._call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf or {}})
        run_id: str = run["dag_run_id"]
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return queued, running, success or failed."""
        state: str = self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state

    def wait_for_run(self, dag_id: str, run_id: str, *, seconds: float) -> str:
        """Wait until the run is finished and return its state."""
        wait_until(
            f"run {run_id} of {dag_id}",
            lambda: self.run_state(dag_id, run_id) in FINISHED,
            seconds=seconds,
        )
        return self.run_state(dag_id, run_id)

    def task_instances(self, dag_id: str, run_id: str, task_id: str | None = None) -> list[TaskInstance]:
        """Return the run's task instances, of one task or of all."""
        found = self._call(
            "GET",
            f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances",
            params={"limit": 100, **({"task_id": task_id} if task_id else {})},
        )["task_instances"]
        return [
            TaskInstance(
                id=one["id"],
                dag_id=dag_id,
                run_id=run_id,
                task_id=one["task_id"],
                map_index=one["map_index"],
                state=one["state"],
                try_number=one["try_number"],
            )
            for one in found
        ]

    def wait_for_task(
        self, dag_id: str, run_id: str, task_id: str, *, states: Sequence[str], seconds: float
    ) -> TaskInstance:
        """Wait until an instance of the task is in one of the states and return it."""

        def in_state() -> TaskInstance | None:
            instances = self.task_instances(dag_id, run_id, task_id)
            return next((instance for instance in instances if instance.state in states), None)

        instance = wait_until(f"{task_id} of {dag_id} to be {' or '.join(states)}", in_state, seconds=seconds)
        assert instance is not None
        return instance

    def xcom(self, instance: TaskInstance, key: str = "return_value") -> Any:
        """Return the value that a task instance left, decoded."""
        answer = self._call(
            "GET",
            f"{instance.path}/xcomEntries/{key}",
            params={"map_index": instance.map_index, "deserialize": "false"},
        )
        return answer["value"]

    def log(self, instance: TaskInstance, *, try_number: int | None = None) -> str:
        """Return the log of a try (the newest by default), one event a line."""
        answer = self._call(
            "GET",
            f"{instance.path}/logs/{try_number or instance.try_number}",
            params={"full_content": "true", "map_index": instance.map_index},
        )
        return "\n".join(_line(event) for event in answer["content"])

    def was_deferred(self, instance: TaskInstance) -> bool:
        """Say whether the newest try left its worker to the triggerer at least once."""
        return "Pausing task as DEFERRED" in self.log(instance)

    def mark(self, instance: TaskInstance, state: str) -> None:
        """Set the state of a task instance, as a user does in the UI."""
        suffix = "" if instance.map_index < 0 else f"/{instance.map_index}"
        self._call("PATCH", instance.path + suffix, json={"new_state": state})

    def respond(self, instance: TaskInstance, choice: str) -> None:
        """Answer what a task asks a person, as a user does under *Required actions*."""
        self._call(
            "PATCH",
            f"{instance.path}/{instance.map_index}/hitlDetails",
            json={"chosen_options": [choice], "params_input": {}},
        )

    def clear(self, instance: TaskInstance) -> None:
        """Let a task instance run again."""
        task = [instance.task_id, instance.map_index] if instance.map_index >= 0 else instance.task_id
        self._call(
            "POST",
            f"/dags/{instance.dag_id}/clearTaskInstances",
            json={
                "dry_run": False,
                "dag_run_id": instance.run_id,
                "task_ids": [task],
                "only_failed": False,
            },
        )

    def get(self, path: str, **params: Any) -> Any:
        """Return what any other address of the API answers."""
        return self._call("GET", path, params=params)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        answer = self._session.request(method, f"{self.url}/api/v2{path}", timeout=TIMEOUT, **options)
        if answer.status_code >= 400:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None


def _line(event: dict[str, Any] | str) -> str:
    """Return an event of a log with the errors that it carries."""
    if isinstance(event, str):
        return event
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in event.get("error_detail") or ()]
    return "\n".join([str(event["event"]), *errors])
