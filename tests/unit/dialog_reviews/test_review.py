from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_visma.dialog_reviews.review import (
    Review,
    ReviewUser,
    file_name,
    read_id,
    read_review,
    why_set_aside,
)
from airflow_provider_visma.exceptions import VismaContentError

MOMENT = datetime(2026, 11, 1, 10, tzinfo=UTC)
RESOURCE = {
    "id": "r1",
    "user": {"value": "u1"},
    "title": "Jaargesprek",
    "finishedAt": "2026-11-01T10:00:00Z",
    "document": {"size": 5, "sha256": "A" * 64},
}


def review(title: str) -> Review:
    return Review("r1", "u1", title, MOMENT)


def test_a_review_is_read_from_the_list() -> None:
    assert read_review(RESOURCE) == Review("r1", "u1", "Jaargesprek", MOMENT, 5, "a" * 64)


@pytest.mark.parametrize("lacking", ["title", "document"])
def test_what_a_review_can_do_without_may_be_absent(lacking: str) -> None:
    made = read_review({name: value for name, value in RESOURCE.items() if name != lacking})
    assert (made.title == "", made.sha256 is None) == (lacking == "title", lacking == "document")


def test_a_moment_without_a_zone_is_in_utc() -> None:
    assert read_review({**RESOURCE, "finishedAt": "2026-11-01T10:00:00"}).finished_at == MOMENT


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": 7},
        {"id": "x" * 201},
        {"user": {}},
        {"user": "u1"},
        {"user": {"value": None}},
        {"finishedAt": "gisteren"},
        {"finishedAt": None},
        {"finishedAt": "0001-01-01T00:00:00+14:00"},
        {"finishedAt": "9999-12-31T23:59:59-14:00"},
        {"document": {"size": "veel"}},
        {"document": {"size": float("inf")}},
        {"document": {"size": -1}},
        {"document": {"sha256": "abc"}},
        {"document": "x"},
    ],
)
def test_a_review_that_is_none_is_refused_without_its_words(changes: dict[str, Any]) -> None:
    with pytest.raises(VismaContentError) as caught:
        read_review({**RESOURCE, **changes})
    assert "Jaargesprek" not in str(caught.value)


@pytest.mark.parametrize(
    ("resource", "identifier"),
    [(RESOURCE, "r1"), ({}, ""), ({"id": 7}, ""), ({"id": "x" * 201}, ""), (None, "")],
)
def test_of_what_cannot_be_read_there_is_perhaps_an_id(resource: Any, identifier: str) -> None:
    assert read_id(resource) == identifier


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (ReviewUser("500003", "linked"), None),
        (ReviewUser("500003", "invited"), "not_linked"),
        (ReviewUser("500003", "imported"), "not_linked"),
        (ReviewUser("500003", None), "not_linked"),
        (ReviewUser(None, "linked"), "no_employee"),
        (ReviewUser("E-7", "linked"), "employee_id_is_no_number"),
        (ReviewUser("0", "linked"), "employee_id_is_no_number"),
        (ReviewUser("-5", "linked"), "employee_id_is_no_number"),
        (ReviewUser("²", "linked"), "employee_id_is_no_number"),
        (ReviewUser(str(2**31), "linked"), "employee_id_is_no_number"),
        (None, "unknown_user"),
    ],
)
def test_only_linked_users_who_are_employees_are_for_nmbrs(
    user: ReviewUser | None, reason: str | None
) -> None:
    assert why_set_aside(user) == reason


@pytest.mark.parametrize(
    ("title", "stem"),
    [
        ("Jaargesprek", "Jaargesprek"),
        ("Jaargesprek.PDF", "Jaargesprek"),
        ("", "Beoordeling"),
        ("...", "Beoordeling"),
        ("../../etc/passwd", "etc passwd"),
        ("C:\\Windows\\x", "C Windows x"),
        ("a\r\nb\0c\td", "a b c d"),
        ("gesprek\u202efdp.exe", "gesprek fdp exe"),
        ("gesprek.exe", "gesprek exe"),
        ('<a> "b" | c? * d', "a b c d"),
        ("Cafe\u0301 & Thee €", "Café & Thee €"),
        ("x" * 500, "x" * 85),
        ("\ud800\uffff", "Beoordeling"),
    ],
)
def test_a_title_becomes_a_name_that_nmbrs_and_windows_take(title: str, stem: str) -> None:
    assert file_name(review(title)) == f"{stem} 2026-11-01.pdf"


@given(st.text(max_size=300))
def test_a_name_is_short_printable_and_ends_in_pdf_whatever_the_title(title: str) -> None:
    name = file_name(review(title))
    assert len(name) <= 100
    assert name.endswith(" 2026-11-01.pdf")
    assert name.count(".") == 1
    assert name.isprintable()
    assert not set(name) & set('<>:"/\\|?*')
