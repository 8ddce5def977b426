"""What `docker compose --profile sandbox up` does with the sandbox's connections."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.cli import cli_parser

from visma_sandbox.connections import connections


@pytest.mark.parametrize("certificate", [None, "/etc/ssl/sandbox.pem"], ids=["plain", "tls"])
def test_airflow_imports_every_connection_as_the_sandbox_prints_it(
    variables: None, tmp_path: Path, certificate: str | None
) -> None:
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    printed = connections(certificate=certificate)
    file = tmp_path / "connections.json"
    file.write_text(json.dumps(printed))
    arguments = cli_parser.get_parser().parse_args(["connections", "import", "--overwrite", str(file)])

    arguments.func(arguments)

    with create_session(scoped=False) as session:
        stored = {one.conn_id: one.extra_dejson for one in session.scalars(select(Connection))}
    assert stored == {conn_id: connection.get("extra", {}) for conn_id, connection in printed.items()}
