"""What the reader takes for a row, and what it learns about the feed."""

from __future__ import annotations

import codecs
from decimal import Decimal

import pytest

from airflow_provider_visma.exceptions import VismaContentError
from airflow_provider_visma.protocols.odata3 import FeedReader, read_service_document
from tests.unit.protocols.odata3_documents import (
    BASE,
    DATA,
    DECLARATION,
    ENTRY_HEAD,
    NAMESPACES,
    entry,
    feed,
    hours,
    link,
    prop,
    read,
)

NUMBER = prop("Id", "1", "Edm.Int32")


@pytest.mark.parametrize("size", [1, 7, 1000, 64 * 1024, 10**6])
def test_pieces_of_any_size_give_the_same_rows(size: int) -> None:
    body = feed(*(hours(number) for number in range(300)))
    rows = read(body, size=size)
    assert [row["Id"] for row in rows] == list(range(300))
    assert rows == read(body)


def test_an_expanded_entry_is_not_a_row() -> None:
    inner = f"<m:inline><feed><title />{hours(8)}{hours(9)}{link('Elsewhere')}</feed></m:inline>"
    one = f"<m:inline>{hours(7)}</m:inline>"
    reader = FeedReader()
    rows = read(
        feed(
            entry(NUMBER, more=f'<link rel="{DATA}/related/Lines" href="L">{inner}</link>'),
            entry(NUMBER, head=f'{ENTRY_HEAD}<link rel="{DATA}/related/Customer" href="C">{one}</link>'),
            entry(NUMBER, more=f'<link rel="{DATA}/related/Nothing" href="N"><m:inline /></link>'),
        ),
        reader,
    )
    assert rows == [{"Id": 1}] * 3
    assert reader.next_link is None


def test_the_properties_of_a_media_entry_stand_beside_its_content() -> None:
    media = f'<entry>{ENTRY_HEAD}<content type="image/png" src="RP1(1)/$value" />'
    assert read(feed(f"{media}<m:properties>{NUMBER}</m:properties></entry>")) == [{"Id": 1}]


def test_an_empty_page_has_no_rows_and_no_next_link() -> None:
    reader = FeedReader()
    assert read(feed(), reader) == []
    assert (reader.next_link, reader.count, reader.columns) == (None, None, {})
    assert read(f"{DECLARATION}<feed {NAMESPACES} />".encode()) == []


@pytest.mark.parametrize(
    ("href", "wanted"),
    [
        ("RP1?$skiptoken='A%26B'", "https://tenant.example/odata.svc/RP1?$skiptoken='A%26B'"),
        ("?$skip=20&amp;$top=5", "https://tenant.example/odata.svc/?$skip=20&$top=5"),
        ("https://tenant.example/other/RP1?p=2", "https://tenant.example/other/RP1?p=2"),
        ("/odata.svc/RP1?p=2", "https://tenant.example/odata.svc/RP1?p=2"),
    ],
)
@pytest.mark.parametrize("rel", ["next", "http://www.iana.org/assignments/relation/next"])
def test_the_next_link_is_resolved_and_otherwise_left_as_it_is(href: str, wanted: str, rel: str) -> None:
    reader = FeedReader()
    read(feed(hours(), end=link(href, rel)), reader)
    assert reader.next_link == wanted
    read(feed(link(href, rel), hours()), reader)  # before the entries
    assert reader.next_link == wanted


def test_without_a_base_of_its_own_a_feed_is_relative_to_its_address() -> None:
    reader = FeedReader()
    body = feed(end=link("RP1?p=2"), opening=f"<feed {NAMESPACES}>")
    read(body, reader)
    assert reader.next_link == "https://tenant.example/odata.svc/RP1?p=2"
    read(feed(end=link("RP1?p=2"), opening=f'<feed xml:base="sub/" {NAMESPACES}>'), reader)
    assert reader.next_link == "https://tenant.example/odata.svc/sub/RP1?p=2"
    read(feed(end='<link rel="next" xml:base="/x/" href="y" />'), reader)
    assert reader.next_link == "https://tenant.example/x/y"


def test_a_base_that_is_no_address_is_no_reason_not_to_read() -> None:
    reader = FeedReader()
    opening = f'<feed xml:base="http://host:${{port}}/Static.svc/" {NAMESPACES}>'
    assert len(read(feed(hours(), end=link("RP1?p=2"), opening=opening), reader)) == 1
    assert reader.next_link == "http://host:${port}/Static.svc/RP1?p=2"


