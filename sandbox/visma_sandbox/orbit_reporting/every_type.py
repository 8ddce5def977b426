"""A report with a column of every type, at the edges of what each can hold; and one without a row.

What must stay true: every value is one that OData v3 allows for its type, or that real servers send for it
(a DateTime with an offset, a Time that is a duration, Binary in base64, Boolean as 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from visma_sandbox.orbit_reporting.edm import NAMESPACE, Column, Row, Value
from visma_sandbox.orbit_reporting.reports import Report

# fmt: off
EDGES: Final[Mapping[str, tuple[Value, ...]]] = {
    "Edm.Binary": ("", "AA==", "AQID", "//79/Pv6", None, "iVBORw0KGgo="),
    "Edm.Boolean": ("true", "false", "1", "0", None),
    "Edm.Byte": ("0", "255", "7", None),
    "Edm.SByte": ("-128", "127", "0", None),
    "Edm.Int16": ("-32768", "32767", "0", None),
    "Edm.Int32": ("-2147483648", "2147483647", "0", "-1", None),
    "Edm.Int64": (
        "-9223372036854775808", "9223372036854775807", "9007199254740993", "0", None,
    ),
    "Edm.Decimal": (
        "0", "-0.0000000001", "79228162514264337593543950335", "-79228162514264337593543950335", "100.00",
        "0.1000000000000000000000000001", None, "12345678901234567890.12345678",
    ),
    "Edm.Double": (
        "0", "-0", "1.7976931348623157E+308", "5E-324", "INF", "-INF", "NaN", None, "0.1", "1e10", "12",
    ),
    "Edm.Single": ("0", "3.402823E+38", "1.401298E-45", "INF", "-INF", "NaN", None, "0.1"),
    "Edm.Guid": (
        "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "7D8F1758-00D4-4C53-A2E3-8FCA73EBB92C", None,
    ),
    "Edm.DateTime": (
        "2026-03-29T02:30:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59.9999999",
        "2024-02-29T23:59:59.9999999", "1753-01-01T00:00", "2018-05-20T20:30:40.6779345+02:00",
        "2026-10-25T02:30:00Z", "1969-12-31T23:59:59.5", None, "2026-01-31T00:00:00.1234567",
    ),
    "Edm.DateTimeOffset": (
        "2026-03-29T02:30:00+01:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z",
        "2026-06-29T12:00:00.1234567-11:30", "2026-06-29T12:00:00+14:00", None,
    ),
    "Edm.Time": (
        "PT0S", "PT8H", "PT7H30M", "P1DT2H3M4.5S", "-PT1H", "P10675199DT2H48M5.4775807S",
        "-P10675199DT2H48M5.4775808S", "PT0.0000001S", None, "PT36H",
    ),
    "Edm.String": (
        "text", "", None, " in between ", "\ttab and\nline", "carriage\rreturn", "=SUM(A1)", "\u200b",
        "<d:Hours>9</d:Hours> & more", "]]>", "null", "0123", "Zoë 美咲 😀", "e\u0301 and \u00e9", "12.50",
        "true", "NaN", "2026-01-31T00:00:00", "\u00a0",
    ),
}
_COLLECTIONS: Final[Mapping[str, tuple[Value, ...]]] = {
    "Collection(Edm.String)": ([], ["one"], ["one", "", "two & three"], ["one", "one"]),
    "Collection(Edm.Int64)": (["9223372036854775807", "-1"], [], ["0"]),
    f"Collection({NAMESPACE}.Address)": (
        [], [("Voorbeeldstraat", "1", "Testdam"), (None, None, "")], [("", "2147483647", None)],
    ),
    f"{NAMESPACE}.Contact": (
        ("Anna Testpersoon", None, "2024-02-29T00:00:00", ("Proefweg", None, "")),
        None, ("", "test@example.com", None, None), (None, None, None, None),
    ),
}
# fmt: on
_ROWS: Final = 40


def _name(kind: str) -> str:
    return f"An{kind.removeprefix('Edm.')}" if kind.startswith("Edm.") else kind.translate(_AS_NAME)


_AS_NAME: Final = str.maketrans({"(": "Of", ")": None, ".": None})


class EveryType(Report):
    """One column of each type; the lists of values differ in length, so that they meet in ever other rows."""

    id = "RPX6E2V7H9JU4RM"
    title = "Alle typen"
    columns = (
        Column("Key", "Edm.Int32", nullable=False),
        *(Column(_name(kind), kind) for kind in EDGES),
        *(Column(_name(kind), kind) for kind in _COLLECTIONS),
        Column("_x0031_e_kwartaal", "Edm.Decimal"),
        Column("Één.kolom-met_leestekens", "Edm.String"),
        Column("Always_Null", "Edm.Int32"),
    )

    def __len__(self) -> int:
        return _ROWS

    def row(self, index: int) -> Row:
        """The next value of each type."""
        edges = (values[index % len(values)] for kind in (EDGES, _COLLECTIONS) for values in kind.values())
        return (str(index), *edges, f"{index}.50", f"é{index}", None)

    def key(self, index: int) -> str:
        """The place in the report."""
        return str(index)


class Empty(Report):
    """A report whose filters leave nothing: without a row, a feed does not show its columns either."""

    id = "RPD1A5S8F3G7HKJ"
    title = "Openstaande aanvragen"
    columns = (Column("RequestKey", "Edm.Int32", nullable=False), Column("Subject"))

    def row(self, index: int) -> Row:
        """Never asked for."""
        raise IndexError(index)
