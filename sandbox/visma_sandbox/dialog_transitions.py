"""From imported to invited or linked, and back while it may still be undone.

The manual (seed 003, 2.3) says what an administrator can do on a screen of Dialog's own; that a client can do
it by changing ``state`` is this project's assumption, and so is the time in which it can be undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from scim2_models import InvalidValueException, MutabilityException, Resource, UniquenessException

from visma_sandbox.dialog_payload import Payload
from visma_sandbox.dialog_schemas import DialogUser, UserState, extension_of

SETTLED = (UserState.INVITED, UserState.LINKED)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a user has come, and with whom they are linked."""

    state: UserState | None
    linked_user_id: str | None
    takes_effect_at: datetime | None

    @classmethod
    def of(cls, user: Resource[Any]) -> Standing:
        """Read it from a user; of what is no user there is none."""
        extension = extension_of(user) or DialogUser()
        return cls(extension.state, extension.linked_user_id, extension.takes_effect_at)


class Existing(Protocol):
    """What has to be known of the other users."""

    def user(self, resource_id: str) -> Payload | None:
        """Return a user as stored."""

    def linked_with(self, resource_id: str) -> str | None:
        """Return the id of the user who is linked with the one given."""


@dataclass(frozen=True, slots=True)
class Transitions:
    """Which change of a state Dialog takes.

    :param existing: the other users.
    :param now: the moment of the change.
    :param undo: for how long a change of state can be undone.
    :param any_state: take every change of state, as a suite of SCIM's own rules makes them.
    """

    existing: Existing
    now: datetime
    undo: timedelta
    any_state: bool = False

    def check(self, user: Resource[Any], before: Standing) -> None:
        """Refuse what *user* may not become; else write down when it takes effect.

        :param user: the user as they would be.
        :param before: how they stand now.
        """
        after = Standing.of(user)
        if self.any_state:
            return
        if before.state is UserState.IMPORTED and after.state in SETTLED and user.external_id:
            self._check_link(user, after)
            _note(user, after.linked_user_id, self.now + self.undo)
        elif before.state in SETTLED and after.state is UserState.IMPORTED:
            if before.takes_effect_at is None or self.now >= before.takes_effect_at:
                raise MutabilityException(detail=f"{before.state} has taken effect")
            _note(user, None, None)
        else:
            raise MutabilityException(detail=f"{before.state} does not become {after.state}")

    def _check_link(self, user: Resource[Any], after: Standing) -> None:
        linked = after.linked_user_id
        if (after.state is UserState.LINKED) != bool(linked):
            raise InvalidValueException(detail="linkedUserId goes with the state linked, and with no other")
        if linked is None:
            return
        other = self.existing.user(linked)
        if other is None or other.get("externalId"):
            raise InvalidValueException(detail="linkedUserId names no existing user of Dialog's own")
        if self.existing.linked_with(linked) not in (None, user.id):
            raise UniquenessException(detail="that user is linked already")


def moved(before: Standing, after: Standing) -> bool:
    """Tell whether a change is one of the state, rather than of the user."""
    return (before.state, before.linked_user_id) != (after.state, after.linked_user_id)


def keep_link(user: Resource[Any], standing: Standing) -> None:
    """Give *user* the link that *standing* tells of."""
    _note(user, standing.linked_user_id, standing.takes_effect_at)


def moment(seconds: float) -> datetime:
    """Return a moment of the sandbox's clock."""
    return datetime.fromtimestamp(seconds, UTC)


def _note(user: Resource[Any], linked_user_id: str | None, takes_effect_at: datetime | None) -> None:
    extension = extension_of(user)
    if extension is not None:
        extension.linked_user_id = linked_user_id
        extension.takes_effect_at = takes_effect_at
