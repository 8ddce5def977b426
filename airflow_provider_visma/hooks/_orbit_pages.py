"""The pages of a list: how one is asked for, what came, and who passes the one for the other.

The steps of a reading are a generator, so that one logic serves threads and event loops alike.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from airflow_provider_visma.exceptions import VismaContentError, VismaError
from airflow_provider_visma.hooks._orbit_calls import ERROR_KEYS

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """A page that is wanted.

    :param refusable: whether an error is an answer too, which tells that there is no such page.
    """

    number: int
    size: int
    refusable: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it came.

    :param asked: how many rows were asked for.
    :param shown_size: how many the service says that a page has, None where it does not say.
    """

    rows: list[Row]
    asked: int
    shown_size: int | None = None

    @property
    def keys(self) -> list[str]:
        """What tells its rows apart."""
        return [row_id(row) or json.dumps(row, default=str, sort_keys=True) for row in self.rows]

    @property
    def is_last(self) -> bool:
        """Whether it shows itself that no page follows."""
        return not self.rows or (self.shown_size is not None and len(self.rows) < self.shown_size)


Steps = Generator[Ask | list[Row], Page | VismaError | None]


def page_of(answer: Any, *, asked: int) -> Page:
    """Read an answer: a bare array of rows, or an object with exactly one list in it.

    :raises VismaContentError: it is neither.
    """
    shown_size = None
    if isinstance(answer, dict):
        lists = [
            value for name, value in answer.items() if isinstance(value, list) and name not in ERROR_KEYS
        ]
        if len(lists) != 1:
            raise VismaContentError(
                f"an object with {len(lists)} lists in it came where a list was expected",
                advice="Only an array, or an object with exactly one, can be told to be the rows.",
            )
        shown_size = _shown_size(answer)
        answer = lists[0]
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise VismaContentError("the answer is no list of objects")
    return Page(answer, asked, shown_size)


def driven(steps: Steps, ask: Callable[[Ask], Page]) -> Generator[Row]:
    """Yield the rows of a reading, page by page."""
    answer: Page | VismaError | None = None
    with closing(steps):
        while (step := _sent(steps, answer)) is not None:
            answer = None
            if isinstance(step, list):
                yield from step
                continue
            try:
                answer = ask(step)
            except VismaError as error:
                if not step.refusable:
                    raise
                answer = error


async def adriven(steps: Steps, ask: Callable[[Ask], Awaitable[Page]]) -> AsyncGenerator[Row]:
    """Yield the rows of a reading, as :func:`driven`."""
    answer: Page | VismaError | None = None
    with closing(steps):
        while (step := _sent(steps, answer)) is not None:
            answer = None
            if isinstance(step, list):
                for row in step:
                    yield row
                continue
            try:
                answer = await ask(step)
            except VismaError as error:
                if not step.refusable:
                    raise
                answer = error


def _sent(steps: Steps, answer: Page | VismaError | None) -> Ask | list[Row] | None:
    """Return the next step, None after the last."""
    try:
        return steps.send(answer)
    except StopIteration:
        return None


def row_id(row: Row) -> str | None:
    """Return what the service calls a row, None where it has no id."""
    key = row.get("id")
    return str(key) if isinstance(key, str | int) and key != "" else None


def _shown_size(answer: Row) -> int | None:
    for holder in (answer, answer.get("meta")):
        page = holder.get("page") if isinstance(holder, dict) else None
        size = page.get("size") if isinstance(page, dict) else None
        if isinstance(size, int) and size > 0:
            return size
    return None