def test_the_next_link_of_the_page_before_is_forgotten() -> None:
    reader = FeedReader()
    read(feed(end=link("RP1?p=2")), reader)
    read(feed(), reader)
    assert reader.next_link is None


@pytest.mark.parametrize("end", [link("a") + link("b"), link(""), '<link rel="next" />'])
def test_a_next_link_that_cannot_be_followed_is_no_last_page(end: str) -> None:
    with pytest.raises(VismaContentError, match="next page"):
        read(feed(end=end))


def test_the_count_is_of_the_whole_feed() -> None:
    reader = FeedReader()
    assert len(read(feed("<m:count>77</m:count>", hours()), reader)) == 1
    assert reader.count == 77
    with pytest.raises(VismaContentError, match="count"):
        read(feed("<m:count>many</m:count>"))


def test_columns_are_of_the_kinds_that_the_feed_says() -> None:
    reader = FeedReader()
    read(feed(hours(1), hours(2)), reader)
    assert reader.columns == {
        "Id": "integer",
        "Employee": "text",
        "Hours": "decimal",
        "Day": "datetime",
        "Remark": "text",
    }
    assert reader.types["Remark"] == []
    assert reader.changed == {}


def test_a_null_without_a_type_does_not_say_what_the_column_is() -> None:
    reader = FeedReader()
    rows = read(feed(entry(prop("A", null=True)), entry(prop("A", "1.5", "Edm.Decimal"))), reader)
    assert rows == [{"A": None}, {"A": Decimal("1.5")}]
    assert reader.columns == {"A": "decimal"}
    read(feed(entry(prop("B", type_name="Edm.Int64", null=True))), reader)
    assert reader.columns["B"] == "integer"


def test_a_column_whose_type_differs_between_rows_is_told() -> None:
    reader = FeedReader()
    typed = [entry(prop("A", "1", "Edm.Int32")), entry(prop("A", "2", "Edm.Int64"))]
    rows = read(feed(*typed, entry(prop("B", "1", "Edm.Int32")), entry(prop("B", "x"))), reader)
    assert rows == [{"A": 1}, {"A": 2}, {"B": 1}, {"B": "x"}]
    assert reader.changed == {"A": ["Edm.Int32", "Edm.Int64"], "B": ["Edm.Int32", "Edm.String"]}
    assert reader.columns == {"A": "integer", "B": "text"}


def test_properties_that_come_and_go_are_keys_only_where_they_are() -> None:
    reader = FeedReader()
    assert read(feed(entry(NUMBER), entry(prop("B", "x")), entry()), reader) == [{"Id": 1}, {"B": "x"}, {}]
    assert list(reader.columns) == ["Id", "B"]


def test_a_property_that_comes_twice_is_refused() -> None:
    with pytest.raises(VismaContentError, match="row 2 of the feed holds a property twice"):
        read(feed(entry(NUMBER), entry(NUMBER, NUMBER)))


def test_other_prefixes_and_whitespace_and_comments_and_sections_change_nothing() -> None:
    body = f"""\ufeff{DECLARATION}
    <!-- a licence -->
    <a:feed xmlns:a="http://www.w3.org/2005/Atom" xmlns:x="{DATA}"><!-- one -->
      <a:title>t</a:title>
      <a:entry>
        <a:content type="application/xml">
          <properties xmlns="{DATA}/metadata" xmlns:meta="{DATA}/metadata">
            <x:Id meta:type="Edm.Int32"> 1 </x:Id><!-- two -->
            <Name xmlns="{DATA}"><![CDATA[a < b]]> &amp; c<!-- three -->!</Name>
          </properties>
        </a:content>
      </a:entry>
    </a:feed>
    <!-- end -->
    """.encode()
    assert read(body) == [{"Id": 1, "Name": "a < b & c!"}]


def test_values_that_feed_customisation_moved_out_are_no_reason_to_fail() -> None:
    head = ENTRY_HEAD.replace("<title />", '<title type="text">Pleasantville</title>')
    assert read(feed(entry(NUMBER, head=head))) == [{"Id": 1}]
    assert read(feed(f"<entry>{head}</entry>")) == [{}]


