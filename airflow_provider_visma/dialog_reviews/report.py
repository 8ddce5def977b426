"""What a review has to be for Nmbrs, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_visma.dialog_reviews.review import LINKED
from airflow_provider_visma.exceptions import VismaError


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a review has to be for Nmbrs.

    :param states: those in which a Dialog user counts as linked.
    :param document_type: GUID of the document type in Nmbrs.
    """

    document_type: str
    max_bytes: int
    states: Collection[str] = (LINKED,)
    allow_active: bool = False
    allow_encrypted: bool = False

    def of_document(self) -> dict[str, Any]:
        """Return what a document is judged by, as JSON values."""
        return {
            "document_type": self.document_type,
            "max_bytes": self.max_bytes,
            "allow_active": self.allow_active,
            "allow_encrypted": self.allow_encrypted,
        }


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one review in this run.

    :param outcome: ``filed``, ``filed_before``, ``refused``, ``refused_before``, ``failed``, ``in_doubt``,
        ``elsewhere`` or ``set_aside``.
    :param why: names or codes of what is wrong.
    :param document: name of the file in Nmbrs.
    """

    review: str
    outcome: str
    employee_id: int | None = None
    why: tuple[str, ...] = ()
    document: str | None = None
    sha256: str | None = None


@dataclass(slots=True)
class Report:
    """What became of all reviews.

    :ivar fatal: what stopped the run, where something did.
    :ivar not_tried: how many reviews it stopped before.
    """

    lines: list[Line] = field(default_factory=list)
    settled: int = 0
    not_tried: int = 0
    fatal: VismaError | None = None

    def count(self, *outcomes: str) -> int:
        """Return how many reviews came to one of *outcomes*."""
        return sum(line.outcome in outcomes for line in self.lines)

    def set_aside(self) -> dict[str, int]:
        """Return how many reviews were set aside, by reason."""
        return dict(Counter(line.why[0] for line in self.lines if line.outcome == "set_aside"))
