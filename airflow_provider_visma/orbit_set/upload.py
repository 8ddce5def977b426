"""Rows to a ``set`` of Orbit: how one is sent, and how one is found that was sent without an answer.

With an id, sending it again does no harm: it says the same. Without one, sending it again makes another: it
is looked up by a field that no two rows share, and where there is no such field a person looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from airflow_provider_visma.exceptions import (
    VismaConflictError,
    VismaContentError,
    VismaError,
    VismaNotFoundError,
    VismaRequestError,
)
from airflow_provider_visma.orbit_set.rows import value_of
from airflow_provider_visma.protocols.html import page_title
from airflow_provider_visma.upload_ledger.ledger import Ledger, Outcome, Rejected
from airflow_provider_visma.upload_ledger.rows import Members
from airflow_provider_visma.upload_ledger.settlement import Settlement
from airflow_provider_visma.upload_ledger.upload import RowUpload

# What a server says about the body and not about the caller, the resource or itself.
_OF_THE_ROW = ("HTTP 400", "HTTP 409", "HTTP 410", "HTTP 412", "HTTP 413", "HTTP 422")


class OrbitRows(Protocol):
    """What the upload needs of Orbit."""

    def set(self, body: Members) -> Any:
        """Call ``set`` once and return the answer."""

    def all(self) -> Iterable[Mapping[str, Any]]:
        """Return all rows of the resource."""


class OrbitUpload(RowUpload):
    """One try to bring a file's rows to Orbit.

    :param look_up_by: a field that no two rows of the resource share; None where there is none.
    :param patiently: calls a function with arguments, and again where it was certainly not carried out, as
        when Orbit asks for patience.
    """

    system = "Teamleader Orbit"
    look = (
        "Look in Orbit for these rows, then run again with settled={row: id of what it became, or None where "
        "it is not there}."
    )

    def __init__(
        self,
        service: OrbitRows,
        ledger: Ledger,
        *,
        operation: str,
        look_up_by: str | None,
        patiently: Callable[..., Any],
        **arguments: Any,
    ) -> None:
        super().__init__(ledger, operation=operation, ask=look_up_by is not None, **arguments)
        self._service = service
        self._look_up_by = look_up_by or ""
        self._patiently = patiently
        self._held: dict[str, list[str]] | None = None
        self._latest: tuple[str, str] | None = None  # value and id of a row that was made

    def _carry_out(self, members: Members) -> str | None:
        row_id = _id_in(self._patiently(self._once, members))
        if row_id and self._ask and not self._may_repeat(members):
            self._latest = self._value(members), row_id
        return row_id or str(members.get("id", ""))

    def _once(self, members: Members) -> Any:
        self._stay_owner()  # a wait may lie behind us
        return self._service.set(members)

    def _refusal(self, error: VismaError, members: Members) -> Rejected | None:
        if error.reason is None:  # nobody answered: it would meet every row
            return None
        of_the_row = isinstance(error, (VismaRequestError, VismaConflictError)) and (
            error.code in _OF_THE_ROW or not (error.code or "").startswith("HTTP")
        )
        # Without an id it is the resource that does not exist.
        if not of_the_row and not (isinstance(error, VismaNotFoundError) and "id" in members):
            return None
        said = page_title(error.reason.encode()) if error.reason.lstrip().startswith("<") else error.reason
        return Rejected(type(error).__name__, error.code, said or None)

    def _may_repeat(self, members: Members) -> bool:
        return "id" in members

    def _shows(self, members: Members) -> bool:
        # Where a row that was made is not in the list under its value, because Orbit writes the value in
        # another way or the list lags behind, one in doubt may be there as well.
        value, row_id = self._latest or ("", "")
        return self._latest is None or row_id in (self._held or {}).get(value, ())

    def _before(self, batch: Mapping[int, Members]) -> set[str]:
        wanted = [members for members in batch.values() if not self._may_repeat(members)]
        if not wanted:
            return set()
        held = self._read() if self._held is None else self._held
        return {each.lower() for members in wanted for each in held.get(self._value(members), ())}

    def _send(self, row: int, members: Members, *, known: set[str]) -> Outcome:
        if self._ask and not self._may_repeat(members) and (self._held or {}).get(self._value(members)):
            return Rejected(
                "VismaConflictError",
                code="exists",
                reason=f"Orbit has a row with this {self._look_up_by}; give its id to change it",
            )
        return super()._send(row, members, known=known)

    def _settle(self, rows: Mapping[int, Members], known: set[str]) -> Settlement:
        held = self._read()
        new = {row: self._new(held, members, known) for row, members in rows.items()}
        lower = {each.lower() for ids in new.values() for each in ids}
        accepted = self._ledger.accepted_among(lower) if lower else set()
        settlement = Settlement()
        for row, ids in new.items():
            left = [each for each in ids if each.lower() not in accepted]
            if len(left) == 1:
                settlement.found[row] = left[0]
            else:
                (settlement.unclear if left else settlement.absent).append(row)
        return settlement

    def _new(self, held: Mapping[str, list[str]], members: Members, known: set[str]) -> list[str]:
        return [each for each in held.get(self._value(members), ()) if each.lower() not in known]

    def _value(self, members: Members) -> str:
        return value_of(members[self._look_up_by])

    def _read(self) -> dict[str, list[str]]:
        """Read the list, which may be filtered in no way that is known; keep ids by value."""
        held: dict[str, list[str]] = {}
        count = shown = 0
        for row in self._service.all():
            count += 1
            if self._look_up_by not in row:
                continue
            shown += 1
            if row[self._look_up_by] is not None:
                held.setdefault(value_of(row[self._look_up_by]), []).append(str(row.get("id", "")))
        if count and not shown:
            raise VismaContentError(
                f"no row of the list shows {self._look_up_by}, so none can be looked up by it",
                system=self.system,
                operation=self._operation,
                advice="Give another field in look_up_by. Of this batch nothing was sent.",
            )
        self._held = held
        return held


def _id_in(answer: Any) -> str:
    """Return the id in an answer: flat, or one level down; empty where there is none."""
    if not isinstance(answer, Mapping):
        return ""
    within = next(iter(answer.values())) if len(answer) == 1 else None
    found = answer.get("id") or (within.get("id") if isinstance(within, Mapping) else None)
    return found if isinstance(found, str) else ""
