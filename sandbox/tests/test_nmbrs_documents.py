"""Documents: what is refused, what is kept, and what a lost answer leaves open."""

from __future__ import annotations

import base64
import hashlib

import pytest
import requests
from lxml import etree

from visma_sandbox.nmbrs_documents import DOCUMENT_TYPES


def upload(nmbrs, content, **changes):
    given = {
        "EmployeeId": "500003",
        "StrDocumentName": "beoordeling.pdf",
        "Body": base64.b64encode(content).decode(),
        "GuidDocumentType": DOCUMENT_TYPES[0],
        **changes,
    }
    fields = "".join(f"<{name}>{text}</{name}>" for name, text in given.items())
    return nmbrs.call("EmployeeDocument_UploadDocument", fields)


def documents(nmbrs):
    return requests.get(f"{nmbrs.sandbox.url}/_control/nmbrs/documents", timeout=10).json()


@pytest.mark.parametrize("size", [0, 1, 2, 3, 100_000, 3_000_001])
def test_a_document_is_kept_as_size_and_hash_and_answered_with_nothing(nmbrs, size):
    content = (b"%PDF-1.7\n" * (size // 9 + 1))[:size]
    answer = upload(nmbrs, content, Body=base64.encodebytes(content).decode())
    response = etree.fromstring(answer.content)[0][0]
    assert etree.QName(response).localname == "EmployeeDocument_UploadDocumentResponse"
    assert (len(response), response.text) == (0, None)
    (stored,) = documents(nmbrs)
    assert (stored["size"], stored["sha256"]) == (size, hashlib.sha256(content).hexdigest())
    assert (stored["employee_id"], stored["name"]) == (500_003, "beoordeling.pdf")


def test_zeep_uploads_a_document_through_the_wsdl(nmbrs):
    nmbrs.zeep("EmployeeService").EmployeeDocument_UploadDocument(
        EmployeeId=500_003,
        StrDocumentName="b.pdf",
        Body=b"%PDF-1.7",
        GuidDocumentType=DOCUMENT_TYPES[0],
        _soapheaders={"AuthHeaderWithDomain": nmbrs.account},
    )
    assert documents(nmbrs)[0]["sha256"] == hashlib.sha256(b"%PDF-1.7").hexdigest()


def test_a_large_document_sent_in_pieces_costs_the_sandbox_no_memory(nmbrs):
    nmbrs.sandbox.settings(nmbrs_document_limit=1 << 30)
    head, tail = nmbrs.envelope(
        "EmployeeDocument_UploadDocument",
        f"<EmployeeId>500003</EmployeeId><StrDocumentName>b.pdf</StrDocumentName><Body>cut here</Body>"
        f"<GuidDocumentType>{DOCUMENT_TYPES[0]}</GuidDocumentType>",
    ).split(b"cut here")
    block = base64.b64encode(bytes(300_000))
    before = nmbrs.peak_memory()
    answer = nmbrs.post(iter([head, *[block] * 100, tail]))
    assert answer.status_code == 200
    assert documents(nmbrs)[0]["size"] == 30_000_000
    assert nmbrs.sandbox.journal("nmbrs")[0]["body_size"] > 40_000_000
    assert nmbrs.peak_memory() - before < 8 << 20


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"EmployeeId": "500004"}, "2003"),
        ({"StrDocumentName": "beoordeling"}, "2040"),
        ({"StrDocumentName": ".pdf"}, "2040"),
        ({"StrDocumentName": ""}, "2040"),
        ({"GuidDocumentType": "00000000-0000-0000-0000-000000000000"}, "2047"),
        ({"Body": base64.b64encode(bytes(101)).decode()}, "2041"),
    ],
)
def test_a_refused_document_is_not_kept(nmbrs, changes, code):
    nmbrs.sandbox.settings(nmbrs_document_limit=100)
    assert nmbrs.fault(upload(nmbrs, b"%PDF", **changes)) == nmbrs.service_fault(code)
    assert documents(nmbrs) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"Body": "JVBE*"},
        {"Body": "JVBER"},
        {"Body": "JQ==JQ=="},
        {"GuidDocumentType": "no-guid"},
        {"EmployeeId": "x"},
    ],
)
def test_an_unreadable_upload_is_the_callers_fault(nmbrs, changes):
    code, text = nmbrs.fault(upload(nmbrs, b"%PDF", **changes))
    assert code == "soap:Client"
    assert text.startswith("Server was unable to read request. ---> There is an error in XML document (")
    assert documents(nmbrs) == []


def test_the_same_document_twice_is_two_documents(nmbrs):
    for _ in range(2):
        assert upload(nmbrs, b"%PDF").status_code == 200
    assert [each["size"] for each in documents(nmbrs)] == [4, 4]
    assert nmbrs.sandbox.counts()["nmbrs"] == {"documents": 2, "bytes": 8}


@pytest.mark.parametrize(("kind", "kept"), [("act_then_reset", 1), ("reset", 0)])
def test_a_lost_answer_leaves_open_whether_the_document_was_stored(nmbrs, kind, kept):
    nmbrs.sandbox.inject("nmbrs", "EmployeeService.EmployeeDocument_*", kind)
    with pytest.raises(requests.ConnectionError):
        upload(nmbrs, b"%PDF")
    assert len(documents(nmbrs)) == kept


def test_midnight_forgets_people_and_documents_and_keeps_switches(nmbrs):
    nmbrs.sandbox.settings(nmbrs_nil_items=False)
    upload(nmbrs, b"%PDF")
    before = nmbrs.sandbox.counts()["nmbrs_to_dialog"]["employees"]
    nmbrs.sandbox.change_person(None, nickname="Nieuw")
    assert nmbrs.sandbox.counts()["nmbrs_to_dialog"]["employees"] == before + 1
    assert requests.post(f"{nmbrs.sandbox.url}/_control/nmbrs/midnight", timeout=10).status_code == 204
    assert nmbrs.sandbox.counts()["nmbrs_to_dialog"]["employees"] == before
    assert documents(nmbrs) == []
    assert nmbrs.sandbox.settings()["nmbrs_nil_items"] is False
