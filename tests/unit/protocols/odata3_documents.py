"""Atom documents of OData v1 to v3, whole and spoilt, and what the reader makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_visma.protocols.odata3 import FeedReader

BASE = "https://tenant.example/odata.svc/RP1"
DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
DATA = "http://schemas.microsoft.com/ado/2007/08/dataservices"
NAMESPACES = f'xmlns="http://www.w3.org/2005/Atom" xmlns:d="{DATA}" xmlns:m="{DATA}/metadata"'
OPENING = (
    f'<feed xml:base="https://tenant.example/odata.svc/" {NAMESPACES}><title type="text">Hours</title>'
    "<id>https://tenant.example/odata.svc/RP1</id><updated>2026-01-02T03:04:05Z</updated>"
    '<link rel="self" title="Hours" href="RP1" />'
)
ENTRY_HEAD = (
    "<id>https://tenant.example/odata.svc/RP1(1)</id>"
    f'<category term="Orbit.Hours" scheme="{DATA}/scheme" /><title />'
    "<updated>2026-01-02T03:04:05Z</updated><author><name /></author>"
)


def prop(name: str, text: str = "", type_name: str | None = None, *, null: bool = False) -> str:
    attributes = (f' m:type="{type_name}"' if type_name else "") + (' m:null="true"' if null else "")
    return f"<d:{name}{attributes}>{text}</d:{name}>" if text or not null else f"<d:{name}{attributes} />"


def entry(*properties: str, head: str = ENTRY_HEAD, more: str = "") -> str:
    inside = f"<m:properties>{''.join(properties)}</m:properties>"
    return f'<entry>{head}<content type="application/xml">{inside}</content>{more}</entry>'


def hours(number: int = 1) -> str:
    return entry(
        prop("Id", str(number), "Edm.Int32"),
        prop("Employee", "Testpersoon"),
        prop("Hours", f"{number % 9}.25", "Edm.Decimal"),
        prop("Day", "2026-01-02T00:00:00", "Edm.DateTime"),
        prop("Remark", null=True),
    )


def feed(*entries: str, opening: str = OPENING, end: str = "", declaration: str = DECLARATION) -> bytes:
    return f"{declaration}{opening}{''.join(entries)}{end}</feed>".encode()


def link(href: str, rel: str = "next") -> str:
    return f'<link rel="{rel}" href="{href}" />'


def pieces(body: bytes, size: int = 64 * 1024) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


def read(body: bytes, reader: FeedReader | None = None, *, size: int = 64 * 1024) -> list[dict[str, Any]]:
    return list((reader or FeedReader()).rows(pieces(body, size), base=BASE))
