"""Many processes of many threads that all find the same session expired, at the same moment.

Run as a program: reads what to do as JSON from its input, and writes what each thread got.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from typing import Any

from airflow.sdk import Connection

from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.hooks._orbit_settings import OrbitSettings
from airflow_provider_visma.protocols.authorization_code import Session
from airflow_provider_visma.protocols.renewal import RenewingTokenSource
from airflow_provider_visma.protocols.turns import Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewals:
    """What to do.

    :param connection: as :class:`airflow.sdk.Connection` takes it.
    :param takes_turns: False where the processes do not see each other's claims in time.
    """

    connection: dict[str, Any]
    processes: int
    threads: int
    takes_turns: bool = True

    def run(self) -> list[dict[str, str]]:
        """Run it in processes of its own; return each thread's ``token`` or ``error``."""
        program = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps(asdict(self)),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert program.returncode == 0, program.stderr
        return json.loads(program.stdout.splitlines()[-1])


def settings_of(connection: dict[str, Any]) -> OrbitSettings:
    extra = json.dumps(connection["extra"])
    return OrbitSettings.read(Connection(conn_id="orbit", **{**connection, "extra": extra}))


def _renew(asked: Renewals, barrier: Any, outcomes: Any) -> None:
    threads = [
        threading.Thread(target=_renew_once, args=(asked, barrier, outcomes)) for _ in range(asked.threads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _renew_once(asked: Renewals, barrier: Any, outcomes: Any) -> None:
    settings = settings_of(asked.connection)
    # A source of its own, as a process of its own would have.
    source = RenewingTokenSource(
        settings.client, settings.token_store(), open_client=settings.open_client, conn_id="orbit"
    )
    barrier.wait()
    try:
        outcomes.put({"token": source.get_token().value})
    except VismaError as error:
        outcomes.put({"error": str(error)})
    except BaseException as error:
        outcomes.put({"error": repr(error)})
        raise


def _warm_up(settings: OrbitSettings) -> None:
    """Do before the forks what would take every process seconds."""
    from airflow.settings import get_engine

    settings.token_store().load()
    settings.token_store().load_claim()
    settings.open_client().close()
    get_engine().dispose()


def _let_all_redeem(barrier: Any) -> None:
    """Let nobody see a claim, and nobody redeem the token before all have found the session expired."""
    renewed, met = RenewingTokenSource._renewed, threading.local()

    def together(self: RenewingTokenSource, session: Session) -> Session | VismaError:
        if not hasattr(met, "others"):
            met.others = barrier.wait()
        return renewed(self, session)

    Turns.wait = lambda self, of, *, is_moot: None  # type: ignore[method-assign]
    RenewingTokenSource._renewed = together  # type: ignore[method-assign]


def _main() -> None:
    asked = Renewals(**json.load(sys.stdin))
    _warm_up(settings_of(asked.connection))
    fork = multiprocessing.get_context("fork")
    barrier, outcomes = fork.Barrier(asked.processes * asked.threads), fork.Queue()
    if not asked.takes_turns:
        _let_all_redeem(fork.Barrier(asked.processes * asked.threads))
    processes = [fork.Process(target=_renew, args=(asked, barrier, outcomes)) for _ in range(asked.processes)]
    for process in processes:
        process.start()
    found = [outcomes.get(timeout=240) for _ in range(asked.processes * asked.threads)]
    for process in processes:
        process.join()
    print(json.dumps(found))


if __name__ == "__main__":
    _main()
