"""What became of each review: kept for all runs, by Nmbrs domain and review.

Every attempt has up to three objects, each written once and never changed: an *intent* before the first byte
is sent, a *decision* before the last, and an *outcome* after the answer. Without the decision Nmbrs never had
the whole document, so the review was certainly not filed; with it and without an outcome the review is in
doubt. Two processes that want to decide the same attempt write the same object, and one of them is refused.

The employee stands in the intent and not in the address: a review stays filed, or in doubt, whomever its user
is linked to later.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_visma.exceptions import VismaTransientError
from airflow_provider_visma.upload_ledger import write_once
from airflow_provider_visma.upload_ledger.ledger import Owner

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_NAME = re.compile(r"(?P<number>\d{3,})\.(?P<kind>intent|decision|outcome)\.json", re.ASCII)


class State(StrEnum):
    """What the ledger knows of a review."""

    NEW = "new"
    """Not filed, and may be."""

    STARTED = "started"
    """Some process began to send it, and has not decided to send the last of it."""

    IN_DOUBT = "in_doubt"
    """The last of it was sent, or was about to be, and no answer is known."""

    FILED = "filed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a review was refused, and on what terms: on others it may be accepted.

    :param by: ``check``, or ``nmbrs``.
    :param problems: names of what is wrong, or the service's code.
    :param terms: what the review was judged by.
    :param run_id: of the run in which it was.
    """

    by: str
    problems: tuple[str, ...]
    terms: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = ""


class TakenOverError(VismaTransientError):
    """Another process has this attempt: it gave this one up, or is sending the review itself."""


class Ledger:
    """The ledger of one Nmbrs domain.

    :param root: folder of all ledgers.
    :param domain: first part of the customer's Nmbrs address.
    """

    def __init__(self, root: ObjectStoragePath, *, domain: str) -> None:
        # Part of a host's name, so in any case; quoted, since a slash would be a way out of the root.
        self.folder = root / f"domain={quote(domain.lower(), safe='')}"

    def entry(self, review_id: str) -> Entry:
        """Return what is known of a review.

        :raises VismaContentError: an object of the ledger is damaged.
        """
        folder = self.folder / f"review={_key(review_id)}"
        attempts: dict[int, set[str]] = defaultdict(set)
        for name in write_once.names(folder):
            if found := _NAME.fullmatch(name):
                attempts[int(found["number"])].add(found["kind"])
        return Entry(folder, review_id, attempts)


