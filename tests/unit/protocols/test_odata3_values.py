"""Each type of a property as the value that it is."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaContentError
from airflow_provider_visma.protocols.odata3 import FeedReader
from tests.unit.protocols.odata3_documents import entry, feed, prop, read


def value(text: str, type_name: str | None, *, kind: str) -> Any:
    """Return the value, read as the first of its column and again as the next, which takes another way."""
    reader = FeedReader()
    first, second = read(feed(*[entry(prop("X", text, type_name))] * 2), reader)
    assert reader.columns == {"X": kind}
    assert repr(first) == repr(second)
    return first["X"]


@pytest.mark.parametrize(
    ("text", "type_name", "wanted", "kind"),
    [
        ("9223372036854775807", "Edm.Int64", 9223372036854775807, "integer"),
        ("-2147483648", "Edm.Int32", -2147483648, "integer"),
        (" 7\n", "Edm.Int16", 7, "integer"),
        ("255", "Edm.Byte", 255, "integer"),
        ("-128", "Edm.SByte", -128, "integer"),
        ("79228162514264337593543950335", "Edm.Decimal", Decimal("79228162514264337593543950335"), "decimal"),
        ("18.0000", "Edm.Decimal", Decimal("18.0000"), "decimal"),
        ("0.1", "Edm.Double", 0.1, "double"),
        ("1.7976931348623157E+308", "Edm.Double", 1.7976931348623157e308, "double"),
        ("INF", "Edm.Double", math.inf, "double"),
        ("-INF", "Edm.Single", -math.inf, "double"),
        ("NaN", "Edm.Double", math.nan, "double"),
        ("true", "Edm.Boolean", True, "boolean"),
        ("0", "Edm.Boolean", False, "boolean"),
        ("2026-01-02T03:04:05", "Edm.DateTime", datetime(2026, 1, 2, 3, 4, 5), "datetime"),
        ("2026-01-02T03:04", "Edm.DateTime", datetime(2026, 1, 2, 3, 4), "datetime"),
        (
            "2005-02-09T23:59:59.9999999",
            "Edm.DateTime",
            datetime(2005, 2, 9, 23, 59, 59, 999999),
            "datetime",
        ),
        ("2026-01-02T03:04:05.789Z", "Edm.DateTime", datetime(2026, 1, 2, 3, 4, 5, 789000, UTC), "datetime"),
        (
            "2018-05-20T20:30:40.6779345+02:00",
            "Edm.DateTimeOffset",
            datetime(2018, 5, 20, 20, 30, 40, 677934, timezone(timedelta(hours=2))),
            "datetime",
        ),
        ("PT8H30M", "Edm.Time", Decimal(30600), "decimal"),
        ("-P10675199DT2H48M5.4775808S", "Edm.Time", Decimal("-922337203685.4775808"), "decimal"),
        ("08:30:15.5", "Edm.Time", Decimal("30615.5"), "decimal"),
        ("AQID", "Edm.Binary", b"\x01\x02\x03", "binary"),
        ("AQ\n ID", "Edm.Binary", b"\x01\x02\x03", "binary"),
        ("", "Edm.Binary", b"", "binary"),
        ("7d8f1758-00d4-4c53-a2e3-8fca73ebb92c", "Edm.Guid", "7d8f1758-00d4-4c53-a2e3-8fca73ebb92c", "text"),
        ("05023", None, "05023", "text"),
        (" kept ", "Edm.String", " kept ", "text"),
        ("", None, "", "text"),
        ("", "Edm.String", "", "text"),
        ("in the year 3", "Edm.Unheard", "in the year 3", "text"),
    ],
)
def test_a_value_is_of_its_type(text: str, type_name: str | None, wanted: Any, kind: str) -> None:
    got = value(text, type_name, kind=kind)
    assert repr(got) == repr(wanted)


@pytest.mark.parametrize(
    ("text", "type_name"),
    [
        ("1_000", "Edm.Int32"),
        ("1.5", "Edm.Int64"),
        ("NaN", "Edm.Decimal"),
        ("1E+999999999", "Edm.Decimal"),
        ("\u0663", "Edm.Int32"),
        ("1" * 5000, "Edm.Int64"),
        ("2026-01-02x03:04:05", "Edm.DateTime"),
        ("2026-W01-1", "Edm.DateTime"),
        ("1_0.5", "Edm.Decimal"),
        ("1_0.5", "Edm.Double"),
        ("1e999", "Edm.Double"),
        ("-1E+309", "Edm.Single"),
        ("yes", "Edm.Boolean"),
        ("2026-13-01T00:00:00", "Edm.DateTime"),
        ("P", "Edm.Time"),
        ("PT", "Edm.Time"),
        ("8 hours", "Edm.Time"),
        ("A", "Edm.Binary"),
        ("0x01FF!", "Edm.Binary"),
        ("<d:Inner>1</d:Inner>", "Edm.Int32"),
        ("<d:Inner>1</d:Inner>", "Edm.String"),
        ("words<d:Inner>1</d:Inner>", "Orbit.Address"),
        ("<d:Inner>1</d:Inner><d:Inner>2</d:Inner>", "Orbit.Address"),
    ],
)
@pytest.mark.parametrize("first", [[], [prop("X", "1", "Edm.Int32")]])
def test_a_value_that_is_not_of_its_type_is_refused_and_not_quoted(
    text: str, type_name: str, first: list[str]
) -> None:
    entries = [*(entry(each) for each in first), entry(prop("X", text, type_name))]
    with pytest.raises(VismaContentError, match=f"X in row {len(entries)} of the feed") as caught:
        read(feed(*entries))
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    "type_name", [None, "Edm.String", "Edm.Int32", "Orbit.Address", "Collection(Edm.Int32)"]
)
def test_null_is_apart_from_empty(type_name: str | None) -> None:
    null = prop("X", type_name=type_name, null=True)
    spaced = null.replace(" />", ">\n </d:X>").replace('m:null="true"', 'm:null="1"')
    assert read(feed(*[entry(null), entry(spaced)] * 2)) == [{"X": None}] * 4
    assert read(feed(entry(prop("X", type_name=type_name).replace("<d:X", '<d:X m:null="false"'))))[0] == {
        "X": {None: "", "Edm.String": "", "Edm.Int32": None, "Orbit.Address": {}}.get(type_name, [])
    }


def test_an_empty_number_is_null_and_told() -> None:
    reader = FeedReader()
    entries = [entry(prop("X", text, "Edm.Decimal")) for text in ("1", "", " ", "")]
    assert read(feed(*entries), reader) == [{"X": Decimal(1)}, {"X": None}, {"X": None}, {"X": None}]
    assert reader.blanks == {"X": 3}


def test_complex_values_and_collections_nest() -> None:
    numbers = "".join(f"<d:element>{number}</d:element>" for number in (1, 2))
    address = (
        prop("Street", "Main")
        + prop("Box", null=True)
        + prop("Since", "2026-01-02T00:00:00", "Edm.DateTime")
        + prop("Numbers", numbers, "Collection(Edm.Int32)")
    )
    items = f"<d:element>{prop('City', 'Oslo')}</d:element><d:element m:null='true' /><d:element />"
    reader = FeedReader()
    rows = read(
        feed(
            entry(
                prop("Address", address, "Orbit.Address"),
                prop("Untyped", prop("City", "Oslo")),
                prop("Cities", items, "Collection(Orbit.City)"),
                prop("Words", numbers),
                prop("None", type_name="Collection(Edm.String)"),
            )
        ),
        reader,
    )
    assert rows == [
        {
            "Address": {
                "Street": "Main",
                "Box": None,
                "Since": datetime(2026, 1, 2),
                "Numbers": [1, 2],
            },
            "Untyped": {"City": "Oslo"},
            "Cities": [{"City": "Oslo"}, None, {}],
            "Words": ["1", "2"],
            "None": [],
        }
    ]
    assert set(reader.columns.values()) == {"json"}


def test_a_spatial_value_is_its_gml() -> None:
    point = '<gml:Point xmlns:gml="http://www.opengis.net/gml"><gml:pos>51.65 178.7</gml:pos></gml:Point>'
    got = value(f"\n{point}\n", "Edm.GeographyPoint", kind="text")
    assert got.startswith("<gml:Point")
    assert "<gml:pos>51.65 178.7</gml:pos>" in got
