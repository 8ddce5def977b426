"""A Severa in memory, and an upload to it whose process may die at any step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import VismaError, VismaUnknownOutcomeError
from airflow_provider_visma.hour_entries.upload import Upload
from airflow_provider_visma.upload_ledger.ledger import Ledger, Owner
from airflow_provider_visma.upload_ledger.upload import open_rows

ANNA, BOB = (f"5e7e4a00-0000-4000-8000-00000000000{digit}" for digit in "ab")


class Killed(BaseException):
    """SIGKILL: from here on the process does nothing more."""


class Process:
    """Counts what a process does, and ends it at one step."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.steps = 0
        self._dies_at = dies_at

    def step(self) -> None:
        self.steps += 1
        if self._dies_at is not None and self.steps >= self._dies_at:
            raise Killed


class Severa:
    """Holds entries, and goes wrong as told."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.process = Process()
        self.answer: Callable[[int], str | VismaError | None] = lambda call: None
        self.calls = 0
        self.hidden: set[str] = set()

    def add(self, members: dict[str, Any]) -> str | None:
        self.process.step()
        self.calls += 1
        outcome = self.answer(self.calls)
        if isinstance(outcome, VismaError) and not isinstance(outcome, VismaUnknownOutcomeError):
            raise outcome
        guid = f"GUID-{len(self.entries)}"
        if outcome != "lost":
            self.entries.append({**members, "GUID": guid})
        self.process.step()
        if outcome is not None:
            raise VismaUnknownOutcomeError("no answer")
        return guid

    def of_user(self, user_guid: str, first: date, last: date) -> list[dict[str, Any]]:
        self.process.step()
        return [
            entry
            for entry in self.entries
            if user_guid not in self.hidden
            and entry["UserGUID"] == user_guid
            and first <= entry["EventDate"].date() <= last
        ]


def row(user: str = ANNA, day: int = 2, quantity: str = "8", **more: Any) -> dict[str, Any]:
    return {
        "UserGUID": user,
        "PhaseGUID": BOB,
        "EventDate": datetime(2026, 11, day),
        "Quantity": Decimal(quantity),
        "IsBillable": True,
        **more,
    }


# Identical rows within a batch and in two batches, and one that says less than its neighbour.
ROWS = dict(
    enumerate([row(), row(), row(Description="x"), row(BOB), row(), row(day=3), row(BOB, quantity="2")], 1)
)
# Hours of half a year ago: that these users' hours can be seen is known from them.
EARLIER = [
    {**row(user), "EventDate": datetime(2026, 6, 1), "GUID": f"EARLIER-{number}"}
    for number, user in enumerate((ANNA, BOB))
]


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.severa = Severa()
        self.severa.entries += EARLIER
        self.slept: list[float] = []

    def ledger(self) -> Ledger:
        ledger = Ledger(ObjectStoragePath(f"file://{self.folder}/abc"), system="Severa")
        ledger.load()
        return ledger

    def run(self, rows: dict[int, dict[str, Any]] | None = None, **arguments: Any) -> Ledger:
        rows = ROWS if rows is None else rows
        ledger = self.claim("run-0")
        settled = arguments.pop("settled", {})
        upload = Upload(
            self.severa,
            ledger,
            **{
                "batch_size": 3,
                "ask": True,
                "settle_seconds": 60.0,
                "sleep": self.slept.append,
                "log": structlog.get_logger(),
                **arguments,
            },
        )
        upload.settle_earlier({number: rows[number] for number in ledger.in_doubt}, told=settled)
        upload.send(open_rows(rows.items(), ledger))
        return ledger

    def claim(self, run_id: str) -> Ledger:
        ledger = self.ledger()
        ledger.claim(Owner("dag", "upload", run_id), is_over=lambda owner: True, take_over=False)
        return ledger

    @property
    def held(self) -> Counter[str]:
        return Counter(
            str({name: value for name, value in entry.items() if name != "GUID"})
            for entry in self.severa.entries
            if entry not in EARLIER
        )


EACH_ROW_ONCE = Counter(str(members) for members in ROWS.values())
