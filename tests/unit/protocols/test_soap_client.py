"""The SOAP client over a real socket: faults, statuses, limits, and what is never repeated."""

from __future__ import annotations

import gzip
import itertools
from typing import Any

import pytest
from lxml import etree

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaThrottledError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.http import HttpLimits
from airflow_provider_visma.protocols.soap import ReadReport, SoapFault
from tests.impatience import IMPATIENT, time_out_where
from tests.unit.protocols.file_host import HANG, RESET, Answer, FileHost, scripted
from tests.unit.protocols.people_client import (
    CANARY,
    FAULT_11,
    FAULT_12,
    THREE,
    UPLOADED,
    client,
    rows,
    serving,
)
from tests.unit.protocols.soap_documents import answer, envelope, person, record


def test_a_request_is_soap_1_1_with_the_header_and_the_action() -> None:
    with serving(Answer(body=THREE)) as (people, host):
        assert len(rows(people)) == 3
    [request] = host.requests
    assert request.headers["soapaction"] == '"urn:people/people_getall"'  # the host lowers the case
    assert request.headers["content-type"] == "text/xml; charset=utf-8"
    assert request.headers["accept-encoding"] == "identity"
    sent = etree.fromstring(request.body)
    assert sent.findtext(".//{urn:people}Key") == "geheime-sleutel"
    assert sent.findtext(".//{urn:people}People_GetAll/{urn:people}CompanyID") == "1"


def test_an_argument_that_the_wsdl_lacks_is_an_error_before_anything_is_sent() -> None:
    with (
        serving(Answer(body=THREE)) as (people, host),
        pytest.raises(VismaRequestError, match="CompanyId; did you mean CompanyID") as error,
    ):
        people.call("People_GetAll", {"CompanyId": 1})
    assert host.requests == []
    assert str(error.value).startswith("People PeopleService.People_GetAll (connection people_default)")


def test_a_call_returns_a_list_a_value_or_nothing() -> None:
    version = "<Version_GetResult>3</Version_GetResult>"
    version = f'<Version_GetResponse xmlns="urn:people">{version}</Version_GetResponse>'
    with serving(Answer(body=THREE), Answer(body=envelope(version)), Answer(body=UPLOADED)) as (people, _):
        assert [row["PersonId"] for row in people.call("People_GetAll", {"CompanyID": 1})] == [1, 2, 3]
        assert people.call("Version_Get", {}) == "3"
        assert people.call("Document_Upload", {"PersonId": 1}) is None


def test_rows_of_an_operation_without_a_list_are_refused() -> None:
    with (
        serving(Answer()) as (people, host),
        pytest.raises(VismaContentError, match="does not return a list"),
    ):
        list(people.rows("Version_Get", {}))
    assert host.requests == []


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(("fault", "code"), [(FAULT_11, "Server None"), (FAULT_12, "Receiver NoPermission")])
def test_a_fault_becomes_the_error_of_its_code_and_says_nothing_else(
    status: int, fault: bytes, code: str
) -> None:
    with (
        serving(Answer(status=status, body=fault)) as (people, _),
        pytest.raises(VismaPermissionError) as error,
    ):
        rows(people)
    assert error.value.code == code
    assert CANARY not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    ("made", "kind", "code"),
    [
        (Answer(status=400), VismaRequestError, "HTTP 400"),
        (Answer(status=404, body=b"<html>"), VismaNotFoundError, "HTTP 404"),
        (Answer(status=415), VismaRequestError, "HTTP 415"),
        (Answer(status=429, headers={"Retry-After": "7"}), VismaThrottledError, "HTTP 429"),
        (Answer(status=500), VismaUnavailableError, "HTTP 500"),
        (Answer(status=500, body=f"<html>{CANARY}</html>".encode()), VismaUnavailableError, "HTTP 500"),
        (Answer(status=500, body=FAULT_11, cut=200), VismaUnavailableError, "HTTP 500"),
        (Answer(status=500, body=FAULT_11 + b" " * 2_000_000), VismaUnavailableError, "HTTP 500"),
        (Answer(status=503, headers={"Retry-After": "7"}), VismaUnavailableError, "HTTP 503"),
        (Answer(status=302, headers={"Location": "http://127.0.0.1:9/"}), VismaRequestError, "HTTP 302"),
        (Answer(body=f"<html><p>{CANARY}</p></html>".encode()), VismaIncompleteAnswerError, None),
        (Answer(body=b""), VismaIncompleteAnswerError, None),
    ],
)
def test_what_is_no_answer_becomes_the_error_of_its_status(
    made: Answer, kind: type[VismaError], code: str | None
) -> None:
    with serving(made) as (people, host), pytest.raises(kind) as error:
        rows(people)
    assert type(error.value) is kind
    assert error.value.code == code
    assert error.value.operation == "PeopleService.People_GetAll"
    assert CANARY not in str(error.value)
    assert len(host.requests) == 1
    if "Retry-After" in made.headers:
        assert error.value.retry_after == 7


