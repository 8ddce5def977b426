"""Faults: when they strike, and what each kind does to an honest answer."""

from __future__ import annotations

import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest
import requests
import urllib3
from lxml import etree

from sandbox.tests.waiting import wait_until
from visma_sandbox import hostile
from visma_sandbox.client import SandboxError
from visma_sandbox.faults import Fault, FaultBook, UnknownFaultError
from visma_sandbox.journal import Journal
from visma_sandbox.settings import Settings, UnknownSettingError
from visma_sandbox.wire import FAULT_KINDS

ENVELOPE = (
    b'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">'
    b"<soap:Body><Employee><Id>1</Id><LastName>Jansen</LastName></Employee></soap:Body></soap:Envelope>"
)


def taken(book, *requests_made):
    return [None if (fault := book.take(*made)) is None else fault.kind for made in requests_made]


# When


def test_a_fault_strikes_as_often_as_counted_and_only_where_it_is_meant():
    book = FaultBook({"hang"})
    book.add(Fault("hrm", "hang", operation="query/*", count=2))

    assert taken(
        book,
        ("hrm", "command/users"),
        ("nmbrs", "query/users"),
        ("hrm", "query/users"),
        ("hrm", "query/users"),
        ("hrm", "query/users"),
    ) == [None, None, "hang", "hang", None]


def test_a_fault_waits_for_as_many_requests_as_told():
    book = FaultBook({"hang"})
    book.add(Fault("hrm", "hang", after=2))

    assert taken(book, *[("hrm", "x")] * 4) == [None, None, "hang", None]


def test_a_fault_without_a_count_goes_on_until_it_is_cleared():
    book = FaultBook({"hang"})
    book.add(Fault("*", "hang", count=None))

    assert taken(book, *[("hrm", "x")] * 3) == ["hang"] * 3
    book.clear()
    assert taken(book, ("hrm", "x")) == [None]


def test_a_request_meets_one_fault_the_oldest_first():
    book = FaultBook({"hang", "reset"})
    book.add(Fault("hrm", "hang"))
    book.add(Fault("hrm", "reset"))

    assert taken(book, *[("hrm", "x")] * 3) == ["hang", "reset", None]


def test_a_kind_nobody_knows_is_refused(sandbox):
    with pytest.raises(UnknownFaultError, match="hagn"):
        FaultBook({"hang"}).add(Fault("hrm", "hagn"))
    with pytest.raises(SandboxError, match="hagn"):
        sandbox.inject("hrm", "*", "hagn")


def test_a_switch_nobody_knows_is_refused_and_nothing_is_changed(sandbox):
    settings = Settings([{"a": 1}])
    with pytest.raises(UnknownSettingError, match="b"):
        settings.change({"a": 2, "b": 2})
    assert settings["a"] == 1
    with pytest.raises(SandboxError, match="hrm_job_poll"):
        sandbox.settings(hrm_job_poll=1)


def test_the_journal_forgets_the_oldest():
    journal = Journal(size=2)
    for number in range(3):
        journal.add_outgoing(time=number, system="hrm", operation="callback/x", path="/")

    assert [entry.time for entry in journal.entries()] == [1, 2]


# What a refusal looks like


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_status_is_answered_in_the_systems_stead(hrm, status):
    hrm.sandbox.inject("hrm", "command/*", "status", status=status, body="canary")

    answer = hrm.start()

    assert (answer.status_code, answer.text) == (status, "canary")
    assert hrm.sandbox.journal("hrm", "command/*")[-1]["fault"] == "status"
    assert "job_id" not in hrm.sandbox.journal("hrm", "command/*")[-1]["note"]
    assert hrm.start().status_code == 200


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ({"retry_after": 30}, "Retry-After"),
        ({"retry_after": 30, "form": "http_date"}, "Retry-After"),
        ({"retry_after": 30, "form": "reset"}, "X-RateLimit-Reset"),
        ({}, None),
    ],
)
def test_throttling_comes_in_every_form(hrm, args, name):
    hrm.sandbox.inject("hrm", "*", "status", status=429, **args)

    before = int(time.time())
    headers = hrm.start().headers

    assert {"Retry-After", "X-RateLimit-Reset"} & set(headers) == ({name} if name else set())
    if args.get("form") == "http_date":
        assert before + 30 <= parsedate_to_datetime(headers[name]).timestamp() <= time.time() + 30
    elif name:
        assert headers[name] == "30"


