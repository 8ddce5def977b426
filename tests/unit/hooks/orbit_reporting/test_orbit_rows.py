"""The rows of Orbit's reports, and what goes wrong on their way."""

from __future__ import annotations

import base64
import logging
import traceback
from dataclasses import replace
from decimal import Decimal

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaThrottledError,
    VismaUnavailableError,
)
from airflow_provider_visma.hooks import _orbit_answers
from airflow_provider_visma.protocols.odata3 import FeedReader
from tests.unit.hooks.orbit_reporting.orbit_server import (
    ATOM,
    LOGIN,
    NAMES,
    PAGE,
    PASSWORD,
    REPORT,
    Orbit,
    feed,
    refusal,
)
from tests.unit.protocols.file_host import HANG, RESET, Answer


def test_one_plain_request_is_all_it_takes(orbit: Orbit) -> None:
    orbit.says(feed(1, 2))
    assert orbit.rows() == [{"Number": 1, "Name": "regel 1"}, {"Number": 2, "Name": "regel 2"}]
    (request,) = orbit.host.requests
    assert request.target == f"/odata.svc/{REPORT}"
    assert request.headers["maxdataserviceversion"] == "3.0"
    assert request.headers["accept-encoding"] == "identity"
    # What they hold was lowered by the host of the test.
    sent = base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode()
    assert request.headers["authorization"] == f"Basic {sent}".lower()


def test_pages_are_followed_as_they_are_linked(orbit: Orbit) -> None:
    orbit.says(feed(1, 2, then=f"{REPORT}?$skiptoken=2&amp;x='a%20b'"))
    orbit.says(feed(3, then=f"{orbit.url}/elsewhere?p=3"), at=f"/odata.svc/{REPORT}?$skiptoken=2&x='a%20b'")
    orbit.says(feed(), at="/elsewhere?p=3")
    assert [row["Number"] for row in orbit.rows()] == [1, 2, 3]
    assert all("authorization" in request.headers for request in orbit.host.requests)


@pytest.mark.parametrize(
    "link",
    ["http://localhost:{port}/p", "//example.com/p", "http://u:p@127.0.0.1:{port}/p", "http://127.0.0.1:1/p"],
)
def test_the_password_goes_to_no_other_host(orbit: Orbit, link: str) -> None:
    orbit.says(feed(1, then=link.format(port=orbit.host.port)))
    with pytest.raises(VismaContentError, match=f"report {REPORT}.*another host"):
        orbit.rows()
    assert len(orbit.asked) == 1


def test_pages_in_a_circle_are_an_error(orbit: Orbit) -> None:
    orbit.says(feed(1, then="?p=2"))
    orbit.says(feed(2, then="?p=3"), at=f"/odata.svc/{REPORT}?p=2")
    orbit.says(feed(3, then="?p=2"), at=f"/odata.svc/{REPORT}?p=3")
    with pytest.raises(VismaContentError, match="already read"):
        orbit.rows()
    assert len(orbit.asked) == 3


def test_options_are_sent_as_they_are_meant(orbit: Orbit) -> None:
    target = f"/odata.svc/{REPORT}?$filter=Name%20eq%20%27O%27%27Brien%20%26%20co%27&$top=5"
    orbit.says(feed(1), at=target)
    assert orbit.rows(query={"$filter": "Name eq 'O''Brien & co'", "$top": 5})
    assert orbit.asked == [target]


def test_the_columns_come_from_the_feed(orbit: Orbit) -> None:
    orbit.says(feed(1, 2))
    assert orbit.hook.columns(REPORT) == {"Number": "integer", "Name": "text"}
    reader = FeedReader()
    orbit.rows(reader=reader)
    assert reader.columns == {"Number": "integer", "Name": "text"}


def test_a_sample_of_the_columns_does_not_wait_for_the_whole_feed(orbit: Orbit) -> None:
    body = feed(*range(2000)).body[: -len(b"</feed>")]
    orbit.says(Answer(body=body, headers=ATOM | {"Content-Length": str(10**9)}, then=HANG))
    assert orbit.hook.columns(REPORT, sample=10) == {"Number": "integer", "Name": "text"}


def test_rows_come_before_the_feed_has_ended(orbit: Orbit) -> None:
    body = feed(*range(2000)).body[: -len(b"</feed>")]
    orbit.says(Answer(body=body, headers=ATOM | {"Content-Length": str(10**9)}, then=HANG))
    rows = orbit.hook.rows(REPORT)
    assert next(rows)["Number"] == 0
    rows.close()


