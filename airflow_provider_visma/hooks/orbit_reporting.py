"""Teamleader Orbit's reporting feeds (OData 3 in Atom), from an Airflow connection.

One plain GET per page is all that is asked of the server; what else it can do is used only where it shows it.
A feed that breaks off, or reports an error half-way, never looks like a short one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import tenacity
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_visma.exceptions import (
    VismaConnectionConfigError,
    VismaContentError,
    VismaError,
    VismaRequestError,
)
from airflow_provider_visma.hooks._connection import ConnectionSettings
from airflow_provider_visma.hooks._orbit_address import ReportService, is_report_id
from airflow_provider_visma.hooks._retrying import retrying
from airflow_provider_visma.protocols.http import HttpLimits

if TYPE_CHECKING:
    from airflow_provider_visma.hooks._orbit_answers import OrbitAnswers
    from airflow_provider_visma.protocols.odata3 import Collection, FeedReader

_SYSTEM = "Teamleader Orbit"
_TEST_LIMITS = HttpLimits(connect=5.0, read=15.0, total=30.0)
_LARGEST_SERVICE_DOCUMENT = 16 * 1024 * 1024
_LONGEST_NAME = 200

# Reports are computed when they are asked for.
_TIMEOUT = 300

# What a server says that has no service document, or none in this form.
_NO_SERVICE_DOCUMENT = ("HTTP 400", "HTTP 404", "HTTP 405", "HTTP 406", "HTTP 410", "HTTP 501")


class OrbitReportingHook(BaseHook):
    """Lists a tenant's reports and streams their rows.

    One hook may be used by several threads.

    :param orbit_reporting_conn_id: a connection of type ``teamleader_orbit_reporting``.
    :param sleep: waits for seconds between attempts.
    """

    conn_name_attr = "orbit_reporting_conn_id"
    default_conn_name = "teamleader_orbit_reporting_default"
    conn_type = "teamleader_orbit_reporting"
    hook_name = "Teamleader Orbit reporting"

    def __init__(
        self,
        orbit_reporting_conn_id: str = default_conn_name,
        *,
        sleep: Callable[[float], None] = tenacity.nap.sleep,
    ) -> None:
        super().__init__()
        self.orbit_reporting_conn_id = orbit_reporting_conn_id
        self._sleep = sleep
        self._limits: HttpLimits | None = None
        self._attempts = 3

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection, checked."""
        settings = ConnectionSettings.read(self.get_connection(self.orbit_reporting_conn_id), system=_SYSTEM)
        settings.required(user_name=settings.login, password=settings.password)
        if ":" in (settings.login or ""):
            raise VismaConnectionConfigError(
                "the connection's user name holds a colon, which HTTP cannot send",
                system=_SYSTEM,
                conn_id=settings.conn_id,
            )
        mask_secret(settings.password)
        return settings

    @cached_property
    def service(self) -> ReportService:
        """The tenant and the address of its reports."""
        return ReportService.of(self.settings)

    def reports(self) -> list[Collection] | None:
        """Return the reports that the service document lists, None where the server has no such document.

        Without one nothing is wrong: Orbit shows the id of each report to the user who made it.
        """
        from airflow_provider_visma.hooks._orbit_answers import SERVICE_DOCUMENT
        from airflow_provider_visma.protocols.odata3 import read_service_document

        base = f"{self.service.address}/"

        def read(url: str) -> list[Collection]:
            with self._answers.pieces(
                url, accept=SERVICE_DOCUMENT, max_bytes=_LARGEST_SERVICE_DOCUMENT
            ) as pieces:
                return read_service_document(b"".join(pieces), base=base)

        with self._named("service document"):
            for url in (base, self.service.address):
                try:
                    return self._retrying()(lambda url=url: read(url))
                except VismaError as error:
                    if (error.code or "")[:8] not in _NO_SERVICE_DOCUMENT:
                        raise
        return None

    def rows(
        self,
        report: str,
        *,
        query: Mapping[str, Any] | None = None,
        reader: FeedReader | None = None,
    ) -> Generator[dict[str, Any]]:
        """Yield the rows of a report while they come in, over all of its pages.

        A null is there with None; what a row lacks is no key of it. A page that fails for a passing reason is
        asked for again as long as none of its rows was handed out; after that it is an error. Stage what you
        read.

        :param report: its id, ``RP`` and 13 characters, or another name that the service document lists.
        :param query: options of OData, such as ``{"$filter": "Hours gt 8"}``. A server that does not know
            them may ignore them without a word.
        :param reader: knows the columns met so far, while reading and after it; used for one report only.
        :raises VismaNotFoundError: there is no such report.
        """
        from airflow_provider_visma.protocols.odata3 import FeedReader, follow

        reading = reader or FeedReader()

        def page(url: str) -> Iterator[dict[str, Any]]:
            # From the second page on, whatever went wrong before its first row is as harmless.
            rows, first = self._retrying()(lambda: self._begin(url, reading))
            with closing(rows):
                if first is not None:
                    yield first
                    yield from rows

        address = self.address(report)
        if query:
            address += f"?{urlencode(query, quote_via=quote, safe='$')}"
        with self._named(f"report {report[:_LONGEST_NAME]}"):
            yield from follow(address, reading, page)

    def columns(self, report: str, *, sample: int = 1000) -> dict[str, str]:
        """Return the columns of a report with their kinds, from its first rows.

        The feed itself is asked, because nothing else can be relied on; it is let go after the sample. A
        column that has a value only further on is not seen, and nothing at all of a report without rows.

        :param sample: how many rows to look at.
        """
        from airflow_provider_visma.protocols.odata3 import FeedReader

        reader = FeedReader()
        with closing(self.rows(report, reader=reader)) as rows:
            for _ in islice(rows, sample):
                pass
        return reader.columns

    def address(self, report: str) -> str:
        """Return where the feed of a report is.

        :raises VismaRequestError: it is no report's id, and the service document does not list it.
        """
        from airflow_provider_visma.protocols.odata3_pages import checked_next

        if is_report_id(report):
            return f"{self.service.address}/{report}"
        listed = next((each for each in self.reports() or () if each.name == report), None)
        with self._named(f"report {report[:_LONGEST_NAME]}"):
            if listed is None:
                raise VismaRequestError(
                    "this is no report's id, and the service document lists nothing of that name",
                    advice="An id is RP and 13 more of 123456789ABCDEFGHJKMNPQRSTUVWXYZ.",
                )
            try:
                return checked_next(self.service.address, listed.href)
            except VismaContentError:
                raise VismaContentError(
                    "the service document says that the report is on another host",
                    advice="The name and password of this connection are not sent there.",
                ) from None

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the service document, for Airflow's connection form."""
        impatient = OrbitReportingHook(self.orbit_reporting_conn_id)
        impatient._limits, impatient._attempts = _TEST_LIMITS, 1
        try:
            found = impatient.reports()
        except VismaError as error:
            return False, str(error)
        address = impatient.service.address
        if found is None:
            return True, (
                f"{address} answers, and has no service document that would list its reports. So nothing is"
                " known of the user name and password until a report is read by its id."
            )
        return True, f"{address} accepts the user name and password, and lists {len(found)} reports."

    def _begin(self, url: str, reader: FeedReader) -> tuple[Generator[dict[str, Any]], dict[str, Any] | None]:
        """Ask for a page; return its rows from the second on, and the first."""
        rows = self._page(url, reader)
        return rows, next(rows, None)

    def _page(self, url: str, reader: FeedReader) -> Generator[dict[str, Any]]:
        with self._answers.pieces(url) as pieces:
            yield from reader.rows(pieces, base=url)

    @contextmanager
    def _named(self, operation: str) -> Iterator[None]:
        """Say in an error where it happened."""
        try:
            yield
        except VismaError as error:
            error.system, error.conn_id = _SYSTEM, self.orbit_reporting_conn_id
            error.operation = operation
            raise

    @cached_property
    def _answers(self) -> OrbitAnswers:
        # Imported here: requests and lxml are not needed where a DAG is parsed.
        from airflow_provider_visma.hooks._orbit_answers import REPORT_LIMITS, OrbitAnswers

        timeout = float(self.settings.positive_int("timeout", _TIMEOUT))
        return OrbitAnswers(
            self.settings,
            session=self.settings.requests_session(),
            limits=self._limits or replace(REPORT_LIMITS, read=timeout),
        )

    def _retrying(self) -> tenacity.Retrying:
        return retrying(attempts=self._attempts, sleep=self._sleep)
