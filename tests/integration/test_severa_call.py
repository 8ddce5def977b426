"""Any operation of Severa as a task: once where it writes, and little of it in XCom."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaPermissionError,
    VismaRequestError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hooks.severa import SeveraHook
from airflow_provider_visma.operators.severa_call import SeveraCallOperator
from tests.impatience import IMPATIENT
from tests.integration.task_context import Store
from tests.integration.waiting import give_up_where_the_sandbox_hangs
from visma_sandbox.client import SandboxProcess

UPDATE = {"contract": "ICase", "operation": "UpdateCase"}


class Task:
    """Tries of one task instance; clearing it raises what Airflow counts as its most tries."""

    def __init__(self, **arguments: Any) -> None:
        self._arguments = arguments
        self._state = Store()
        self.max_tries = 3

    def run(self, **changes: Any) -> Any:
        operator = SeveraCallOperator(task_id="call", **{**self._arguments, **changes})
        ti = SimpleNamespace(max_tries=self.max_tries)
        return operator.execute({"ti": ti, "task_state_store": self._state})  # type: ignore[typeddict-item]


@pytest.fixture
def severa(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    connection = {**sandbox.connections()["severa_default"], "extra": {"timeout": IMPATIENT}}
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", json.dumps(connection))
    give_up_where_the_sandbox_hangs(sandbox, monkeypatch)
    return sandbox


@pytest.fixture
def case(severa: SandboxProcess) -> dict[str, Any]:
    return next(SeveraHook().rows("ICase", "GetAllCases"))


@pytest.fixture
def task(case: dict[str, Any]) -> Task:
    return Task(**UPDATE, arguments={"caseInfo": {"GUID": case["GUID"], "Name": "Nieuwe naam"}})


def name_of(case: dict[str, Any]) -> str:
    return str(SeveraHook().call("ICase", "GetCaseByGUID", caseGuid=case["GUID"])["Name"])


def sent(severa: SandboxProcess) -> int:
    return len(severa.journal("severa", "ICase.UpdateCase"))


def test_a_call_that_writes_returns_the_id_alone(task: Task, case: dict[str, Any]) -> None:
    assert task.run() == {"GUID": case["GUID"]}
    assert name_of(case) == "Nieuwe naam"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"contract": "IAPI", "operation": "GetVersion"}, "S3 sandbox"),
        ({"contract": "IAPI", "operation": "GetVersion", "result_fields": ()}, None),
    ],
)
def test_a_single_value_is_returned_unless_nothing_may_be(
    severa: SandboxProcess, arguments: dict[str, Any], expected: str | None
) -> None:
    assert Task(**arguments).run() == expected


def test_what_is_not_there_is_none(severa: SandboxProcess) -> None:
    nowhere = {"caseGuid": "5e7e4a00-ffff-4000-8000-00000000ffff"}
    assert Task(contract="ICase", operation="GetCaseByGUID", arguments=nowhere).run() is None


def test_members_that_are_named_come_as_plain_json(case: dict[str, Any]) -> None:
    task = Task(contract="ICase", operation="GetCaseByGUID", arguments={"caseGuid": case["GUID"]})
    told = task.run(result_fields=["GUID", "Name", "StartDate"])
    assert told == {"GUID": case["GUID"], "Name": case["Name"], "StartDate": case["StartDate"].isoformat()}


def test_a_list_comes_as_ids(severa: SandboxProcess) -> None:
    told = Task(contract="ICase", operation="GetAllCases").run()
    assert len(told) == severa.counts()["severa"]["cases"]
    assert all(list(item) == ["GUID"] for item in told)


def test_a_result_that_is_too_large_for_xcom_is_refused(severa: SandboxProcess) -> None:
    everything = {"startdate": "2000-01-01", "enddate": "2050-01-01"}
    task = Task(contract="IHourEntry", operation="GetHourEntriesByDate", arguments=everything)
    with pytest.raises(VismaRequestError, match=r"larger than 32 KiB.*SeveraExportOperator"):
        task.run()


def test_a_member_that_does_not_exist_is_an_error_of_a_read_and_a_warning_after_a_write(
    severa: SandboxProcess, task: Task, case: dict[str, Any]
) -> None:
    with pytest.raises(VismaRequestError, match="has no member Nane"):
        Task(contract="ICase", operation="GetAllCases").run(result_fields=["Nane"])
    assert task.run(result_fields=["Nane"]) is None
    assert name_of(case) == "Nieuwe naam"


@pytest.mark.parametrize("fault", ["act_then_hang", "act_then_reset"])
def test_a_write_without_an_answer_fails_for_good_until_a_person_clears_it(
    severa: SandboxProcess, task: Task, fault: str
) -> None:
    severa.inject("severa", "ICase.UpdateCase", fault)
    for _ in range(2):
        with pytest.raises(VismaUnknownOutcomeError, match=r"mark the task as successful; if not, clear"):
            task.run()
    assert sent(severa) == 1
    task.max_tries += 4
    assert task.run() is not None
    assert sent(severa) == 2


def test_a_try_that_was_killed_before_its_answer_is_not_repeated(severa: SandboxProcess, task: Task) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SeveraHook, "call", kill)
        with pytest.raises(Killed):
            task.run()
    with pytest.raises(VismaUnknownOutcomeError, match="did not live to see the answer"):
        task.run()
    assert sent(severa) == 0


def test_a_retry_after_an_answer_returns_it_and_sends_nothing(severa: SandboxProcess, task: Task) -> None:
    assert task.run() == task.run()
    assert sent(severa) == 1
    task.max_tries += 4
    task.run()
    assert sent(severa) == 2


def test_a_write_that_was_refused_may_be_tried_again(severa: SandboxProcess, task: Task) -> None:
    severa.settings(severa_denied_operations=["ICase.UpdateCase"])
    with pytest.raises(VismaPermissionError):
        task.run()
    severa.settings(severa_denied_operations=[])
    assert task.run() is not None


def test_a_service_that_cannot_be_reached_is_a_passing_error_of_a_write_too(
    task: Task, monkeypatch: pytest.MonkeyPatch, severa: SandboxProcess
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hook = SeveraHook()
    hook.call("IAPI", "GetVersion")
    connection = {**severa.connections()["severa_default"], "host": "http://127.0.0.1:9"}
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", json.dumps(connection))
    with pytest.raises(VismaUnavailableError):
        task.run()
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", severa.environment()["AIRFLOW_CONN_SEVERA_DEFAULT"])
    assert task.run() is not None


def test_an_argument_that_the_contract_does_not_know_is_never_sent(severa: SandboxProcess) -> None:
    with pytest.raises(VismaRequestError, match="caseinfo"):
        Task(**UPDATE, arguments={"caseinfo": {}}).run()
    assert sent(severa) == 0
