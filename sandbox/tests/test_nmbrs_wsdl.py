"""The WSDL as a strict reader sees it: zeep, and nothing of ours."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import pytest
import requests
import zeep
from lxml import etree

from visma_sandbox.client import SandboxProcess, start_sandbox
from visma_sandbox.nmbrs_wsdl import SERVICES, namespace, operations

WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SOAP = "{http://schemas.xmlsoap.org/wsdl/soap/}"
DIALOG_OPERATIONS = {
    "DebtorService": {"List_GetAll", "Department_GetList", "Function_GetList"},
    "CompanyService": {"List_GetAll"},
    "EmployeeService": {
        "List_GetByCompany",
        "PersonalInfo_GetAll_AllEmployeesByCompany",
        "Employment_GetAll_AllEmployeesByCompany",
        "Department_GetAll_AllEmployeesByCompany",
        "Function_GetAll_AllEmployeesByCompany_V2",
        "EmployeeDocument_UploadDocument",
    },
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with start_sandbox(employees=10) as process:
        yield process


@pytest.mark.parametrize("service", SERVICES)
def test_zeep_loads_the_wsdl_strictly_with_both_bindings(sandbox: SandboxProcess, service: str) -> None:
    document = zeep.Client(
        f"{sandbox.url}/soap/v3/{service}.asmx?WSDL", settings=zeep.Settings(strict=True)
    ).wsdl
    ports = document.services[service].ports
    assert set(ports) == {f"{service}Soap", f"{service}Soap12"}
    for port in ports.values():
        assert set(port.binding._operations) == set(operations(service))
        assert port.binding_options["address"] == f"{sandbox.url}/soap/v3/{service}.asmx"


@pytest.mark.parametrize(("service", "needed"), DIALOG_OPERATIONS.items())
def test_every_operation_of_the_manual_is_there(service: str, needed: set[str]) -> None:
    assert needed <= set(operations(service))


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("EmployeeService", "List_GetByCompany", {"CompanyId": "int", "EmployeeType": "int"}),
        ("EmployeeService", "Employment_GetAll_AllEmployeesByCompany", {"CompanyID": "int"}),
        ("CompanyService", "Company_GetCurrentPeriod", {"CompanyId": "int"}),
        ("DebtorService", "List_GetAll", {}),
        (
            "EmployeeService",
            "EmployeeDocument_UploadDocument",
            {
                "EmployeeId": "int",
                "StrDocumentName": "string",
                "Body": "base64Binary",
                "GuidDocumentType": "guid",
            },
        ),
    ],
)
def test_parameters_are_cased_as_the_contract_has_them(
    service: str, operation: str, parameters: dict[str, str]
) -> None:
    assert operations(service)[operation].parameters == parameters


def test_only_environment_get_takes_the_header_without_a_domain():
    headers = {
        each.full_name: each.auth_header for service in SERVICES for each in operations(service).values()
    }
    assert headers.pop("DebtorService.Environment_Get") == "AuthHeader"
    assert set(headers.values()) == {"AuthHeaderWithDomain"}


def test_another_host_name_changes_the_address_and_no_namespace(sandbox: SandboxProcess) -> None:
    url = f"{sandbox.url}/soap/v3/EmployeeService.asmx?wsdl"
    text = requests.get(url, headers={"Host": "api-sandbox.nmbrs.nl"}, timeout=10).content
    root = etree.fromstring(text)
    (address,) = root.iter(f"{SOAP}address")
    assert address.get("location") == "http://api-sandbox.nmbrs.nl/soap/v3/EmployeeService.asmx"
    assert root.get("targetNamespace") == "https://api.nmbrs.nl/soap/v3/EmployeeService"
    actions = {each.get("soapAction") for each in root.iter(f"{SOAP}operation")}
    assert actions == {f"{namespace('EmployeeService')}/{name}" for name in operations("EmployeeService")}


def test_the_guid_type_is_in_the_document_itself(sandbox: SandboxProcess) -> None:
    text = requests.get(f"{sandbox.url}/soap/v3/EmployeeService.asmx?WSDL", timeout=10).content
    imports = list(etree.fromstring(text).iter("{http://www.w3.org/2001/XMLSchema}import"))
    assert [(each.get("namespace"), each.get("schemaLocation")) for each in imports] == [
        ("http://microsoft.com/wsdl/types/", None)
    ]


@pytest.mark.parametrize(
    ("service", "operation", "fields"),
    [
        ("DebtorService", "List_GetAll", ""),
        ("DebtorService", "Department_GetList", "<DebtorId>4101</DebtorId>"),
        ("DebtorService", "Function_GetList", "<DebtorId>4102</DebtorId>"),
        ("CompanyService", "List_GetAll", ""),
        ("CompanyService", "Company_GetCurrentPeriod", "<CompanyId>71001</CompanyId>"),
        ("EmployeeService", "EmployeeType_GetList", ""),
        (
            "EmployeeService",
            "List_GetByCompany",
            "<CompanyId>71001</CompanyId><EmployeeType>2</EmployeeType>",
        ),
        *(
            ("EmployeeService", name, "<CompanyID>71001</CompanyID>")
            for name in operations("EmployeeService")
            if "AllEmployeesByCompany" in name
        ),
    ],
)
def test_every_answer_is_valid_by_its_schema(nmbrs, service: str, operation: str, fields: str) -> None:
    folder = files("visma_sandbox").joinpath("nmbrs_schemas")
    document = etree.parse(str(folder.joinpath(f"{service}.xsd")))
    for imported in document.iter("{http://www.w3.org/2001/XMLSchema}import"):
        imported.set("schemaLocation", "microsoft-types.xsd")
    response = nmbrs.ask(operation, fields, service=service)[0][0]
    etree.XMLSchema(document).assertValid(etree.ElementTree(response))
