"""What an import will do, before it does it: a value to read, count, store and guard.

A plan names everything it would send, so it holds personal data: its text belongs in the plan file at
the destination. Logs and XCom get :meth:`Plan.counts` alone.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from airflow_provider_visma.dialog_import.rules import SOURCE_REASONS, EntryFields, SetAsideReason, UserFields

Fields = UserFields | EntryFields

_EMPTIED_SHARE = 0.05


class Kind(StrEnum):
    """What Dialog keeps. Users refer to the other two, so they come last."""

    DEPARTMENT = "department"
    FUNCTION = "function"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Held:
    """Something that Dialog holds already.

    :param id: Dialog's own identifier.
    :param external_id: ours: EmployeeId, department code or function id.
    :param version: its ETag, where the service has them.
    :param state: of a user: imported, invited, linked, or what else the service says.
    """

    kind: Kind
    id: str
    external_id: str | None
    version: str | None
    state: str | None
    fields: Fields


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, before and after."""

    field: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Create:
    """Something that Dialog does not hold yet."""

    kind: Kind
    external_id: str
    wanted: Fields


@dataclass(frozen=True, slots=True)
class Update:
    """Something that Dialog holds with other values."""

    kind: Kind
    external_id: str
    held: Held
    wanted: Fields
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class Frozen:
    """A user beyond the state imported: whatever differs is told and not sent."""

    external_id: str
    state: str | None
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class SetAside:
    """An employee who cannot be imported, and why."""

    external_id: str
    reason: SetAsideReason


@dataclass(frozen=True, slots=True)
class Gone:
    """Something that Dialog holds and Nmbrs no longer lists. It stays."""

    kind: Kind
    external_id: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A department or function that an employee has and the debtor's list lacks."""

    kind: Kind
    external_id: str
    number: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A department code or function id that two debtors describe differently."""

    kind: Kind
    external_id: str


Line = Create | Update | Frozen | SetAside | Gone | Unknown | Ambiguous


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one import would do.

    :param lines: departments, functions, users; each in the order of their numbers.
    :param unchanged: how many of each kind need nothing.
    :param source_employees: employees in the snapshot.
    :param held_users: users of this import that Dialog held.
    """

    lines: tuple[Line, ...]
    unchanged: dict[Kind, int]
    source_employees: int
    held_users: int

    @property
    def writes(self) -> Iterator[Create | Update]:
        """Yield what would be sent, in the order to send it."""
        return (line for line in self.lines if isinstance(line, (Create, Update)))

    def counts(self) -> dict[str, Any]:
        """Return numbers only, fit for logs and XCom."""
        tally: Counter[str] = Counter()
        reasons: Counter[str] = Counter(dict.fromkeys(map(str, SOURCE_REASONS), 0))
        for line in self.lines:
            kind = getattr(line, "kind", Kind.USER)
            name = type(line).__name__.lower()
            tally[f"{name} {kind}"] += 1
            if isinstance(line, SetAside):
                reasons[str(line.reason)] += 1
            elif isinstance(line, Frozen) and line.changes:
                tally["frozen different"] += 1
        return {
            "employees": self.source_employees,
            "created": tally["create user"],
            "updated": tally["update user"],
            "unchanged": self.unchanged[Kind.USER],
            "frozen": tally["frozen user"],
            "frozen_different": tally["frozen different"],
            "gone": tally["gone user"],
            "set_aside": dict(sorted(reasons.items())),
            "unknown_functions": tally["unknown function"],
            "unknown_departments": tally["unknown department"],
            "departments": self._listed(Kind.DEPARTMENT, tally),
            "functions": self._listed(Kind.FUNCTION, tally),
            "department_changes": self._entry_counts(Kind.DEPARTMENT, tally),
            "function_changes": self._entry_counts(Kind.FUNCTION, tally),
        }

    def _listed(self, kind: Kind, tally: Counter[str]) -> int:
        return tally[f"create {kind}"] + tally[f"update {kind}"] + self.unchanged[kind]

    def _entry_counts(self, kind: Kind, tally: Counter[str]) -> dict[str, int]:
        return {
            "created": tally[f"create {kind}"],
            "updated": tally[f"update {kind}"],
            "unchanged": self.unchanged[kind],
            "gone": tally[f"gone {kind}"],
            "ambiguous": tally[f"ambiguous {kind}"],
        }

    def missing(self) -> dict[str, dict[str, int]]:
        """Return the departments and functions that no debtor defines, by number, and how many have each."""
        found = {str(kind): Counter[str]() for kind in (Kind.DEPARTMENT, Kind.FUNCTION)}
        for line in self.lines:
            if isinstance(line, Unknown):
                found[str(line.kind)][line.number] += 1
        return {kind: dict(tally.most_common()) for kind, tally in found.items()}

    def text(self) -> Iterator[str]:
        """Yield the plan as a person reads it, like a diff."""
        yield f"# {self.source_employees} employees in Nmbrs, {self.held_users} of our users in Dialog"
        for line in self.lines:
            yield _text(line)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the plan as JSON objects; the first one describes the plan itself."""
        yield {
            "action": "plan",
            "source_employees": self.source_employees,
            "held_users": self.held_users,
        }
        for line in self.lines:
            record: dict[str, Any] = {"action": type(line).__name__.lower(), **asdict(line)}
            if isinstance(line, Update):
                record["held"] = {"id": line.held.id, "version": line.held.version}
            if isinstance(line, (Create, Update)):
                record["digest"] = digest(line)
            yield record


def diff(old: Fields, new: Fields, known: Set[str]) -> tuple[FieldChange, ...]:
    """Return the fields of *new* that differ from *old*, of those that the service can keep.

    Addresses that differ in upper and lower case only are the same address.
    """
    changes = []
    for field in fields(new):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if field.name not in known or before == after:
            continue
        if field.name in ("email", "user_name") and (before or "").casefold() == (after or "").casefold():
            continue
        changes.append(FieldChange(field=field.name, old=before, new=after))
    return tuple(changes)


def digest(line: Create | Update) -> str:
    """Return a hash of what *line* would make of its user: equal for the same change in a later plan."""
    if isinstance(line, Create):
        values: Any = asdict(line.wanted)
    else:
        values = {change.field: change.new for change in line.changes}
    text = json.dumps([type(line).__name__, line.kind, line.external_id, values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person has let through: the changes of one plan, by their digests."""

    digests: frozenset[str] = frozenset()
    empty_source: bool = False

    @classmethod
    def of(cls, records: Iterable[dict[str, Any]]) -> Approval:
        """Read the approved plan back from what :meth:`Plan.records` wrote."""
        digests = set()
        empty_source = False
        for record in records:
            if record["action"] == "plan":
                empty_source = record["source_employees"] == 0
            elif "digest" in record:
                digests.add(record["digest"])
        return cls(digests=frozenset(digests), empty_source=empty_source)


