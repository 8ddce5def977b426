"""Dialog for one request of the screen: asked anew what it can do and what its lists hold once a minute.

Whoever has a client has it alone. One that met an error is not used again, nor one whose connection was
changed meanwhile.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_visma.plugin.listing import find_connection

if TYPE_CHECKING:
    from airflow_provider_visma.dialog_import.moves import DialogMoves
    from airflow_provider_visma.dialog_import.roster import DialogRoster
    from airflow_provider_visma.hooks.dialog import DialogHook

_SECONDS: Final = 60.0
_IDLE: Final = 8


class DialogClient:
    """A hook, with what hardly changes kept.

    :param born: when it was made, on the clock of the one who keeps it.
    """

    def __init__(self, hook: DialogHook, *, born: float) -> None:
        self.hook = hook
        self.born = born

    @cached_property
    def roster(self) -> DialogRoster:
        """The users, page by page."""
        return self.hook.roster()

    @cached_property
    def moves(self) -> DialogMoves:
        """What invites and links."""
        return self.hook.moves()

    @cached_property
    def departments(self) -> list[tuple[str, str]]:
        """Code and name of each department, by name."""
        return _named(self.hook.departments())

    @cached_property
    def functions(self) -> dict[str, str]:
        """The name of each function, by id."""
        return dict(_named(self.hook.functions()))


class DialogClients:
    """Keeps clients for the next request.

    :param clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[DialogClient]] = {}

    @contextmanager
    def of(self, conn_id: str) -> Iterator[DialogClient]:
        """Lend a client for one request."""
        key = (conn_id, _fingerprint(conn_id))
        client = self._taken(key)
        try:
            yield client
        except BaseException:
            client.hook.close()
            raise
        self._give_back(key, client)

    def _taken(self, key: tuple[str, str]) -> DialogClient:
        from airflow_provider_visma.hooks.dialog import DialogHook

        with self._lock:
            self._drop_old()
            if idle := self._idle.get(key):
                return idle.pop()
        return DialogClient(DialogHook(key[0], waited_for=True), born=self._clock())

    def _give_back(self, key: tuple[str, str], client: DialogClient) -> None:
        with self._lock:
            idle = self._idle.setdefault(key, [])
            if len(idle) < _IDLE:
                idle.append(client)
                return
        client.hook.close()

    def _drop_old(self) -> None:
        for key, idle in list(self._idle.items()):
            young = [client for client in idle if self._clock() - client.born < _SECONDS]
            for client in idle:
                if client not in young:
                    client.hook.close()
            if young:
                self._idle[key] = young
            else:
                del self._idle[key]


def _fingerprint(conn_id: str) -> str:
    """Return what changes with the connection, and tells nothing of it."""
    found = find_connection(conn_id)
    parts = (found.conn_type, found.host, found.port, found.schema, found.login, found.password, found.extra)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _named(held: Any) -> list[tuple[str, str]]:
    found = ((entry.external_id or "", getattr(entry.fields, "display_name", None) or "") for entry in held)
    return sorted(found, key=lambda pair: (pair[1].casefold(), pair[0]))
