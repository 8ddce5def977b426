"""Answers of public OData services, recorded and not written by us; they stay outside the repository."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import etree

from airflow_provider_visma.exceptions import VismaContentError, VismaError
from airflow_provider_visma.protocols.odata3 import FeedReader, ODataError, read_service_document

RECORDED = Path(__file__).parents[4] / "shared/contracts/data/odata3"
DOCUMENTS = sorted(RECORDED.glob("*/*.xml"))
ATOM = "{http://www.w3.org/2005/Atom}"
METADATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}"
REFUSED: dict[str, tuple[type[VismaError], str]] = {
    "Edmx": (VismaContentError, "metadata"),
    "service": (VismaContentError, "service document"),
    "error": (ODataError, "with an error"),
}

pytestmark = pytest.mark.skipif(not DOCUMENTS, reason=f"no recorded feeds in {RECORDED}")


def texts(entry: etree._Element) -> dict[str, str | None]:
    """Return what an entry says of its plain properties, by a second, naive reading."""
    properties = entry.find(f"{ATOM}content/{METADATA}properties")
    if properties is None:
        properties = entry.find(f"{METADATA}properties")
    return {
        etree.QName(element).localname: None
        if element.get(f"{METADATA}null") == "true"
        else element.text or ""
        for element in (properties if properties is not None else ())
        if not len(element)
    }


def as_text(value: object, sent: str) -> str:
    """Return *value* as it was sent, where Python writes it so; *sent* for what has several forms."""
    return str(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else sent


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
@pytest.mark.parametrize("size", [97, 64 * 1024])
def test_every_recorded_document_is_read_or_refused_for_what_it_is(path: Path, size: int) -> None:
    body = path.read_bytes()
    root = etree.fromstring(body)
    reader = FeedReader()
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    refused = REFUSED.get(etree.QName(root).localname)
    if refused is not None:
        with pytest.raises(refused[0], match=refused[1]):
            list(reader.rows(pieces, base="http://localhost/odata.svc/X"))
        return
    rows = list(reader.rows(pieces, base="http://localhost/odata.svc/X"))
    entries = (
        root.findall(f"{ATOM}entry") if root.tag == f"{ATOM}feed" else [root] * (root.tag == f"{ATOM}entry")
    )
    if root.tag.startswith(ATOM):
        assert len(rows) == len(entries)
    for row, entry in zip(rows, entries, strict=False):
        for name, sent in texts(entry).items():
            assert (row[name] is None) == (sent is None), name
            if sent is not None:
                assert as_text(row[name], sent) == sent
    assert reader.changed == {}
    assert not reader.blanks


def test_the_first_page_of_a_real_feed_names_the_next() -> None:
    reader = FeedReader()
    body = (RECORDED / "odata4j/SystemQueryOptionFormatAtomTest.xml").read_bytes()
    assert len(list(reader.rows([body], base="http://services.odata.org/"))) == 20
    assert reader.next_link == "http://services.odata.org/Northwind/Northwind.svc/Products?$skiptoken=20"


def test_no_truncation_of_a_real_feed_is_accepted() -> None:
    body = (RECORDED / "odata4j/SystemQueryOptionFilterEqualTest.xml").read_bytes().rstrip()
    for length in range(len(body)):
        with pytest.raises(VismaError):
            list(FeedReader().rows([body[:length]], base="http://localhost/"))


def test_a_real_service_document_is_read() -> None:
    body = (RECORDED / "odata4j/issue258_service_document.xml").read_bytes()
    found = read_service_document(body, base="http://vnote:8080/")
    assert [each.name for each in found] == ["Catalogs_Shops", "Catalogs_Regions"]


def test_recorded_answers_that_failed_are_errors_and_the_others_are_not() -> None:
    index = json.loads((RECORDED / "simple-odata-client-recorded/INDEX.json").read_text())
    assert index
    for recorded in index:
        body = (RECORDED / "simple-odata-client-recorded" / recorded["file"]).read_bytes()
        if recorded["status"] >= 400:
            with pytest.raises(ODataError):
                list(FeedReader().rows([body], base=recorded["requestUri"]))
        else:
            list(FeedReader().rows([body], base=recorded["requestUri"]))
