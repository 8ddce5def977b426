"""Dialog's content and changes in plain values, over one SCIM service.

What the service lacks is left out, never guessed at: without our extension there are no dates and no
states, without our resource types no departments and functions. :meth:`DialogService.abilities` tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, cast

import tenacity
from scim2_models import Resource

from airflow_provider_visma.dialog_import.plan import Create, Held, Kind, Update
from airflow_provider_visma.dialog_import.planning import Content
from airflow_provider_visma.dialog_import.resources import (
    EXTENSIONS,
    RESOURCES,
    held,
    new_resource,
    patch,
    storable_fields,
    wanted_attributes,
)
from airflow_provider_visma.exceptions import VismaContentError
from airflow_provider_visma.protocols.scim import ListChangedError, ScimService
from airflow_provider_visma.protocols.scim_bulk import BulkItem

_READINGS = 3


class DialogService:
    """Dialog, or any SCIM service in its place.

    :param scim: the service; asked what it can do at the first use.
    """

    def __init__(self, scim: ScimService) -> None:
        self._scim = scim

    @cached_property
    def scim(self) -> ScimService:
        """The service, after it has told what it can do."""
        self._scim.discover()
        if self._scim.model(RESOURCES[Kind.USER]) is None or not self._scim.has_patch:
            raise VismaContentError(
                "the SCIM service has no users, or no way to change one (PATCH)",
                system="Dialog",
                operation="GET /ResourceTypes",
                advice="Check that the address is that of the service that keeps Dialog's users.",
            )
        return self._scim

    @cached_property
    def user_fields(self) -> frozenset[str]:
        """Fields of a user that the service can keep."""
        return storable_fields(self._model(Kind.USER))

    @cached_property
    def kinds(self) -> frozenset[Kind]:
        """Kinds of record that the service knows."""
        return frozenset(kind for kind, resource in RESOURCES.items() if self.scim.model(resource))

    def abilities(self) -> dict[str, bool]:
        """Return what the service offers of what an import can use."""
        return {
            "bulk": self.scim.bulk_limits is not None,
            "etags": self.scim.has_etags,
            "states_and_dates": "start_date" in self.user_fields,
            "department_names": "department" in self.user_fields,
            "departments": Kind.DEPARTMENT in self.kinds,
            "functions": Kind.FUNCTION in self.kinds,
        }

    def read(self, kind: Kind) -> Iterator[Held]:
        """Yield everything of *kind*, page by page; nothing where the service does not know it."""
        if kind in self.kinds:
            for resource in self.scim.read_all(RESOURCES[kind], self._attributes(kind)):
                yield held(kind, resource, self.user_fields)

    def content(self) -> Content:
        """Return all that Dialog holds; read again where somebody changed it meanwhile."""
        reading = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ListChangedError),
            stop=tenacity.stop_after_attempt(_READINGS),
            reraise=True,
        )
        departments, functions, users = (
            reading(lambda kind=kind: tuple(self.read(kind)))
            for kind in (Kind.DEPARTMENT, Kind.FUNCTION, Kind.USER)
        )
        return Content(
            users=users,
            departments=departments,
            functions=functions,
            user_fields=self.user_fields,
            kinds=self.kinds,
        )

    def find(self, kind: Kind, external_id: str) -> Held | None:
        """Return what Dialog holds under *external_id* now."""
        resource = self.scim.find(RESOURCES[kind], external_id, self._attributes(kind))
        return held(kind, resource, self.user_fields) if resource else None

    def create(self, line: Create) -> None:
        """Create what *line* says."""
        self.scim.create(RESOURCES[line.kind], self._new(line))

    def change(self, line: Update) -> None:
        """Change what *line* says, unless it was changed since it was read."""
        model = self._model(line.kind)
        self.scim.patch(RESOURCES[line.kind], line.held.id, patch(line, model), version=line.held.version)

    def bulk_item(self, line: Create | Update) -> BulkItem:
        """Return *line* as an operation of a Bulk request; its key is the external id."""
        base = RESOURCES[line.kind]
        if isinstance(line, Create):
            return self.scim.creation(line.external_id, base, self._new(line))
        changes = patch(line, self._model(line.kind))
        return self.scim.modification(line.external_id, base, line.held.id, changes, line.held.version)

    def schemas_missing(self) -> frozenset[str]:
        """Return which of our schemas the service does not publish."""
        resources = {str(resource.__schema__) for resource in RESOURCES.values()}
        ours = resources | {str(extension.__schema__) for extension in EXTENSIONS}
        return frozenset(ours - self.scim.schemas())

    def _new(self, line: Create) -> Resource[Any]:
        return new_resource(line, self._model(line.kind), self.user_fields)

    def _model(self, kind: Kind) -> type[Resource[Any]]:
        return cast("type[Resource[Any]]", self.scim.model(RESOURCES[kind]))

    def _attributes(self, kind: Kind) -> list[str]:
        return wanted_attributes(kind, self.user_fields)
