"""The contract of Severa's SOAP API, as ``contract.json`` holds it: 42 service contracts, 256 operations.

Members stand in wire order here and everywhere: ordinal alphabetical, those of the base class first. What a
WCF service makes of a request and how it writes an answer both follow from it, as the WSDL does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

SERVICE_NAMESPACE: Final = "http://soap.severa.com/"
ARRAYS_NAMESPACE: Final = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
FAULT_NAMESPACE: Final = "http://schemas.datacontract.org/2004/07/Severa.API"
ENTITY_NAMESPACE: Final = "http://schemas.datacontract.org/2004/07/Severa.Entities.API"
_DATA_CONTRACTS: Final = "http://schemas.datacontract.org/2004/07/"
_NULLABLE_SIMPLE: Final = frozenset({"string", "base64Binary"})
DECLARED_FAULTS: Final = (
    "AuthenticationFailureException",
    "GeneralFailureException",
    "NoPermissionException",
    "NotFoundException",
    "ValidationException",
)


@dataclass(frozen=True, slots=True)
class TypeName:
    """The type of a parameter, a member or a result.

    :param name: of an entity, an enum, or a simple type of XML Schema; in a list, of its items.
    :param nullable: whether null can be written; a member that cannot be null has a default instead.
    """

    name: str
    is_list: bool = False
    nullable: bool = True

    @classmethod
    def parse(cls, text: str) -> TypeName:
        """Read the form of ``contract.json``: ``HourEntry[]``, ``dateTime?``, ``boolean``."""
        if text.endswith("[]"):
            return cls(text.removesuffix("[]"), is_list=True)
        if text.endswith("?"):
            return cls(text.removesuffix("?"))
        return cls(text, nullable=text in _NULLABLE_SIMPLE or text in entities())

    @property
    def namespace(self) -> str:
        """Of the elements inside: the items of the list, or the members of the entity."""
        return ARRAYS_NAMESPACE if self.name == "string" and self.is_list else ENTITY_NAMESPACE


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a contract.

    :param parameters: in wire order.
    :param returns: None for an operation that answers with an empty element.
    :param faults: the detail types it declares.
    """

    contract: str
    name: str
    parameters: Mapping[str, TypeName]
    returns: TypeName | None
    faults: frozenset[str]

    @property
    def full_name(self) -> str:
        """The name used in the journal and for faults: ``IHourEntry.GetHourEntriesByDate``."""
        return f"{self.contract}.{self.name}"

    @property
    def action(self) -> str:
        """The SOAPAction that leads to it."""
        return f"{SERVICE_NAMESPACE}{self.contract}/{self.name}"


@dataclass(frozen=True, slots=True)
class Entity:
    """A data contract.

    :param own_members: without those of the base, in wire order.
    """

    name: str
    base: str | None
    own_members: Mapping[str, TypeName]

    @property
    def members(self) -> Mapping[str, TypeName]:
        """All members in wire order."""
        return {**(entity(self.base).members if self.base else {}), **self.own_members}


@dataclass(frozen=True, slots=True)
class Enum:
    """An enumeration, written by the names of its values."""

    name: str
    namespace: str
    values: tuple[str, ...]


@cache
def operations() -> Mapping[str, Operation]:
    """Every operation by its SOAPAction, contract by contract."""
    known = (
        Operation(
            contract=contract,
            name=name,
            parameters=_types(each["parameters"]),
            returns=TypeName.parse(each["returns"]) if "returns" in each else None,
            faults=frozenset(f"{fault}Exception" for fault in each["faults"]),
        )
        for contract, described in _read()["contracts"].items()
        for name, each in described.items()
    )
    return {operation.action: operation for operation in known}


def contracts() -> tuple[str, ...]:
    """The names of the service contracts."""
    return tuple(_read()["contracts"])


@cache
def entities() -> frozenset[str]:
    """The names of all entities."""
    return frozenset(_read()["entities"])


@cache
def entity(name: str) -> Entity:
    """An entity by its XML name: ``HourEntry``, ``Contact.CommunicationMethod``."""
    described = _read()["entities"][name]
    return Entity(name, described.get("base"), _types(described["members"]))


@cache
def newer_members(name: str) -> Mapping[str, TypeName]:
    """All members of an entity in wire order, with those that later versions of the service added."""
    found = entity(name)
    added = _types(_read()["newer"].get(name, {}))
    if not added:
        return found.members
    return dict(sorted({**found.members, **added}.items()))


@cache
def enums() -> Mapping[str, Enum]:
    """The enumerations by name."""
    return {
        name: Enum(name, _DATA_CONTRACTS + described["namespace"], tuple(described["values"]))
        for name, described in _read()["enums"].items()
    }


def _types(described: Mapping[str, str]) -> Mapping[str, TypeName]:
    return {name: TypeName.parse(text) for name, text in described.items()}


@cache
def _read() -> Mapping[str, Any]:
    text = files("visma_sandbox").joinpath("severa", "contract.json").read_text(encoding="utf-8")
    described: Mapping[str, Any] = json.loads(text)
    return described
