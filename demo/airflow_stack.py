"""A real Airflow on this machine, in a folder of its own: API server, scheduler, DAG processor, triggerer.

Whatever ends the `with` block (its end, an exception, Ctrl-C, SIGTERM) stops every process it started.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from demo.airflow_api import AirflowApi, TaskInstance, wait_until
from demo.airflow_settings import USER, reserved_port, write_settings
from demo.components import Component, airflow_command, processes_of, stop
from demo.interruptions import interruptions_ignored, termination_raises

_ROOT: Final = Path(__file__).parents[1]
START_SECONDS: Final = 120.0
PARTS: Final = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}


class AirflowStack:
    """Start Airflow on entering, stop it on leaving.

    :param home: becomes AIRFLOW_HOME; made when it is missing. Database and logs stay behind in it.
    :param dag_folders: folders with DAG files.
    :param environment: added to the environment of every process, such as `AIRFLOW_CONN_…`.
    :param parallelism: how many tasks may run at once.
    """

    def __init__(
        self,
        home: Path,
        *,
        dag_folders: Sequence[Path],
        environment: Mapping[str, str],
        parallelism: int = 4,
    ) -> None:
        self.home = home.resolve()
        self.user = USER
        self.passwords: dict[str, str] = {}
        self._reservation = reserved_port()
        self._port: int = self._reservation.getsockname()[1]
        self.api = AirflowApi(f"http://127.0.0.1:{self._port}")
        self._dag_folders = [folder.resolve() for folder in dag_folders]
        self._environment = _environment(self.home, environment)
        self._parallelism = parallelism
        self._parts: dict[str, Component] = {}
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(termination_raises())
            undo.callback(self._stop)
            self._start()
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    @property
    def url(self) -> str:
        """Return where UI and API are."""
        return self.api.url

    @property
    def password(self) -> str:
        """Return the password of the user who may do everything."""
        return self.passwords[self.user]

    @property
    def log_folder(self) -> Path:
        """Return the folder with the logs of tasks and components."""
        return self.home / "logs"

    def wait_for_dags(self, *dag_ids: str, seconds: float = 120.0) -> None:
        """Wait until these DAGs are parsed. They are paused until `api.run` or a person lets them run.

        :raises RuntimeError: when a DAG file cannot be imported; the message holds the traceback.
        """

        def parsed() -> bool:
            if errors := self.api.import_errors():
                raise RuntimeError("\n".join(errors))
            return set(dag_ids) <= self.api.dag_ids()

        wait_until(f"the DAGs {', '.join(dag_ids)}", parsed, seconds=seconds)

    def kill_worker(self, instance: TaskInstance) -> None:
        """Kill the process that runs this task at this moment, without a chance to clean up.

        :raises RuntimeError: when no process runs it.
        """
        title = f"airflow worker -- {instance.id}"
        for process in processes_of([self._parts["scheduler"]]):
            if title in " ".join(process.cmdline()):
                process.kill()
                return
        raise RuntimeError(f"no process runs {instance.label} of {instance.dag_id}")

    def answer(self, instance: TaskInstance, choice: str) -> None:
        """Answer what a task asks a person, not before the scheduler knows that the task has left its worker.

        Airflow 3.3 queues an answered task at once. Where it then hears late that the worker which asked
        has ended, it takes the task for one that vanished, and retries it. A person is never that fast.
        """
        line = re.compile(rf"TaskInstance Finished: .*\bti_id={re.escape(instance.id)}\b")
        log_file = self._parts["scheduler"].log_file
        wait_until(
            f"the scheduler to hear that {instance.label} waits",
            lambda: line.search(log_file.read_text(errors="replace")),
            seconds=30,
        )
        self.api.respond(instance, choice)

    def restart_triggerer(self) -> None:
        """Stop the triggerer and start another, as a deployment does."""
        stop([self._parts.pop("triggerer")])
        self._launch("triggerer")

    def at_terminal(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of this Airflow, with what it reads and writes in the caller's hands."""
        return subprocess.Popen(
            airflow_command(*arguments),
            env={**self._environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _start(self) -> None:
        self.log_folder.mkdir(parents=True, exist_ok=True)
        self.passwords = write_settings(
            self.home, dag_folders=self._dag_folders, port=self._port, parallelism=self._parallelism
        )
        self._migrate()
        for name in PARTS:
            self._launch(name)
        wait_until("Airflow to be healthy", self._is_healthy, seconds=START_SECONDS)
        self.api.sign_in(user=self.user, password=self.password)

    def _stop(self) -> None:
        with interruptions_ignored():
            self.api.close()  # the server waits for open connections before it ends
            stop(self._parts.values())
            self._reservation.close()

    def _migrate(self) -> None:
        log_file = self.log_folder / "migrate.log"
        with log_file.open("wb") as output:
            done = subprocess.run(
                airflow_command("db", "migrate"),
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(f"airflow db migrate failed:\n{tail(log_file.read_text())}")

    def _launch(self, name: str) -> None:
        self._parts[name] = Component(
            *PARTS[name], environment=self._environment, log_file=self.log_folder / f"{name}.log"
        )

    def _is_healthy(self) -> bool:
        for part in self._parts.values():
            if part.exit_code is not None:
                log = part.log_file.read_text(errors="replace")
                raise RuntimeError(f"airflow {part.name} ended with {part.exit_code}:\n{tail(log)}")
        health = self.api.health()
        return health is not None and all(one["status"] == "healthy" for one in health.values())


def tail(text: str, lines: int = 30) -> str:
    """Return the last lines of a text."""
    return "\n".join(text.splitlines()[-lines:])


def _environment(home: Path, additions: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment, without what would change Airflow, and with what it needs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        # Byte code has to be kept: without it every process compiles Airflow anew, two seconds each.
        if not name.startswith("AIRFLOW_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {
        **kept,
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), kept.get("PYTHONPATH")))),  # auth_manager.py
        "NO_PROXY": ",".join(filter(None, (kept.get("NO_PROXY"), "127.0.0.1", "localhost"))),
        **additions,
    }
