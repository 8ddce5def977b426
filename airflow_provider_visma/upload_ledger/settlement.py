"""What became of rows that were sent and got no answer."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Settlement:
    """What became of rows in doubt.

    :param found: id of the entry by row.
    :param absent: rows of which there is no trace.
    :param unclear: rows of which neither is certain.
    """

    found: dict[int, str] = field(default_factory=dict)
    absent: list[int] = field(default_factory=list)
    unclear: list[int] = field(default_factory=list)
