"""What became of each row of one file, kept where the file's results go.

A row is sent only after an intent that names it is stored, and an outcome is stored after the answer. So a
row of which the ledger says nothing was never sent, and one with an intent alone is in doubt. Object stores
cannot append: the ledger is a folder of small objects, each written once, whole, and never changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import VismaContentError, VismaRequestError, VismaTransientError
from airflow_provider_visma.upload_ledger import write_once

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_SEGMENT = re.compile(r"(?P<number>\d{6,})\.(?P<kind>intent|outcome-\d+|owner|released)\.json", re.ASCII)
_HEADER = "upload.json"


@dataclass(frozen=True, slots=True)
class Owner:
    """The task instance that may write to the ledger."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int = -1
    try_number: int = 0

    def is_same_task_instance(self, other: Owner) -> bool:
        """Return whether both are tries of one task instance; Airflow runs one of them at a time."""
        return (self.dag_id, self.task_id, self.run_id, self.map_index) == (
            other.dag_id,
            other.task_id,
            other.run_id,
            other.map_index,
        )

    def __str__(self) -> str:
        mapped = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.dag_id}.{self.task_id}{mapped} of run {self.run_id}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service returned, or holds, an entry for the row.

    :param id: of the entry, empty where the service carried the row out and told none.
    """

    id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The service refused the row, and nothing was written.

    :param error: class of the error.
    :param code: the service's own code.
    :param reason: what the service said; it may quote the row.
    """

    error: str
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """The row may be sent: it was certainly not carried out, or sending it twice does no harm."""


Outcome = Accepted | Rejected | NotSent
_KINDS: dict[str, type[Accepted] | type[Rejected] | type[NotSent]] = {
    "accepted": Accepted,
    "rejected": Rejected,
    "not_sent": NotSent,
}


