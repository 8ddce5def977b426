"""A source snapshot and what Dialog holds, made into a plan.

Once a user is invited or linked, nothing from Nmbrs reaches them any more; nobody is ever removed
(seed: manual, 2.3). Both hold here or nowhere. Somebody whose address one of Dialog's own users has is known
by the EmployeeId until a person links the two: they are mostly one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field, fields, replace
from datetime import date

from airflow_provider_visma.dialog_import.plan import (
    Ambiguous,
    Create,
    Frozen,
    Gone,
    Held,
    Kind,
    Line,
    Plan,
    SetAside,
    Unknown,
    Update,
    diff,
)
from airflow_provider_visma.dialog_import.rules import (
    Candidate,
    DebtorLists,
    EntryFields,
    SetAsideReason,
    UserFields,
    candidate,
    email_key,
)
from airflow_provider_visma.nmbrs_records import SnapshotEmployee

IMPORTED = "imported"
ALL_FIELDS: frozenset[str] = frozenset(item.name for item in fields(UserFields))


@dataclass(frozen=True, slots=True)
class Content:
    """What Dialog holds, and what it is able to hold.

    :param user_fields: fields of a user that the service can keep.
    :param kinds: kinds of record that the service knows.
    """

    users: tuple[Held, ...] = ()
    departments: tuple[Held, ...] = ()
    functions: tuple[Held, ...] = ()
    user_fields: Set[str] = ALL_FIELDS
    kinds: Set[Kind] = field(default_factory=lambda: frozenset(Kind))


def make_plan(
    employees: Iterable[SnapshotEmployee], *, lists: DebtorLists, content: Content, day: date
) -> Plan:
    """Decide what an import does.

    :param employees: the snapshot; read once, one at a time.
    :param lists: departments and functions of the debtors.
    :param content: what Dialog holds now.
    :param day: the day on which an employment must be in force, a Dutch local date.
    """
    candidates, twice = _candidates(employees, lists=lists, day=day)
    unchanged: Counter[Kind] = Counter()
    lines: list[Line] = []
    for kind, held, (wanted, ambiguous) in (
        (Kind.DEPARTMENT, content.departments, lists.distinct_departments()),
        (Kind.FUNCTION, content.functions, lists.distinct_functions()),
    ):
        if kind in content.kinds:
            lines.extend(_entry_lines(kind, wanted, held, unchanged))
            lines.extend(Ambiguous(kind, number) for number in ambiguous)
    ours = [user for user in content.users if _is_employee_id(user.external_id)]
    lines.extend(_user_lines(candidates, twice, content, unchanged))
    missing = {user.external_id for user in ours} - {str(number) for number in candidates}
    lines.extend(Gone(Kind.USER, number) for number in sorted(filter(None, missing), key=int))
    return Plan(
        lines=tuple(lines),
        unchanged={kind: unchanged[kind] for kind in Kind},
        source_employees=len(candidates),
        held_users=len(ours),
    )


def updated(held: Held, wanted: UserFields | EntryFields, known: Set[str]) -> Update | Frozen | None:
    """Decide about something that Dialog holds: change it, leave it alone by rule, or nothing to do.

    Only the state *imported* lets a change through; a state that we do not know does not.
    """
    changes = diff(held.fields, wanted, known)
    if held.kind is Kind.USER and held.state != IMPORTED:
        return Frozen(external_id=held.external_id or "", state=held.state, changes=changes)
    if not changes:
        return None
    return Update(
        kind=held.kind, external_id=held.external_id or "", held=held, wanted=wanted, changes=changes
    )


def _candidates(
    employees: Iterable[SnapshotEmployee], *, lists: DebtorLists, day: date
) -> tuple[dict[int, Candidate], set[int]]:
    found: dict[int, Candidate] = {}
    twice: set[int] = set()
    for employee in employees:
        if employee.employee_id in found:
            twice.add(employee.employee_id)
        else:
            found[employee.employee_id] = candidate(employee, lists=lists, day=day)
    return dict(sorted(found.items())), twice


def _user_lines(
    candidates: dict[int, Candidate], twice: set[int], content: Content, unchanged: Counter[Kind]
) -> Iterator[Line]:
    addresses = Counter(email_key(item.fields.email) for item in candidates.values() if item.fields.email)
    by_external_id: dict[str, list[Held]] = {}
    owners: dict[str, set[str | None]] = {}
    for user in content.users:
        if user.external_id is not None:
            by_external_id.setdefault(user.external_id, []).append(user)
        for address in _addresses(user):
            owners.setdefault(address, set()).add(user.external_id)
    for person in candidates.values():
        external_id = str(person.employee_id)
        held = by_external_id.get(external_id, [])
        reason = person.reason
        if person.employee_id in twice:
            reason = SetAsideReason.LISTED_TWICE
        elif reason is None and addresses[email_key(person.fields.email or "")] > 1:
            reason = SetAsideReason.DUPLICATE_EMAIL
        elif reason is None and len(held) > 1:
            reason = SetAsideReason.HELD_TWICE
        if reason is not None:
            yield SetAside(external_id, reason)
            continue
        others = owners.get(email_key(person.fields.email or ""), set()) - {external_id}
        wanted = person.fields
        if others == {None} and "start_date" in content.user_fields:  # a service that knows states can link
            wanted = replace(wanted, user_name=external_id)
            others = set()
        decision = updated(held[0], wanted, content.user_fields) if held else None
        if isinstance(decision, Frozen):
            yield decision
            continue
        if others:
            yield SetAside(external_id, SetAsideReason.EMAIL_IN_USE)
            continue
        if decision is not None:
            yield decision
        elif held:
            unchanged[Kind.USER] += 1
        else:
            yield Create(Kind.USER, external_id, wanted)
        if person.unknown_department is not None:
            yield Unknown(Kind.DEPARTMENT, external_id, str(person.unknown_department))
        if person.unknown_function is not None:
            yield Unknown(Kind.FUNCTION, external_id, str(person.unknown_function))


def _entry_lines(
    kind: Kind, wanted: dict[str, EntryFields], held: Iterable[Held], unchanged: Counter[Kind]
) -> Iterator[Line]:
    by_external_id = {entry.external_id: entry for entry in held if entry.external_id is not None}
    for number, entry in wanted.items():
        existing = by_external_id.pop(number, None)
        if existing is None:
            yield Create(kind, number, entry)
        elif (decision := updated(existing, entry, {"display_name"})) is not None:
            yield decision
        else:
            unchanged[kind] += 1
    yield from (Gone(kind, number) for number in sorted(by_external_id, key=lambda text: (len(text), text)))


def _addresses(user: Held) -> set[str]:
    values = (getattr(user.fields, "user_name", None), getattr(user.fields, "email", None))
    return {email_key(value) for value in values if value}


def _is_employee_id(external_id: str | None) -> bool:
    # Users that somebody else keeps in Dialog are none of this import's business.
    return external_id is not None and external_id.isascii() and external_id.isdigit()
