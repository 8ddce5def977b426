"""What the snapshot operator makes of its arguments."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.operators.nmbrs import _numbers


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        (None, None),
        ("None", None),
        ("", None),
        ((12, "34"), [12, 34]),
        ("12", [12]),
        ("12, 34", [12, 34]),
        ("[12, 34]", [12, 34]),
        ([], []),
    ],
)
def test_ids_are_numbers_or_what_a_template_makes_of_them(given: Any, ids: list[int] | None) -> None:
    assert _numbers(given) == ids


@pytest.mark.parametrize("given", ["twelve", "[]", ["x"], "12;34"])
def test_what_are_no_ids_is_said_and_not_retried(given: Any) -> None:
    with pytest.raises(VismaRequestError, match="not ids"):
        _numbers(given)
