"""Rows to a service that may refuse or fall silent at any moment: none is written twice, none is lost."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from inspect import CO_GENERATOR
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, Self

import pytest
import structlog
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaError,
    VismaPermissionError,
    VismaQuotaError,
    VismaRequestError,
    VismaTransientError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hour_entries import upload as hour_entry_upload
from airflow_provider_visma.hour_entries.upload import Upload
from airflow_provider_visma.upload_ledger import upload as row_upload
from airflow_provider_visma.upload_ledger import write_once
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


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def counted(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Writing to the ledger is a step of the process too, before and after."""
    create = write_once.create

    def counting(path: ObjectStoragePath, content: Any) -> None:
        world.severa.process.step()
        create(path, content)
        world.severa.process.step()

    monkeypatch.setattr(write_once, "create", counting)
    return world


def test_rows_are_sent_in_batches_and_once(world: World) -> None:
    ledger = world.run()
    assert world.held == EACH_ROW_ONCE
    assert (ledger.accepted, ledger.last_batch, world.slept) == (7, 3, [])
    world.run()
    assert world.severa.calls == 7


@pytest.mark.parametrize("was_there", [False, True], ids=["nothing there", "the same there before"])
def test_a_process_killed_at_any_step_writes_nothing_twice_and_loses_nothing(
    counted: World, tmp_path: Path, was_there: bool
) -> None:
    before = [{**members, "GUID": f"THERE-{number}"} for number, members in ROWS.items() if was_there]
    expected = EACH_ROW_ONCE + EACH_ROW_ONCE if was_there else EACH_ROW_ONCE
    counted.run()
    steps = counted.severa.process.steps
    assert steps > 30
    for first in range(1, steps + 1):
        world = World(tmp_path / str(first))
        counted.severa = world.severa  # whose process the ledger's writes are steps of
        world.severa.process = Process(dies_at=first)
        world.severa.entries += before
        with pytest.raises(Killed):
            world.run()
        world.severa.process = Process()
        assert world.run().accepted == len(ROWS)
        assert world.held == expected, f"killed at step {first}"


def test_a_process_killed_while_it_looks_up_what_another_left_still_writes_nothing_twice(
    counted: World, tmp_path: Path
) -> None:
    for first in (6, 9, 15):
        for second in range(1, 25):
            world = World(tmp_path / f"{first}-{second}")
            counted.severa = world.severa
            for dies_at in (first, second):
                world.severa.process = Process(dies_at)
                with suppress(Killed):
                    world.run()
            world.severa.process = Process()
            world.run()
            assert world.held == EACH_ROW_ONCE, f"killed at steps {first} and {second}"


