"""What the demonstration's Airflow is given before it starts."""

from __future__ import annotations

import socket

import pytest

from demo.airflow_settings import reserved_port


def test_a_reserved_port_is_the_servers_that_asks_for_it_and_nobody_elses() -> None:
    with reserved_port() as reservation:
        address = reservation.getsockname()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(address)
        with socket.create_server(address), socket.create_connection(address):
            pass
