"""Time-outs that come when a server says nothing more, and not when a busy machine is slow."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any

import pytest

IMPATIENT = 119
"""Seconds of the time-out that ends early; no other connection should have the same."""


def time_out_where(keeps_waiting: Callable[[int], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is received with a time-out of ``IMPATIENT`` time out when its server keeps it waiting.

    :param keeps_waiting: whether the server of a client at this port has said all that it will.
    """

    def impatient(receive: Callable[..., Any]) -> Callable[..., Any]:
        def received(self: socket.socket, *arguments: Any) -> Any:
            while self.gettimeout() == IMPATIENT and not _has_data(self, within=0.05):
                # What it said last may have come between the two looks.
                if keeps_waiting(self.getsockname()[1]) and not _has_data(self, within=0):
                    raise TimeoutError("timed out")
            return receive(self, *arguments)

        return received

    for name in ("recv", "recv_into"):
        monkeypatch.setattr(socket.socket, name, impatient(getattr(socket.socket, name)), raising=False)


def _has_data(connection: socket.socket, *, within: float) -> bool:
    return bool(select.select([connection], [], [], within)[0])