def test_an_html_page_can_come_with_a_200(hrm):
    hrm.sandbox.inject("hrm", "query/*", "html_error_page")

    answer = hrm.query(hrm.job())

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_a_redirect_can_lead_anywhere(hrm):
    hrm.sandbox.inject("files", "*", "redirect", location="http://169.254.169.254/")

    answer = requests.get(hrm.links()[0], timeout=10, allow_redirects=False)

    assert (answer.status_code, answer.headers["Location"]) == (302, "http://169.254.169.254/")


# What happens to the connection


@pytest.mark.parametrize(("kind", "acted"), [("hang", False), ("act_then_hang", True)])
def test_a_hanging_request_gets_no_answer_whether_or_not_the_system_has_acted(hrm, kind, acted):
    hrm.sandbox.inject("hrm", "command/*", kind)

    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(hrm.start, "users")
        entry = wait_until(lambda: hrm.sandbox.kept_waiting("hrm", "command/users"))
        hrm.sandbox.clear_faults()
        with pytest.raises(requests.exceptions.ConnectionError):
            asking.result()

    assert (entry["status"], entry["fault"]) == (None, kind)
    assert ("job_id" in entry["note"]) is acted
    assert hrm.sandbox.kept_waiting("hrm") is None


def test_a_hang_ends_when_told(hrm):
    hrm.sandbox.inject("hrm", "command/*", "hang", seconds=0.1)

    with pytest.raises(requests.exceptions.ConnectionError):
        hrm.start()


@pytest.mark.parametrize(("kind", "acted"), [("reset", False), ("act_then_reset", True)])
def test_a_connection_can_be_reset_before_or_after_the_system_acted(hrm, kind, acted):
    hrm.sandbox.inject("hrm", "command/*", kind)

    with pytest.raises(requests.exceptions.ConnectionError):
        hrm.start("users")

    (entry,) = hrm.sandbox.journal("hrm", "command/users")
    assert entry["status"] is None
    assert ("job_id" in entry["note"]) is acted


def query_url(hrm):
    return f"{hrm.sandbox.url}/v1/query/nl/hrm/employees/{hrm.job()}"


def raw(hrm):
    headers = {"Authorization": hrm.session.headers["Authorization"]}
    url = query_url(hrm)
    return urllib3.request(
        "GET", url, headers=headers, preload_content=False, retries=False, decode_content=False
    )


def test_a_truncated_body_announces_the_length_of_the_whole(hrm):
    hrm.sandbox.inject("hrm", "query/*", "truncated", keep=0.5)

    headers, begun = hrm.cut_short(query_url(hrm), Authorization=hrm.session.headers["Authorization"])

    assert len(begun) == int(headers["Content-Length"]) // 2


def test_a_chunked_body_can_be_cut_before_its_last_chunk(hrm):
    hrm.sandbox.inject("hrm", "query/*", "truncated", keep=10, chunked=True)

    answer = raw(hrm)

    assert answer.headers["Transfer-Encoding"] == "chunked"
    with pytest.raises(urllib3.exceptions.ProtocolError):
        answer.read()


def test_a_connection_can_be_reset_in_the_middle_of_a_body(hrm):
    hrm.sandbox.inject("hrm", "query/*", "reset_body", keep=10)

    answer = raw(hrm)

    with pytest.raises(urllib3.exceptions.ProtocolError, match="reset"):
        answer.read()


