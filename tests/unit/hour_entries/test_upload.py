"""Rows to a service that may refuse or fall silent at any moment: none is written twice, none is lost."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from airflow_provider_visma.hour_entries import upload as hour_entry_upload
from tests.unit.hour_entries.severa import EACH_ROW_ONCE, ROWS, Killed, Process, World
from tests.unit.upload_ledger.interruption import interrupted


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


def test_an_upload_interrupted_at_any_line_writes_nothing_twice_and_loses_nothing(tmp_path: Path) -> None:
    rows = {number: ROWS[number] for number in (1, 2, 3)}
    for line in count(1):
        world = World(tmp_path / str(line))
        world.severa.answer = lambda call: {1: "stored", 2: "lost"}.get(call)
        if not interrupted(line, partial(world.run, rows, batch_size=2), module=hour_entry_upload):
            break
        world.severa.answer = lambda call: None
        assert world.run(rows).accepted == len(rows)
        assert world.held == Counter(map(str, rows.values())), f"interrupted at line {line}"
    assert line > 200