def guard(plan: Plan, *, max_share: float, minimum: int, approval: Approval | None = None) -> tuple[str, ...]:
    """Return why *plan* must not be applied without a person's word; empty where it may.

    Counted are changes to users that Dialog holds, as a share of those users, once it holds *minimum*
    of them. New users do not count by themselves: the first import creates everybody, and so does the
    retry of one that was killed half-way. Nobody is ever removed, so those gone from Nmbrs do not count
    by themselves either. Both at once do: that is another source, such as a mistyped domain.
    A field that would lose its value for more than a twentieth of them stops the run as well: a source
    that no longer tells something looks like everybody losing it.
    A source without a single employee stops the run whenever Dialog holds a user.

    :param max_share: share that may change, 0 to 1.
    :param approval: changes let through before. Only the others are counted, so that an approval
        never opens the door for a much different plan.
    """
    approval = approval or Approval()
    reasons = []
    if plan.source_employees == 0 and plan.held_users and not approval.empty_source:
        reasons.append(f"Nmbrs lists no employee at all, while Dialog holds {plan.held_users} users of it")
    if plan.held_users < minimum:
        return tuple(reasons)
    writes = [line for line in plan.writes if line.kind is Kind.USER and digest(line) not in approval.digests]
    changing = [line for line in writes if isinstance(line, Update)]
    emptied = Counter(change.field for line in changing for change in line.changes if change.new is None)
    gone = sum(isinstance(line, Gone) and line.kind is Kind.USER for line in plan.lines)
    for what, count, limit in (
        ("change", len(changing), max_share),
        ("be gone and as many others new", min(gone, len(writes) - len(changing)), max_share),
        *((f"lose their {name}", count, _EMPTIED_SHARE) for name, count in sorted(emptied.items())),
    ):
        if count > limit * plan.held_users:
            share = count / plan.held_users
            reasons.append(
                f"{count} of the {plan.held_users} users in Dialog would {what} ({share:.0%});"
                f" the limit is {limit:.0%}"
            )
    return tuple(reasons)


def _text(line: Line) -> str:
    match line:
        case Create(kind=kind, external_id=external_id, wanted=wanted):
            values = ", ".join(f"{name}: {value}" for name, value in asdict(wanted).items() if value)
            return f"+ {kind} {external_id} {values}"
        case Update(kind=kind, external_id=external_id, changes=changes):
            return f"~ {kind} {external_id} {_changes(changes)}"
        case Frozen(external_id=external_id, state=state, changes=changes):
            told = f"not sent: {_changes(changes)}" if changes else "nothing differs"
            return f"* user {external_id} is {state or 'in an unknown state'}, {told}"
        case SetAside(external_id=external_id, reason=reason):
            return f"! user {external_id} set aside: {reason}"
        case Gone(kind=kind, external_id=external_id):
            return f"- {kind} {external_id} no longer in Nmbrs, kept in Dialog"
        case Unknown(kind=kind, external_id=external_id, number=number):
            return f"? user {external_id} without {kind} {number}, which the debtor does not define"
        case Ambiguous(kind=kind, external_id=external_id):
            return f"? {kind} {external_id} has another description at another debtor"


def _changes(changes: tuple[FieldChange, ...]) -> str:
    return ", ".join(f"{item.field}: {item.old or '(none)'} -> {item.new or '(none)'}" for item in changes)
