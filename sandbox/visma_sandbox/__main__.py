"""``visma-sandbox serve`` and ``visma-sandbox connections``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from visma_sandbox.connections import DEFAULT_FILES_URL, DEFAULT_URL, connections, environment
from visma_sandbox.server import ServeOptions, run
from visma_sandbox.tls import LOOPBACK


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    :param arguments: without the program's name; those of the process by default.
    :returns: the exit status.
    """
    chosen = _parser().parse_args(arguments)
    if chosen.command == "serve":
        return run(
            ServeOptions(
                port=chosen.port,
                files_port=chosen.files_port,
                employees=chosen.employees,
                seed=chosen.seed,
                tls=chosen.tls,
                dialog_file=chosen.dialog_file,
                host=chosen.host,
            )
        )
    found = connections(chosen.url, chosen.files_url, chosen.certificate)
    print(json.dumps(environment(found) if chosen.environment else found, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="visma-sandbox", description="Visma systems, simulated on loopback."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    serve = commands.add_parser("serve", help="serve until SIGTERM; prints one JSON line when ready")
    serve.add_argument("--port", type=int, default=8765, help="of the services; 0 takes a free one")
    serve.add_argument("--files-port", type=int, default=8766, help="of the file host; 0 takes a free one")
    serve.add_argument("--host", default=LOOPBACK, help="name by which clients in other containers reach it")
    serve.add_argument("--employees", type=int, default=500, help="people in the organisation (up to 100000)")
    serve.add_argument("--seed", type=int, default=1, help="the same seed gives the same people")
    serve.add_argument("--tls", action="store_true", help="https with a certificate made for this run")
    serve.add_argument("--dialog-file", type=Path, help="JSON file in which Dialog is kept over restarts")

    shown = commands.add_parser("connections", help="print the Airflow connections that lead to a sandbox")
    shown.add_argument("--url", default=DEFAULT_URL)
    shown.add_argument("--files-url", default=DEFAULT_FILES_URL)
    shown.add_argument("--certificate", help="PEM file to trust, for a sandbox that serves TLS")
    shown.add_argument("--environment", action="store_true", help="as AIRFLOW_CONN_* variables")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
