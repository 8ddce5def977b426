"""Orbit's reporting server: a service document, metadata, and a feed for each report.

One request runs through: faults, name and password, versions, options; each may end it with an error, and
only then does a feed begin. The password is compared and forgotten: neither journal nor log ever sees it.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from codecs import getincrementalencoder
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from aiohttp import web

from visma_sandbox.exchange import Exchange
from visma_sandbox.orbit_reporting import documents, query
from visma_sandbox.orbit_reporting.access import Refusal, accepts_gzip, accepts_xml, is_authorized, version_in
from visma_sandbox.orbit_reporting.catalogue import Catalogue
from visma_sandbox.orbit_reporting.columns import View
from visma_sandbox.orbit_reporting.edm import UnknownTypeError
from visma_sandbox.orbit_reporting.feed import Feed
from visma_sandbox.orbit_reporting.feed_form import Form, UnknownFormError
from visma_sandbox.orbit_reporting.reports import ALPHABET, Report
from visma_sandbox.text_answers import send_text

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

SYSTEM: Final = "orbit_reporting"
FAULT_KINDS: Final = frozenset(
    {
        "m_error",
        "m_error_in_stream",
        "foreign_next_link",
        "circular_next_link",
        "bad_value",
        "other_document",
    }
)
SETTINGS: Final[Mapping[str, Any]] = {
    # Rows of the long reports, as one number or by report id; 0 is so many for every employee.
    "orbit_report_rows": 0,
    # The report with a column of every type and the edges of each.
    "orbit_report_every_type": False,
    # Reports (ids, shell patterns) that were removed, and those that the user may not see.
    "orbit_report_removed": [],
    "orbit_report_denied": [],
    # By report id, by column: None (gone), or {"type", "value", "rename", "from_row"}.
    "orbit_report_columns": {},
    # Whether there is a service document, and $metadata; a 404 otherwise.
    "orbit_report_service_document": True,
    "orbit_report_metadata": True,
    # Entries of a page; 0 sends the whole feed in one answer.
    "orbit_report_page_size": 0,
    # Whether a full page always promises another one, so that the last is empty.
    "orbit_report_empty_last_page": False,
    # Addresses in feeds and service document: "relative", "rooted" (/odata.svc/…) or "absolute".
    "orbit_report_links": "relative",
    # $top, $skip, $filter and the others: "ignored", "refused" or "served".
    "orbit_report_options": "ignored",
    # Names of feed_form.LOOSE, and one of feed_form.DATETIME_FORMS.
    "orbit_report_form": [],
    "orbit_report_datetime": "plain",
    # Of a feed: "utf-8", "utf-16" or "iso-8859-1", which writes other characters as references.
    "orbit_report_encoding": "utf-8",
    # DataServiceVersion of an answer; None as the document needs it ("1.0;"), empty for no header.
    "orbit_report_version": None,
    # Content-Type of a feed.
    "orbit_report_content_type": "application/atom+xml;type=feed;charset=utf-8",
    # Whether an Accept header without Atom or XML is a 406.
    "orbit_report_accept_strict": False,
    # What says an error: "html", "m_error", or "error" in the default namespace.
    "orbit_report_errors": "html",
    # Whether a client that accepts gzip gets it.
    "orbit_report_gzip": False,
}
_ID: Final = re.compile(f"RP[{ALPHABET}]{{13}}")
_ROOT: Final = "/odata.svc"


@dataclass(frozen=True, slots=True)
class _Document:
    """What a request is answered with."""

    texts: Iterable[str]
    content_type: str
    version: str = "1.0;"
    encoding: str = "utf-8"


def service_routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The service, and what the control endpoint offers for it alone."""
    service = _Service(sandbox)
    sandbox.counts[SYSTEM] = service.catalogue.counts
    return [
        web.get(_ROOT, service.describe, allow_head=False),
        web.get(f"{_ROOT}/", service.describe, allow_head=False),
        web.get(f"{_ROOT}/$metadata", service.metadata, allow_head=False),
        web.get(f"{_ROOT}/{{report}}", service.report, allow_head=False),
        web.get(f"{_ROOT}/{{beyond:.*}}", service.nowhere, allow_head=False),
        web.get("/_control/orbit_reporting/rows/{report}", service.list_rows),
    ]


