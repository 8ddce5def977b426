"""What a column of a report is, by the names of the Entity Data Model, and how values are written.

What must stay true: a row holds every value as it stands on the wire (``7.50`` stays ``7.50``), None for
null, a list for a collection and a tuple, in the order of the members, for a complex value. So nothing that
a reader may confuse is lost before it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

Value: TypeAlias = "str | Sequence[Value] | None"
Row: TypeAlias = Sequence[Value]

INTEGERS: Final = frozenset({"Edm.Byte", "Edm.SByte", "Edm.Int16", "Edm.Int32", "Edm.Int64"})
NUMBERS: Final = INTEGERS | {"Edm.Decimal", "Edm.Double", "Edm.Single"}
PRIMITIVES: Final = NUMBERS | {
    "Edm.Binary",
    "Edm.Boolean",
    "Edm.DateTime",
    "Edm.DateTimeOffset",
    "Edm.GeographyPoint",
    "Edm.Guid",
    "Edm.String",
    "Edm.Time",
}
NAMESPACE: Final = "Orbit"


class UnknownTypeError(ValueError):
    """A type was named that no feed has, or one to which a column's values cannot be turned."""


@dataclass(frozen=True, slots=True)
class Column:
    """A property of every entry of a report.

    :param type: ``Edm.Decimal``, ``Orbit.Contact`` or ``Collection(Edm.String)``.
    """

    name: str
    type: str = "Edm.String"
    nullable: bool = True

    @property
    def element_type(self) -> str | None:
        """What a collection is of; None for anything else."""
        return self.type[len("Collection(") : -1] if self.type.startswith("Collection(") else None


COMPLEX_TYPES: Final[Mapping[str, tuple[Column, ...]]] = {
    f"{NAMESPACE}.Contact": (
        Column("Name"),
        Column("Email"),
        Column("Since", "Edm.DateTime"),
        Column("Address", f"{NAMESPACE}.Address"),
    ),
    f"{NAMESPACE}.Address": (Column("Street"), Column("Number", "Edm.Int32"), Column("City")),
}


def check_type(name: str) -> None:
    """Refuse a type that nobody can write.

    :raises UnknownTypeError: so that a typo cannot pass for a feed.
    """
    of = Column("", name).element_type or name
    if of not in PRIMITIVES and of not in COMPLEX_TYPES:
        raise UnknownTypeError(f"no type is called {name}")


def converted(value: Value, source: str, target: str) -> Value:
    """A value of one type as another type writes it.

    :raises UnknownTypeError: when nothing sensible can be made of it.
    """
    if value is None or source == target:
        return value
    if isinstance(value, str):
        if target == "Edm.String":
            return value
        if source == "Edm.Boolean" and target in NUMBERS:
            return "1" if value == "true" else "0"
        if target in NUMBERS and source in NUMBERS | {"Edm.String"}:
            return _number(value, target)
        if (source, target) == ("Edm.DateTime", "Edm.DateTimeOffset"):
            return f"{value}Z"
        if (source, target) == ("Edm.DateTimeOffset", "Edm.DateTime"):
            return value[:19]
        if target == f"Collection({source})":
            return [value]
    raise UnknownTypeError(f"{source} does not become {target}; give a value")


def _number(value: str, target: str) -> str:
    try:
        number = Decimal(value)
        return str(int(number)) if target in INTEGERS else value
    except (InvalidOperation, ValueError, OverflowError):
        raise UnknownTypeError(f"a column that is no number does not become {target}; give a value") from None
