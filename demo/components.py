"""One part of Airflow as a child process: nothing that it started outlives `stop`.

Each part gets a session of its own. Airflow moves its task processes to other process groups but never to
another session, so the session is what finds them all, also when their parent was killed before them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

GRACE_SECONDS = 5.0


class Component:
    """A long-running `airflow <command>`, its output in a file.

    :param arguments: what follows `airflow` on the command line.
    :param environment: the whole environment of the process.
    :param log_file: where both output streams go.
    """

    def __init__(self, *arguments: str, environment: Mapping[str, str], log_file: Path) -> None:
        self.name = arguments[0]
        self.log_file = log_file
        with log_file.open("ab") as output:
            self._process = subprocess.Popen(
                airflow_command(*arguments),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self._process.poll()

    @property
    def session(self) -> int:
        """Return the id of the session that holds the process and all that it started."""
        return self._process.pid


def airflow_command(*arguments: str) -> list[str]:
    """Return the command line that runs Airflow with this very interpreter."""
    return [sys.executable, "-m", "airflow", *arguments]


def processes_of(components: Iterable[Component]) -> Iterator[psutil.Process]:
    """Yield every living process in the sessions of these components."""
    sessions = {component.session for component in components}
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def stop(components: Iterable[Component]) -> None:
    """End all processes of these components together: asked first, killed after a grace period.

    :raises RuntimeError: when a process is still there after it was killed.
    """
    components = tuple(components)
    for process in processes_of(components):
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    psutil.wait_procs(list(processes_of(components)), timeout=GRACE_SECONDS)
    for process in processes_of(components):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(list(processes_of(components)), timeout=GRACE_SECONDS)
    for component in components:
        with suppress(subprocess.TimeoutExpired):
            component._process.wait(timeout=0)  # reap it
    if left := [process.pid for process in processes_of(components)]:
        raise RuntimeError(f"processes of Airflow survived being killed: {left}")
