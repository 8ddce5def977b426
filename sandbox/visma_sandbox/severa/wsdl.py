"""The WSDL that Severa answers: one service, 42 ports at one address, SOAP 1.1, document/literal wrapped.

Nothing is written here that ``contract.json`` does not say. As WCF does it, every element is optional, and
nillable where its type is; the quota and terms-of-service faults are not declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final
from xml.sax.saxutils import quoteattr

from visma_sandbox.severa.contract import (
    ARRAYS_NAMESPACE,
    DECLARED_FAULTS,
    ENTITY_NAMESPACE,
    FAULT_NAMESPACE,
    SERVICE_NAMESPACE,
    Entity,
    Operation,
    TypeName,
    contracts,
    entities,
    entity,
    enums,
    operations,
)

_PREFIXES: Final = {
    SERVICE_NAMESPACE: "tns",
    ENTITY_NAMESPACE: "e",
    FAULT_NAMESPACE: "f",
    "http://schemas.datacontract.org/2004/07/Severa.Entities": "c",
    ARRAYS_NAMESPACE: "arrays",
}
_ADDRESS: Final = "{address}"


def wsdl(location: str) -> bytes:
    """Write the WSDL.

    :param location: address of the service, as the asking client reaches it.
    """
    return _text().replace(_ADDRESS, quoteattr(location)).encode()


@cache
def _text() -> str:
    by_contract: dict[str, list[Operation]] = {contract: [] for contract in contracts()}
    for operation in operations().values():
        by_contract[operation.contract].append(operation)
    namespaces = "".join(f' xmlns:{prefix}="{namespace}"' for namespace, prefix in _PREFIXES.items())
    return "".join(
        (
            '<?xml version="1.0" encoding="utf-8"?>'
            f'<wsdl:definitions name="API" targetNamespace="{SERVICE_NAMESPACE}"'
            ' xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"'
            f' xmlns:xs="http://www.w3.org/2001/XMLSchema"{namespaces}>',
            "<wsdl:types>",
            *_schemas(),
            "</wsdl:types>",
            *(_messages(operation) for operation in operations().values()),
            *(_port_type(contract, known) for contract, known in by_contract.items()),
            *(_binding(contract, known) for contract, known in by_contract.items()),
            '<wsdl:service name="API">',
            *(
                f'<wsdl:port name="Severa.API.{contract}" binding="tns:Severa.API.{contract}">'
                f"<soap:address location={_ADDRESS}/></wsdl:port>"
                for contract in by_contract
            ),
            "</wsdl:service></wsdl:definitions>",
        )
    )


def _schemas() -> Iterator[str]:
    described: dict[str, list[str]] = {namespace: [] for namespace in _PREFIXES}
    described[SERVICE_NAMESPACE] += map(_wrappers, operations().values())
    for name in sorted(entities()):
        described[ENTITY_NAMESPACE].append(_entity(entity(name)))
    for item in sorted(_item_types()):
        described[TypeName(item, is_list=True).namespace].append(_array(item))
    described[FAULT_NAMESPACE].append(_exceptions())
    for enum in enums().values():
        values = "".join(f'<xs:enumeration value="{value}"/>' for value in enum.values)
        described[enum.namespace].append(
            f'<xs:simpleType name="{enum.name}"><xs:restriction base="xs:string">{values}</xs:restriction>'
            f"</xs:simpleType>{_root(enum.namespace, enum.name)}"
        )
    for namespace, parts in described.items():
        imports = "".join(f'<xs:import namespace="{other}"/>' for other in _PREFIXES if other != namespace)
        yield f'<xs:schema elementFormDefault="qualified" targetNamespace="{namespace}">{imports}'
        yield from parts
        yield "</xs:schema>"


def _item_types() -> set[str]:
    types: list[TypeName | None] = []
    for operation in operations().values():
        types += [*operation.parameters.values(), operation.returns]
    for name in entities():
        types += entity(name).own_members.values()
    return {each.name for each in types if each is not None and each.is_list}


def _wrappers(operation: Operation) -> str:
    result = {} if operation.returns is None else {f"{operation.name}Result": operation.returns}
    return "".join(
        f'<xs:element name="{name}"><xs:complexType>{_sequence(members)}</xs:complexType></xs:element>'
        for name, members in (
            (operation.name, operation.parameters),
            (f"{operation.name}Response", result),
        )
    )


def _entity(described: Entity) -> str:
    content = _sequence(described.own_members)
    if described.base is not None:
        content = _extension(f"{_PREFIXES[ENTITY_NAMESPACE]}:{described.base}", content)
    return (
        f'<xs:complexType name="{described.name}">{content}</xs:complexType>'
        f"{_root(ENTITY_NAMESPACE, described.name)}"
    )


def _array(item: str) -> str:
    namespace = TypeName(item, is_list=True).namespace
    return (
        f'<xs:complexType name="ArrayOf{item}"><xs:sequence><xs:element minOccurs="0" maxOccurs="unbounded"'
        f' name="{item}" nillable="true" type="{_reference(TypeName(item))}"/></xs:sequence></xs:complexType>'
        f"{_root(namespace, f'ArrayOf{item}')}"
    )


def _exceptions() -> str:
    base = _sequence({"Description": TypeName("string"), "Source": TypeName("string")})
    types = [("SeveraApiException", base)]
    prefix = _PREFIXES[FAULT_NAMESPACE]
    types += [(name, _extension(f"{prefix}:SeveraApiException", _sequence({}))) for name in DECLARED_FAULTS]
    return "".join(
        f'<xs:complexType name="{name}">{content}</xs:complexType>{_root(FAULT_NAMESPACE, name)}'
        for name, content in types
    )


def _extension(base: str, content: str) -> str:
    return f'<xs:complexContent><xs:extension base="{base}">{content}</xs:extension></xs:complexContent>'


def _root(namespace: str, name: str) -> str:
    return f'<xs:element name="{name}" nillable="true" type="{_PREFIXES[namespace]}:{name}"/>'


def _sequence(members: Mapping[str, TypeName]) -> str:
    elements = "".join(
        f'<xs:element minOccurs="0" name="{name}"{_nillable(each)} type="{_reference(each)}"/>'
        for name, each in members.items()
    )
    return f"<xs:sequence>{elements}</xs:sequence>"


def _nillable(each: TypeName) -> str:
    return ' nillable="true"' if each.nullable else ""


def _reference(each: TypeName) -> str:
    if each.is_list:
        return f"{_PREFIXES[each.namespace]}:ArrayOf{each.name}"
    if each.name in entities():
        return f"{_PREFIXES[ENTITY_NAMESPACE]}:{each.name}"
    enum = enums().get(each.name)
    return f"xs:{each.name}" if enum is None else f"{_PREFIXES[enum.namespace]}:{each.name}"


def _faults(operation: Operation) -> Iterable[str]:
    return (name for name in DECLARED_FAULTS if name in operation.faults)


def _messages(operation: Operation) -> str:
    stem = f"{operation.contract}_{operation.name}"
    messages = [
        (f"{stem}_InputMessage", "parameters", f"tns:{operation.name}"),
        (f"{stem}_OutputMessage", "parameters", f"tns:{operation.name}Response"),
    ]
    prefix = _PREFIXES[FAULT_NAMESPACE]
    messages += [
        (_fault_message(operation, name), "detail", f"{prefix}:{name}") for name in _faults(operation)
    ]
    return "".join(
        f'<wsdl:message name="{name}"><wsdl:part name="{part}" element="{element}"/></wsdl:message>'
        for name, part, element in messages
    )


def _fault_message(operation: Operation, fault: str) -> str:
    return f"{operation.contract}_{operation.name}_{fault}Fault_FaultMessage"


def _port_type(contract: str, known: Iterable[Operation]) -> str:
    return f'<wsdl:portType name="{contract}">{"".join(map(_port_operation, known))}</wsdl:portType>'


def _port_operation(operation: Operation) -> str:
    stem = f"tns:{operation.contract}_{operation.name}"
    faults = "".join(
        f'<wsdl:fault name="{name}Fault" message="tns:{_fault_message(operation, name)}"/>'
        for name in _faults(operation)
    )
    return (
        f'<wsdl:operation name="{operation.name}"><wsdl:input message="{stem}_InputMessage"/>'
        f'<wsdl:output message="{stem}_OutputMessage"/>{faults}</wsdl:operation>'
    )


def _binding(contract: str, known: Iterable[Operation]) -> str:
    return (
        f'<wsdl:binding name="Severa.API.{contract}" type="tns:{contract}">'
        '<soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>'
        f"{''.join(map(_bound, known))}</wsdl:binding>"
    )


def _bound(operation: Operation) -> str:
    body = '<soap:body use="literal"/>'
    faults = "".join(
        f'<wsdl:fault name="{name}Fault"><soap:fault use="literal" name="{name}Fault"/></wsdl:fault>'
        for name in _faults(operation)
    )
    return (
        f'<wsdl:operation name="{operation.name}">'
        f'<soap:operation soapAction="{operation.action}" style="document"/>'
        f"<wsdl:input>{body}</wsdl:input><wsdl:output>{body}</wsdl:output>{faults}</wsdl:operation>"
    )
