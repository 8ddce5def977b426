"""What a call of Orbit's regular API sends, and what an answer means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConflictError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaThrottledError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hooks._orbit_calls import OrbitCall, is_refusal
from airflow_provider_visma.protocols.http import httpx

CANARY = "J. Jansen 123456782"
PAGE = (
    f"<!DOCTYPE html><html><head><title> Server\n error </title></head><body>{CANARY}</body></html>".encode()
)
JSON = {"Content-Type": "application/json"}


def call(
    method: str = "projects.list", body: Mapping[str, Any] | None = None, *, repeatable: bool | None = None
) -> OrbitCall:
    return OrbitCall.of(method, body, conn_id="orbit", repeatable=repeatable)


def problem(method: str, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> VismaError:
    with pytest.raises(VismaError) as caught:
        call(method).answer(status, httpx.Headers(JSON if headers is None else headers), content)
    return caught.value


@pytest.mark.parametrize("body", [None, {}])
def test_an_empty_body_is_an_object(body: Mapping[str, Any] | None) -> None:
    assert call("deals.context", body).request()["content"] == b"{}"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Decimal("12.50"), "12.5"),
        (Decimal("3"), "3"),
        (Decimal("0.1"), "0.1"),
        (Decimal("123456789012345678"), "123456789012345678"),
        (date(2026, 8, 28), '"2026-08-28"'),
        (datetime(2026, 8, 28, 9, 37, 45), '"2026-08-28T09:37:45"'),
        (None, "null"),
    ],
)
def test_a_value_is_sent_without_losing_a_digit(value: Any, sent: str) -> None:
    assert call("deals.set", {"value": value}).content.decode() == f'{{"value": {sent}}}'


@pytest.mark.parametrize(
    "value", [Decimal("0.12345678901234567890"), Decimal("NaN"), float("nan"), b"x", {1}]
)
def test_a_value_that_json_cannot_hold_is_refused_before_anything_is_sent(value: Any) -> None:
    with pytest.raises(VismaRequestError, match="JSON has no form for"):
        call("deals.set", {"value": value})


@pytest.mark.parametrize(
    "method", ["", "projects", "projects.", ".list", "a.b.c", "../x.list", "a/b.list", "a.list?x", "ä.list"]
)
def test_what_is_no_resource_and_verb_is_refused_before_anything_is_sent(method: str) -> None:
    with pytest.raises(VismaRequestError, match=r"Write it like projects\.list"):
        call(method)


def test_everything_is_a_post_but_the_question_who_signed_in() -> None:
    assert call("projects.list").request()["method"] == "POST"
    who = call("users.me")
    assert who.request() | {"headers": None} == {
        "method": "GET",
        "url": "/users.me",
        "content": None,
        "headers": None,
    }
    other = who.otherwise(VismaNotFoundError("no", code="HTTP 404"))
    assert other is not None
    assert (other.request()["method"], other.request()["content"]) == ("POST", b"{}")
    assert other.otherwise(VismaNotFoundError("no", code="HTTP 404")) is None
    assert who.otherwise(VismaPermissionError("no", code="HTTP 403")) is None


@pytest.mark.parametrize("verb", ["list", "get", "detail", "context", "me", "getvariable"])
def test_a_read_may_be_repeated(verb: str) -> None:
    assert call(f"contracts.{verb}").repeatable


@pytest.mark.parametrize("verb", ["set", "setvariable", "checkadd", "delete", "unheardof"])
def test_whatever_is_no_read_may_not(verb: str) -> None:
    assert not call(f"contracts.{verb}").repeatable
    assert call(f"contracts.{verb}", repeatable=True).repeatable


def test_fractions_are_decimals() -> None:
    answer = call().answer(200, httpx.Headers(JSON), b'[{"value": 99.95, "n": 12345678901234567890}]')
    assert answer == [{"value": Decimal("99.95"), "n": 12345678901234567890}]


STATUSES = [
    (400, VismaRequestError, VismaRequestError),
    (401, VismaAuthenticationError, VismaAuthenticationError),
    (403, VismaPermissionError, VismaPermissionError),
    (404, VismaNotFoundError, VismaNotFoundError),
    (405, VismaRequestError, VismaRequestError),
    (408, VismaUnavailableError, VismaUnknownOutcomeError),
    (409, VismaConflictError, VismaConflictError),
    (422, VismaRequestError, VismaRequestError),
    (429, VismaThrottledError, VismaThrottledError),
    (500, VismaUnavailableError, VismaUnknownOutcomeError),
    (502, VismaUnavailableError, VismaUnknownOutcomeError),
    (503, VismaUnavailableError, VismaUnknownOutcomeError),
    (504, VismaUnavailableError, VismaUnknownOutcomeError),
]
BODIES = {
    "json": (JSON, json.dumps({"errors": [{"title": CANARY}]}).encode()),
    "broken json": (JSON, b"{MSG:'" + CANARY.encode() + b"', err:1}"),
    "a page": ({"Content-Type": "text/html; charset=utf-8"}, PAGE),
    "a page without a type": ({}, b"\n " + PAGE),
    "nothing": ({}, b""),
    "bytes": ({"Content-Type": "application/octet-stream"}, b"\xff\xfe" + CANARY.encode()),
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(("status", "of_read", "of_write"), STATUSES)
def test_a_refusal_says_who_must_act_and_repeats_nothing_of_the_body(
    status: int, of_read: type[VismaError], of_write: type[VismaError], body: str
) -> None:
    headers, content = BODIES[body]
    for method, kind in (("projects.list", of_read), ("projects.set", of_write)):
        error = problem(method, status, content, headers)
        assert type(error) is kind
        assert CANARY not in str(error)
        assert str(error).startswith(f"Teamleader Orbit {method} (connection orbit): ")
        assert f"[HTTP {status}]" in str(error)
        assert ("'Server error'" in str(error)) == ("page" in body)
        # Whoever keeps rejects keeps what was said about them.
        assert (CANARY in (error.reason or "")) == (body != "nothing")


def test_the_wait_that_was_asked_for_is_kept() -> None:
    assert problem("projects.list", 429, b"", {"Retry-After": "17"}).retry_after == 17


@pytest.mark.parametrize(
    ("headers", "content", "said"),
    [
        ({"Content-Type": "text/html"}, PAGE, "a web page came instead of an answer, titled 'Server error'"),
        ({}, PAGE, "a web page came"),
        (JSON, b"", "not JSON"),
        (JSON, b'[{"id": 1}, {"id', "not JSON"),
        (JSON, b'{"a": NaN}', "not JSON"),
        (JSON, b"[" * 100_000, "not JSON"),
        (JSON, b"\xff\xfe\x00", "not JSON"),
    ],
)
def test_an_answer_that_is_none_is_read_again_and_never_believed(
    headers: Mapping[str, str], content: bytes, said: str
) -> None:
    error = problem("projects.list", 200, content, headers)
    assert type(error) is VismaIncompleteAnswerError
    assert said in str(error)
    if content:
        assert type(problem("projects.set", 200, content, headers)) is VismaUnknownOutcomeError


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_change_may_be_answered_with_nothing(status: int) -> None:
    assert call("projects.set").answer(status, httpx.Headers(), b"") is None


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"err": 1, "MSG": CANARY}, None),
        ({"error": "invalid_filter", "error_description": CANARY}, "invalid_filter"),
        ({"errors": [{"title": CANARY}]}, None),
        ({"error": {"message": CANARY}}, None),
        ({"error": CANARY}, None),
        ({"id": None, "errors": [{"title": CANARY}]}, None),
        ({"success": False, "message": CANARY}, None),
    ],
)
def test_an_error_that_comes_as_a_success_is_an_error(answer: dict[str, Any], code: str | None) -> None:
    error = problem("projects.list", 200, json.dumps(answer).encode())
    assert type(error) is VismaRequestError
    assert error.code == code
    assert CANARY not in str(error)
    assert CANARY in (error.reason or "")


def test_half_a_character_is_one_that_any_file_can_hold() -> None:
    answer = call("projects.get").answer(
        200,
        httpx.Headers(JSON),
        rb'{"id": "a", "name": "cut \ud83d", "tags": ["\ud83d\ude00", {"\ude00": 1}]}',
    )
    assert answer == {"id": "a", "name": "cut \ufffd", "tags": ["\U0001f600", {"\ufffd": 1}]}


@pytest.mark.parametrize("method", ["projects.get", "projects.set"])
def test_false_says_that_nothing_was_done(method: str) -> None:
    assert type(problem(method, 200, b"false")) is VismaRequestError


def test_a_row_with_a_field_called_error_is_a_row() -> None:
    row = {"id": "PR1", "error": "none"}
    assert call("projects.get").answer(200, httpx.Headers(JSON), json.dumps(row).encode()) == row
    assert call().answer(200, httpx.Headers(JSON), b'{"errors": [], "data": []}') == {
        "errors": [],
        "data": [],
    }


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    error = problem("projects.set", status, b"", {"Location": "https://elsewhere.example/"})
    assert type(error) is VismaRequestError
    assert "elsewhere" not in str(error)


@pytest.mark.parametrize(
    ("raised", "of_write"),
    [
        (httpx.ConnectError("x"), VismaUnavailableError),
        (httpx.ConnectTimeout("x"), VismaUnavailableError),
        (httpx.ReadTimeout("x"), VismaUnknownOutcomeError),
        (httpx.WriteError("x"), VismaUnknownOutcomeError),
        (httpx.RemoteProtocolError("x"), VismaUnknownOutcomeError),
        (VismaContentError("the answer is larger than 5 bytes"), VismaUnknownOutcomeError),
        (VismaUnavailableError("the answer took longer than 5 s"), VismaUnknownOutcomeError),
        # About the token: nothing was sent.
        (VismaUnavailableError("no answer", system="Teamleader Orbit"), VismaUnavailableError),
        (VismaAuthenticationError("no", system="Teamleader Orbit"), VismaAuthenticationError),
    ],
)
def test_a_write_without_an_answer_is_in_doubt_unless_it_was_never_sent(
    raised: Exception, of_write: type[VismaError]
) -> None:
    assert type(call("projects.set").no_answer(raised)) is of_write
    assert not isinstance(call("projects.list").no_answer(raised), VismaUnknownOutcomeError)


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (VismaRequestError("", code="HTTP 400"), True),
        (VismaNotFoundError("", code="HTTP 404"), True),
        (VismaRequestError("", code="HTTP 422"), True),
        (VismaAuthenticationError("", code="HTTP 401"), False),
        (VismaPermissionError("", code="HTTP 403"), False),
        (VismaUnavailableError("", code="HTTP 408"), False),
        (VismaThrottledError("", code="HTTP 429"), False),
        (VismaUnavailableError("", code="HTTP 500"), False),
        (VismaIncompleteAnswerError(""), False),
    ],
)
def test_only_what_would_be_refused_again_is_a_refusal(error: VismaError, refusal: bool) -> None:
    assert is_refusal(error) is refusal


def test_a_moment_with_a_zone_keeps_it() -> None:
    content = call("projects.set", {"due_dt": datetime(2026, 1, 1, tzinfo=UTC)}).content
    assert content == b'{"due_dt": "2026-01-01T00:00:00+00:00"}'