class Entry:
    """What the ledger knows of one review.

    :ivar state: after its last attempt.
    :ivar employee_id: to whom the last attempt sent it, where one was begun.
    :ivar sha256: of the document of the last attempt, where one was begun.
    """

    def __init__(self, folder: ObjectStoragePath, review_id: str, attempts: Mapping[int, set[str]]) -> None:
        self.folder = folder
        self.review_id = review_id
        self.state = State.NEW
        self.employee_id: int | None = None
        self.sha256: str | None = None
        self.owner: Owner | None = None
        self.refusal: Refusal | None = None
        self._concluded = sorted(number for number, kinds in attempts.items() if "outcome" in kinds)
        self._last = max(attempts, default=0)
        if self._last:
            self._read_last(attempts[self._last])

    def _read_last(self, kinds: set[str]) -> None:
        if "intent" in kinds:
            intent = write_once.read(self._path("intent"))
            self.employee_id, self.sha256 = intent["employee_id"], intent["sha256"]
            self.owner = Owner(**intent["owner"])
        if "outcome" in kinds:
            self._read_outcome()
        elif "decision" in kinds:
            decided = write_once.read(self._path("decision"))["decided"]
            self.state = State.IN_DOUBT if decided == "send" else State.NEW
        else:
            self.state = State.STARTED

    def _read_outcome(self) -> None:
        told = write_once.read(self._path("outcome"))
        self.state = State(told["outcome"])
        if self.state is State.REFUSED:
            self.refusal = Refusal(**{**told["refusal"], "problems": tuple(told["refusal"]["problems"])})

    def give_up(self) -> bool:
        """Decide that the attempt that was begun is not sent to its end; tell whether that is so.

        A process that is at it after all ends before the last piece. It is not so where that process was
        quicker: then the review is in doubt until its outcome is known.
        """
        try:
            write_once.create(self._path("decision"), {"decided": "abandon"})
        except FileExistsError:
            decided = write_once.read(self._path("decision"))["decided"]
            self.state = State.IN_DOUBT if decided == "send" else State.NEW
            if write_once.exists(self._path("outcome")):
                self._read_outcome()
        else:
            self.state = State.NEW
        return self.state is State.NEW

    def was_settled_in(self, owner: Owner) -> bool:
        """Return whether a person who began this task instance settled an earlier attempt.

        What they found they found before it: they know nothing of an attempt that it made since.
        """
        told = (write_once.read(self._path("outcome", number)) for number in self._concluded)
        return any(each.get("settled_in") == _task_instance(owner) for each in told)

    def begin(self, *, employee_id: int, sha256: str | None, size: int | None, owner: Owner) -> None:
        """Store that the review is about to be sent to an employee, or refused.

        :raises TakenOverError: another process is sending it.
        """
        self._last += 1
        content = {
            "review": self.review_id,
            "employee_id": employee_id,
            "sha256": sha256,
            "size": size,
            "owner": asdict(owner),
        }
        self._create("intent", content)
        self.employee_id, self.sha256, self.owner = employee_id, sha256, owner
        self.state = State.STARTED

    def decide(self) -> None:
        """Store that the last piece of the review is about to be sent.

        :raises TakenOverError: another process gave this attempt up; it must not be sent to its end.
        """
        if self.state is State.STARTED:
            self._create("decision", {"decided": "send"})
            self.state = State.IN_DOUBT

    def filed(self, *, settled_in: Owner | None = None) -> None:
        """Store that Nmbrs has the document.

        :param settled_in: the task instance that a person began to say so; None where Nmbrs answered.
        """
        self._conclude(State.FILED, _settlement(settled_in))

    def not_filed(self, *, settled_in: Owner | None = None) -> None:
        """Store that Nmbrs does not have the document, which may be sent again; parameters as above."""
        self._conclude(State.NEW, _settlement(settled_in))

    def refused(self, refusal: Refusal) -> None:
        """Store that the review was refused, by Nmbrs or before it was sent; it was begun either way."""
        self._conclude(State.REFUSED, {"refusal": asdict(refusal)})
        self.refusal = refusal

    def _conclude(self, state: State, why: Mapping[str, Any]) -> None:
        try:
            write_once.create(self._path("outcome"), {"outcome": state.value, **why})
        except FileExistsError:
            # Somebody settled it meanwhile, and what was known first stays; but that Nmbrs has the document
            # stays true whatever they found.
            self._read_outcome()
            if state is State.FILED and self.state is not State.FILED:
                self._last += 1
                self._conclude(state, why)
        else:
            self.state = state

    def _create(self, kind: str, content: Mapping[str, Any]) -> None:
        try:
            write_once.create(self._path(kind), content)
        except FileExistsError:
            raise TakenOverError(
                "another process is at the same review",
                system="Nmbrs",
                operation=str(self.folder),
                advice="Nothing was filed here; what became of it the ledger tells the next run.",
            ) from None

    def _path(self, kind: str, number: int | None = None) -> ObjectStoragePath:
        return self.folder / f"{number or self._last:03d}.{kind}.json"


def _key(review_id: str) -> str:
    """Return a review's id as part of a file name."""
    if _PLAIN.fullmatch(review_id):
        return review_id
    return f"sha256-{hashlib.sha256(review_id.encode()).hexdigest()}"


def _settlement(owner: Owner | None) -> dict[str, Any]:
    return {} if owner is None else {"settled_in": _task_instance(owner)}


def _task_instance(owner: Owner) -> list[Any]:
    return [owner.dag_id, owner.task_id, owner.run_id, owner.map_index]
