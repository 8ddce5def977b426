"""The three operations that hand out their list in pages; every other list of Severa comes whole.

The end is a page that brings nothing new. A page that is shorter than asked is not trusted to be the
last, since a service that allows fewer rows than asked would end the list there; and a full page of rows
known already is a service that repeats itself, which is an error and never a short list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_visma.exceptions import VismaContentError

PAGE_SIZE = 100
"""The most that GetAllCustomers returns; asked of the other two as well."""


@dataclass(frozen=True, slots=True)
class Paging:
    """How one operation pages.

    :param start: parameter for the first row, counted from 0.
    :param size: parameter for the number of rows.
    :param key: elements that together tell rows apart: the instances of a repeated activity share a GUID.
    """

    start: str
    size: str
    key: tuple[str, ...] = ("GUID",)


PAGED: dict[tuple[str, str], Paging] = {
    ("IAccount", "GetAllAccounts"): Paging("startFromIndex", "count"),
    ("ICustomer", "GetAllCustomers"): Paging("startFromIndex", "count"),
    ("IActivity", "GetActivityInstances"): Paging(
        "firstRow", "maxRows", key=("GUID", "StartDateTime", "EndDateTime")
    ),
}

Row = dict[str, Any]


def all_pages(
    paging: Paging,
    read: Callable[[Mapping[str, Any], Collection[str] | None], Iterator[Row]],
    arguments: Mapping[str, Any],
    *,
    fields: Collection[str] | None,
    left_out: Callable[[], int] = lambda: 0,
) -> Iterator[Row]:
    """Yield the rows of all pages, each once.

    :param read: reads one page, by arguments and fields.
    :param arguments: may name the first row and the page size.
    :param left_out: how many rows could not be read so far: a page of nothing else is not the end.
    :raises VismaContentError: the service hands out one page again and again.
    """
    start = int(arguments.get(paging.start) or 0)
    size = int(arguments.get(paging.size) or PAGE_SIZE)
    added = () if fields is None else tuple(name for name in paging.key if name not in fields)
    wanted = None if fields is None else [*fields, *added]
    seen: set[Any] = set()
    barren = False
    while True:
        received = new = 0
        left_out_before = left_out()
        for row in read({**arguments, paging.start: start, paging.size: size}, wanted):
            received += 1
            if (key := _key(row, paging)) in seen:
                continue
            seen.add(key)
            new += 1
            for name in added:
                row.pop(name, None)
            yield row
        unreadable = left_out() - left_out_before
        received = max(received, min(received + unreadable, size))
        if not new:
            if received >= size or (unreadable and barren):
                raise VismaContentError(
                    f"the service returned rows {start} to {start + received - 1} with nothing new in them",
                    advice="It seems to ignore where a page begins; nothing of the list can be trusted.",
                )
            if not unreadable:
                return
        barren = not new
        start += received


def _key(row: Row, paging: Paging) -> Any:
    key = tuple(row.get(name) for name in paging.key)
    return key if key[0] else repr(row)
