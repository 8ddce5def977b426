"""Each of the contract's 256 operations builds a request that keeps to its schema, member by member."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from airflow_provider_visma.hooks.severa import SeveraHook, is_read
from tests.unit.hooks.severa_service import KEY, SeveraService, operation_of
from visma_sandbox.severa.contract import Operation, TypeName, entities, entity, enums, operations
from visma_sandbox.severa.wsdl import wsdl

XS = "{http://www.w3.org/2001/XMLSchema}"
OPERATIONS = list(operations().values())
MOMENT = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
SIMPLE: dict[str, Any] = {
    "string": "tekst & <teken>",
    "int": 7,
    "long": 2**40,
    "unsignedByte": 3,
    "boolean": True,
    "decimal": Decimal("7.25"),
    "dateTime": MOMENT,
    "base64Binary": b"\x00\xff",
}


def sample(kind: TypeName, depth: int = 0) -> Any:
    """A value of *kind* with every member filled in, the members in the wrong order."""
    if kind.is_list:
        item = TypeName(kind.name)
        return {kind.name: [sample(item, depth + 1) for _ in range(2 if depth < 4 else 0)]}
    if kind.name in enums():
        return enums()[kind.name].values[-1]
    if kind.name not in entities():
        return SIMPLE[kind.name]
    members = reversed(entity(kind.name).members.items())
    return {name: sample(member, depth + 1) for name, member in members}


def leaves(value: Any) -> int:
    """How many plain values a sample holds."""
    if isinstance(value, dict):
        return sum(leaves(inner) for inner in value.values())
    return sum(leaves(inner) for inner in value) if isinstance(value, list) else 1


def arguments(operation: Operation) -> dict[str, Any]:
    return {name: sample(kind) for name, kind in reversed(operation.parameters.items())}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """The schemas of the WSDL as files, since libxml2 finds imported ones only by their place."""
    folder = tmp_path_factory.mktemp("schema")
    document = etree.fromstring(wsdl("https://sync.severa.com/webservice/S3/API.svc"))
    schemas = {each.get("targetNamespace"): each for each in document.iter(f"{XS}schema")}
    places = {namespace: f"{number}.xsd" for number, namespace in enumerate(schemas)}
    for namespace, each in schemas.items():
        for imported in each.iter(f"{XS}import"):
            imported.set("schemaLocation", places[imported.get("namespace")])
        Path(folder, places[namespace]).write_bytes(etree.tostring(each))
    return etree.XMLSchema(file=str(folder / places["http://soap.severa.com/"]))


@pytest.fixture(scope="module")
def service() -> Iterator[SeveraService]:
    service = SeveraService()
    with pytest.MonkeyPatch.context() as environment, service.host:
        environment.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", service.connection())
        yield service


@pytest.fixture(scope="module")
def hook(service: SeveraService) -> SeveraHook:
    return service.hook()


def test_the_contract_has_256_operations() -> None:
    assert len(OPERATIONS) == 256
    assert len({each.contract for each in OPERATIONS}) == 42


@pytest.mark.parametrize("operation", OPERATIONS, ids=[each.full_name for each in OPERATIONS])
def test_each_operation_builds_a_request_that_validates(
    operation: Operation, hook: SeveraHook, service: SeveraService, schema: etree.XMLSchema
) -> None:
    given = arguments(operation)
    hook.call(operation.contract, operation.name, **given)

    request = service.calls[-1]
    assert request.target == "/webservice/S3/API.svc"
    assert request.headers["soapaction"] == f'"{operation.action}"'.lower()
    assert operation_of(request) == operation.name
    envelope = service.envelope
    header, body = envelope
    assert [(each.tag, each.text) for each in header] == [
        ("{http://soap.severa.com/}WebServicePassword", KEY)
    ], "nothing but the key, and no WS-Addressing"
    schema.assertValid(etree.ElementTree(body[0]))
    assert sum(1 for each in body[0].iter() if not len(each) and each.text) == leaves(given), "none is lost"


def members_of(service: SeveraService, parameter: str) -> list[tuple[str, str | None]]:
    """The members of an entity that was sent, with their texts."""
    found = service.envelope.find(f".//{{*}}{parameter}")
    assert found is not None
    return [(etree.QName(each).localname, each.text) for each in found]


@pytest.mark.parametrize(
    ("contract", "operation", "parameter", "entity_name", "last"),
    [
        ("IHourEntry", "AddNewHourEntry", "hourEntryInfo", "HourEntry", "WorkTypeGUID"),
        ("ICustomer", "AddNewCustomer", "customer", "Customer", "eInvoiceOperator"),
    ],
)
def test_members_go_out_in_ordinal_order_capitals_first(
    contract: str,
    operation: str,
    parameter: str,
    entity_name: str,
    last: str,
    hook: SeveraHook,
    service: SeveraService,
) -> None:
    hook.call(contract, operation, **{parameter: sample(TypeName(entity_name))})
    names = [name for name, _ in members_of(service, parameter)]
    assert names == sorted(names)
    assert names[-1] == last


def test_what_is_not_given_is_not_sent(hook: SeveraHook, service: SeveraService) -> None:
    hook.call("IHourEntry", "AddNewHourEntry", hourEntryInfo={"Quantity": 2, "EventDate": date(2026, 3, 14)})
    assert members_of(service, "hourEntryInfo") == [("EventDate", "2026-03-14"), ("Quantity", "2")]


VERBS = {
    True: {"Get": 167},
    False: {
        "Add": 39,
        "Change": 1,
        "Create": 1,
        "Delete": 15,
        "Disable": 1,
        "Enable": 1,
        "Remove": 4,
        "Set": 5,
        "Update": 22,
    },
}


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "writes"])
def test_every_operation_is_known_for_a_read_or_a_write_by_its_verb(reads: bool) -> None:
    named = [each.name for each in OPERATIONS if is_read(each.name) is reads]
    verbs = Counter(re.findall("^[A-Z][a-z]+", name)[0] for name in named)
    assert verbs == VERBS[reads]


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if is_read(each.name)],
    ids=[each.full_name for each in OPERATIONS if is_read(each.name)],
)
def test_a_read_is_given_no_entity_and_returns_more_than_success(operation: Operation) -> None:
    assert not any(kind.name in entities() for kind in operation.parameters.values())
    assert operation.returns is not None
    assert operation.returns.name != "boolean"


@pytest.mark.parametrize("name", ["RefreshCase", "Getaway", "get", "IsAlive", ""])
def test_a_name_of_another_kind_is_taken_for_a_write(name: str) -> None:
    assert not is_read(name)