class _Service:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.catalogue = Catalogue(sandbox)

    async def list_rows(self, request: web.Request) -> web.Response:
        """Rows as values on the wire: the sandbox's own account of what a report says."""
        report = self.catalogue.any(request.match_info["report"])
        if report is None:
            raise web.HTTPNotFound
        skip, top = int(request.query.get("skip", 0)), int(request.query.get("top", 1000))
        return web.json_response(list(self.catalogue.rows(report, skip=skip, top=top)))

    async def describe(self, request: web.Request) -> web.StreamResponse:
        """The service document."""
        return await self._answer(request, "service_document", self._service_document)

    async def metadata(self, request: web.Request) -> web.StreamResponse:
        """The EDMX."""
        return await self._answer(request, "metadata", self._metadata)

    async def report(self, request: web.Request) -> web.StreamResponse:
        """A feed."""
        name = request.match_info["report"]
        return await self._answer(request, name if _ID.fullmatch(name) else "unknown", self._feed)

    async def nowhere(self, request: web.Request) -> web.StreamResponse:
        """What is beyond a report: entries, counts and the like, which the sandbox has not."""

        def make(exchange: Exchange) -> _Document:
            raise Refusal(404, "Not found.")

        return await self._answer(request, "unknown", make)

    async def _answer(
        self, request: web.Request, operation: str, make: Callable[[Exchange], _Document]
    ) -> web.StreamResponse:
        note = {
            "options": sorted(request.query),
            "max_version": request.headers.get("MaxDataServiceVersion"),
            "version": request.headers.get("DataServiceVersion"),
        }
        exchange = await self._sandbox.begin(request, system=SYSTEM, operation=operation, note=note)
        try:
            self._check(request, exchange)
            self._injected(exchange)
            document = make(exchange)
            if exchange.fault is not None and exchange.fault_is("other_document"):
                return await self._send_other(exchange, str(exchange.fault.args.get("document", "v4_atom")))
        except Refusal as refusal:
            return await self._refuse(exchange, refusal)
        except (UnknownFormError, UnknownTypeError) as wrong:  # of a switch or a fault, not of the request
            return await exchange.respond(web.Response(status=500, text=f"told to the sandbox: {wrong}"))
        return await self._send(exchange, document)

    def _service_document(self, exchange: Exchange) -> _Document:
        if not self._sandbox.settings["orbit_report_service_document"]:
            raise Refusal(404, "Not found.")
        request, form = exchange.request, self._form()
        listed = ((self._address(request, each.id), each.title) for each in self.catalogue.visible())
        body = documents.service_document(listed, _base(request) + form.base_below)
        return _Document([body], "application/atomsvc+xml;charset=utf-8")

    def _metadata(self, exchange: Exchange) -> _Document:
        if not self._sandbox.settings["orbit_report_metadata"]:
            raise Refusal(404, "Not found.")
        served = {each.id: self.catalogue.views(each)[-1] for each in self.catalogue.visible()}
        columns = {name: [each.column for each in view.columns] for name, view in served.items()}
        return _Document([documents.metadata(columns)], "application/xml;charset=utf-8")

    def _check(self, request: web.Request, exchange: Exchange) -> None:
        exchange.entry.authorized = is_authorized(request.headers.get("Authorization", ""))
        if not exchange.entry.authorized:
            raise Refusal(401, "Sign in with name and password.")
        if self._sandbox.settings["orbit_report_accept_strict"] and not accepts_xml(request):
            raise Refusal(406, "Unsupported media type requested.")
        for name in ("MaxDataServiceVersion", "DataServiceVersion"):
            version_in(request.headers.get(name), name)

    def _injected(self, exchange: Exchange) -> None:
        if exchange.fault is not None and exchange.fault_is("m_error"):
            args = exchange.fault.args
            raise Refusal(int(args.get("status", 500)), str(args.get("message", "An error occurred.")))

    def _feed(self, exchange: Exchange) -> _Document:
        settings, request = self._sandbox.settings, exchange.request
        report = self.catalogue.find(request.match_info["report"])
        try:
            wishes = query.read(request.query, report, settings["orbit_report_options"])
            page = query.page(
                report,
                wishes,
                size=int(settings["orbit_report_page_size"]),
                empty_last=bool(settings["orbit_report_empty_last_page"]),
            )
        except query.BadOptionError as refused:
            raise Refusal(refused.status, str(refused)) from None
        served = self.catalogue.views(report, wishes.select)
        version = _needed(served, counted=page.count is not None)
        wanted = version_in(request.headers.get("MaxDataServiceVersion"), "MaxDataServiceVersion")
        if wanted is not None and wanted < version:
            raise Refusal(400, f"Request version '{wanted[0]}.{wanted[1]}' is too low for the response.")
        link = None
        if page.following is not None:
            options = {**wishes.given, "$skiptoken": str(page.following)}
            link = f"{self._address(request, report.id)}?{_encoded(options)}"
        feed = Feed(
            report=report,
            views=served,
            rows=page.rows,
            base=_base(request),
            updated=f"{datetime.fromtimestamp(self._sandbox.clock(), UTC):%Y-%m-%dT%H:%M:%SZ}",
            form=self._form(),
            count=page.count,
            next_link=self._next_link(exchange, report, link),
            **_damage(exchange, served),
        )
        encoding = feed.form.encoding
        content_type = str(settings["orbit_report_content_type"]).replace("utf-8", encoding)
        return _Document(feed.texts(), content_type, f"{version[0]}.{version[1]};", encoding)

    def _form(self) -> Form:
        settings = self._sandbox.settings
        return Form.of(
            settings["orbit_report_form"],
            datetime=settings["orbit_report_datetime"],
            encoding=settings["orbit_report_encoding"],
        )

    def _next_link(self, exchange: Exchange, report: Report, link: str | None) -> str | None:
        if exchange.fault is None:
            return link
        args = exchange.fault.args
        if exchange.fault_is("foreign_next_link"):
            return str(args.get("url", f"https://odata.example.com{_ROOT}/{report.id}?$skiptoken=1"))
        if exchange.fault_is("circular_next_link"):
            first = self._address(exchange.request, report.id)
            return first if args.get("to", "self") == "first" else exchange.request.path_qs
        return link

    def _address(self, request: web.Request, name: str) -> str:
        match self._sandbox.settings["orbit_report_links"]:
            case "absolute":
                return f"{_base(request)}{name}"
            case "rooted":
                return f"{_ROOT}/{name}"
            case "relative":
                return f"{self._form().up}{name}"
            case other:
                raise UnknownFormError(f"links are not {other}")

    async def _send(self, exchange: Exchange, document: _Document) -> web.StreamResponse:
        said = self._sandbox.settings["orbit_report_version"]
        headers = {"Content-Type": document.content_type, "Cache-Control": "no-cache"}
        if said != "":
            headers["DataServiceVersion"] = document.version if said is None else str(said)
        packed = bool(self._sandbox.settings["orbit_report_gzip"]) and accepts_gzip(exchange.request)
        if packed:
            headers["Content-Encoding"] = "gzip"
        if packed or document.encoding != "utf-8":
            return await exchange.stream(_pieces(document, packed=packed), headers=headers)
        return await send_text(exchange, document.texts, headers=headers)

    async def _send_other(self, exchange: Exchange, kind: str) -> web.StreamResponse:
        name = exchange.request.match_info.get("report", "Reports")
        body, content_type = documents.other_document(kind, _base(exchange.request), name)
        headers = {"Content-Type": content_type}
        headers |= {"OData-Version": "4.0"} if kind.startswith("v4") else {"DataServiceVersion": "1.0;"}
        return await exchange.respond(web.Response(body=body.encode(), headers=headers))

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> web.StreamResponse:
        headers = {"WWW-Authenticate": 'Basic realm="Orbit"'} if refusal.status == 401 else {}
        form = self._sandbox.settings["orbit_report_errors"]
        code = ""
        if exchange.fault is not None and exchange.fault_is("m_error"):
            form = str(exchange.fault.args.get("form", "m_error"))
            code = str(exchange.fault.args.get("code", ""))
        if form == "html":
            body = documents.error_page(refusal.status, str(refusal))
            headers["Content-Type"] = "text/html; charset=utf-8"
        else:
            prefix = {"m_error": "m:", "error": ""}[form]
            body = '<?xml version="1.0" encoding="utf-8"?>'
            body += documents.error_element(code, str(refusal), prefix=prefix)
            headers |= {"Content-Type": "application/xml; charset=utf-8", "DataServiceVersion": "1.0;"}
        return await exchange.respond(
            web.Response(status=refusal.status, body=body.encode(), headers=headers)
        )


