"""Where Dialog keeps its users, departments and functions: JSON payloads, indexed by what is unique.

A stored payload is never changed in place, so a page of it may be sent while the next write happens.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from scim2_models import (
    Context,
    Meta,
    NotFoundException,
    Path,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    UniquenessException,
    User,
)
from scim2_server.storage import ScimStorage, SearchPage

from visma_sandbox.dialog_columns import Columns
from visma_sandbox.dialog_payload import Payload, projection
from visma_sandbox.dialog_schemas import (
    DIALOG_USER,
    DIALOG_USER_MODEL,
    Department,
    Function,
    UserState,
    set_state,
    state_of,
)
from visma_sandbox.people import Person

MODELS: dict[str, type[Resource[Any]]] = {
    "User": DIALOG_USER_MODEL,
    "Department": Department,
    "Function": Function,
}
_UNIQUE = {"User": ("userName", "externalId"), "Department": ("externalId",), "Function": ("externalId",)}


@dataclass
class PayloadPage(SearchPage):
    """A page of found resources as stored, each with the name of its resource type."""

    payloads: list[tuple[str, Payload]] = field(default_factory=list)


class DialogStore(ScimStorage):
    """Keep every resource as the JSON it is answered with, less its location.

    :param clock: gives the moment of a write, in seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.revision = 0
        self.clear()

    def clear(self) -> None:
        """Forget every resource."""
        self.revision += 1
        self._rows: dict[str, dict[str, Payload]] = {name: {} for name in MODELS}
        self._ids: dict[tuple[str, str], dict[str, str]] = {
            (name, attribute): {} for name, attributes in _UNIQUE.items() for attribute in attributes
        }
        self._links: dict[str, str] = {}
        self._columns = {
            name: Columns(
                MODELS[name], rows, {attribute: self._ids[name, attribute] for attribute in _UNIQUE[name]}
            )
            for name, rows in self._rows.items()
        }

    # What the SCIM service asks for

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        """Return one resource as a model of its own."""
        name = str(resource_type.name)
        return MODELS[name].model_validate(self._payload(name, resource_id))

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        """Store a new resource; a user becomes "imported" unless a state came with it."""
        name, now = str(resource_type.name), self._now()
        if name == "User" and state_of(resource) is None:
            set_state(resource, UserState.IMPORTED)
        meta = {"resourceType": name, "created": now, "lastModified": now}
        return self._store(name, resource, resource_id=uuid.uuid4().hex, meta=meta)

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        """Replace a stored resource."""
        name = str(resource_type.name)
        stored = self._expected(name, str(resource.id), expected_version)
        meta = {**stored["meta"], "lastModified": self._now()}
        return self._store(name, resource, resource_id=stored["id"], meta=meta)

    def delete(
        self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None
    ) -> None:
        """Remove a stored resource."""
        name = str(resource_type.name)
        self._unindex(name, self._expected(name, resource_id, expected_version))
        del self._rows[name][resource_id]
        self.revision += 1

    def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> PayloadPage:
        """Filter, sort and page the payloads of every resource type as one collection."""
        names = [str(resource_type.name) for resource_type in resource_types]
        start = (search_request.start_index or 1) - 1
        stop = None if search_request.count is None else start + search_request.count
        if len(names) == 1:
            # No list of pairs: 50,000 of them take as long as to find them.
            one = self._found(names[0], search_request)
            total, ids = len(one), [(names[0], each) for each in islice(one, start, stop)]
        else:
            found = self._found_among(names, search_request)
            total, ids = len(found), found[start:stop]
        page = [(name, self._rows[name][each]) for name, each in ids]
        return PayloadPage(total, [], payloads=self._projected(search_request, page))

    # What the control endpoint and the tests ask for

    def move(self, external_id: str, state: UserState) -> None:
        """Invite or link a user, as Dialog's own administrator would."""
        stored = self._payload("User", self._ids["User", "externalId"].get(external_id, ""))
        user = MODELS["User"].model_validate(stored)
        set_state(user, state)
        meta = {**stored["meta"], "lastModified": self._now()}
        self._store("User", user, resource_id=stored["id"], meta=meta)

    def add_existing(self, number: int, person: Person) -> str:
        """Keep a user of Dialog's own, without a number of an employee. Each fifth logs in by address."""
        now, resource_id = self._now(), uuid.uuid4().hex
        address = str(person.email_work).strip()
        by_address = number % 5 == 4
        self._write(
            "User",
            {
                "schemas": [str(User.__schema__)],
                "id": resource_id,
                "userName": address if by_address else f"dialog{number + 1}",
                "name": {
                    "givenName": person.nickname or "Dialog",
                    "familyName": person.last_name or "Gebruiker",
                },
                "emails": [{"value": address, "type": "work" if by_address else "other"}],
                "active": True,
                "meta": {"resourceType": "User", "created": now, "lastModified": now},
            },
        )
        return resource_id

    def user(self, resource_id: str) -> Payload | None:
        """Return a user as stored."""
        return self._rows["User"].get(resource_id)

    def linked_with(self, resource_id: str) -> str | None:
        """Return the id of the user who is linked with the one given."""
        return self._links.get(resource_id)

    def touch(self, resource_id: str) -> None:
        """Give a resource another version, as a change by someone else would."""
        for name, rows in self._rows.items():
            if stored := rows.get(resource_id):
                self._write(name, stored)

    def counts(self) -> dict[str, Any]:
        """Return how many users there are in each state, and how many departments and functions."""
        states = Counter(row.get(DIALOG_USER, {}).get("state", "none") for row in self._rows["User"].values())
        return {
            "users": len(self._rows["User"]),
            "users_by_state": dict(states),
            "departments": len(self._rows["Department"]),
            "functions": len(self._rows["Function"]),
        }

    def snapshot(self) -> dict[str, Any]:
        """Return everything stored; later writes do not change it."""
        return {"revision": self.revision, **{name: list(rows.values()) for name, rows in self._rows.items()}}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Hold what a snapshot holds, and nothing else."""
        self.clear()
        for name in MODELS:
            for row in snapshot[name]:
                self._rows[name][row["id"]] = row
                self._index(name, row)
        self.revision = snapshot["revision"]

    # How it is kept

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).isoformat().replace("+00:00", "Z")

    def _payload(self, name: str, resource_id: str) -> Payload:
        try:
            return self._rows[name][resource_id]
        except KeyError:
            raise NotFoundException(detail=f"{name} {resource_id!r} not found") from None

    def _expected(self, name: str, resource_id: str, version: str | None) -> Payload:
        stored = self._payload(name, resource_id)
        if version is not None and stored["meta"]["version"] != version:
            raise PreconditionFailedException
        return stored

    def _store(
        self, name: str, resource: Resource[Any], *, resource_id: str, meta: dict[str, Any]
    ) -> Resource[Any]:
        """Keep a resource as JSON, and return it as it is from now on."""
        payload = resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
        kept = self._write(name, {**payload, "id": resource_id, "meta": meta})
        return resource.model_copy(update={"id": resource_id, "meta": Meta.model_validate(kept["meta"])})

    def _write(self, name: str, payload: Payload) -> Payload:
        """Keep a payload under its id, with a new version."""
        for ids, value in self._unique_values(name, payload):
            if ids.get(value, payload["id"]) != payload["id"]:
                raise UniquenessException
        if stored := self._rows[name].get(payload["id"]):
            self._unindex(name, stored)
        self.revision += 1
        kept = {**payload, "meta": {**payload["meta"], "version": f'W/"{self.revision}"'}}
        self._rows[name][kept["id"]] = kept
        self._index(name, kept)
        return kept

    def _unique_values(self, name: str, payload: Payload) -> Iterator[tuple[dict[str, str], str]]:
        for attribute in _UNIQUE[name]:
            if value := payload.get(attribute):
                yield self._ids[name, attribute], _BINDINGS[name, attribute].comparable(value)

    def _index(self, name: str, payload: Payload) -> None:
        self._columns[name].changed(payload["id"])
        if linked := payload.get(DIALOG_USER, {}).get("linkedUserId"):
            self._links[linked] = payload["id"]
        for ids, value in self._unique_values(name, payload):
            ids[value] = payload["id"]

    def _unindex(self, name: str, payload: Payload) -> None:
        self._columns[name].changed(payload["id"])
        self._links.pop(payload.get(DIALOG_USER, {}).get("linkedUserId"), None)
        for ids, value in self._unique_values(name, payload):
            del ids[value]

    # How it is found

    def _found(self, name: str, search_request: SearchRequest[Any]) -> Collection[str]:
        """Return the id of every match of one type, in the order asked for; else as they were created."""
        columns, path = self._columns[name], search_request.sort_by
        ordered: Collection[str] = self._rows[name]
        if path is not None:
            descending = search_request.sort_order == SearchRequest.SortOrder.descending
            ordered = columns.ordered(path, descending=descending)
        if search_request.filter is None:
            return ordered
        matching = columns.matching(search_request.filter.ast)
        return [each for each in ordered if each in matching]

    def _found_among(self, names: list[str], search_request: SearchRequest[Any]) -> list[tuple[str, str]]:
        """Return type and id of every match of several types, as one collection."""
        found = [(name, each) for name in names for each in self._found(name, search_request)]
        if (path := search_request.sort_by) is not None:
            orders = {name: self._columns[name].order(path) for name in names}
            descending = search_request.sort_order == SearchRequest.SortOrder.descending
            found.sort(key=lambda each: orders[each[0]][each[1]], reverse=descending)
        return found

    def _projected(
        self, search_request: SearchRequest[Any], page: list[tuple[str, Payload]]
    ) -> list[tuple[str, Payload]]:
        reduce = {
            name: projection(
                MODELS[name],
                attributes=search_request.attributes,
                excluded=search_request.excluded_attributes,
            )
            for name in {name for name, _ in page}
        }
        return [(name, project(row) if (project := reduce[name]) else row) for name, row in page]


_BINDINGS = {
    (name, attribute): Path.__class_getitem__(MODELS[name])(attribute).resolve()
    for name, attributes in _UNIQUE.items()
    for attribute in attributes
}
