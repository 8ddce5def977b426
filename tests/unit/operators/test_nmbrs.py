"""The snapshot: who is in it, what is in its files, and what stops it. Against the sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
)
from airflow_provider_visma.nmbrs_records import SnapshotEmployee
from airflow_provider_visma.operators import nmbrs
from airflow_provider_visma.operators.nmbrs import NmbrsSnapshotOperator
from airflow_provider_visma.storage import read_jsonl, read_manifest
from visma_sandbox.client import SandboxProcess

FILES = ["departments.jsonl", "employees.jsonl", "functions.jsonl", "unreadable.jsonl"]
MANUAL = [
    "DebtorService.List_GetAll",
    "DebtorService.Department_GetList",
    "DebtorService.Function_GetList",
    "CompanyService.List_GetAll",
    "EmployeeService.List_GetByCompany",
    "EmployeeService.PersonalInfo_GetAll_AllEmployeesByCompany",
    "EmployeeService.Employment_GetAll_AllEmployeesByCompany",
    "EmployeeService.Department_GetAll_AllEmployeesByCompany",
    "EmployeeService.Function_GetAll_AllEmployeesByCompany_V2",
    "EmployeeService.EmployeeDocument_UploadDocument",
]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return f"file://{tmp_path}/snapshot"


def run(folder: str, **options: Any) -> dict[str, Any]:
    return NmbrsSnapshotOperator(task_id="snapshot", destination=folder, **options).execute({})


def lines(folder: str, name: str) -> list[dict[str, Any]]:
    return list(read_jsonl(ObjectStoragePath(folder) / name))


def test_a_folder_that_is_another_on_each_worker_is_refused_before_anything_is_asked(
    sandbox: SandboxProcess,
) -> None:
    with pytest.raises(VismaRequestError, match="relative to wherever the worker runs"):
        run("snapshots/tonight")
    assert sandbox.journal("nmbrs") == []


def test_a_snapshot_is_everybody_on_the_active_payroll(sandbox: SandboxProcess, folder: str) -> None:
    manifest = run(folder)
    expected = sandbox.counts()["nmbrs_to_dialog"]
    for name in ("employees", "departments", "functions", "debtors", "companies"):
        assert manifest[name] == expected[name]
    people = lines(folder, "employees.jsonl")
    ids = [person["employee_id"] for person in people]
    assert ids == sorted(set(ids))
    assert len(ids) == manifest["employees"]
    assert all(SnapshotEmployee.from_json(person).to_json() == person for person in people)
    assert any(len(person["employments"]) > 1 for person in people)


def test_the_manifest_is_what_is_published(sandbox: SandboxProcess, folder: str) -> None:
    manifest = run(folder)
    assert read_manifest(ObjectStoragePath(folder)) == manifest
    assert manifest["kind"] == "nmbrs-snapshot"
    assert manifest["domain"] == "sandbox"
    assert [file["uri"].rsplit("/", 1)[1] for file in manifest["files"]] == FILES


def test_nothing_about_a_person_leaves_for_xcom(sandbox: SandboxProcess, folder: str) -> None:
    told = json.dumps(run(folder))
    for person in lines(folder, "employees.jsonl"):
        assert not person["email_work"] or person["email_work"] not in told
        assert str(person["employee_id"]) not in told


def test_no_bsn_and_no_private_address_reaches_the_files(sandbox: SandboxProcess, folder: str) -> None:
    run(folder)
    text = "".join((ObjectStoragePath(folder) / name).read_text() for name in FILES)
    assert "99990" not in text  # how every BSN of the sandbox begins
    assert "prive." not in text
    assert "+31" not in text


def test_everybody_is_read_without_a_choice_of_types(sandbox: SandboxProcess, folder: str) -> None:
    active = run(folder)["employees"]
    everybody = run(folder, employee_types=None)["employees"]
    out_of_service = run(folder, employee_types=["4"])["employees"]
    assert active < active + out_of_service <= everybody == 120


def test_debtors_and_companies_can_be_chosen(sandbox: SandboxProcess, folder: str) -> None:
    run(folder)
    whole = lines(folder, "employees.jsonl")
    debtor, company = whole[0]["debtor_id"], whole[0]["company_id"]
    run(folder, debtor_ids=[str(debtor)])
    assert lines(folder, "employees.jsonl") == [each for each in whole if each["debtor_id"] == debtor]
    assert {each["debtor_id"] for each in lines(folder, "functions.jsonl")} == {debtor}
    run(folder, company_ids=[company])
    assert lines(folder, "employees.jsonl") == [each for each in whole if each["company_id"] == company]


@pytest.mark.parametrize("choice", [{"debtor_ids": [1]}, {"company_ids": [1]}])
def test_a_choice_that_is_not_there_is_an_error(
    sandbox: SandboxProcess, folder: str, choice: dict[str, Any]
) -> None:
    with pytest.raises(VismaNotFoundError, match=r"no (debtor|company) 1, or not for this API user"):
        run(folder, **choice)
    assert read_manifest(ObjectStoragePath(folder)) is None


def test_the_manual_s_own_operations_are_enough(sandbox: SandboxProcess, folder: str) -> None:
    run(folder)
    whole = lines(folder, "employees.jsonl")
    sandbox.settings(nmbrs_allowed_operations=MANUAL)
    run(folder)
    assert lines(folder, "employees.jsonl") == whole


def test_a_company_that_nothing_ties_to_a_debtor_is_an_error(sandbox: SandboxProcess, folder: str) -> None:
    sandbox.settings(nmbrs_allowed_operations=MANUAL)
    sandbox.inject("nmbrs", "*Function_GetList", "drift", form="value", element="Id", value="5", count=None)
    with pytest.raises(VismaPermissionError, match=r"nothing tells which debtor company \d+ belongs to"):
        run(folder)


def test_a_missing_right_is_an_error(sandbox: SandboxProcess, folder: str) -> None:
    sandbox.settings(nmbrs_denied_operations=["EmployeeService.Employment*"])
    with pytest.raises(VismaPermissionError, match=r"may not call this \[1002\]"):
        run(folder)


UNREADABLE: dict[str, Any] = {"form": "missing_required", "element": "Code", "every": 7, "count": None}


def test_an_unreadable_row_stops_the_snapshot(sandbox: SandboxProcess, folder: str) -> None:
    sandbox.inject("nmbrs", "*Department_GetAll*", "drift", **UNREADABLE)
    with pytest.raises(VismaContentError, match=r"employee \d+: Code of departments is missing"):
        run(folder)
    assert read_manifest(ObjectStoragePath(folder)) is None


def test_an_employee_who_cannot_be_read_is_left_out_whole_where_that_is_allowed(
    sandbox: SandboxProcess, folder: str
) -> None:
    run(folder)
    whole = lines(folder, "employees.jsonl")
    sandbox.inject("nmbrs", "*Department_GetAll*", "drift", **UNREADABLE)
    manifest = run(folder, max_unreadable=1000)
    left_out = lines(folder, "unreadable.jsonl")
    assert manifest["unreadable"] == len(left_out) > 0
    assert left_out[0].keys() == {"operation", "employee_id", "field", "reason"}
    gone = {row["employee_id"] for row in left_out}
    assert lines(folder, "employees.jsonl") == [each for each in whole if each["employee_id"] not in gone]


def test_a_row_that_is_not_known_to_be_anybodys_stops_the_snapshot_always(
    sandbox: SandboxProcess, folder: str
) -> None:
    sandbox.inject("nmbrs", "*Employment_GetAll*", "drift", **UNREADABLE | {"element": "EmployeeId"})
    with pytest.raises(VismaContentError, match=r"employments: .* whose they are"):
        run(folder, max_unreadable=1000)
    assert read_manifest(ObjectStoragePath(folder)) is None


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        (None, None),
        ("None", None),
        ("", None),
        ((12, "34"), [12, 34]),
        ("12", [12]),
        ("12, 34", [12, 34]),
        ("[12, 34]", [12, 34]),
        ([], []),
    ],
)
def test_ids_are_numbers_or_what_a_template_makes_of_them(given: Any, ids: list[int] | None) -> None:
    assert nmbrs._numbers(given) == ids


@pytest.mark.parametrize("given", ["twelve", "[]", ["x"], "12;34"])
def test_what_are_no_ids_is_said_and_not_retried(given: Any) -> None:
    with pytest.raises(VismaRequestError, match="not ids"):
        nmbrs._numbers(given)


def test_a_new_element_is_told_and_harms_nobody(
    sandbox: SandboxProcess, folder: str, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.inject("nmbrs", "*PersonalInfo*", "drift", form="new_element_middle", count=None)
    manifest = run(folder)
    [name] = manifest["unknown_elements"]
    assert manifest["unreadable"] == 0
    assert f"its WSDL does not know; they were ignored: {{'{name}'" in "".join(capfd.readouterr())


def test_an_answer_that_breaks_off_is_read_again_within_the_task(
    sandbox: SandboxProcess, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeps: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", sleeps.append)
    expected = run(folder)["employees"]
    sandbox.inject("nmbrs", "*PersonalInfo*", "truncated", keep=0.6, count=1)
    assert run(folder)["employees"] == expected
    assert len(sleeps) == 1


def test_an_answer_that_keeps_breaking_off_leaves_the_old_snapshot(
    sandbox: SandboxProcess, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    before = run(folder)
    sandbox.inject("nmbrs", "*PersonalInfo*", "truncated", keep=0.6, count=None)
    with pytest.raises(VismaIncompleteAnswerError):
        run(folder)
    assert read_manifest(ObjectStoragePath(folder)) == before


def test_the_module_loads_without_the_soap_room() -> None:
    assert not hasattr(nmbrs, "NmbrsHook")
    assert {"destination", "debtor_ids", "company_ids"} <= set(NmbrsSnapshotOperator.template_fields)
