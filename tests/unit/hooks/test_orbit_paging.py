"""Lists against services of every habit that may be Orbit's: each row once, or an error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaRequestError,
    VismaUnavailableError,
)
from airflow_provider_visma.hooks._orbit_pages import Ask, Page, adriven, driven
from airflow_provider_visma.hooks._orbit_paging import ListRequest

REFUSED = VismaRequestError("no", code="HTTP 400")


@dataclass
class Service:
    """A list and the habits of who serves it.

    :ivar first: number of the first page.
    :ivar before: what a number before the first answers: ``error``, ``first`` or ``empty``.
    :ivar after: what a number after the last answers: ``empty`` or ``last``.
    :ivar limit: the most rows on a page.
    :ivar counts: whether a page that is skipped counts as many rows as asked, although it has fewer.
    :ivar happens: called with the count of requests so far, before each.
    """

    ids: list[Any]
    first: int = 1
    before: str = "error"
    after: str = "empty"
    limit: int = 10_000
    counts: bool = False
    turns: bool = True
    takes_size: bool = True
    smallest: int = 1
    takes_order: bool = True
    hidden: frozenset[Any] = frozenset()
    shows_size: bool = False
    shuffles: bool = False
    refusal: VismaError = REFUSED
    happens: Callable[[int], None] = lambda count: None
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, body: dict[str, Any]) -> Any:
        self.happens(len(self.bodies))
        self.bodies.append(body)
        size, number = body["page"]["size"], body["page"]["number"]
        if size < self.smallest or (body.get("order") and not self.takes_order):
            raise self.refusal
        size = size if self.takes_size else 20
        used = min(size, self.limit)
        step = size if self.counts else used
        if not self.turns:
            number = self.first
        if number < self.first:
            if self.before == "error":
                raise REFUSED
            if self.before == "empty":
                return []
            number = self.first
        if self.after == "last":
            number = min(number, self.first + max(0, -(-len(self.ids) // step) - 1))
        ids = self.ids
        if self.shuffles:
            ids = ids[len(self.bodies) :] + ids[: len(self.bodies)]
        start = (number - self.first) * step
        rows = [{"id": each} for each in ids[start : start + used] if each not in self.hidden]
        return {"data": rows, "meta": {"page": {"size": used}}} if self.shows_size else rows

    def request(
        self, *, page_size: int = 50, first_pages: dict[str, int] | None = None, **more: Any
    ) -> ListRequest:
        return ListRequest(
            "projects",
            filter=more.get("filter"),
            order=more.get("order"),
            page_size=page_size,
            conn_id="orbit",
            first_pages={} if first_pages is None else first_pages,
        )

    def read(self, **wishes: Any) -> list[Any]:
        """Read the list as a hook does, in a thread and on a loop."""
        request = self.request(**wishes)

        def ask(wanted: Ask) -> Page:
            return request.page(self.answer(json.loads(request.call(wanted).content)), wanted)

        return [row["id"] for row in driven(request.steps(), ask)]

    async def aread(self, **wishes: Any) -> list[Any]:
        request = self.request(**wishes)

        async def ask(wanted: Ask) -> Page:
            return request.page(self.answer(json.loads(request.call(wanted).content)), wanted)

        return [row["id"] async for row in adriven(request.steps(), ask)]


LENGTHS = (0, 1, 2, 9, 10, 11, 19, 20, 21, 49, 50, 51, 100, 101, 149)


@pytest.mark.parametrize(
    ("first", "before", "after", "limit"),
    product((0, 1), ("error", "first", "empty"), ("empty", "last"), (10_000, 20)),
)
def test_each_row_comes_once_however_pages_are_numbered(
    first: int, before: str, after: str, limit: int
) -> None:
    for length, counts, size in product(LENGTHS, (False, True), (1, 2, 10, 50, 500)):
        service = Service(list(range(length)), first, before, after, limit, counts)
        if (size == 1 or (counts and size > limit)) and after == "last" and length:
            continue  # whether such a service turns pages at all cannot be told: see below
        assert service.read(page_size=10) == service.ids, (length, counts, size)


@pytest.mark.parametrize("first", [0, 1])
def test_a_list_is_read_alike_on_an_event_loop(first: int) -> None:
    service = Service(list(range(101)), first)
    assert asyncio.run(service.aread()) == service.ids
    asked = service.bodies
    service.bodies = []
    assert service.read() == service.ids
    assert service.bodies == asked


def test_the_number_of_the_first_page_is_found_out_once() -> None:
    known: dict[str, int] = {}
    service = Service(list(range(60)))
    service.read(first_pages=known)
    assert known == {"projects": 1}
    service.bodies.clear()
    assert service.read(first_pages=known) == service.ids
    assert [body["page"]["number"] for body in service.bodies] == [1, 2, 3]


def test_a_service_that_numbers_from_1_is_not_asked_for_page_0() -> None:
    service = Service(list(range(60)), before="error")
    service.read()
    assert 0 not in {body["page"]["number"] for body in service.bodies}


def test_an_empty_list_tells_nothing_of_the_numbers() -> None:
    known: dict[str, int] = {}
    Service([], before="empty").read(first_pages=known)
    assert known == {}


def test_a_failure_of_page_0_that_may_pass_says_nothing_of_the_numbers() -> None:
    service = Service([7])

    def fail(count: int) -> None:
        if count == 1:
            raise VismaUnavailableError("later", code="HTTP 503")

    service.happens = fail
    with pytest.raises(VismaUnavailableError, match="set the connection's extra first_page"):
        service.read()


def test_a_service_that_fails_over_an_order_is_read_without_one() -> None:
    broken = VismaUnavailableError("broken", code="HTTP 500")
    service = Service(list(range(60)), takes_order=False, refusal=broken)
    assert service.read(first_pages={"projects": 1}) == service.ids
    assert "order" not in service.bodies[-1]


def test_a_short_page_is_the_last_only_where_the_service_shows_its_size() -> None:
    service = Service(list(range(60)), shows_size=True)
    assert service.read(first_pages={"projects": 1}) == service.ids
    assert len(service.bodies) == 2
    service = Service(list(range(60)))
    assert service.read(first_pages={"projects": 1}) == service.ids
    assert len(service.bodies) == 3


def test_a_page_that_lacks_rows_which_the_user_may_not_see_is_not_the_last() -> None:
    service = Service(list(range(200)), hidden=frozenset({3, 4, 60, 199}))
    assert service.read() == [each for each in service.ids if each not in service.hidden]


def test_a_limit_that_nobody_told_of_skips_no_rows() -> None:
    service = Service(list(range(500)), limit=100, counts=True)
    assert service.read(page_size=300) == service.ids


def test_a_limit_that_is_shown_skips_no_rows_however_small() -> None:
    service = Service(list(range(60)), limit=5, counts=True, shows_size=True)
    assert service.read(page_size=50) == service.ids


def test_a_row_that_is_deleted_while_the_first_page_is_sought_hides_no_page() -> None:
    service = Service(list(range(9)), first=0)

    def delete(count: int) -> None:
        if count == 1 and 0 in service.ids:
            service.ids.remove(0)  # now the second row is the one that was the third

    service.happens = delete
    assert sorted(service.read(page_size=2)) == service.ids


def test_a_row_that_moves_to_the_next_page_while_the_first_one_is_sought_is_not_lost() -> None:
    service = Service(list(range(10)), first=0)

    def insert(count: int) -> None:
        if count == 1:  # page 1 has come, page 0 has not
            service.ids.insert(0, "new")

    service.happens = insert
    assert service.read(page_size=10) == ["new", *range(10)]


def test_one_page_by_any_number_tells_nothing_of_the_numbers() -> None:
    known: dict[str, int] = {}
    for service in (Service([1], first=0, after="last"), Service([1], before="first")):
        assert service.read(first_pages=known) == [1]
    assert known == {}


def test_pages_of_one_row_that_repeat_themselves_are_no_list_of_one_row() -> None:
    with pytest.raises(VismaContentError, match="does not turn the pages"):
        Service([1, 2, 3], turns=False).read(page_size=1)


def test_a_refused_order_that_nobody_asked_for_is_left_out() -> None:
    service = Service(list(range(60)), takes_order=False)
    assert service.read() == service.ids
    assert service.bodies[0]["order"] == [{"field": "id", "order": "asc"}]
    assert "order" not in service.bodies[-1]


def test_a_refused_order_that_was_asked_for_is_an_error() -> None:
    with pytest.raises(VismaRequestError):
        Service([1], takes_order=False).read(order=[{"field": "name", "order": "asc"}])


def test_a_service_that_refuses_small_pages_is_read_all_the_same() -> None:
    for first, before in product((0, 1), ("error", "first", "empty")):
        service = Service(list(range(101)), first, before, smallest=10)
        assert service.read() == service.ids


def test_rows_that_moved_while_they_were_read_are_read_again() -> None:
    service = Service(list(range(100)))

    def insert(count: int) -> None:
        if count == 3:
            service.ids.insert(0, "new")

    service.happens = insert
    found = service.read(page_size=20)
    assert sorted(map(str, found)) == sorted(map(str, service.ids))
    assert len(found) == len(set(found))


@pytest.mark.parametrize("habit", ["it moves all the time", "it has no order"])
def test_a_list_that_moves_in_every_reading_is_an_error(habit: str) -> None:
    service = Service(list(range(100)))
    if habit == "it has no order":
        service.shuffles = True
        service.ids = service.ids[::-1]
    else:
        service.happens = lambda count: service.ids.insert(0, f"new {count}")
    with pytest.raises(VismaIncompleteAnswerError, match=r"projects\.list .*two pages in each of 3 readings"):
        service.read(page_size=20, first_pages={"projects": 1})


@pytest.mark.parametrize("takes_size", [True, False])
def test_a_service_that_turns_no_pages_gives_an_error_and_no_short_list(takes_size: bool) -> None:
    service = Service(list(range(60)), turns=False, takes_size=takes_size)
    with pytest.raises(VismaContentError, match=r"the second page repeats the first.*paged=False"):
        service.read()


def test_a_single_row_that_is_repeated_is_the_whole_list() -> None:
    assert Service([1], after="last").read() == [1]


@pytest.mark.parametrize("rows", [[{"name": "a"}, {"name": "a"}], [{"id": None}], [{"id": ""}, {"id": True}]])
def test_rows_without_an_id_all_come(rows: list[dict[str, Any]]) -> None:
    request = Service([]).request(first_pages={"projects": 1})
    pages = iter([rows, []])
    assert list(driven(request.steps(), lambda wanted: request.page(next(pages), wanted))) == rows


@pytest.mark.parametrize(
    "answer",
    [None, "a", 5, {}, {"a": 1}, {"a": [], "b": []}, [1], [{"id": 1}, None], [[]], {"data": [1]}],
)
def test_what_is_no_list_of_rows_is_an_error(answer: Any) -> None:
    with pytest.raises(VismaContentError, match=r"Teamleader Orbit projects\.list \(connection orbit\): "):
        Service([]).request().page(answer, Ask(1, 50))


@pytest.mark.parametrize("key", ["data", "items", "projects"])
def test_a_list_in_an_object_is_found_under_any_name(key: str) -> None:
    page = Service([]).request().page({key: [{"id": 1}], "meta": {"page": {"size": 20}}}, Ask(1, 50))
    assert (page.rows, page.shown_size, page.is_last) == ([{"id": 1}], 20, True)


def test_a_list_beside_which_stands_that_there_are_no_errors_is_found() -> None:
    page = Service([]).request().page({"data": [{"id": 1}], "errors": []}, Ask(1, 50))
    assert page.rows == [{"id": 1}]


@pytest.mark.parametrize("error", [VismaNotFoundError("no", code="HTTP 404"), REFUSED])
def test_a_page_further_on_that_is_refused_is_an_error(error: VismaError) -> None:
    service = Service(list(range(60)))
    refused: list[int] = []

    def refuse(count: int) -> None:
        if count == 1 and not refused:
            refused.append(count)
            raise error

    service.happens = refuse
    with pytest.raises(type(error)):
        service.read(first_pages={"projects": 1})
    assert all(body["order"] for body in service.bodies)