ERRORS: list[tuple[Answer, type[VismaError], str, int]] = [
    (refusal(400, "QuerySyntax"), VismaRequestError, "HTTP 400, QuerySyntax", 1),
    (refusal(401), VismaAuthenticationError, "user name and password are not accepted", 1),
    (refusal(403), VismaPermissionError, "may not read", 1),
    (refusal(404), VismaNotFoundError, "knows no such report", 1),
    (PAGE, VismaNotFoundError, "knows no such report", 1),
    (refusal(406), VismaRequestError, "does not write Atom", 1),
    (refusal(302, Location="http://127.0.0.1:1/login"), VismaRequestError, "redirects", 1),
    (refusal(204), VismaRequestError, "status 204", 1),
    (refusal(429, **{"Retry-After": "7"}), VismaThrottledError, "HTTP 429", 3),
    (refusal(500), VismaUnavailableError, "HTTP 500", 3),
    (replace(PAGE, status=503), VismaUnavailableError, "HTTP 503", 3),
    (replace(PAGE, status=200), VismaIncompleteAnswerError, "web page", 3),
    (replace(PAGE, status=200, headers=ATOM), VismaIncompleteAnswerError, "web page", 3),
    (Answer(body=b"{}", headers={"Content-Type": "application/json"}), VismaContentError, "JSON", 1),
    (Answer(body=b"{}", headers=ATOM), VismaContentError, "JSON", 1),
    (replace(feed(1), headers=ATOM | {"Content-Encoding": "gzip"}), VismaContentError, "compressed", 1),
    (Answer(headers=ATOM), VismaIncompleteAnswerError, "empty", 3),
    (replace(feed(1, 2), cut=300), VismaIncompleteAnswerError, "broke off|announced", 3),
    (replace(feed(1, 2), cut=300, length=False), VismaIncompleteAnswerError, "cut off|damaged", 3),
    (replace(feed(1, 2), cut=0, then=RESET), VismaIncompleteAnswerError, "broke off", 3),
    (replace(refusal(200)), VismaRequestError, "answered with an error", 1),
]


@pytest.mark.parametrize(("answer", "kind", "words", "requests"), ERRORS)
def test_what_is_no_feed_is_an_error_that_names_the_report(
    orbit: Orbit, answer: Answer, kind: type[VismaError], words: str, requests: int
) -> None:
    orbit.says(answer)
    with pytest.raises(kind, match=words) as caught:
        orbit.rows()
    assert len(orbit.asked) == requests
    error = caught.value
    assert (error.system, error.conn_id) == ("Teamleader Orbit", "teamleader_orbit_reporting_default")
    assert error.operation == f"report {REPORT}"
    text = "".join(traceback.format_exception(error))
    assert not [secret for secret in (LOGIN, PASSWORD, "Jansen") if secret in text]


def test_what_the_service_said_is_kept_for_who_may_read_it(orbit: Orbit) -> None:
    orbit.says(refusal(404, message="Resource not found for the segment 'RP'."))
    with pytest.raises(VismaNotFoundError) as caught:
        orbit.rows()
    assert caught.value.reason == "Resource not found for the segment 'RP'."


def test_a_failure_that_may_pass_is_asked_for_again_while_no_row_was_handed_out(orbit: Orbit) -> None:
    orbit.says(refusal(503, **{"Retry-After": "30"}), replace(feed(1), cut=200), feed(1, 2, then="?p=2"))
    orbit.says(refusal(500), replace(PAGE, status=200), feed(3), at=f"/odata.svc/{REPORT}?p=2")
    reader = FeedReader()
    assert [row["Number"] for row in orbit.rows(reader=reader)] == [1, 2, 3]
    assert len(orbit.asked) == 6
    assert orbit.waits[0] >= 30
    assert reader.read == 3


def test_a_page_that_breaks_off_after_its_first_row_is_an_error_and_is_not_asked_for_again(
    orbit: Orbit,
) -> None:
    whole = feed(*range(2000))
    orbit.says(replace(whole, cut=len(whole.body) - 10))
    rows = orbit.hook.rows(REPORT)
    assert next(rows)["Number"] == 0
    with pytest.raises(VismaIncompleteAnswerError):
        list(rows)
    assert len(orbit.asked) == 1


def test_an_error_in_mid_stream_is_never_a_short_feed(orbit: Orbit) -> None:
    body = feed(1, 2).body[: -len(b"</feed>")]
    body += f"<m:error {NAMES}><m:code/><m:message>Jansen</m:message></m:error>".encode()
    orbit.says(Answer(body=body, headers=ATOM))
    with pytest.raises(VismaUnavailableError) as caught:
        orbit.rows()
    assert "Jansen" not in str(caught.value)


def test_an_answer_larger_than_allowed_is_refused(orbit: Orbit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        _orbit_answers, "REPORT_LIMITS", replace(_orbit_answers.REPORT_LIMITS, max_bytes=100_000)
    )
    orbit.says(feed(*range(2000)))
    with pytest.raises(VismaContentError, match="larger than 100000 bytes"):
        orbit.rows()


def test_no_answer_names_neither_address_nor_password(orbit: Orbit) -> None:
    orbit.connect(host="http://127.0.0.1:1")
    with pytest.raises(VismaUnavailableError) as caught:
        orbit.rows()
    text = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in text
    assert "no answer" in text


def test_the_password_is_in_no_log(orbit: Orbit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    orbit.says(refusal(500), feed(1))
    orbit.rows()
    sent = base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode()
    assert caplog.text
    assert not [secret for secret in (PASSWORD, sent) if secret in caplog.text]


def test_numbers_and_texts_are_typed_by_the_feed(orbit: Orbit) -> None:
    body = feed(1).body.replace(b'"Edm.Int32">1<', b'"Edm.Decimal">1.10<')
    orbit.says(Answer(body=body, headers=ATOM))
    assert orbit.rows()[0]["Number"] == Decimal("1.10")