class Interruption:
    """SIGTERM or a time-out: raised at one line of the upload, whichever that is."""

    def __init__(self, at: int) -> None:
        self.came = False
        self._left = at

    def __enter__(self) -> Self:
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _called(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        is_uploads_own = frame.f_code.co_filename in (hour_entry_upload.__file__, row_upload.__file__)
        # Generators are closed by the collector too, which hears no exception.
        return self._reached if is_uploads_own and not frame.f_code.co_flags & CO_GENERATOR else None

    def _reached(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        self._left -= event in ("line", "return")
        if not self._left and not self.came:
            self.came = True
            raise SystemExit(143)
        return self._reached


def interrupted(world: World, rows: dict[int, Any], line: int) -> bool:
    with suppress(SystemExit), Interruption(line) as interruption:
        world.run(rows, batch_size=2)
    return interruption.came


def test_an_upload_interrupted_at_any_line_writes_nothing_twice_and_loses_nothing(tmp_path: Path) -> None:
    rows = {number: ROWS[number] for number in (1, 2, 3)}
    for line in count(1):
        world = World(tmp_path / str(line))
        world.severa.answer = lambda call: {1: "stored", 2: "lost"}.get(call)
        # In a thread of its own: an exception raised by tracing can leave one behind that was being handled.
        with ThreadPoolExecutor(1) as thread:
            came = thread.submit(interrupted, world, rows, line).result()
        if not came:
            break
        world.severa.answer = lambda call: None
        assert world.run(rows).accepted == len(rows)
        assert world.held == Counter(map(str, rows.values())), f"interrupted at line {line}"
    assert line > 200


@pytest.mark.parametrize("acted", [True, False])
def test_a_row_without_an_answer_is_looked_up_in_the_same_try(world: World, acted: bool) -> None:
    world.severa.answer = lambda call: ("stored" if acted else "lost") if call == 2 else None
    assert world.run().accepted == 7
    assert world.held == EACH_ROW_ONCE
    assert world.slept == ([] if acted else [60.0])


def test_a_request_that_goes_on_working_is_given_time_before_its_row_counts_as_absent(world: World) -> None:
    late: list[dict[str, Any]] = []

    def sleep(seconds: float) -> None:
        world.severa.entries += late

    world.severa.answer = lambda call: "lost" if call == 2 else None
    late.append({**ROWS[2], "GUID": "LATE"})
    world.run(sleep=sleep)
    assert world.held == EACH_ROW_ONCE


def test_an_identical_entry_that_was_there_before_is_not_taken_for_ours(world: World) -> None:
    world.severa.entries.append({**ROWS[6], "GUID": "THERE"})
    world.severa.answer = lambda call: "lost" if call == 6 else None
    world.run()
    assert world.held == EACH_ROW_ONCE + Counter([str(ROWS[6])])


def test_a_new_entry_that_is_merely_similar_stops_the_upload_until_a_person_looked(world: World) -> None:
    def answer(call: int) -> str | None:
        if call != 2:
            return None
        world.severa.entries.append({**ROWS[2], "Quantity": Decimal("7"), "GUID": "BY-HAND"})
        return "lost"

    world.severa.answer = answer
    for _ in range(2):
        with pytest.raises(VismaUnknownOutcomeError, match=r"row 2 may or may not.*settled=\{row: GUID"):
            world.run()
    assert world.severa.calls == 2
    assert world.ledger().in_doubt == {2: 1}
    world.run(settled={2: None})
    assert sum(world.held[line] for line in EACH_ROW_ONCE) == 7


def test_a_person_can_name_the_entry_of_a_row(world: World) -> None:
    world.severa.answer = lambda call: "stored" if call == 2 else None
    with pytest.raises(VismaUnknownOutcomeError):
        world.run(ask=False)
    assert world.run(ask=False, settled={2: "GUID-1", 5: None}).accepted == 7
    assert world.held == EACH_ROW_ONCE


@pytest.mark.parametrize("number", [1, 2, 4])
def test_absent_is_not_said_of_users_whose_hours_the_api_user_does_not_see(world: World, number: int) -> None:
    world.severa.hidden = {ROWS[number]["UserGUID"]}
    world.severa.answer = lambda call: "stored" if call == number else None
    for _ in range(2):
        with pytest.raises(VismaUnknownOutcomeError, match=f"row {number} may or may not"):
            world.run()
    assert world.severa.calls == number


def test_a_users_first_hours_in_doubt_are_looked_up_by_a_person(world: World) -> None:
    world.severa.entries.clear()
    world.severa.answer = lambda call: "lost" if call == 1 else None
    with pytest.raises(VismaUnknownOutcomeError, match="row 1 may or may not"):
        world.run()
    assert world.run(settled={1: None}).accepted == len(ROWS)
    assert world.held == EACH_ROW_ONCE


REFUSALS = [
    VismaRequestError("no", code="ValidationException"),
    VismaRequestError("no", code="GeneralFailureException"),
    VismaPermissionError("no", code="NoPermissionException"),
]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: error.code)
def test_a_rejected_row_is_noted_with_what_the_service_said_and_the_rest_goes_on(
    world: World, error: VismaError
) -> None:
    error.reason = "what it said"
    world.severa.answer = lambda call: error if call == 2 else None
    ledger = world.run()
    assert ledger.accepted == 6
    ((number, rejection),) = world.ledger().rejected.items()
    assert (number, rejection.error, rejection.code) == (2, type(error).__name__, error.code)
    assert rejection.reason == "what it said"
    world.run()
    assert world.severa.calls == 7, "the same upload does not ask for a refusal twice"


def test_a_general_failure_that_stored_the_row_all_the_same_counts_as_accepted(world: World) -> None:
    def answer(call: int) -> VismaError | None:
        if call != 2:
            return None
        world.severa.entries.append({**ROWS[2], "GUID": "STORED"})
        return VismaRequestError("no", code="GeneralFailureException")

    world.severa.answer = answer
    assert world.run().accepted == 7
    assert world.held == EACH_ROW_ONCE


def test_a_general_failure_is_believed_of_a_user_who_has_no_hours(world: World) -> None:
    world.severa.entries.clear()
    general = VismaRequestError("no", code="GeneralFailureException")
    world.severa.answer = lambda call: general if call == 1 else None
    assert list(world.run().rejected) == [1]


@pytest.mark.parametrize(
    "error",
    [
        VismaQuotaError("none left", retry_after=60),
        VismaAuthenticationError("no", code="AuthenticationFailureException"),
        VismaPermissionError("no", code="TosNotApprovedException"),
        VismaPermissionError("no", code="HTTP 403"),
        VismaRequestError("the contract has no such member"),
        VismaUnavailableError("no connection"),
    ],
    ids=lambda error: f"{type(error).__name__} {error.code}",
)
def test_what_is_not_about_the_row_stops_the_upload_and_leaves_no_doubt(
    world: World, error: VismaError
) -> None:
    world.severa.answer = lambda call: error if call == 5 else None
    with pytest.raises(type(error)):
        world.run()
    ledger = world.ledger()
    assert (ledger.accepted, ledger.in_doubt, ledger.rejected) == (4, {}, {})
    world.severa.answer = lambda call: None
    world.run()
    assert world.held == EACH_ROW_ONCE
    assert world.slept == []


def test_a_row_that_never_gets_an_answer_is_rejected_and_the_rest_goes_on(world: World) -> None:
    world.severa.answer = lambda call: "lost" if call in (2, 3) else None
    ledger = world.run()
    assert (ledger.accepted, list(ledger.rejected)) == (6, [2])
    assert world.held == EACH_ROW_ONCE - Counter([str(ROWS[2])])


def test_a_service_that_answers_no_row_stops_the_upload(world: World) -> None:
    world.severa.answer = lambda call: "lost"
    with pytest.raises(VismaUnavailableError, match="3 rows in succession got no answer"):
        world.run()
    assert world.ledger().in_doubt == {}
    assert world.severa.calls == 6
    world.severa.answer = lambda call: None
    ledger = world.run()
    assert (ledger.accepted, list(ledger.rejected)) == (5, [1, 2])


def test_a_process_that_waited_too_long_and_was_replaced_sends_no_further_row(world: World) -> None:
    seconds = 0.0

    def answer(call: int) -> None:
        nonlocal seconds
        if call == 2:
            world.claim("run-1")
            seconds += 5

    world.severa.answer = answer
    with pytest.raises(VismaTransientError, match="run-1 is uploading the same file"):
        world.run(clock=lambda: seconds)
    assert world.severa.calls == 2
    world.severa.answer = lambda call: None
    world.run()
    assert world.held == EACH_ROW_ONCE


def test_the_entries_of_a_user_are_asked_for_once_per_batch(world: World) -> None:
    asked: list[str] = []
    of_user = world.severa.of_user

    def asking(user_guid: str, first: date, last: date) -> list[dict[str, Any]]:
        asked.append(user_guid)
        return of_user(user_guid, first, last)

    world.severa.of_user = asking  # type: ignore[method-assign]
    world.run()
    assert asked == [ANNA, BOB, ANNA, BOB]


def test_without_asking_no_call_is_made_but_the_rows_own(world: World) -> None:
    world.severa.of_user = None  # type: ignore[method-assign, assignment]
    assert world.run(ask=False).accepted == 7