def test_a_blog_is_not_taken_for_a_report() -> None:
    with pytest.raises(VismaContentError, match="no properties"):
        read(feed('<entry><title>News</title><content type="text">Words</content></entry>'))


def test_an_entry_alone_is_one_row() -> None:
    body = hours(5).replace("<entry>", f"{DECLARATION}<entry {NAMESPACES}>").encode()
    assert [row["Id"] for row in read(body)] == [5]


@pytest.mark.parametrize(
    ("document", "rows"),
    [
        (f'<d:F xmlns:d="{DATA}" xmlns:m="{DATA}/metadata" m:type="Edm.Int64">1</d:F>', [{"F": 1}]),
        (f'<d:F xmlns:d="{DATA}" xmlns:m="{DATA}/metadata" m:null="true" />', [{"F": None}]),
        (f'<F xmlns="{DATA}">abc</F>', [{"F": "abc"}]),
        (f'<F xmlns="{DATA}" />', []),
        (
            f'<F xmlns="{DATA}"><element>a</element><element>b</element></F>',
            [{"element": "a"}, {"element": "b"}],
        ),
        (f'<F xmlns="{DATA}"><City>Oslo</City></F>', [{"City": "Oslo"}]),
        (f'<F xmlns="{DATA}"><element><City>Oslo</City></element></F>', [{"City": "Oslo"}]),
        (
            f'<F xmlns="{DATA}" xmlns:m="{DATA}/metadata" m:type="Collection(Edm.Int32)"><element>1</element>'
            '<element m:null="true" /></F>',
            [{"element": 1}, {"element": None}],
        ),
        (f'<links xmlns="{DATA}"><uri>u1</uri><uri>u2</uri></links>', [{"uri": "u1"}, {"uri": "u2"}]),
    ],
)
def test_what_a_function_returns_is_rows_too(document: str, rows: list[dict[str, object]]) -> None:
    assert read(document.encode()) == rows


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "iso-8859-1", "windows-1252"])
def test_documents_in_other_encodings_are_read(codec: str) -> None:
    text = (
        feed(*(entry(prop("Name", "Café")) for _ in range(300))).decode().replace('"utf-8"', f'"{codec}"', 1)
    )
    rows = read(text.encode(codec), size=4097)
    assert rows == [{"Name": "Café"}] * 300


def test_utf_8_that_is_declared_as_utf_16_is_read() -> None:
    assert read(feed(entry(prop("Name", "Café"))).replace(b"utf-8", b"utf-16")) == [{"Name": "Café"}]


def test_links_have_pages_too() -> None:
    inside = "<m:count>3</m:count><uri>u</uri><next>?p=2</next>"
    body = f'<links xmlns="{DATA}" xmlns:m="{DATA}/metadata">{inside}</links>'
    reader = FeedReader()
    assert read(body.encode(), reader) == [{"uri": "u"}]
    assert reader.next_link == f"{BASE}?p=2"


def test_a_byte_order_mark_changes_nothing() -> None:
    assert len(read(codecs.BOM_UTF8 + feed(hours()))) == 1


def test_a_service_document_lists_what_there_is() -> None:
    body = f"""{DECLARATION}<service xml:base="https://tenant.example/odata.svc/"
        xmlns="http://www.w3.org/2007/app" xmlns:atom="http://www.w3.org/2005/Atom"><workspace>
        <atom:title>Default</atom:title>
        <collection href="RP1"><atom:title>Hours per week</atom:title></collection>
        <collection href="https://tenant.example/odata.svc/RP%202"><accept /></collection>
        </workspace><workspace><collection href="x/RP3"><atom:title /></collection></workspace></service>"""
    found = read_service_document(body.encode(), base="https://tenant.example/odata.svc")
    assert [(each.name, each.href, each.title) for each in found] == [
        ("RP1", "https://tenant.example/odata.svc/RP1", "Hours per week"),
        ("RP 2", "https://tenant.example/odata.svc/RP%202", "RP 2"),
        ("RP3", "https://tenant.example/odata.svc/x/RP3", "RP3"),
    ]


def test_a_feed_is_no_service_document_and_a_service_document_no_feed() -> None:
    with pytest.raises(VismaContentError, match="not a service document"):
        read_service_document(feed(), base=BASE)
    with pytest.raises(VismaContentError, match="a service document, not a report"):
        read(b'<service xmlns="http://www.w3.org/2007/app" />')
