"""The Severa hook against the sandbox: every operation that it serves, who sees what, and what goes wrong."""

from __future__ import annotations

import json
import logging
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaQuotaError,
    VismaRequestError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hooks.severa import SeveraHook, is_read
from airflow_provider_visma.protocols.soap import ReadReport
from tests.integration.severa_world import FAR_AHEAD, LONG_AGO, SeveraWorld
from visma_sandbox import credentials
from visma_sandbox.client import SandboxProcess
from visma_sandbox.severa import reads, reads_hours, reads_invoices, reads_work, writes, writes_invoices
from visma_sandbox.severa.contract import operations

OPERATIONS = {each.full_name: each for each in operations().values()}
READS = sorted(
    f"{contract}.{operation}"
    for table in (reads, reads_hours, reads_invoices, reads_work)
    for contract, operation in table.READS
)
WRITES = sorted(
    f"{contract}.{operation}" for table in (writes, writes_invoices) for contract, operation in table.WRITES
)
VERSIONS = {"IAPI.GetVersion", "IAPI.GetEntitySchemaVersion"}
CANARY = "kanarie@geheim.example.com"
NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def shared(running_sandbox: SandboxProcess) -> Iterator[tuple[SeveraHook, SeveraWorld]]:
    """One hook for all tests, because it reads the WSDL once."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in running_sandbox.environment().items():
            environment.setenv(name, value)
        # At noon, for in the first minute of a UTC day a quota that is used up is still the day before's.
        hook = SeveraHook(sleep=lambda seconds: None, clock=lambda: NOON)
        yield hook, SeveraWorld(hook)


@pytest.fixture
def hook(sandbox: SandboxProcess, shared: tuple[SeveraHook, SeveraWorld]) -> SeveraHook:
    return shared[0]


@pytest.fixture
def world(sandbox: SandboxProcess, shared: tuple[SeveraHook, SeveraWorld]) -> SeveraWorld:
    return shared[1]


@pytest.fixture
def connect(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SeveraHook]:
    """Makes a hook on a connection that differs from the usual one."""

    def connect(**changes: Any) -> SeveraHook:
        connection = sandbox.connections()["severa_default"] | changes
        monkeypatch.setenv("AIRFLOW_CONN_CHANGED", json.dumps(connection))
        return SeveraHook("changed", sleep=lambda seconds: None, clock=lambda: NOON)

    return connect


def last_request(sandbox: SandboxProcess) -> Any:
    """What the service noticed about the last request."""
    return sandbox.journal("severa")[-1]["note"]


def test_the_tables_here_cover_what_the_sandbox_serves(sandbox: SandboxProcess) -> None:
    with urllib.request.urlopen(f"{sandbox.url}/_control/severa/operations") as answer:
        served = json.load(answer)
    assert served == sorted({*READS, *WRITES, *VERSIONS})


def test_the_versions_are_told(hook: SeveraHook) -> None:
    assert hook.call("IAPI", "GetVersion") == "S3 sandbox"
    assert hook.schema_version() == "2016.2"


@pytest.mark.parametrize("name", READS)
def test_every_read_that_is_served_answers_what_was_asked(
    name: str, hook: SeveraHook, world: SeveraWorld, sandbox: SandboxProcess
) -> None:
    operation = OPERATIONS[name]
    contract, arguments = operation.contract, world.reading(operation)
    assert is_read(operation.name)
    assert operation.returns is not None
    if operation.returns.is_list:
        rows = list(hook.rows(contract, operation.name, **arguments))
        assert rows
        assert set(rows[0]) == set(hook.columns(contract, operation.name))
    else:
        result = hook.call(contract, operation.name, **arguments)
        assert result
        if operation.name.endswith("ByGUID") and isinstance(result, dict) and "GUID" in result:
            asked = {value for key, value in arguments.items() if key.lower().endswith("guid")}
            assert result["GUID"] in asked
    noted = last_request(sandbox)
    assert noted["dropped"] == []
    assert noted["headers"] == ["WebServicePassword"]
    assert set(arguments) <= set(noted["arguments"])


@pytest.mark.parametrize("name", WRITES)
def test_every_write_that_is_served_is_carried_out_once(
    name: str, hook: SeveraHook, world: SeveraWorld, sandbox: SandboxProcess
) -> None:
    operation = OPERATIONS[name]
    arguments = world.writing(operation)
    assert not is_read(operation.name)
    sandbox.clear_journal()
    result = hook.call(operation.contract, operation.name, **arguments)
    if operation.returns is None:
        assert result is None
    elif operation.returns.name == "boolean":
        assert result is True
    else:
        given = next(iter(arguments.values()))
        for entity in result if operation.returns.is_list else [result]:
            assert entity["GUID"]
            for member in given.keys() & {"Name", "LastName", "GUID", "City"}:
                assert entity[member] == given[member]
    assert len(sandbox.journal("severa", name)) == 1
    noted = last_request(sandbox)
    assert noted["dropped"] == []
    assert noted["arguments"] == [each for each in operation.parameters if each in arguments]


def test_what_was_written_is_read_back(hook: SeveraHook, world: SeveraWorld) -> None:
    written = hook.call("IHourEntry", "AddNewHourEntry", hourEntryInfo=world.new_hour)
    read = hook.call("IHourEntry", "GetHourEntryByGUID", hourEntryGUID=written["GUID"])
    assert read == written
    assert float(read["Quantity"]) == 7.5
    assert hook.call("IHourEntry", "DeleteHourEntry", hourEntryGUID=written["GUID"]) is True
    assert hook.call("IHourEntry", "GetHourEntryByGUID", hourEntryGUID=written["GUID"]) is None


UNKNOWN = "00000000-0000-4000-8000-00000000dead"


@pytest.mark.parametrize("form", [None, "fault", "null", "empty"])
def test_not_found_is_one_thing_however_the_service_says_it(
    form: str | None, hook: SeveraHook, sandbox: SandboxProcess
) -> None:
    sandbox.settings(severa_not_found=form)
    assert hook.call("ICase", "GetCaseByGUID", caseGuid=UNKNOWN) is None
    assert hook.call("IPhase", "GetPhasesByCaseGUID", caseGUID=UNKNOWN) is None
    assert list(hook.rows("IPhase", "GetPhasesByCaseGUID", caseGUID=UNKNOWN)) == []
    with pytest.raises(VismaNotFoundError, match="NotFoundException"):
        hook.call("IHourEntry", "DeleteHourEntry", hourEntryGUID=UNKNOWN)


def test_nil_and_absent_are_told_apart(hook: SeveraHook, sandbox: SandboxProcess) -> None:
    with_nil = next(hook.rows("ICase", "GetAllCases"))
    nil = {name for name, value in with_nil.items() if value is None}
    sandbox.settings(severa_nil_form="absent")
    without = next(hook.rows("ICase", "GetAllCases"))
    assert nil
    assert set(with_nil) - set(without) == nil


def test_members_newer_than_the_wsdl_are_passed_over_and_counted(
    hook: SeveraHook, sandbox: SandboxProcess
) -> None:
    window = {"startdate": LONG_AGO, "enddate": FAR_AHEAD}
    before = list(hook.rows("IHourEntry", "GetHourEntriesByDate", **window))
    sandbox.settings(severa_newer_members=True)
    report = ReadReport()
    assert list(hook.rows("IHourEntry", "GetHourEntriesByDate", report=report, **window)) == before
    assert report.unknown["CaseName"] == len(before)


def test_a_narrow_user_gets_fewer_rows_and_no_error(
    hook: SeveraHook, connect: Callable[..., SeveraHook]
) -> None:
    narrow = connect(password=credentials.SEVERA_NARROW_KEY)
    assert 0 < len(list(narrow.rows("ICase", "GetAllCases"))) < len(list(hook.rows("ICase", "GetAllCases")))


@pytest.mark.parametrize(
    ("contract", "operation", "inactive_too"),
    [("IAccount", "GetAllAccounts", "IncludeInactive"), ("ICustomer", "GetAllCustomers", 2)],
)
def test_pages_are_read_to_their_end(
    contract: str, operation: str, inactive_too: object, hook: SeveraHook, sandbox: SandboxProcess
) -> None:
    whole = [row["GUID"] for row in hook.rows(contract, operation, options=inactive_too)]
    sandbox.clear_journal()
    paged = [row["GUID"] for row in hook.rows(contract, operation, options=inactive_too, count=5)]
    assert paged == whole
    assert len(paged) == len(set(paged)) == sandbox.counts()["severa"]["customers"]
    starts = [entry["note"]["values"]["startFromIndex"] for entry in sandbox.journal("severa")]
    assert starts == [*range(0, len(whole), 5), len(whole)]


DENIED: dict[str, tuple[dict[str, Any], str]] = {
    "the add-on is off": ({"severa_addon": False}, credentials.SEVERA_KEY),
    "the user is inactive": ({}, credentials.SEVERA_INACTIVE_KEY),
    "the user has no SOAP permission": ({}, credentials.SEVERA_NO_RIGHT_KEY),
    "the key was regenerated": ({"severa_key_regenerated": True}, credentials.SEVERA_KEY),
    "the key is none": ({}, "geen-sleutel"),
}


@pytest.mark.parametrize("cause", DENIED)
def test_access_denied_names_what_to_check_and_not_the_key(
    cause: str, connect: Callable[..., SeveraHook], sandbox: SandboxProcess
) -> None:
    settings, key = DENIED[cause]
    sandbox.settings(**settings)
    hook = connect(password=key)
    with pytest.raises(VismaAuthenticationError) as error:
        hook.call("ICase", "GetAllCases")
    said = str(error.value)
    assert "Check in this order: (1) the API add-on" in said
    assert len(sandbox.journal("severa", "ICase.GetAllCases")) == 1, "asked once"
    fine, told = hook.test_connection()
    assert not fine
    assert "(4) the connection's API key" in told
    assert key not in said + told


def test_the_button_test_tells_what_it_found(hook: SeveraHook, sandbox: SandboxProcess) -> None:
    sandbox.settings(severa_used_quota=41)
    fine, said = hook.test_connection()
    assert fine
    assert "API version S3 sandbox, entity schema 2016.2. 44 of today's 100000 calls are used." in said
    assert {entry["operation"] for entry in sandbox.journal("severa")} - {"WSDL"} == {
        *VERSIONS,
        "IWorkType.GetAllWorkTypes",
    }


FAULTS: list[tuple[str, type[VismaError], int]] = [
    ("AuthenticationFailureException", VismaAuthenticationError, 1),
    ("NoPermissionException", VismaPermissionError, 1),
    ("ValidationException", VismaRequestError, 1),
    ("GeneralFailureException", VismaRequestError, 1),
    ("TosNotApprovedException", VismaPermissionError, 1),
    ("QuotaLimitExceededException", VismaQuotaError, 1),
    ("ExceptionDetail", VismaUnavailableError, 3),
    ("InternalServiceFault", VismaUnavailableError, 3),
]


@pytest.mark.parametrize(("kind", "error", "tries"), FAULTS, ids=[kind for kind, *_ in FAULTS])
def test_each_fault_of_a_read_becomes_the_error_that_says_whether_to_try_again(
    kind: str,
    error: type[VismaError],
    tries: int,
    hook: SeveraHook,
    sandbox: SandboxProcess,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    words = {"description": CANARY, "faultstring": CANARY}
    sandbox.inject("severa", "ICase.*", "soap_fault", count=tries, type=kind, **words)
    with pytest.raises(error) as raised:
        list(hook.rows("ICase", "GetAllCases"))
    assert type(raised.value) is error
    assert len(sandbox.journal("severa", "ICase.GetAllCases")) == tries
    told = "".join(traceback.format_exception(raised.value)) + caplog.text
    assert CANARY not in told
    assert credentials.SEVERA_KEY not in told


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        *((kind, error) for kind, error, tries in FAULTS if tries == 1),
        ("NotFoundException", VismaNotFoundError),
        ("ExceptionDetail", VismaUnknownOutcomeError),
        ("InternalServiceFault", VismaUnknownOutcomeError),
    ],
)
def test_each_fault_of_a_write_comes_after_one_try(
    kind: str, error: type[VismaError], hook: SeveraHook, world: SeveraWorld, sandbox: SandboxProcess
) -> None:
    entry = world.new_hour
    sandbox.inject("severa", "IHourEntry.AddNewHourEntry", "soap_fault", type=kind)
    with pytest.raises(error) as raised:
        hook.call("IHourEntry", "AddNewHourEntry", hourEntryInfo=entry)
    assert type(raised.value) is error
    assert len(sandbox.journal("severa", "IHourEntry.AddNewHourEntry")) == 1


def test_a_rejected_row_tells_its_reason_apart_from_the_message(hook: SeveraHook, world: SeveraWorld) -> None:
    entry = world.new_hour | {"Quantity": 1000}
    with pytest.raises(VismaRequestError) as error:
        hook.call("IHourEntry", "AddNewHourEntry", hourEntryInfo=entry)
    assert error.value.code == "ValidationException"
    assert error.value.reason
    assert error.value.reason not in str(error.value)


def test_an_answer_that_breaks_off_is_never_a_short_list(hook: SeveraHook, sandbox: SandboxProcess) -> None:
    sandbox.inject("severa", "IHourEntry.*", "truncated", keep=200_000)
    with pytest.raises(VismaIncompleteAnswerError):
        list(hook.rows("IHourEntry", "GetHourEntriesByDate", startdate=LONG_AGO, enddate=FAR_AHEAD))


def test_the_quota_stops_at_the_reserve_and_opens_at_utc_midnight(
    connect: Callable[..., SeveraHook], sandbox: SandboxProcess
) -> None:
    hook = connect(extra={"quota_reserve": 3})
    sandbox.settings(severa_quota=100, severa_used_quota=95)
    assert hook.call("IAPI", "GetVersion")
    assert hook.call("IAPI", "GetVersion")
    assert hook.quota is not None
    assert (hook.quota.limit, hook.quota.used, hook.quota.remaining) == (100, 97, 3)
    sandbox.clear_journal()
    with pytest.raises(VismaQuotaError, match="97 of 100 calls") as error:
        hook.call("IAPI", "GetVersion")
    assert sandbox.journal("severa") == []
    assert error.value.retry_after == 12 * 3600 + 60


def test_the_services_own_quota_fault_is_the_same_error(hook: SeveraHook, sandbox: SandboxProcess) -> None:
    fresh = SeveraHook(sleep=lambda seconds: None, clock=lambda: NOON)
    sandbox.settings(severa_quota=100, severa_used_quota=100)
    with pytest.raises(VismaQuotaError) as error:
        fresh.call("ICase", "GetAllCases")
    assert error.value.code == "QuotaLimitExceededException"
    assert error.value.retry_after == 12 * 3600 + 60
    assert fresh.quota is not None
    assert fresh.quota.remaining == 0
    assert len(sandbox.journal("severa", "ICase.GetAllCases")) == 1


def test_terms_of_service_that_nobody_approved_need_a_person(
    hook: SeveraHook, sandbox: SandboxProcess
) -> None:
    sandbox.settings(severa_tos_approved=False)
    with pytest.raises(VismaPermissionError, match="approve them"):
        hook.call("ICase", "GetAllCases")


def test_an_operation_that_the_user_may_not_call_is_named(hook: SeveraHook, sandbox: SandboxProcess) -> None:
    sandbox.settings(severa_denied_operations=["IInvoice.*"])
    with pytest.raises(VismaPermissionError, match=r"Severa IInvoice.GetInvoicesByDate .*access rights"):
        list(hook.rows("IInvoice", "GetInvoicesByDate", startDate=LONG_AGO, endDate=FAR_AHEAD))