class Ledger:
    """The ledger of one upload.

    :param folder: its own folder, named by the file's SHA-256.
    :param system: where the rows go, as users know it.
    """

    def __init__(self, folder: ObjectStoragePath, *, system: str) -> None:
        self.folder = folder
        self._system = system
        self.rejected: dict[int, Rejected] = {}
        self.in_doubt: dict[int, int] = {}
        self._accepted = bytearray()
        self._last = 0
        self._repeats: dict[Rejected, Rejected] = {}
        self._claim = 0

    # Who may write

    def claim(self, owner: Owner, *, is_over: Callable[[Owner], bool | None], take_over: bool) -> None:
        """Become the ledger's owner.

        :param is_over: tells of another owner that gave no notice of its end whether it has ended; None
            where nobody knows.
        :param take_over: take the ledger from an owner of which nobody knows.
        :raises VismaTransientError: somebody else is at work.
        """
        claims = self._numbers("owner")
        if claims:
            last = max(claims)
            holder = self._owner(last)
            if not holder.is_same_task_instance(owner) and last not in self._numbers("released"):
                over = is_over(holder)
                if over is False or (over is None and not take_over):
                    raise self._busy(holder, known=over is not None)
        self._claim = max(claims, default=0) + 1
        path = self.folder / f"{self._claim:06d}.owner.json"
        try:
            write_once.create(path, asdict(owner))
        except FileExistsError:
            raise self._busy(self._owner(self._claim), known=True) from None
        if self._owner(self._claim) != owner:  # a store that does not refuse a second writer
            raise self._busy(self._owner(self._claim), known=True)

    def still_owned(self) -> None:
        """Check that nobody took the ledger over.

        :raises VismaTransientError: somebody did, taking this process for dead.
        """
        if write_once.exists(self.folder / f"{self._claim + 1:06d}.owner.json"):
            raise self._busy(self._owner(self._claim + 1), known=True)

    def release(self) -> None:
        """Give notice that this owner has ended."""
        if self._claim:
            with suppress(FileExistsError):
                write_once.create(self.folder / f"{self._claim:06d}.released.json", {})

    def _owner(self, number: int) -> Owner:
        return Owner(**write_once.read(self.folder / f"{number:06d}.owner.json"))

    def _busy(self, holder: Owner, *, known: bool) -> VismaTransientError:
        return VismaTransientError(
            f"{holder} is uploading the same file" + ("" if known else ", as far as anybody knows"),
            system=self._system,
            operation=str(self.folder),
            advice="This task stops before it sends another row, and a retry looks again."
            + ("" if known else " If that run is gone for good, run with take_over=True."),
        )

    # What the upload is

    def check_header(self, header: Mapping[str, Any]) -> None:
        """Compare what the upload is with what the first try stored.

        :param header: JSON values.
        :raises VismaRequestError: the same file was (partly) uploaded as something else.
        """
        path = self.folder / _HEADER
        if not write_once.exists(path):
            return
        held = write_once.read(path)
        if differing := sorted(name for name in header if held.get(name) != header[name]):
            raise VismaRequestError(
                f"this file was uploaded before with another {' and '.join(differing)}",
                system=self._system,
                operation=str(self.folder),
                advice="Nothing was sent. Use the same again to go on with that upload, or give another "
                "ledger to send every row anew.",
            )

    def store_header(self, header: Mapping[str, Any]) -> None:
        """Store what the upload is, before its first row is sent."""
        with suppress(FileExistsError):
            write_once.create(self.folder / _HEADER, header)

    # Rows

    def load(self, *, retry_rejected_until: int = 0) -> None:
        """Read all segments.

        :param retry_rejected_until: rows that were rejected up to this batch may be sent again.
        :raises VismaContentError: a segment is damaged.
        """
        for number, kind, segment in self._segments(("intent", "outcome")):
            if number > self._last + 1 or (kind == "outcome" and number > self._last):
                raise self._incomplete(self._last + 1)
            self._last = max(self._last, number)
            if kind == "intent":
                for row in segment["rows"]:
                    self.in_doubt[row] = number
                continue
            for row, outcome in _outcomes(segment):
                self._set(row, outcome, again=number <= retry_rejected_until)

    def _incomplete(self, number: int) -> VismaContentError:
        return VismaContentError(
            f"{number:06d}.intent.json of the ledger is gone, so nobody knows which rows were sent",
            system=self._system,
            operation=str(self.folder),
            advice="Nothing was sent. Bring it back from the store's versions or a backup.",
        )

    @property
    def last_batch(self) -> int:
        """Number of the last batch, 0 before the first."""
        return self._last

    @property
    def accepted(self) -> int:
        """How many rows were accepted."""
        return self._accepted.count(1)

    def is_open(self, row: int) -> bool:
        """Return whether the row has still to be sent."""
        done = row < len(self._accepted) and self._accepted[row]
        return not done and row not in self.rejected and row not in self.in_doubt

    def intend(self, rows: Collection[int], *, before: Iterable[str]) -> int:
        """Store that these rows are about to be sent; return the batch's number.

        :param before: ids of entries there already that could be taken for one of these rows.
        :raises VismaTransientError: another process wrote this batch.
        """
        number = self._last + 1
        try:
            write_once.create(
                self.folder / f"{number:06d}.intent.json", {"rows": list(rows), "before": sorted(before)}
            )
        except FileExistsError:
            raise self._busy(self._owner(max(self._numbers("owner"))), known=True) from None
        self._last = number
        self.in_doubt.update(dict.fromkeys(rows, number))
        return number

    def conclude(self, number: int, outcomes: Mapping[int, Outcome]) -> None:
        """Store what became of rows of a batch."""
        rows = [[row, _name(outcome), asdict(outcome)] for row, outcome in outcomes.items()]
        for attempt in range(1, 1000):
            try:
                write_once.create(self.folder / f"{number:06d}.outcome-{attempt}.json", {"rows": rows})
            except FileExistsError:
                continue
            break
        for row, outcome in outcomes.items():
            self._set(row, outcome)

    def before(self, batches: Collection[int]) -> set[str]:
        """Return the ids that were there before these batches were sent."""
        return {
            each
            for number, _, segment in self._segments(("intent",))
            if number in batches
            for each in segment["before"]
        }

    def accepted_among(self, ids: Collection[str]) -> set[str]:
        """Return those of *ids*, in small letters, that the ledger holds as accepted for some row."""
        return {
            outcome.id.lower()
            for _, _, segment in self._segments(("outcome",))
            for _, outcome in _outcomes(segment)
            if isinstance(outcome, Accepted) and outcome.id.lower() in ids
        }

    def _set(self, row: int, outcome: Outcome, *, again: bool = False) -> None:
        self.in_doubt.pop(row, None)
        if row < len(self._accepted) and self._accepted[row]:
            return  # for good, whatever a process says that was taken for dead and replaced
        self.rejected.pop(row, None)
        if isinstance(outcome, Accepted):
            if row >= len(self._accepted):
                self._accepted.extend(bytes(row + 1 - len(self._accepted) + 4096))
            self._accepted[row] = 1
        elif isinstance(outcome, Rejected) and not again:
            # The service says the same of many rows: one of each is kept.
            self.rejected[row] = self._repeats.setdefault(outcome, outcome)

    def _names(self) -> list[re.Match[str]]:
        return [name for found in write_once.names(self.folder) if (name := _SEGMENT.fullmatch(found))]

    def _numbers(self, kind: str) -> set[int]:
        return {int(name["number"]) for name in self._names() if name["kind"] == kind}

    def _segments(self, kinds: tuple[str, ...]) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Yield segments in the order in which they were written."""
        wanted = sorted(
            (int(name["number"]), name["kind"].startswith("outcome"), len(name[0]), name[0])
            for name in self._names()
            if name["kind"].split("-")[0] in kinds
        )
        contents = write_once.read_all(self.folder, (name for *_, name in wanted))
        for (number, is_outcome, _, _), segment in zip(wanted, contents, strict=True):
            yield number, "outcome" if is_outcome else "intent", segment


def _name(outcome: Outcome) -> str:
    return next(name for name, kind in _KINDS.items() if isinstance(outcome, kind))


def _outcomes(segment: Mapping[str, Any]) -> Iterator[tuple[int, Outcome]]:
    for row, name, fields in segment["rows"]:
        yield row, _KINDS[name](**fields)
