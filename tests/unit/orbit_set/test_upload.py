"""Rows to an Orbit that may refuse or fall silent at any moment: none is made twice, none is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConflictError,
    VismaContentError,
    VismaError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaThrottledError,
    VismaTransientError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.orbit_set import upload as orbit_upload
from airflow_provider_visma.orbit_set.upload import OrbitUpload
from airflow_provider_visma.upload_ledger import write_once
from airflow_provider_visma.upload_ledger.ledger import Ledger, Owner
from airflow_provider_visma.upload_ledger.upload import open_rows
from tests.unit.upload_ledger.interruption import interrupted

ROWS: dict[int, dict[str, Any]] = {
    1: {"name": "A", "code": "1"},
    2: {"id": "OLD1", "name": "B"},
    3: {"name": "C", "code": "3"},
    4: {"name": "D", "code": "4"},
    5: {"id": "OLD2", "name": "E"},
}
OLD = {"OLD1": {"name": "x", "code": "x"}, "OLD2": {"name": "y", "code": "y"}}


class Killed(BaseException):
    """SIGKILL: from here on the process does nothing more."""


class Orbit:
    """Holds rows, and goes wrong as told."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {row_id: dict(row) for row_id, row in OLD.items()}
        self.answer: Callable[[int], str | VismaError | None] = lambda call: None
        self.calls = 0
        self.lists = 0
        self.steps = 0
        self.dies_at: int | None = None
        self.shown = ("id", "name", "code")
        self.spelled: Callable[[str], Any] = str

    def step(self) -> None:
        self.steps += 1
        if self.dies_at is not None and self.steps >= self.dies_at:
            raise Killed

    def set(self, body: dict[str, Any]) -> Any:
        self.step()
        self.calls += 1
        outcome = self.answer(self.calls)
        if isinstance(outcome, VismaError):
            raise outcome
        row_id = body.get("id") or f"NEW{len(self.rows)}"
        if outcome != "lost":
            self.rows.setdefault(row_id, {}).update(body)
        self.step()
        if outcome is not None:
            raise VismaUnknownOutcomeError("no answer")
        return {"id": row_id}

    def all(self) -> Iterator[dict[str, Any]]:
        self.lists += 1
        for row_id, row in self.rows.items():
            whole = {**row, "id": row_id, "code": self.spelled(row["code"])}
            yield {name: whole[name] for name in self.shown if name in whole}


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.orbit = Orbit()
        self.slept: list[float] = []

    def ledger(self) -> Ledger:
        ledger = Ledger(ObjectStoragePath(f"file://{self.folder}/abc"), system="Teamleader Orbit")
        ledger.load()
        return ledger

    def run(self, *, look_up_by: str | None = "code", settled: Any = None, **arguments: Any) -> Ledger:
        ledger = self.claim("run-0")
        upload = OrbitUpload(
            self.orbit,
            ledger,
            operation="offers.set",
            look_up_by=look_up_by,
            **{
                "patiently": lambda call, *given: call(*given),
                "batch_size": 2,
                "settle_seconds": 60.0,
                "sleep": self.slept.append,
                "log": structlog.get_logger(),
                **arguments,
            },
        )
        upload.settle_earlier({number: ROWS[number] for number in ledger.in_doubt}, told=settled or {})
        upload.send(open_rows(ROWS.items(), ledger))
        return ledger

    def claim(self, run_id: str) -> Ledger:
        ledger = self.ledger()
        ledger.claim(Owner("dag", "upload", run_id), is_over=lambda owner: True, take_over=False)
        return ledger

    @property
    def held(self) -> Counter[str]:
        return Counter(str(row["name"]) for row in self.orbit.rows.values())


EACH_ROW_ONCE = Counter("ABCDE")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def answered(error: VismaError) -> VismaError:
    """An error with which the service answered."""
    error.reason = '{"errors": []}'
    return error


def test_rows_are_made_and_changed_once(world: World) -> None:
    assert world.run().accepted == 5
    assert world.held == EACH_ROW_ONCE
    assert (world.orbit.calls, world.orbit.lists) == (5, 1)
    world.run()
    assert world.orbit.calls == 5


def test_without_a_field_to_look_by_no_list_is_read(world: World) -> None:
    world.run(look_up_by=None)
    assert (world.orbit.lists, world.held) == (0, EACH_ROW_ONCE)


