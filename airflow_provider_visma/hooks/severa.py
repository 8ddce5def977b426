"""Visma Severa's SOAP API, from an Airflow connection.

Reading may be repeated and is; what writes is sent once. The API key is in the SOAP header of a request
and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import tenacity
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_visma.exceptions import (
    VismaError,
    VismaNotFoundError,
    VismaRequestError,
)
from airflow_provider_visma.hooks._connection import ConnectionSettings
from airflow_provider_visma.hooks._retrying import retrying
from airflow_provider_visma.hooks._severa_faults import NOT_FOUND
from airflow_provider_visma.hooks._severa_paging import PAGED, all_pages
from airflow_provider_visma.hooks._severa_quota import Quota, QuotaWatch
from airflow_provider_visma.protocols.http import HttpLimits

if TYPE_CHECKING:
    import requests

    from airflow_provider_visma.hooks._severa_clients import SeveraClients
    from airflow_provider_visma.protocols.soap import ReadReport, SoapClient

_SYSTEM = "Severa"
_PRODUCTION = "https://sync.severa.com"
_ENDPOINT = "/webservice/S3/API.svc"
_TEST_LIMITS = HttpLimits(connect=5.0, read=15.0, total=30.0)

# Large answers take minutes before their first byte; clients that work wait for five.
_TIMEOUT = 300


def _utc_now() -> datetime:
    return datetime.now(UTC)


def is_read(operation: str) -> bool:
    """Return whether *operation* only reads, so that calling it again does no harm.

    By the contract's own names: all that change something begin with Add, Change, Create, Delete, Disable,
    Enable, Remove, Set or Update. A name of another kind is taken for a write.
    """
    return re.match("Get[A-Z]", operation) is not None


class SeveraHook(BaseHook):
    """Calls any operation of any of Severa's service contracts, and streams its lists.

    What was not found is one thing here, although the service answers with a fault, with null or with an
    empty list, depending on the operation: a read returns None, or yields nothing.

    One hook may be used by several threads.

    :param severa_conn_id: a connection of type ``severa``.
    :param sleep: waits for seconds between attempts.
    :param clock: the present moment, with a zone; the quota counts days in UTC.
    :ivar answered_at: when Severa gave its last answer by its own clock, None as long as it told no time.
    """

    conn_name_attr = "severa_conn_id"
    default_conn_name = "severa_default"
    conn_type = "severa"
    hook_name = "Visma Severa"

    def __init__(
        self,
        severa_conn_id: str = default_conn_name,
        *,
        sleep: Callable[[float], None] = tenacity.nap.sleep,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        super().__init__()
        self.severa_conn_id = severa_conn_id
        self._sleep = sleep
        self._clock = clock
        self.answered_at: datetime | None = None
        self._limits: HttpLimits | None = None
        self._attempts = 3

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection, checked."""
        read = ConnectionSettings.read(
            self.get_connection(self.severa_conn_id), system=_SYSTEM, default_host=_PRODUCTION
        )
        settings = replace(
            read,
            base_url=read.base_url.partition(_ENDPOINT)[0],  # people paste the address of the service or WSDL
            password=(read.password or "").strip() or None,  # and keys with the end of a line
        )
        settings.required(API_key=settings.password)
        mask_secret(settings.password)
        return settings

    @property
    def quota(self) -> Quota | None:
        """The organisation's quota as of the last answer, None before the first."""
        return self._quota_watch.latest

    def call(self, contract: str, operation: str, /, **arguments: Any) -> Any:
        """Call an operation and return its result whole: a value, a dict, a list of dicts, or None.

        A read (``Get…``) that fails for a passing reason is repeated, everything else is sent once. None
        is what a read returns where there is nothing, whichever way the service says so. An operation
        that pages returns one page; :meth:`rows` goes through all.

        :param contract: e.g. ``IHourEntry``.
        :param arguments: by the contract's own names, in any order; ``startdate`` and ``startDate`` are
            two things. A mapping for an entity, ``{"string": […]}`` for a list of texts. A moment with a
            zone is sent in UTC.
        :raises VismaRequestError: the contract does not allow the arguments, and nothing was sent; or the
            service rejects the values.
        :raises VismaNotFoundError: a write refers to something that does not exist.
        :raises VismaUnknownOutcomeError: a write was sent and no usable answer came.
        :raises VismaQuotaError: no call is left today, or only the connection's ``quota_reserve``.
        """
        client, values = self._request(contract, operation, arguments)
        if not is_read(operation):
            self._quota_watch.check()
            return client.call(operation, values, repeatable=False)

        def once() -> Any:
            self._quota_watch.check()
            return client.call(operation, values)

        try:
            result = self._retrying()(once)
        except VismaNotFoundError as error:
            if not _nothing_there(error):
                raise
            return None
        return None if result == [] else result

    def rows(
        self,
        contract: str,
        operation: str,
        /,
        *,
        fields: Collection[str] | None = None,
        report: ReadReport | None = None,
        **arguments: Any,
    ) -> Iterator[dict[str, Any]]:
        """Call a read operation and yield its list, item by item, while it comes in; page by page where
        the operation has pages.

        An element that is nil is there with None; one that is absent is not a key. Elements newer than
        the WSDL are passed over. Until the first row a passing failure leads to another attempt; after it
        the caller has rows in hand, so an answer that breaks off is an error. Stage what you read.

        :param fields: paths of the elements to read, all where None.
        :param report: notes unknown elements and unreadable rows; without one, unreadable rows end in an
            error.
        :raises VismaRequestError: the operation writes: use :meth:`call`.
        """
        if not is_read(operation):
            with self._named(contract, operation):
                raise VismaRequestError(
                    "an operation that writes is not streamed", advice="Use call(), which sends it once."
                )

        def read(values: Mapping[str, Any], wanted: Collection[str] | None) -> Iterator[dict[str, Any]]:
            return self._list(contract, operation, values, fields=wanted, report=report)

        paging = PAGED.get((contract, operation))
        if paging is None:
            yield from read(arguments, fields)
            return
        with self._named(contract, operation):
            yield from all_pages(
                paging,
                read,
                arguments,
                fields=fields,
                left_out=lambda: report.unreadable_rows if report else 0,
            )

    def columns(self, contract: str, operation: str) -> dict[str, str]:
        """Return the elements of a list result's items with their kinds, in the contract's order."""
        return self._client(contract).columns(operation)

    def parameters(self, contract: str, operation: str) -> tuple[str, ...]:
        """Return the names of an operation's parameters, in the contract's order."""
        self._client(contract)
        with self._named(contract, operation):
            return tuple(self._clients.parameters(contract, operation))

    def schema_version(self) -> str:
        """Return the version of the entities' schema; Severa changes it when a client may break."""
        return str(self.call("IAPI", "GetEntitySchemaVersion") or "")

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the versions and make one call that needs the key, for Airflow's connection form."""
        from airflow_provider_visma.hooks._severa_check import check

        impatient = SeveraHook(self.severa_conn_id, clock=self._clock)
        impatient._limits, impatient._attempts = _TEST_LIMITS, 1
        try:
            return check(impatient)
        except VismaError as error:
            return False, str(error)

    def _list(
        self,
        contract: str,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        fields: Collection[str] | None,
        report: ReadReport | None,
    ) -> Iterator[dict[str, Any]]:
        client, values = self._request(contract, operation, arguments)

        def begin() -> tuple[Iterator[dict[str, Any]], dict[str, Any] | None]:
            self._quota_watch.check()
            rows = client.rows(operation, values, fields=fields, report=report)
            return rows, next(rows, None)

        try:
            rows, first = self._retrying()(begin)
        except VismaNotFoundError as error:
            if not _nothing_there(error):
                raise
            return
        if first is not None:
            yield first
            yield from rows

    def _request(
        self, contract: str, operation: str, arguments: Mapping[str, Any]
    ) -> tuple[SoapClient, dict[str, Any]]:
        client = self._client(contract)
        with self._named(contract, operation):
            return client, self._clients.prepared(contract, operation, arguments)

    @contextmanager
    def _named(self, contract: str, operation: str) -> Iterator[None]:
        """Say in an error where it happened."""
        try:
            yield
        except VismaError as error:
            error.system, error.conn_id = _SYSTEM, self.severa_conn_id
            error.operation = f"{contract}.{operation}"
            raise

    @cached_property
    def _quota_watch(self) -> QuotaWatch:
        reserve = self.settings.extra.get("quota_reserve")
        return QuotaWatch(
            reserve=0 if str(reserve) == "0" else self.settings.positive_int("quota_reserve", 0),
            conn_id=self.severa_conn_id,
            clock=self._clock,
            warn=self.log.warning,
        )

    @cached_property
    def _clients(self) -> SeveraClients:
        # Imported here: zeep takes a quarter of a second, which no DAG file should pay.
        from airflow_provider_visma.hooks._severa_clients import SeveraClients
        from airflow_provider_visma.protocols.soap import SOAP_LIMITS

        timeout = float(self.settings.positive_int("timeout", _TIMEOUT))
        session = self.settings.requests_session()
        session.hooks["response"].append(self._note_time)
        return SeveraClients(
            self.settings,
            endpoint=f"{self.settings.base_url}{_ENDPOINT}",
            session=session,
            limits=self._limits or replace(SOAP_LIMITS, read=timeout),
            quota=self._quota_watch,
        )

    def _note_time(self, response: requests.Response, **_: Any) -> None:
        try:
            self.answered_at = parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
        except (KeyError, ValueError):
            self.answered_at = None

    def _client(self, contract: str) -> SoapClient:
        return self._retrying()(lambda: self._clients.get(contract))

    def _retrying(self) -> tenacity.Retrying:
        return retrying(attempts=self._attempts, sleep=self._sleep)


def _nothing_there(error: VismaNotFoundError) -> bool:
    """Tell the service's "not found" from a wrong address, which is HTTP 404."""
    return error.code == NOT_FOUND
