"""All pages, each row once, and an end for every server: also for one that counts from 1 or never ends."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaContentError
from airflow_provider_visma.hooks._severa_paging import PAGED, Paging, all_pages

CUSTOMERS = PAGED["ICustomer", "GetAllCustomers"]
ACTIVITIES = PAGED["IActivity", "GetActivityInstances"]
Row = dict[str, Any]


class Server:
    """Hands out rows by first row and count, in the way that *choose* has."""

    def __init__(self, choose: Callable[[int, int], Collection[Row]], paging: Paging = CUSTOMERS) -> None:
        self.choose = choose
        self.paging = paging
        self.calls: list[tuple[int, int]] = []
        self.fields: list[Collection[str] | None] = []
        self.left_out = 0

    def read(self, arguments: Mapping[str, Any], fields: Collection[str] | None) -> Iterator[Row]:
        call = arguments[self.paging.start], arguments[self.paging.size]
        self.calls.append(call)
        self.fields.append(fields)
        assert len(self.calls) < 50
        for row in self.choose(*call):
            if row.get("unreadable"):
                self.left_out += 1
                continue
            yield {name: value for name, value in row.items() if fields is None or name in fields}

    def all(self, *, fields: Collection[str] | None = None, **arguments: Any) -> list[Row]:
        return list(
            all_pages(self.paging, self.read, arguments, fields=fields, left_out=lambda: self.left_out)
        )


def people(count: int) -> list[Row]:
    return [{"GUID": f"g{number}", "Name": f"n{number}"} for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_every_row_comes_once(count: int) -> None:
    everybody = people(count)
    server = Server(lambda start, size: everybody[start : start + size])
    assert server.all() == everybody
    assert server.calls[0] == (0, 100)


def test_a_server_that_allows_fewer_rows_than_asked_is_read_to_its_end() -> None:
    everybody = people(95)
    server = Server(lambda start, size: everybody[start : start + 20])
    assert server.all() == everybody


@pytest.mark.parametrize("count", [0, 1, 100, 101, 250])
def test_a_server_that_counts_from_1_loses_and_doubles_nothing(count: int) -> None:
    everybody = people(count)
    server = Server(lambda start, size: everybody[max(start - 1, 0) : max(start - 1, 0) + size])
    assert server.all() == everybody


def test_a_row_that_moves_into_the_next_page_meanwhile_comes_once() -> None:
    everybody = people(150)
    pages = {0: everybody[:100], 100: everybody[99:]}
    assert Server(lambda start, size: pages.get(start, [])).all() == everybody


def test_a_server_that_repeats_a_full_page_for_ever_is_an_error() -> None:
    everybody = people(500)
    server = Server(lambda start, size: everybody[:size])
    with pytest.raises(VismaContentError, match="nothing new"):
        server.all()
    assert len(server.calls) == 2


@pytest.mark.parametrize("limit", [100, 20])
@pytest.mark.parametrize("unreadable", [[0], [99, 100], range(100, 120), [204]])
def test_rows_that_cannot_be_read_do_not_end_the_list(limit: int, unreadable: Collection[int]) -> None:
    everybody = [row | {"unreadable": number in unreadable} for number, row in enumerate(people(205))]
    server = Server(lambda start, size: everybody[start : start + min(size, limit)])
    assert server.all(fields=["GUID"]) == [
        {"GUID": row["GUID"]} for row in everybody if not row["unreadable"]
    ]
    assert server.left_out == len(unreadable)


@pytest.mark.parametrize("readable", [0, 50])
@pytest.mark.parametrize("limit", [100, 60])
def test_a_server_that_repeats_a_page_of_rows_that_cannot_be_read_is_an_error(
    readable: int, limit: int
) -> None:
    page = [row | {"unreadable": number >= readable} for number, row in enumerate(people(limit))]
    with pytest.raises(VismaContentError, match="nothing new"):
        Server(lambda start, size: page).all()


def test_a_server_that_turns_round_two_pages_for_ever_is_an_error() -> None:
    everybody = people(200)
    server = Server(lambda start, size: everybody[start % 200 : start % 200 + size])
    with pytest.raises(VismaContentError):
        server.all()


def test_instances_of_one_repeated_activity_are_told_apart_by_their_times() -> None:
    weekly = [{"GUID": "a", "StartDateTime": day, "EndDateTime": day, "Name": "Overleg"} for day in range(9)]
    server = Server(lambda start, size: weekly[start : start + size], ACTIVITIES)
    assert server.all() == weekly


def test_the_elements_that_tell_rows_apart_are_read_and_not_handed_out() -> None:
    everybody = people(120)
    server = Server(lambda start, size: everybody[start : start + size])
    assert server.all(fields=["Name"]) == [{"Name": row["Name"]} for row in everybody]
    assert server.fields[0] == ["Name", "GUID"]


def test_rows_without_a_guid_are_told_apart_by_all_they_hold() -> None:
    server = Server(lambda start, size: [{"GUID": None, "Name": "x"}, {"Name": "y"}][start:])
    assert server.all() == [{"GUID": None, "Name": "x"}, {"Name": "y"}]


def test_the_callers_own_first_row_and_page_size_are_kept_to() -> None:
    everybody = people(25)
    server = Server(lambda start, size: everybody[start : start + size])
    assert server.all(startFromIndex=5, count=10) == everybody[5:]
    assert server.calls[:2] == [(5, 10), (15, 10)]