def test_a_slow_body_arrives_whole_but_late(hrm):
    hrm.sandbox.inject("hrm", "query/*", "slow_body", bytes=20, interval=0.05)

    started = time.monotonic()
    answer = raw(hrm).read()

    assert json.loads(answer)["status"] == "InProgress"
    assert time.monotonic() - started >= 0.05 * (len(answer) // 20)


def test_a_gzip_bomb_is_small_on_the_wire_and_large_unpacked(hrm):
    hrm.sandbox.inject("hrm", "query/*", "gzip_bomb", size=50 << 20)

    answer = raw(hrm)
    packed = answer.read()

    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(packed) < 200_000
    assert len(gzip.decompress(packed)) == 50 << 20


def test_a_damaged_body_keeps_status_and_type(hrm):
    hrm.sandbox.inject("hrm", "query/*", "malformed")

    answer = hrm.query(hrm.job())

    assert answer.status_code == 202
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


# What happens to the document

REFUSED_BY_EVERY_PARSER = [
    "undefined_entity",
    "nul_byte",
    "bad_utf8",
    "control_reference",
    "malformed",
    "trailing_garbage",
    "deep_nesting",
    "huge_text",
    "many_attributes",
    "billion_laughs",
    "empty_body",
]


@pytest.mark.parametrize("kind", REFUSED_BY_EVERY_PARSER)
def test_a_damaged_envelope_is_no_document_to_a_strict_parser(kind):
    etree.fromstring(ENVELOPE)

    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(hostile.DAMAGES[kind](ENVELOPE, {}))


@pytest.mark.parametrize(
    ("kind", "declared"),
    [
        ("doctype", b"[]"),
        ("internal_entity", b"EXPANDED"),
        ("billion_laughs", b"&l8;&l8;"),
        ("quadratic_blowup", b"<!ENTITY q"),
        ("external_entity", b'SYSTEM "http://127.0.0.1:9/x"'),
        ("parameter_entity", b"%p;"),
        ("external_dtd", b'Envelope SYSTEM "http://127.0.0.1:9/x"'),
    ],
)
def test_an_attack_by_dtd_stands_before_the_envelope(kind, declared):
    attacked = hostile.DAMAGES[kind](ENVELOPE, {"url": "http://127.0.0.1:9/x", "size": 10, "times": 10})

    assert attacked.startswith(b'<?xml version="1.0" encoding="utf-8"?><!DOCTYPE Envelope ')
    assert declared in attacked.partition(b"<soap:Envelope")[0]


@pytest.mark.parametrize("kind", ["internal_entity", "external_entity", "undefined_entity", "nul_byte"])
def test_the_element_to_strike_can_be_named(kind):
    attacked = hostile.DAMAGES[kind](ENVELOPE, {"element": "LastName"})

    assert b"<Id>1</Id>" in attacked
    assert b"Jansen" not in attacked


def test_sizes_can_be_chosen():
    assert b"<Id>AAA</Id>" in hostile.huge_text(ENVELOPE, {"size": 3})
    assert b"<Id><a><a></a></a></Id>" in hostile.deep_nesting(ENVELOPE, {"depth": 2})
    assert b'<Id a0="" a1="">1</Id>' in hostile.many_attributes(ENVELOPE, {"attributes": 2})


@pytest.mark.parametrize("kind", ["nul_byte", "bad_utf8", "malformed", "trailing_garbage", "empty_body"])
def test_json_can_be_damaged_too(kind):
    with pytest.raises(ValueError):
        json.loads(hostile.DAMAGES[kind](b'{"status": "InProgress"}', {}))


def test_json_can_be_nested_deeply():
    assert hostile.deep_nesting(b'{"status": "x"}', {"depth": 2}) == b'{"status": [[]]}'


def test_every_damage_can_be_injected():
    assert set(hostile.DAMAGES) <= FAULT_KINDS