def _base(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}{_ROOT}/"


def _encoded(options: Mapping[str, str]) -> str:
    return "&".join(f"{name}={quote(text, safe='')}" for name, text in options.items())


def _needed(served: list[View], *, counted: bool) -> tuple[int, int]:
    """The lowest version that can say this: collections came with 3.0, counts with 2.0."""
    if any(each.column.element_type for view in served for each in view.columns):
        return 3, 0
    return (2, 0) if counted else (1, 0)


def _damage(exchange: Exchange, served: list[View]) -> dict[str, Any]:
    """What a fault does to the feed itself."""
    if exchange.fault is None:
        return {}
    args = exchange.fault.args
    if exchange.fault_is("m_error_in_stream"):
        return {"breaks_after": int(args.get("after_entries", 3)), "error": args}
    if exchange.fault_is("bad_value"):
        names = {each.column.name for view in served for each in view.columns}
        if args.get("column", min(names)) not in names:
            raise UnknownTypeError(f"no column is called {args['column']}")
        return {"spoilt": args}
    return {}


async def _pieces(document: _Document, *, packed: bool) -> AsyncIterator[bytes]:
    """The body in pieces, for what is not just UTF-8."""
    encoder = getincrementalencoder(document.encoding)("xmlcharrefreplace")
    packer = zlib.compressobj(wbits=31)
    waiting = b""
    for text in document.texts:
        body = encoder.encode(text)
        waiting += packer.compress(body) if packed else body
        if len(waiting) > 1 << 16:
            await asyncio.sleep(0)  # others want to be answered meanwhile
            yield waiting
            waiting = b""
    yield waiting + (packer.flush() if packed else b"")
