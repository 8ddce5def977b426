from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.export_request import ExportRequest, checked_dataset, checked_job_id, column_names


@pytest.mark.parametrize(
    ("wishes", "query"),
    [
        ({}, {}),
        ({"fields": ("a", "b")}, {"fields": "a,b"}),
        ({"exclude_fields": ("a", "b")}, {"fields": "!a,b"}),
        ({"exclude_fields": ("employeeid",)}, {"fields": "!employeeid"}),
        (
            {"changed_after": "2022-01-01T00:01:00.002Z"},
            {"changeTimestampAfter": "2022-01-01T00:01:00.002Z"},
        ),
        (
            {"changed_after": "2024-01-31T23:00:00.1234567Z"},
            {"changeTimestampAfter": "2024-01-31T23:00:00.1234567Z"},
        ),
    ],
)
def test_a_request_asks_as_the_manual_says(wishes: dict[str, Any], query: dict[str, str]) -> None:
    assert ExportRequest(dataset="employees", **wishes).query() == query


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"fields": ("a",), "exclude_fields": ("b",)}, "contradict"),
        ({"fields": ("a,b",)}, "field name"),
        ({"exclude_fields": ("!a",)}, "field name"),
        ({"fields": ("",)}, "field name"),
        ({"fields": ("a&changeTimestampAfter=x",)}, "field name"),
        ({"changed_after": "yesterday"}, "not a timestamp"),
        ({"changed_after": ""}, "not a timestamp"),
    ],
)
def test_an_unusable_wish_is_refused_before_anything_is_sent(wishes: dict[str, Any], message: str) -> None:
    with pytest.raises(VismaRequestError, match=message):
        ExportRequest(dataset="employees", **wishes)


@pytest.mark.parametrize(
    "dataset",
    ["employees", "contracts/user-defined-field-histories", "metadata/cost-centers", "payroll-2/a"],
)
def test_a_dataset_is_a_free_path(dataset: str) -> None:
    assert checked_dataset(dataset) == dataset


@pytest.mark.parametrize(
    "dataset",
    [
        "",
        "/",
        "../users",
        "employees/",
        "/employees",
        "a//b",
        "a/../b",
        "a?b=c",
        "a%2fb",
        "A",
        "a b",
        "a\n",
        "é",
    ],
)
def test_a_dataset_cannot_leave_its_place(dataset: str) -> None:
    with pytest.raises(VismaRequestError, match="not the path of a dataset"):
        checked_dataset(dataset)


@pytest.mark.parametrize("job_id", ["", "a/b", "..", "a?b", "x" * 65, None, 3, "a\n"])
def test_a_job_id_cannot_leave_its_place(job_id: Any) -> None:
    with pytest.raises(VismaRequestError, match="not a job id"):
        checked_job_id(job_id)


BASE = {"dataset": "employees", "fields": ("a",), "changed_after": "2024-01-01T00:00:00Z"}


def test_the_same_request_has_the_same_fingerprint() -> None:
    assert ExportRequest(**BASE).fingerprint(tenant_id="t") == ExportRequest(**BASE).fingerprint(
        tenant_id="t"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "contracts"},
        {"fields": ("b",)},
        {"fields": (), "exclude_fields": ("a",)},
        {"changed_after": None},
        {"callback_address": "https://example.com/done"},
    ],
)
def test_another_request_has_another_fingerprint(change: dict[str, Any]) -> None:
    one, other = ExportRequest(**BASE), ExportRequest(**{**BASE, **change})
    assert one.fingerprint(tenant_id="t") != other.fingerprint(tenant_id="t")


def test_another_tenant_has_another_fingerprint() -> None:
    request = ExportRequest(**BASE)
    assert request.fingerprint(tenant_id="t") != request.fingerprint(tenant_id="u")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, ()),
        ("", ()),
        ("employeeid", ("employeeid",)),
        ("employeeid, lastname", ("employeeid", "lastname")),
        (["employeeid", "lastname"], ("employeeid", "lastname")),
    ],
)
def test_columns_are_a_list_or_text_with_commas_and_never_letters(
    given: str | list[str] | None, names: tuple[str, ...]
) -> None:
    assert column_names(given) == names