def test_killed_at_any_step_nothing_is_made_twice_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, current = write_once.create, [World(tmp_path / "0")]

    def counting(path: ObjectStoragePath, content: Any) -> None:
        current[0].orbit.step()
        create(path, content)
        current[0].orbit.step()

    monkeypatch.setattr(write_once, "create", counting)
    current[0].run()
    steps = current[0].orbit.steps
    for first in range(1, steps + 1):
        current[0] = world = World(tmp_path / str(first))
        world.orbit.dies_at = first
        with pytest.raises(Killed):
            world.run()
        world.orbit.dies_at = None
        assert world.run().accepted == 5, f"killed at step {first}"
        assert world.held == EACH_ROW_ONCE, f"killed at step {first}"
    assert steps > 20


def test_interrupted_at_any_line_nothing_is_made_twice_and_nothing_is_lost(tmp_path: Path) -> None:
    for line in count(1):
        world = World(tmp_path / str(line))
        world.orbit.answer = lambda call: {1: "stored", 2: "lost", 4: "lost"}.get(call)
        if not interrupted(line, world.run, module=orbit_upload):
            break
        world.orbit.answer = lambda call: None
        assert world.run().accepted == 5, f"interrupted at line {line}"
        assert world.held == EACH_ROW_ONCE, f"interrupted at line {line}"
    assert line > 300


@pytest.mark.parametrize("acted", [True, False])
def test_a_new_row_without_an_answer_is_looked_up(world: World, acted: bool) -> None:
    world.orbit.answer = lambda call: ("stored" if acted else "lost") if call == 3 else None
    assert world.run().accepted == 5
    assert world.held == EACH_ROW_ONCE
    assert world.orbit.calls == (5 if acted else 6)
    assert world.slept == ([] if acted else [60.0])


@pytest.mark.parametrize(
    "spelled",
    [str.upper, lambda code: f" {code}", lambda code: Decimal(f"{code}.00") if code.isdigit() else code],
)
def test_a_row_is_found_by_its_value_in_the_services_own_spelling(
    world: World, monkeypatch: pytest.MonkeyPatch, spelled: Callable[[str], Any]
) -> None:
    monkeypatch.setitem(ROWS, 1, {"name": "A", "code": "nl 1"})
    world.orbit.spelled = spelled
    world.orbit.answer = lambda call: "stored" if call in (1, 3) else None
    assert world.run().accepted == 5
    assert world.held == EACH_ROW_ONCE


def test_where_the_service_keeps_other_values_than_it_was_sent_no_row_counts_as_absent(world: World) -> None:
    world.orbit.spelled = lambda code: f"X-{code}"
    world.orbit.answer = lambda call: "stored" if call == 3 else None
    with pytest.raises(VismaUnknownOutcomeError, match="row 3 may or may not"):
        world.run()
    assert world.held == Counter("ABCy")


def test_a_row_that_comes_late_is_waited_for(world: World) -> None:
    def sleep(seconds: float) -> None:
        world.orbit.rows["LATE"] = dict(ROWS[3])

    world.orbit.answer = lambda call: "lost" if call == 3 else None
    world.run(sleep=sleep)
    assert world.held == EACH_ROW_ONCE


def test_a_change_without_an_answer_is_sent_again_and_not_looked_up(world: World) -> None:
    world.orbit.answer = lambda call: "stored" if call == 2 else None
    assert world.run(look_up_by=None).accepted == 5
    assert (world.orbit.calls, world.orbit.lists, world.slept) == (6, 0, [])


def test_a_change_that_never_gets_an_answer_is_rejected_and_the_rest_goes_on(world: World) -> None:
    world.orbit.answer = lambda call: "lost" if call in (2, 3) else None
    ledger = world.run()
    assert (ledger.accepted, list(ledger.rejected)) == (4, [2])
    assert ledger.rejected[2].reason == "no answer, twice"


def test_without_a_field_to_look_by_a_new_row_in_doubt_stops_the_upload(world: World) -> None:
    world.orbit.answer = lambda call: "stored" if call == 3 else None
    for _ in range(2):
        with pytest.raises(VismaUnknownOutcomeError, match="row 3 may or may not"):
            world.run(look_up_by=None)
    assert world.orbit.calls == 3
    assert world.run(look_up_by=None, settled={3: "NEW3"}).accepted == 5
    assert world.held == EACH_ROW_ONCE


def test_a_person_who_finds_nothing_has_it_made(world: World) -> None:
    world.orbit.answer = lambda call: "lost" if call == 3 else None
    with pytest.raises(VismaUnknownOutcomeError):
        world.run(look_up_by=None)
    world.run(look_up_by=None, settled={3: None})
    assert world.held == EACH_ROW_ONCE


