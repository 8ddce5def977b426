"""From page to page: where the links of a feed may lead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaContentError
from airflow_provider_visma.protocols.odata3 import FeedReader, follow
from tests.unit.protocols.odata3_documents import NAMESPACES, feed, hours, link

FIRST = "https://tenant.example/odata.svc/RP1"


def read_pages(pages: dict[str, bytes], **options: Any) -> tuple[list[int], list[str], FeedReader]:
    reader, asked = FeedReader(), []

    def read_page(url: str) -> Iterator[dict[str, Any]]:
        asked.append(url)
        return reader.rows([pages[url]], base=url)

    rows = [row["Id"] for row in follow(FIRST, reader, read_page, **options)]
    return rows, asked, reader


def page(*numbers: int, to: str | None = None) -> bytes:
    opening = f"<feed {NAMESPACES}>"
    return feed(*(hours(number) for number in numbers), opening=opening, end=link(to) if to else "")


def test_links_are_followed_to_a_last_page_that_is_empty() -> None:
    pages = {
        FIRST: page(1, 2, to="RP1?$skiptoken=-9"),
        f"{FIRST}?$skiptoken=-9": page(3, to=f"{FIRST}?$skiptoken=-7"),
        f"{FIRST}?$skiptoken=-7": page(),
    }
    rows, asked, reader = read_pages(pages)
    assert rows == [1, 2, 3]
    assert asked == list(pages)
    assert reader.read == 3


def test_an_empty_page_in_between_does_not_end_the_feed() -> None:
    assert read_pages({FIRST: page(1, to="?b"), f"{FIRST}?b": page(to="?c"), f"{FIRST}?c": page(2)})[0] == [
        1,
        2,
    ]


@pytest.mark.parametrize("to", [FIRST, "RP1", "?b", "#c", "?b#c"])
def test_a_circle_is_refused(to: str) -> None:
    with pytest.raises(VismaContentError, match="already read"):
        read_pages({FIRST: page(1, to="?b"), f"{FIRST}?b": page(2, to=to)})


def test_pages_without_end_are_refused() -> None:
    pages = {f"{FIRST}{suffix}": page(1, to=to) for suffix, to in (("", "?2"), ("?2", "?3"), ("?3", "?4"))}
    with pytest.raises(VismaContentError, match="more than 3 pages"):
        read_pages(pages, max_pages=3)


@pytest.mark.parametrize(
    "to",
    [
        "https://other.example/odata.svc/RP1?b",
        "//other.example/odata.svc/RP1?b",
        "https://tenant.example.other.example/RP1",
        "https://tenant.example:8443/odata.svc/RP1?b",
        "http://tenant.example:8080/odata.svc/RP1?b",
        "http://other.example/odata.svc/RP1?b",
        "https://user:pass@tenant.example/odata.svc/RP1?b",
        "https://tenant.example@other.example/",
        "http://user@tenant.example/odata.svc/RP1?b",
        "ftp://tenant.example/odata.svc/RP1?b",
        "file:///etc/passwd",
        "https://tenant.example:99999/",
        "https://tenant.example:${port}/",
        "https://[::1/",
        "https://tenant.example\\@other.example/",
        "https://tenant.example/a&#10;b",
    ],
)
def test_the_password_goes_to_no_other_host(to: str) -> None:
    with pytest.raises(VismaContentError, match="next page") as caught:
        read_pages({FIRST: page(1, to=to)})
    assert "other.example" not in str(caught.value)
    assert "pass" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(
    ("to", "asked"),
    [
        ("http://tenant.example/odata.svc/RP1?b='x'", f"{FIRST}?b='x'"),
        ("http://tenant.example:80/odata.svc/RP1?b", f"{FIRST}?b"),
        ("https://TENANT.example:443/odata.svc/RP1?b", "https://TENANT.example:443/odata.svc/RP1?b"),
        ("?b='x y'", f"{FIRST}?b='x%20y'"),
    ],
)
def test_a_link_to_the_same_host_is_followed_over_https(to: str, asked: str) -> None:
    assert read_pages({FIRST: page(1, to=to), asked: page(2)})[1] == [FIRST, asked]