@pytest.mark.parametrize(
    "made",
    [
        Answer(body=THREE, cut=300),
        Answer(body=THREE, cut=300, then=RESET),
        Answer(body=THREE, headers={"Content-Length": str(len(THREE) + 10)}),
        Answer(body=b"400\r\n" + THREE, headers={"Transfer-Encoding": "chunked"}),
    ],
)
def test_a_body_that_breaks_off_is_an_incomplete_answer(made: Answer) -> None:
    with serving(made) as (people, _), pytest.raises(VismaIncompleteAnswerError):
        rows(people)


def test_a_body_without_an_announced_length_is_read_to_its_end() -> None:
    with serving(Answer(body=THREE, length=False)) as (people, _):
        assert len(rows(people)) == 3


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(gzip.compress(bytes(4_000_000)), "gzip"), (gzip.compress(THREE), "gzip"), (THREE, "br")],
)
def test_a_compressed_answer_is_refused_unread(body: bytes, encoding: str) -> None:
    with (
        serving(Answer(body=body, headers={"Content-Encoding": encoding})) as (people, _),
        pytest.raises(VismaContentError, match="compressed"),
    ):
        rows(people)


def test_an_answer_beyond_the_size_limit_is_refused() -> None:
    with (
        serving(Answer(body=THREE), limits=HttpLimits(max_bytes=500)) as (people, _),
        pytest.raises(VismaContentError, match="larger than 500 bytes"),
    ):
        rows(people)


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    ticks = itertools.count(step=400)
    with (
        serving(Answer(body=answer(*map(person, range(9000)))), clock=lambda: next(ticks)) as (people, _),
        pytest.raises(VismaUnavailableError, match="longer than 900 s"),
    ):
        rows(people)


def test_silence_ends_at_the_read_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Answer(body=THREE, cut=300, then=HANG)
    with serving(silent, limits=HttpLimits(read=IMPATIENT)) as (people, host):
        time_out_where(host.keeps_waiting, monkeypatch)
        with pytest.raises(VismaIncompleteAnswerError):
            rows(people)


def test_unreadable_rows_end_in_an_error_unless_a_report_is_given() -> None:
    body = answer(person(1), person(2, record(start_year="", more=f"<New>{CANARY}</New>")), person(3))
    report = ReadReport()
    with serving(Answer(body=body)) as (people, _):
        assert len(rows(people, report=report)) == 2
        with pytest.raises(
            VismaContentError, match="1 rows cannot be read, the first with key 2 at place 2: StartYear"
        ):
            rows(people)
    assert report.unreadable_rows == 1


QUOTA = '<soap:Header><Quota xmlns="urn:people">100</Quota><Used xmlns="urn:people"> 7 </Used></soap:Header>'


def with_header(body: bytes) -> bytes:
    return body.replace(b"<soap:Body>", QUOTA.encode() + b"<soap:Body>")


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (Answer(body=with_header(THREE)), 3),
        (Answer(body=with_header(FAULT_11)), VismaPermissionError),
        (Answer(status=500, body=with_header(FAULT_11)), VismaPermissionError),
        (Answer(body=with_header(THREE)[:-20]), VismaIncompleteAnswerError),
    ],
    ids=["rows", "fault", "fault with HTTP 500", "cut off"],
)
def test_the_header_of_each_answer_is_told_once(made: Answer, outcome: int | type[VismaError]) -> None:
    told: list[Any] = []
    with serving(made, on_header=told.append) as (people, _):
        if isinstance(outcome, int):
            assert len(rows(people)) == outcome
        else:
            with pytest.raises(outcome):
                rows(people)
    assert told == [{"Quota": "100", "Used": "7"}]


def test_the_header_is_told_before_the_first_row_and_for_single_values() -> None:
    told: list[Any] = []
    version = envelope(
        '<Version_GetResponse xmlns="urn:people"><Version_GetResult>3</Version_GetResult>'
        "</Version_GetResponse>"
    )
    with serving(
        Answer(body=with_header(THREE)), Answer(body=with_header(version)), on_header=told.append
    ) as (people, _):
        assert next(people.rows("People_GetAll", {"CompanyID": 1}))
        assert len(told) == 1
        assert people.call("Version_Get", {}) == "3"
        assert len(told) == 2


def test_columns_name_the_elements_of_an_item_with_their_kinds() -> None:
    people = client("http://127.0.0.1:9/")
    assert people.columns("People_GetAll") == {"PersonId": "integer", "Records": "json"}
    with pytest.raises(VismaContentError, match="does not return a list"):
        people.columns("Version_Get")


def test_a_fault_keeps_what_its_detail_says_in_words() -> None:
    seen: list[SoapFault] = []

    def refusing(fault: SoapFault) -> VismaError:
        seen.append(fault)
        return VismaPermissionError("refused")

    detail = '<detail><NoPermission xmlns="urn:x"><Description>te weinig rechten</Description></NoPermission>'
    body = FAULT_11.replace(b"<detail />", f"{detail}</detail>".encode())
    with FileHost(scripted(Answer(status=500, body=body, headers={"Connection": "close"}))) as host:
        people = client(f"http://127.0.0.1:{host.port}/")
        people._fault_error = refusing
        with pytest.raises(VismaPermissionError):
            rows(people)
    assert [(fault.detail, fault.description) for fault in seen] == [("NoPermission", "te weinig rechten")]
