"""Inviting, linking and undoing: each user's state changed once, or not at all.

An action names the version of the user that was looked at, and changes nothing once somebody else has
changed the user. After an answer that did not come Dialog is asked how the user stands now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scim2_models import PatchOp, PatchOperation

from airflow_provider_visma.dialog_import.plan import Kind
from airflow_provider_visma.dialog_import.resources import RESOURCES
from airflow_provider_visma.dialog_import.roster import (
    IMPORTED,
    INVITED,
    LINK,
    LINKED,
    STATE,
    DialogRoster,
    ListedUser,
)
from airflow_provider_visma.dialog_import.service import DialogService
from airflow_provider_visma.exceptions import (
    VismaConflictError,
    VismaContentError,
    VismaError,
    VismaNotFoundError,
    VismaTransientError,
)
from airflow_provider_visma.protocols.scim_bulk import batches

# A person is waiting, and each answer that does not come takes its full patience.
_UNANSWERED_IN_A_ROW = 2


@dataclass(frozen=True, slots=True)
class UserRef:
    """A user as somebody looked at them.

    :param id: Dialog's own identifier.
    :param version: the ETag that was looked at.
    """

    id: str
    version: str | None = None


class MoveOutcome(StrEnum):
    """What became of an invitation, a link or an undoing."""

    DONE = "done"
    CHANGED_MEANWHILE = "changed_meanwhile"
    NOT_ALLOWED = "not_allowed"
    TAKEN = "taken"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one user; says nothing about the person but the numbers.

    :param code: the service's own code, where it refused.
    """

    id: str
    outcome: MoveOutcome
    code: str | None = None


@dataclass(frozen=True, slots=True)
class _Move:
    """A change of state, and from where it is allowed."""

    state: str
    allowed_from: tuple[str, ...]
    linked_user_id: str | None = None


class DialogMoves:
    """Changes the states of the users that *service* holds."""

    def __init__(self, service: DialogService) -> None:
        self._service = service
        self._roster = DialogRoster(service)

    def invite(self, users: Sequence[UserRef]) -> tuple[Moved, ...]:
        """Invite *users*; each has an outcome of their own."""
        return self._move(users, _Move(INVITED, (IMPORTED,)))

    def link(self, user: UserRef, existing_id: str) -> Moved:
        """Link *user* with a user of Dialog's own."""
        (moved,) = self._move([user], _Move(LINKED, (IMPORTED,), linked_user_id=existing_id))
        return moved

    def undo(self, user: UserRef) -> Moved:
        """Take an invitation or a link back, where it has not taken effect."""
        (moved,) = self._move([user], _Move(IMPORTED, (INVITED, LINKED)))
        return moved

    def _move(self, users: Sequence[UserRef], move: _Move) -> tuple[Moved, ...]:
        if not self._roster.can_move:
            return tuple(Moved(user.id, MoveOutcome.NOT_ALLOWED) for user in users)
        changes = _changes(self._service.scim.model(RESOURCES[Kind.USER]), move)
        done = self._moved_by_bulk(users, changes) if len(users) > 1 else frozenset()
        moved: list[Moved] = []
        unanswered = 0
        for user in users:
            if user.id in done:
                moved.append(Moved(user.id, MoveOutcome.DONE))
            elif unanswered == _UNANSWERED_IN_A_ROW:
                moved.append(Moved(user.id, MoveOutcome.UNKNOWN, moved[-1].code))
            else:
                moved.append(self._looked_up_and_moved(user, move, changes))
                unanswered = unanswered + 1 if moved[-1].outcome is MoveOutcome.UNKNOWN else 0
        return tuple(moved)

    def _moved_by_bulk(self, users: Sequence[UserRef], changes: PatchOp[Any]) -> frozenset[str]:
        """Return the ids of those who were moved; the others, whatever became of them, are looked up."""
        scim, base = self._service.scim, RESOURCES[Kind.USER]
        limits = scim.bulk_limits
        if limits is None or not scim.has_etags:
            return frozenset()
        versions = {user.id: user.version for user in users if user.version is not None}
        items = (scim.modification(key, base, key, changes, version) for key, version in versions.items())
        done: set[str] = set()
        for batch in batches(items, limits):
            try:
                statuses = scim.bulk(batch)
            except VismaError:
                break
            done |= {key for key, status in statuses.items() if 200 <= status < 300}
        return frozenset(done)

    def _looked_up_and_moved(self, user: UserRef, move: _Move, changes: PatchOp[Any]) -> Moved:
        """Move one user, who may have been moved already by a request that got no answer."""
        try:
            now = self._roster.user(user.id)
            if now is None:
                return Moved(user.id, MoveOutcome.GONE)
            if now.employee_id is None:
                return Moved(user.id, MoveOutcome.NOT_ALLOWED)
            if _has_moved(now, move):
                return Moved(user.id, MoveOutcome.DONE)
            if user.version is not None and now.version not in (None, user.version):
                return Moved(user.id, MoveOutcome.CHANGED_MEANWHILE)
            if now.state not in move.allowed_from:
                return Moved(user.id, MoveOutcome.NOT_ALLOWED)
        except VismaError as error:
            return Moved(user.id, MoveOutcome.UNKNOWN, error.code)
        return self._moved(user, move, changes, now.version)

    def _moved(self, user: UserRef, move: _Move, changes: PatchOp[Any], version: str | None) -> Moved:
        try:
            self._service.scim.patch(RESOURCES[Kind.USER], user.id, changes, version=version)
        except VismaNotFoundError as error:
            return Moved(user.id, MoveOutcome.GONE, error.code)
        except VismaError as error:
            return self._after_refusal(user, move, error)
        return Moved(user.id, MoveOutcome.DONE)

    def _after_refusal(self, user: UserRef, move: _Move, error: VismaError) -> Moved:
        """Say what a refusal means; one of a second try whose first one arrived means that it is done."""
        try:
            now = self._roster.user(user.id)
        except VismaError:
            return Moved(user.id, MoveOutcome.UNKNOWN, error.code)
        if now is not None and _has_moved(now, move):
            return Moved(user.id, MoveOutcome.DONE)
        if isinstance(error, (VismaTransientError, VismaContentError)):
            return Moved(user.id, MoveOutcome.UNKNOWN, error.code)
        if isinstance(error, VismaConflictError):
            changed = error.code == "HTTP 412"
            return Moved(user.id, MoveOutcome.CHANGED_MEANWHILE if changed else MoveOutcome.TAKEN, error.code)
        return Moved(user.id, MoveOutcome.NOT_ALLOWED, error.code)


def _changes(model: Any, move: _Move) -> PatchOp[Any]:
    make: Callable[..., Any] = PatchOperation[model]
    operations = [make(op="replace", path=STATE, value=move.state)]
    if move.linked_user_id is not None:
        operations.append(make(op="replace", path=LINK, value=move.linked_user_id))
    elif move.state == IMPORTED:
        operations.append(make(op="remove", path=LINK))
    return PatchOp[model](operations=operations)


def _has_moved(user: ListedUser, move: _Move) -> bool:
    return (user.state, user.linked_user_id) == (move.state, move.linked_user_id)
