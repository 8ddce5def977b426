"""Whether one review was filed, once and with the right employee."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from demo.reviews_job import filed_line, reviews_differences

OUTCOME: dict[str, Any] = {
    "state": "success",
    "filed": 1,
    "review": {"id": "r1", "size": 5, "sha256": "ab", "employee_id": 500_003},
    "documents": [{"employee_id": 500_003, "name": "Jaargesprek 2026-11-01.pdf", "size": 5, "sha256": "ab"}],
    "again": {"filed": 0, "filed_before": 1},
}


def test_one_review_filed_once_is_as_it_should_be_and_is_named() -> None:
    assert list(reviews_differences(OUTCOME)) == []
    assert filed_line(OUTCOME) == (
        'Filed review r1 in Nmbrs, with employee 500003: "Jaargesprek 2026-11-01.pdf", 5 bytes'
    )


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("documents",), [], "documents in Nmbrs: []"),
        (("documents",), OUTCOME["documents"] * 2, "documents in Nmbrs"),
        (("documents", 0, "employee_id"), 500_006, "500006"),
        (("documents", 0, "sha256"), "cd", "'cd'"),
        (("filed",), 0, "reviews filed: 0"),
        (("again", "filed"), 1, "the second run filed 1"),
        (("again", "filed_before"), 0, "knew 0"),
    ],
)
def test_anything_else_is_told(place: tuple[Any, ...], value: Any, told: str) -> None:
    outcome = deepcopy(OUTCOME)
    inner = outcome
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    (difference,) = reviews_differences(outcome)
    assert told in difference
