"""A supervisor that keeps Variables for its process: Airflow's own wire, no API server behind it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CommsDecoder, _RequestFrame, _ResponseFrame


class Supervisor:
    """Answers requests as Airflow's does.

    :ivar variables: what is in Airflow's database.
    :ivar failing: kinds of request that the API server has no answer to.
    :ivar denied: kinds of request that the API server refuses.
    :ivar masked: what was reported as secret.
    """

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.failing: set[str] = set()
        self.denied: set[str] = set()
        self.masked: list[Any] = []
        self._decoder = msgspec.msgpack.Decoder(_RequestFrame)

    def serve(self, end: socket.socket) -> None:
        """Answer until the other end is closed."""
        with end, end.makefile("rb") as requests:
            while head := requests.read(4):
                frame = self._decoder.decode(requests.read(int.from_bytes(head, "big")))
                end.sendall(self.answer(frame).as_bytes())

    def answer(self, frame: _RequestFrame) -> _ResponseFrame:
        """Return the answer to a request."""
        asked = frame.body or {}
        kind = asked["type"]
        if kind in self.failing:
            error = {"type": "ErrorResponse", "error": "API_SERVER_ERROR", "detail": {"message": "canary"}}
            return _ResponseFrame(id=frame.id, error=error)
        if kind in self.denied:
            error = {"type": "ErrorResponse", "error": "PERMISSION_DENIED", "detail": {}}
            return _ResponseFrame(id=frame.id, body=error)
        return _ResponseFrame(id=frame.id, body=self._body(kind, asked))

    def _body(self, kind: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        if kind == "GetVariable":
            if asked["key"] in self.variables:
                return {"type": "VariableResult", "key": asked["key"], "value": self.variables[asked["key"]]}
            return {"type": "ErrorResponse", "error": "VARIABLE_NOT_FOUND", "detail": {"key": asked["key"]}}
        if kind == "GetVariableKeys":
            keys = [key for key in self.variables if key.startswith(asked["prefix"])]
            return {"type": "VariableKeysResult", "keys": keys, "total_entries": len(keys)}
        if kind == "PutVariable":
            self.variables[asked["key"]] = asked["value"]
        elif kind == "DeleteVariable":
            del self.variables[asked["key"]]
            return {"type": "OKResponse", "ok": True}
        elif kind == "MaskSecret":
            self.masked.append(asked["value"])
        else:
            raise AssertionError(f"no answer to {kind}")
        return None


@contextmanager
def supervised(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """Make this process a task's."""
    supervisor = Supervisor()
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=supervisor.serve, args=(theirs,), daemon=True)
    thread.start()
    with ours, monkeypatch.context() as patch:
        patch.setattr(task_runner, "SUPERVISOR_COMMS", CommsDecoder(socket=ours), raising=False)
        yield supervisor
    thread.join()
