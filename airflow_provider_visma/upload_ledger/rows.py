"""A row of a file as a service takes it, and what is wrong with one, said without a word of its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Members = dict[str, Any]
"""What a row says, by the service's own names; what the row leaves empty is not there."""

REJECTED_COLUMNS = ("rejected_row", "rejected_reason", "rejected_code")
"""What an error file adds to a row; ignored when the corrected file comes back."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row.

    :param row: its number in the file; the first after a header is 1.
    :param column: name of the column in the file, or of the member where there is none.
    :param rule: what was broken.
    """

    row: int
    column: str
    rule: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.column} {self.rule}"


class UnfitError(ValueError):
    """A value that breaks a rule; says which, and never the value."""
