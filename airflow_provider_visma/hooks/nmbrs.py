"""Nmbrs' SOAP API, from an Airflow connection.

Reading may be repeated and is; storing a document is done once, because Nmbrs returns nothing by which
a second copy could be recognised.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import tenacity
from airflow.sdk import BaseHook

from airflow_provider_visma.exceptions import (
    VismaError,
    VismaIncompleteAnswerError,
    VismaRequestError,
    VismaTransientError,
)
from airflow_provider_visma.hooks._call_pace import CallPace
from airflow_provider_visma.hooks._connection import ConnectionSettings
from airflow_provider_visma.hooks._retrying import retrying
from airflow_provider_visma.protocols.http import HttpLimits

if TYPE_CHECKING:
    from airflow_provider_visma.hooks._nmbrs_clients import NmbrsClients
    from airflow_provider_visma.hooks._nmbrs_readings import Reading
    from airflow_provider_visma.nmbrs_records import (
        Company,
        Debtor,
        DebtorDepartment,
        DebtorFunction,
        Employee,
        EmployeeDepartment,
        EmployeeFunction,
        Employment,
        PersonalInfo,
    )
    from airflow_provider_visma.protocols.soap import ReadReport, SoapClient

T = TypeVar("T")

_SYSTEM = "Nmbrs"
_PRODUCTION = "https://api.nmbrs.nl"
_TEST_LIMITS = HttpLimits(connect=5.0, read=15.0, total=30.0)

# Nmbrs delays the calls of everybody on the same second once one client makes more than 150.
_PACE = CallPace(150)


class NmbrsHook(BaseHook):
    """Calls any operation of any of Nmbrs' SOAP services, and reads the lists of the manual into records.

    One hook may be used by several threads.

    :param nmbrs_conn_id: a connection of type ``nmbrs``.
    :param pace: what every call waits for; shared by all hooks of the process.
    :param sleep: waits for seconds between attempts.
    """

    conn_name_attr = "nmbrs_conn_id"
    default_conn_name = "nmbrs_default"
    conn_type = "nmbrs"
    hook_name = "Nmbrs"

    def __init__(
        self,
        nmbrs_conn_id: str = default_conn_name,
        *,
        pace: CallPace = _PACE,
        sleep: Callable[[float], None] = tenacity.nap.sleep,
    ) -> None:
        super().__init__()
        self.nmbrs_conn_id = nmbrs_conn_id
        self._pace = pace
        self._sleep = sleep
        self._limits: HttpLimits | None = None
        self._attempts = 3

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection, checked."""
        settings = ConnectionSettings.read(
            self.get_connection(self.nmbrs_conn_id), system=_SYSTEM, default_host=_PRODUCTION
        )
        settings.required(
            user=settings.login, API_token=settings.password, domain=settings.extra.get("domain")
        )
        return settings

    @property
    def domain(self) -> str:
        """First part of the customer's Nmbrs address."""
        # People paste the whole address; the service answers that with "invalid authentication".
        return str(self.settings.extra["domain"]).strip().removesuffix(".nmbrs.nl")

    @property
    def max_concurrency(self) -> int:
        """How many calls may run at the same time."""
        return self.settings.positive_int("max_concurrency", 4)

    def call(self, service: str, operation: str, /, **arguments: Any) -> Any:
        """Call an operation and return its result whole: a value, a dict, a list of dicts, or None.

        Reads (``…Get…``) that fail for a passing reason are repeated, everything else is sent once.

        :param service: e.g. ``EmployeeService``.
        :param arguments: by the WSDL's own names; ``CompanyId`` and ``CompanyID`` are two things.
        :raises VismaRequestError: the WSDL does not allow the arguments; nothing was sent.
        """
        repeatable = "Get" in operation
        client = self._client(service)

        def once() -> Any:
            self._pace.wait()
            return client.call(operation, arguments, repeatable=repeatable)

        return self._retrying()(once) if repeatable else once()

    def rows(
        self,
        service: str,
        operation: str,
        /,
        *,
        fields: Collection[str] | None = None,
        report: ReadReport | None = None,
        **arguments: Any,
    ) -> Iterator[dict[str, Any]]:
        """Call an operation and yield its list, item by item, while it comes in.

        Until the first row a passing failure leads to another attempt; after it the caller has rows in
        hand, so an answer that breaks off is an error. Stage what you read, or use :meth:`whole`.

        :param fields: paths of the elements to read, all where None.
        :param report: notes unknown elements and unreadable rows; without one, unreadable rows end in
            an error.
        """
        client = self._client(service)

        def begin() -> tuple[Iterator[dict[str, Any]], dict[str, Any] | None]:
            self._pace.wait()
            rows = client.rows(operation, arguments, fields=fields, report=report)
            return rows, next(rows, None)

        rows, first = self._retrying()(begin)
        if first is not None:
            yield first
            yield from rows

    def whole(self, read: Callable[[], T]) -> T:
        """Return what *read* made of whole answers; it is called again when one breaks off half-way."""
        return self._retrying(VismaIncompleteAnswerError)(read)

    def concurrently(self, tasks: Iterable[Callable[[], T]]) -> list[T]:
        """Run *tasks* in threads, ``max_concurrency`` at a time, and return their results in order.

        The first error ends it: what has not begun is not begun.
        """
        # The connection is read here: Airflow answers only the thread that runs the task.
        _ = self._clients
        with ThreadPoolExecutor(self.max_concurrency, thread_name_prefix="nmbrs") as executor:
            futures = [executor.submit(task) for task in tasks]
            try:
                return [future.result() for future in futures]
            except BaseException:
                executor.shutdown(wait=False, cancel_futures=True)
                raise

    # The operations of the manual. Each takes a report, in which unknown elements and rows that cannot
    # be read are noted; without one, such rows end in an error.

    def debtors(self, *, report: ReadReport | None = None) -> Iterator[Debtor]:
        """Yield the debtors that the API user may see."""
        return self._records(_readings().DEBTORS, report)

    def debtor_departments(
        self, debtor_id: int, *, report: ReadReport | None = None
    ) -> Iterator[DebtorDepartment]:
        """Yield the departments of a debtor."""
        return self._records(_readings().debtor_departments(debtor_id), report, DebtorId=debtor_id)

    def debtor_functions(
        self, debtor_id: int, *, report: ReadReport | None = None
    ) -> Iterator[DebtorFunction]:
        """Yield the functions of a debtor; Nmbrs does not return those defined for all debtors."""
        return self._records(_readings().debtor_functions(debtor_id), report, DebtorId=debtor_id)

    def companies(
        self, debtor_id: int | None = None, *, report: ReadReport | None = None
    ) -> Iterator[Company]:
        """Yield the companies of a debtor, or all.

        :param debtor_id: uses an operation that the manual does not have opened.
        """
        if debtor_id is None:
            return self._records(_readings().COMPANIES, report)
        return self._records(_readings().COMPANIES_OF_DEBTOR, report, DebtorId=debtor_id)

    def employees(
        self, company_id: int, employee_type: int, *, report: ReadReport | None = None
    ) -> Iterator[Employee]:
        """Yield the employees of a company.

        :param employee_type: 2 is active payroll, 4 out of service.
        """
        return self._records(_readings().EMPLOYEES, report, CompanyId=company_id, EmployeeType=employee_type)

    def personal_info(self, company_id: int, *, report: ReadReport | None = None) -> Iterator[PersonalInfo]:
        """Yield name and work e-mail of everybody in a company, former employees too."""
        readings = _readings()
        without_bsn = self.settings.is_on("personal_info_without_bsn")
        reading = readings.PERSONAL_INFO_WITHOUT_BSN if without_bsn else readings.PERSONAL_INFO
        return self._records(reading, report, CompanyID=company_id)

    def employments(self, company_id: int, *, report: ReadReport | None = None) -> Iterator[Employment]:
        """Yield the employments of everybody in a company, past ones too."""
        return self._records(_readings().EMPLOYMENTS, report, CompanyID=company_id)

    def departments(
        self, company_id: int, *, report: ReadReport | None = None
    ) -> Iterator[EmployeeDepartment]:
        """Yield the department history of everybody in a company."""
        return self._records(_readings().DEPARTMENTS, report, CompanyID=company_id)

    def functions(self, company_id: int, *, report: ReadReport | None = None) -> Iterator[EmployeeFunction]:
        """Yield the function history of everybody in a company."""
        return self._records(_readings().FUNCTIONS, report, CompanyID=company_id)

    def upload_document(
        self,
        employee_id: int,
        name: str,
        body: BinaryIO | Path,
        document_type: str | None = None,
    ) -> None:
        """Store a document with an employee. Sent once: Nmbrs would store a second copy.

        The body is encoded while it is sent, so memory does not grow with it.

        :param name: file name with an extension; Nmbrs insists.
        :param body: a file to read from its position to its end, or the path of one.
        :param document_type: GUID of the document type; the connection's ``document_type`` where None.
        :raises VismaUnknownOutcomeError: no usable answer came; the document may have been stored.
        """
        from airflow_provider_visma.protocols.soap import Octets

        if isinstance(body, Path):
            with body.open("rb") as file:
                return self.upload_document(employee_id, name, file, document_type)
        if not Path(name).suffix:
            raise self._request_error("the document's name needs an extension")
        try:
            guid = uuid.UUID(str(document_type or self.settings.extra.get("document_type")))
        except ValueError:
            raise self._request_error("the document type is not a GUID") from None
        self.call(
            "EmployeeService",
            "EmployeeDocument_UploadDocument",
            EmployeeId=employee_id,
            StrDocumentName=name,
            Body=Octets(body),
            GuidDocumentType=str(guid),
        )
        return None

    def test_connection(self) -> tuple[bool, str]:
        """Log in and try each operation of the manual, for Airflow's connection form."""
        from airflow_provider_visma.hooks._nmbrs_check import check

        impatient = NmbrsHook(self.nmbrs_conn_id, pace=self._pace)
        impatient._limits, impatient._attempts = _TEST_LIMITS, 1
        try:
            return check(impatient)
        except VismaError as error:
            return False, str(error)

    def _records(self, reading: Reading[T], report: ReadReport | None, **arguments: Any) -> Iterator[T]:
        service, operation = reading.service, reading.operation
        for row in self.rows(service, operation, fields=reading.fields, report=report, **arguments):
            yield from reading.records(row)

    @cached_property
    def _clients(self) -> NmbrsClients:
        # Imported here: zeep takes a quarter of a second, which no DAG file should pay.
        from airflow_provider_visma.hooks._nmbrs_clients import NmbrsClients
        from airflow_provider_visma.protocols.soap import SOAP_LIMITS

        return NmbrsClients(
            self.settings,
            domain=self.domain,
            session=self.settings.requests_session(),
            limits=self._limits or replace(SOAP_LIMITS, read=self.settings.limits.read),
        )

    def _client(self, service: str) -> SoapClient:
        return self._retrying()(lambda: self._clients.get(service))

    def _retrying(self, kind: type[VismaError] = VismaTransientError) -> tenacity.Retrying:
        return retrying(attempts=self._attempts, kind=kind, sleep=self._sleep)

    def _request_error(self, message: str) -> VismaRequestError:
        return VismaRequestError(message, system=_SYSTEM, conn_id=self.nmbrs_conn_id)


def _readings() -> Any:
    from airflow_provider_visma.hooks import _nmbrs_readings

    return _nmbrs_readings