def test_a_row_that_is_there_before_it_is_sent_is_rejected(world: World) -> None:
    world.orbit.rows["OTHER"] = {"name": "Z", "code": "3"}
    ledger = world.run()
    assert (ledger.accepted, ledger.rejected[3].code) == (4, "exists")
    assert world.held == EACH_ROW_ONCE - Counter("C") + Counter("Z")


def test_of_two_rows_that_could_be_ours_neither_is_taken(world: World) -> None:
    def answer(call: int) -> str | None:
        if call == 3:
            world.orbit.rows["OTHER"] = {"name": "C", "code": "3"}
        return "stored" if call == 3 else None

    world.orbit.answer = answer
    with pytest.raises(VismaUnknownOutcomeError, match="row 3"):
        world.run()
    assert world.orbit.calls == 3


def test_a_list_that_does_not_show_the_field_ends_the_try_before_a_row_is_sent(world: World) -> None:
    world.orbit.shown = ("id", "name")
    with pytest.raises(VismaContentError, match="no row of the list shows code"):
        world.run()
    assert (world.orbit.calls, world.ledger().last_batch) == (0, 0)


def test_an_empty_list_shows_nothing_and_needs_not(world: World) -> None:
    world.orbit.rows.clear()
    assert world.run().accepted == 5


@pytest.mark.parametrize(
    "error",
    [
        VismaRequestError("no", code="HTTP 400"),
        VismaRequestError("no", code="HTTP 422"),
        VismaConflictError("no", code="HTTP 409"),
        VismaRequestError("no", code="validation_failed"),
        VismaRequestError("no"),
    ],
    ids=lambda error: f"{type(error).__name__} {error.code}",
)
def test_a_refused_row_is_rejected_with_the_services_own_words(world: World, error: VismaError) -> None:
    world.orbit.answer = lambda call: answered(error) if call == 3 else None
    ledger = world.run()
    assert (ledger.accepted, list(ledger.rejected)) == (4, [3])
    assert ledger.rejected[3].reason == '{"errors": []}'


def test_of_a_web_page_the_title_is_kept(world: World) -> None:
    error = VismaRequestError("no", code="HTTP 400")
    error.reason = "<!DOCTYPE html><html><head><title>Ongeldig</title></head><body>lang</body></html>"
    world.orbit.answer = lambda call: error if call == 3 else None
    assert world.run().rejected[3].reason == "Ongeldig"


def test_what_is_not_there_is_a_rejected_change_and_no_rejected_new_row(world: World) -> None:
    gone = answered(VismaNotFoundError("no", code="HTTP 404"))
    world.orbit.answer = lambda call: gone if call == 2 else None
    assert list(world.run().rejected) == [2]


@pytest.mark.parametrize(
    "error",
    [
        answered(VismaNotFoundError("no", code="HTTP 404")),
        answered(VismaRequestError("no", code="HTTP 405")),
        answered(VismaPermissionError("no", code="HTTP 403")),
        answered(VismaAuthenticationError("no", code="HTTP 401")),
        answered(VismaThrottledError("no", code="HTTP 429")),
        VismaUnavailableError("no connection"),
        VismaRequestError("the body holds a value that JSON has no form for"),
    ],
    ids=lambda error: f"{type(error).__name__} {error.code}",
)
def test_what_is_not_about_the_row_stops_the_upload_and_leaves_no_doubt(
    world: World, error: VismaError
) -> None:
    world.orbit.answer = lambda call: error if call == 3 else None
    with pytest.raises(type(error)):
        world.run()
    ledger = world.ledger()
    assert (ledger.accepted, ledger.in_doubt, ledger.rejected) == (2, {}, {})
    world.orbit.answer = lambda call: None
    world.run()
    assert world.held == EACH_ROW_ONCE


def test_whoever_waited_and_was_replaced_does_not_send_the_row_after_all(world: World) -> None:
    seconds = 0.0

    def patiently(call: Callable[..., Any], *given: Any) -> Any:
        nonlocal seconds
        if world.orbit.calls == 2:
            world.claim("run-1")
            seconds += 5
        return call(*given)

    with pytest.raises(VismaTransientError, match="run-1 is uploading the same file"):
        world.run(patiently=patiently, clock=lambda: seconds)
    assert world.orbit.calls == 2
    world.run()
    assert world.held == EACH_ROW_ONCE


@pytest.mark.parametrize("answer", [None, {}, [], {"data": {"id": 7}}, {"a": 1, "b": 2}])
def test_an_answer_without_an_id_counts_as_one(world: World, answer: Any) -> None:
    sending = world.orbit.set
    world.orbit.set = lambda body: (sending(body), answer)[1]  # type: ignore[method-assign]
    assert world.run().accepted == 5
