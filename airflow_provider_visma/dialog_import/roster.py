"""The users in Dialog for somebody who looks at them: pages of them, and with whom one may be linked.

Plain values in and out. What is searched for may name a person, so it is sent in bodies and never in an
address.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from scim2_models import Resource

from airflow_provider_visma.dialog_import.plan import Kind
from airflow_provider_visma.dialog_import.resources import (
    RESOURCES,
    CoreUser,
    DialogUser,
    held,
    wanted_attributes,
)
from airflow_provider_visma.dialog_import.rules import UserFields, email_key
from airflow_provider_visma.dialog_import.service import DialogService

IMPORTED, INVITED, LINKED = "imported", "invited", "linked"

_DIALOG = str(DialogUser.__schema__)
STATE, LINK, _EFFECT = (f"{_DIALOG}:{name}" for name in ("state", "linkedUserId", "takesEffectAt"))
_OURS = "externalId pr"
_THEIRS = "not (externalId pr)"
_SEARCHED = ("name.givenName", "name.familyName", "userName", "emails.value")
_WORDS = 6
_SUGGESTIONS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuery:
    """Which users to show.

    :param search: words that are each part of the name or an address, or the EmployeeId.
    :param start_index: place of the first user of the page, from 1.
    """

    search: str = ""
    state: str | None = None
    department_code: str | None = None
    start_index: int = 1
    count: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedUser:
    """A user as the list shows them.

    :param employee_id: number in Nmbrs; None of a user whom no import brought.
    :param version: its ETag, where the service has them.
    :param linked_user_id: the existing Dialog user with whom a linked one is linked.
    :param takes_effect_at: until when an invitation or a link can be undone, ISO 8601.
    """

    id: str
    employee_id: str | None
    version: str | None
    state: str | None
    fields: UserFields
    linked_user_id: str | None
    takes_effect_at: str | None

    @property
    def name(self) -> str:
        """Given and family name."""
        return " ".join(filter(None, (self.fields.given_name, self.fields.family_name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPage:
    """One page of the list.

    :param total: how many users the query finds.
    :param narrowed: whether the service did what the query asked for; one without filters shows all users.
    """

    users: tuple[ListedUser, ...]
    total: int
    start_index: int
    narrowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingUser:
    """A user of Dialog's own, whom an imported one can be linked with."""

    id: str
    name: str
    user_name: str
    addresses: tuple[str, ...]


class DialogRoster:
    """The users that *service* holds."""

    def __init__(self, service: DialogService) -> None:
        self._service = service

    @property
    def can_narrow(self) -> bool:
        """Whether the service can search and filter."""
        return self._service.scim.has_filter

    @property
    def can_move(self) -> bool:
        """Whether the service knows states, without which nobody can be invited or linked."""
        return "start_date" in self._service.user_fields

    def page(self, query: UserQuery) -> UserPage:
        """Return one page of the users that the import brought.

        Where the service cannot filter it is a page of all users, and says so.
        """
        condition = _condition(query, states=self.can_move) if self.can_narrow else None
        found = self._service.scim.page(
            RESOURCES[Kind.USER],
            self._attributes(),
            count=query.count,
            start_index=query.start_index,
            condition=condition,
            sort_by="name.familyName",
        )
        return UserPage(
            users=tuple(self._listed(each) for each in found.resources),
            total=found.total,
            start_index=query.start_index,
            narrowed=self.can_narrow,
        )

    def user(self, identifier: str) -> ListedUser | None:
        """Return one user as they are now."""
        found = self._service.scim.get(RESOURCES[Kind.USER], identifier, self._attributes())
        return self._listed(found) if found is not None else None

    def suggestions(self, user: ListedUser, search: str = "") -> tuple[ExistingUser, ...]:
        """Return the users of Dialog's own whom *user* may be linked with, the likeliest first.

        Without *search* these are the ones with the same address, then those with the same name before
        the @. Who is linked already is not among them.
        """
        if not self.can_narrow:
            return ()
        if search.strip():
            wanted = [_words(search)]
        else:
            address = user.fields.email or user.fields.user_name or ""
            wanted = list(_alike(address))
        found: dict[str, ExistingUser] = {}
        for condition in wanted:
            page = self._service.scim.page(
                RESOURCES[Kind.USER],
                ["userName", "name", "emails"],
                count=_SUGGESTIONS,
                condition=f"{_THEIRS} and {condition}",
                sort_by="name.familyName",
            )
            for each in page.resources:
                found.setdefault(each.id or "", _existing(cast("CoreUser[Any]", each)))
        taken = self._taken(found)
        return tuple(each for each in found.values() if each.id not in taken)[:_SUGGESTIONS]

    def _taken(self, ids: Iterable[str]) -> frozenset[str]:
        either = " or ".join(f"{LINK} eq {json.dumps(each)}" for each in ids)
        if not either or not self.can_move:
            return frozenset()
        page = self._service.scim.page(
            RESOURCES[Kind.USER], [LINK], count=10 * _SUGGESTIONS, condition=either
        )
        dialogs = (cast("CoreUser[Any]", each)[DialogUser] for each in page.resources)
        return frozenset(each.linked_user_id for each in dialogs if each and each.linked_user_id)

    def _attributes(self) -> list[str]:
        fields = self._service.user_fields
        return [*wanted_attributes(Kind.USER, fields), *([LINK, _EFFECT] if self.can_move else [])]

    def _listed(self, resource: Resource[Any]) -> ListedUser:
        known = held(Kind.USER, resource, self._service.user_fields)
        user = cast("CoreUser[Any]", resource)
        dialog = user[DialogUser] if self.can_move else None
        return ListedUser(
            id=known.id,
            employee_id=known.external_id,
            version=known.version,
            state=known.state if self.can_move else None,
            fields=cast("UserFields", known.fields),
            linked_user_id=dialog.linked_user_id if dialog else None,
            takes_effect_at=dialog.takes_effect_at if dialog else None,
        )


def _condition(query: UserQuery, *, states: bool) -> str:
    terms = [_OURS]
    if query.search.strip():
        terms.append(_words(query.search))
    if query.state and states:
        terms.append(f"{STATE} eq {json.dumps(query.state)}")
    if query.department_code and states:
        terms.append(f"{_DIALOG}:departmentCode eq {json.dumps(query.department_code)}")
    return " and ".join(terms)


def _words(search: str) -> str:
    """Return the filter that wants each word somewhere in the name or an address, or as the EmployeeId."""
    wanted = []
    for word in search.split()[:_WORDS]:
        told = json.dumps(word)
        places = [f"{place} co {told}" for place in _SEARCHED]
        wanted.append(f"({' or '.join([*places, f'externalId eq {told}'])})")
    return f"({' and '.join(wanted)})"


def _alike(address: str) -> Iterable[str]:
    address = address.strip()
    told = json.dumps(address)
    if address:
        yield f"(emails.value eq {told} or userName eq {told})"
    local, at, _domain = address.rpartition("@")
    if local and at:
        told = json.dumps(f"{local}@")
        yield f"(emails.value sw {told} or userName sw {told} or userName eq {json.dumps(local)})"


def _existing(user: CoreUser[Any]) -> ExistingUser:
    name = user.name
    addresses = dict.fromkeys(email_key(each.value) for each in user.emails or [] if each.value)
    return ExistingUser(
        id=user.id or "",
        name=" ".join(filter(None, (name.given_name, name.family_name))) if name else "",
        user_name=user.user_name or "",
        addresses=tuple(addresses),
    )
