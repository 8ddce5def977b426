"""What is no feed: the service document, $metadata, errors, and documents of other versions and kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from visma_sandbox.orbit_reporting.edm import COMPLEX_TYPES, NAMESPACE, Column
from visma_sandbox.orbit_reporting.feed_form import (
    ATOM_NAMESPACE,
    DATA_NAMESPACE,
    METADATA_NAMESPACE,
    UnknownFormError,
    escaped,
)

APP_NAMESPACE: Final = "http://www.w3.org/2007/app"
EDMX_NAMESPACE: Final = "http://schemas.microsoft.com/ado/2007/06/edmx"
EDM_NAMESPACE: Final = "http://schemas.microsoft.com/ado/2009/11/edm"
_V4: Final = "http://docs.oasis-open.org/odata/ns"
_DECLARATION: Final = '<?xml version="1.0" encoding="utf-8"?>'


def service_document(collections: Iterable[tuple[str, str]], base: str) -> str:
    """The reports there are.

    :param collections: address and title of each.
    """
    listed = "".join(
        f'<collection href="{escaped(href)}"><atom:title>{escaped(title)}</atom:title></collection>'
        for href, title in collections
    )
    return (
        f'{_DECLARATION}<service xml:base="{escaped(base)}" xmlns="{APP_NAMESPACE}"'
        f' xmlns:atom="{ATOM_NAMESPACE}">'
        f"<workspace><atom:title>Default</atom:title>{listed}</workspace></service>"
    )


def metadata(reports: Mapping[str, Sequence[Column]]) -> str:
    """The EDMX of the reports, by id; the first column of each is its key."""
    types = "".join(
        f'<EntityType Name="{name}"><Key><PropertyRef Name="{escaped(columns[0].name)}" /></Key>'
        f"{_properties(columns)}</EntityType>"
        for name, columns in reports.items()
    )
    complex_types = "".join(
        f'<ComplexType Name="{name.rpartition(".")[2]}">{_properties(members)}</ComplexType>'
        for name, members in COMPLEX_TYPES.items()
    )
    sets = "".join(f'<EntitySet Name="{name}" EntityType="{NAMESPACE}.{name}" />' for name in reports)
    return (
        f'{_DECLARATION}<edmx:Edmx Version="1.0" xmlns:edmx="{EDMX_NAMESPACE}">'
        f'<edmx:DataServices m:DataServiceVersion="3.0" m:MaxDataServiceVersion="3.0"'
        f' xmlns:m="{METADATA_NAMESPACE}">'
        f'<Schema Namespace="{NAMESPACE}" xmlns="{EDM_NAMESPACE}">{types}{complex_types}'
        f'<EntityContainer Name="Reports" m:IsDefaultEntityContainer="true">{sets}</EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    )


def _properties(columns: Iterable[Column]) -> str:
    required = {True: "", False: ' Nullable="false"'}
    return "".join(
        f'<Property Name="{escaped(each.name)}" Type="{each.type}"{required[each.nullable]} />'
        for each in columns
    )


def error_element(code: str, message: str, *, prefix: str = "m:") -> str:
    """An error that binds its own prefix; without one it is in the default namespace."""
    space = f"xmlns:{prefix[:-1]}" if prefix else "xmlns"
    return (
        f'<{prefix}error {space}="{METADATA_NAMESPACE}"><{prefix}code>{escaped(code)}</{prefix}code>'
        f'<{prefix}message xml:lang="en-US">{escaped(message)}</{prefix}message></{prefix}error>'
    )


def error_page(status: int, message: str) -> str:
    """What Orbit's web server says of an error: a page."""
    title = f"{status} {HTTPStatus(status).phrase}"
    return (
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1>"
        f"<p>{escaped(message)}</p><hr>Teamleader Orbit</body></html>\n"
    )


def other_document(kind: str, base: str, report_id: str) -> tuple[str, str]:
    """A document that is no feed of version 3, with its content type.

    :param kind: ``v4_atom``, ``v4_json``, ``json``, ``entry``, ``property``, ``service_document``,
        ``metadata`` or ``rss``.
    :raises UnknownFormError: for any other.
    """
    if kind not in _OTHERS:
        raise UnknownFormError(f"no document is called {kind}")
    content_type, make = _OTHERS[kind]
    return make(base, report_id), content_type


def _v4_atom(base: str, report_id: str) -> str:
    return (
        f'{_DECLARATION}<feed xml:base="{base}" xmlns="{ATOM_NAMESPACE}" xmlns:d="{_V4}/data"'
        f' xmlns:m="{_V4}/metadata" m:context="{base}$metadata#{report_id}"><id>{base}{report_id}</id>'
        '<title /><entry><content type="application/xml"><m:properties><d:RowID m:type="Int64">1</d:RowID>'
        "</m:properties></content></entry></feed>"
    )


def _entry(base: str, report_id: str) -> str:
    return (
        f'{_DECLARATION}<entry xmlns="{ATOM_NAMESPACE}" xmlns:d="{DATA_NAMESPACE}"'
        f' xmlns:m="{METADATA_NAMESPACE}">'
        f'<id>{base}{report_id}(1)</id><content type="application/xml"><m:properties>'
        '<d:RowID m:type="Edm.Int64">1</d:RowID></m:properties></content></entry>'
    )


_OTHERS: Final[Mapping[str, tuple[str, Callable[[str, str], str]]]] = {
    "v4_atom": ("application/atom+xml;type=feed;charset=utf-8", _v4_atom),
    "v4_json": (
        "application/json;odata.metadata=minimal",
        lambda base, name: f'{{"@odata.context":"{base}$metadata#{name}","value":[{{"RowID":1}}]}}',
    ),
    "json": ("application/json;charset=utf-8", lambda base, name: '{"d":{"results":[{"RowID":"1"}]}}'),
    "entry": ("application/atom+xml;type=entry;charset=utf-8", _entry),
    "property": (
        "application/xml;charset=utf-8",
        lambda base, name: f'{_DECLARATION}<d:RowID xmlns:d="{DATA_NAMESPACE}">1</d:RowID>',
    ),
    "service_document": (
        "application/atomsvc+xml;charset=utf-8",
        lambda base, name: service_document([(name, name)], base),
    ),
    "metadata": ("application/xml;charset=utf-8", lambda base, name: metadata({name: [Column("RowID")]})),
    "rss": (
        "application/rss+xml",
        lambda base, name: f'{_DECLARATION}<rss version="2.0"><channel><title>{name}</title></channel></rss>',
    ),
}
