"""Entries in their plain form are read as the XML parser reads them, and refused where it refuses them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.protocols import odata3
from airflow_provider_visma.protocols.odata3 import FeedReader
from airflow_provider_visma.protocols.odata3_plain import PlainEntries
from tests.unit.protocols.odata3_documents import (
    DATA,
    ENTRY_HEAD,
    NAMESPACES,
    entry,
    feed,
    hours,
    link,
    prop,
    read,
)


def both(body: bytes, size: int = 64 * 1024) -> tuple[Any, Any]:
    """Return what comes of *body* with the plain form and with the XML parser alone."""

    def outcome() -> Any:
        reader = FeedReader()
        try:
            rows = read(body, reader, size=size)
        except VismaError:
            return "refused"
        keys = [list(row) for row in rows]
        return repr(rows), keys, reader.types, reader.blanks, reader.next_link, reader.count, reader.read

    plainly = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(odata3, "begin_plain", lambda parser, first: (None, first))
        return plainly, outcome()


def plain_rows(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], int]:
    """Return what counts the entries of a body that are read in their plain form."""
    found: list[int] = []
    original = PlainEntries.read

    def counted(entries: PlainEntries, text: str, at: int) -> tuple[dict[str, Any], int] | None:
        result = original(entries, text, at)
        found.extend([1] * (result is not None))
        return result

    monkeypatch.setattr(PlainEntries, "read", counted)

    def count(body: bytes) -> int:
        found.clear()
        read(body)
        return len(found)

    return count


def test_a_feed_of_like_entries_is_read_plainly_but_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    count = plain_rows(monkeypatch)
    body = feed(*(hours(number) for number in range(500)), end=link("RP1?p=2"))
    assert count(body) == 499
    assert count(body.replace(b"><", b">\r\n  <")) == 499
    plainly, parsed = both(body)
    assert plainly == parsed


def test_a_column_that_was_null_at_first_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    count = plain_rows(monkeypatch)
    nulls = [entry(prop("A", null=True), prop("B", "1", "Edm.Int32")) for _ in range(10)]
    values = [entry(prop("A", "2", "Edm.Int32"), prop("B", "1", "Edm.Int32")) for _ in range(10)]
    body = feed(*nulls, *values, *nulls)
    assert count(body) == 28
    plainly, parsed = both(body)
    assert plainly == parsed


def test_properties_that_come_and_go_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    count = plain_rows(monkeypatch)
    forms = [
        entry(prop("A", "x")),
        entry(prop("A", "x"), prop("C", "y")),
        entry(prop("B", "z"), prop("C", "y")),
    ]
    body = feed(*(forms[number % 3] for number in range(90)))
    assert count(body) >= 86
    plainly, parsed = both(body)
    assert plainly == parsed


def test_texts_that_ask_to_keep_their_spaces_are_read_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    count = plain_rows(monkeypatch)
    kept = '<d:A xml:space="preserve"> x</d:A>'
    body = feed(*(entry(kept if number % 2 else prop("A", "y")) for number in range(90)))
    assert count(body) == 89
    plainly, parsed = both(body)
    assert plainly == parsed


# One text a word; what words cannot hold comes after.
_TEXTS = """
x 1 -2 1.5 true AQID 2026-01-02T03:04:05 PT1H 1_0 &amp; &lt;b&gt; &quot; &#10; &#13; &#x9; &#128; &#1; &nbsp;
& é ]]> > ' " < <!--c--> <![CDATA[<]]> <?pi?> <d:In>1</d:In> </d:A> </entry> <entry> error </m:properties>
<m:properties>
"""
TEXTS = st.sampled_from(
    [*_TEXTS.split(), "", " ", "a b", "\n", "\t", "\r", "\r\n", "\ufffe", "\x01", "\x7f", "\x85"]
)
_TYPES = """
Edm.String Edm.Int32 Edm.Int64 Edm.Decimal Edm.Double Edm.Boolean Edm.DateTime Edm.Time Edm.Binary Edm.Guid
Edm.Odd Orbit.Odd Collection(Edm.Int32)
"""
TYPES = st.sampled_from([None, None, *_TYPES.split()])


@st.composite
def properties(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from("AABC"))
    type_name = draw(TYPES)
    typed = f' m:type="{type_name}"' if type_name else ""
    text = draw(TEXTS)
    usual = f"<d:{name}{typed}>{text}</d:{name}>"
    unusual = [
        f'<d:{name}{typed} m:null="true" />',
        f'<d:{name} m:null="true"/>',
        f"<d:{name}{typed} />",
        f'<d:{name} m:null="true"{typed}></d:{name}>',
        f'<d:{name}{typed} m:null="true">{text}</d:{name}>',
        f"<d:{name}{typed} m:null='true' />",
        f'<d:{name}{typed} m:null="false" />',
        f"<{name}>{text}</{name}>",
        f'<d:{name} xml:space="preserve"{typed}>{text}</d:{name}>',
        f'<d:{name} xml:space="preserve" m:null="true" />',
        f'<d:{name} xml:space="preserve" />',
    ]
    return draw(st.sampled_from([usual] * 4 + unusual))


HEADS = st.sampled_from(
    [ENTRY_HEAD] * 4
    + [
        ENTRY_HEAD.replace("<title />", '<title type="text">T &amp; T</title>'),
        f'{ENTRY_HEAD}<link rel="{DATA}/related/L" href="L" />',
        f'{ENTRY_HEAD}<link rel="{DATA}/related/L" href="L"><m:inline>{hours(1)}</m:inline></link>',
        f'{ENTRY_HEAD}<link rel="{DATA}/related/L" href="L"><m:inline /></link>',
        f'{ENTRY_HEAD}<link rel="a" rel="b" />',
        f'{ENTRY_HEAD}<link rel="&bad;" />',
        "<id xmlns:m='urn:x'>1</id>",
        "",
    ]
)


@st.composite
def entries(draw: st.DrawFn) -> str:
    inside = [draw(properties()) for _ in range(draw(st.integers(0, 3)))]
    more = draw(st.sampled_from(["", "", "", "<x />", "</content>"]))
    return draw(st.sampled_from([" ", ""])) + entry(*inside, head=draw(HEADS), more=more)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(entries(), min_size=1, max_size=4),
    st.lists(st.integers(0, 3), min_size=1, max_size=12),
    st.sampled_from(["", "", link("p2"), "<m:count>5</m:count>", "x", "</feed>", "<!-- e -->"]),
    st.sampled_from([64 * 1024, 50]),
)
def test_the_plain_form_changes_nothing(forms: list[str], order: list[int], end: str, size: int) -> None:
    plainly, parsed = both(feed(*(forms[number % len(forms)] for number in order), end=end), size)
    assert plainly == parsed


def test_the_plain_form_accepts_no_damage_that_the_parser_refuses() -> None:
    chance = random.Random(20260101)
    tight = feed(*(hours(number) for number in range(6)), end=link("p2")).decode()
    spaced = tight.replace("><", ">\r\n  <")
    marks = [
        "<",
        ">",
        "/",
        "&",
        '"',
        "'",
        " ",
        "x",
        "\r",
        "!",
        "?",
        "=",
        ":",
        "\x00",
        "\x0b",
        "é",
        "]]>",
        "&#0;",
    ]
    for _ in range(2000):
        text = chance.choice([tight, spaced])
        for _ in range(chance.randint(1, 2)):
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(["", *marks]) + text[at + chance.randint(0, 2) :]
        plainly, parsed = both(text.encode())
        assert plainly == parsed, text


def test_a_namespace_that_lxml_does_not_write_is_left_to_the_parser() -> None:
    opening = f'<feed {NAMESPACES} xmlns:x="a b">'
    assert both(feed(hours(1), hours(2), opening=opening)) == ("refused", "refused")


def test_long_entries_are_read_past_the_plain_form() -> None:
    body = feed(*(entry(prop("A", "x" * (300_000 if number == 3 else 10))) for number in range(9)))
    plainly, parsed = both(body)
    assert plainly == parsed
    assert plainly != "refused"


def test_no_piece_boundary_changes_what_is_read() -> None:
    body = feed(*(entry(prop("A", f"é{number}&amp;")) for number in range(400)))
    wanted = [{"A": f"é{number}&"} for number in range(400)]
    for size in range(65536 - 40, 65536 + 40):
        assert read(body, size=size) == wanted
