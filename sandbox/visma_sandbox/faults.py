"""What is to go wrong, where, and how often. The book only decides; wire.py and the systems act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to go wrong.

    :param system: ``connect``, ``hrm``, ``files``, ``nmbrs``, ``severa``, ``orbit_reporting`` or ``dialog``;
        shell wildcards allowed.
    :param kind: what happens, see the table in the README.
    :param operation: which operation of the system; shell wildcards allowed.
    :param count: how many matching requests it hits; None for all that follow.
    :param after: how many matching requests pass unharmed first.
    :param args: what the kind needs besides.
    """

    system: str
    kind: str
    operation: str = "*"
    count: int | None = 1
    after: int = 0
    args: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, system: str, operation: str) -> bool:
        """Whether a request to this operation is one the fault is meant for."""
        return fnmatchcase(system, self.system) and fnmatchcase(operation, self.operation)

    def as_dict(self) -> dict[str, Any]:
        """The fault as the control endpoint shows it."""
        return asdict(self)


class UnknownFaultError(ValueError):
    """A kind was named that no system knows."""


@dataclass(slots=True)
class _Entry:
    fault: Fault
    seen: int = 0
    given: int = 0

    def spent(self) -> bool:
        return self.fault.count is not None and self.given >= self.fault.count


class FaultBook:
    """The faults that are due, oldest first; a request meets at most one.

    :param kinds: every kind that some part of the sandbox acts on.
    """

    def __init__(self, kinds: Iterable[str]) -> None:
        self.kinds = frozenset(kinds)
        self._entries: list[_Entry] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in the book.

        :raises UnknownFaultError: for a kind nobody acts on: a typo must not look like a passed test.
        """
        if fault.kind not in self.kinds:
            raise UnknownFaultError(
                f"unknown fault kind {fault.kind!r}; known: {', '.join(sorted(self.kinds))}"
            )
        self._entries.append(_Entry(fault))

    def take(self, system: str, operation: str) -> Fault | None:
        """The fault this request meets, counted as given; None for most requests."""
        taken: Fault | None = None
        for entry in self._entries:
            if entry.spent() or not entry.fault.matches(system, operation):
                continue
            entry.seen += 1
            if taken is None and entry.seen > entry.fault.after:
                entry.given += 1
                taken = entry.fault
        if taken is not None:
            self._entries = [entry for entry in self._entries if not entry.spent()]
        return taken

    def pending(self) -> list[Fault]:
        """What has not been used up yet."""
        return [entry.fault for entry in self._entries]

    def clear(self) -> None:
        """Forget all of them."""
        self._entries.clear()
