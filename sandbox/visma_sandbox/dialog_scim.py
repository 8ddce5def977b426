"""Dialog's SCIM protocol: scim2-server's, with Dialog's own rule on who may still be changed.

scim2-server knows the protocol (routing, validation, PATCH, Bulk, ETags); here is only what differs.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from scim2_models import (
    BulkOperation,
    ListResponse,
    MutabilityException,
    PatchOp,
    Resource,
    ResourceType,
    SCIMException,
    SearchRequest,
)
from scim2_server.bulk import BulkPlan, BulkStep
from scim2_server.conditions import Conditions
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Target
from scim2_server.service import ScimService
from scim2_server.storage import SearchPage

from visma_sandbox.dialog_schemas import set_state, state_of
from visma_sandbox.dialog_store import DialogStore, PayloadPage
from visma_sandbox.dialog_transitions import SETTLED, Standing, Transitions, keep_link, moved
from visma_sandbox.faults import Fault

CHANGED_MEANWHILE: Final = "changed_meanwhile"

_VERBS = {
    Operation.query: "get",
    Operation.search: "list",
    Operation.search_with_body: "search",
}
_DISCOVERY = {
    Operation.bulk: "Bulk",
    Operation.service_provider_config: "ServiceProviderConfig",
    Operation.resource_types: "ResourceTypes.list",
    Operation.resource_type: "ResourceTypes.get",
    Operation.schemas: "Schemas.list",
    Operation.schema: "Schemas.get",
}


def operation_name(target: Target) -> str:
    """Name what a request asks for, as the journal and the faults know it: ``Users.create``, ``Bulk``."""
    if target.operation in _DISCOVERY:
        return _DISCOVERY[target.operation]
    return f"{target.endpoint or 'all'}.{_VERBS.get(target.operation, target.operation.value)}"


class DialogService(ScimService):
    """Answer lists from stored JSON, and know which users an import may no longer change.

    :param freeze: refuse such a change; otherwise it is only noted.
    :param transitions: which change of a user's state is taken.
    :param note: what the journal is told besides.
    """

    def __init__(
        self, provider: Any, *, freeze: bool, transitions: Transitions, note: dict[str, Any]
    ) -> None:
        super().__init__(provider)
        self._freeze = freeze
        self._transitions = transitions
        self._note = note

    def apply_replacement(
        self, current: Resource[Any], replacement: Resource[Any], conditions: Conditions
    ) -> Resource[Any] | None:
        """Replace a user, who keeps the state that the request leaves out: it is Dialog's own."""
        before = Standing.of(current)
        if before.state is not None and state_of(replacement) is None:
            set_state(replacement, before.state)
            keep_link(replacement, before)
        replaced = super().apply_replacement(current, replacement, conditions)
        if replaced is not None:
            self._check_user(replaced, before)
        return replaced

    def apply_patch(
        self, current: Resource[Any], patch_op: PatchOp[Any], conditions: Conditions
    ) -> Resource[Any] | None:
        """Patch a resource."""
        before = Standing.of(current)
        patched = super().apply_patch(current, patch_op, conditions)
        if patched is not None:
            self._check_user(patched, before)
        return patched

    def _check_user(self, user: Resource[Any], before: Standing) -> None:
        """Note or refuse the change of an invited or linked user, unless it is the state that changes."""
        if moved(before, Standing.of(user)):
            self._transitions.check(user, before)
        elif before.state in SETTLED:
            self._note["changed_while"] = before.state.value
            if self._freeze:
                raise MutabilityException(detail=f"an {before.state} user is no longer changed by an import")

    def publish(self, base_url: str, resource: Resource[Any]) -> Resource[Any]:
        """Add the location; references stay as they were sent, so no deep copy is needed."""
        if resource.meta is None or resource.id is None:
            raise ValueError("only a stored resource can be published")
        location = self.resource_location(base_url, self.get_resource_type_of(resource), resource.id)
        version = resource.meta.version if self.etag_supported else None
        meta = resource.meta.model_copy(update={"location": location, "version": version})
        return resource.model_copy(update={"meta": meta})

    def search_response(
        self,
        base_url: str,
        resource_types: list[ResourceType],
        page: SearchPage,
        search_request: SearchRequest[Any],
    ) -> ScimResponse:
        """List a page of stored payloads, each with its location."""
        if not isinstance(page, PayloadPage):
            return super().search_response(base_url, resource_types, page, search_request)
        types = {str(each.name): each for each in resource_types}
        body = {
            "schemas": [str(ListResponse.__schema__)],
            "totalResults": page.total,
            "itemsPerPage": len(page.payloads),
            "startIndex": search_request.start_index,
            "Resources": [
                self._located(row, self.resource_location(base_url, types[name], row["id"]))
                for name, row in page.payloads
            ],
        }
        return ScimResponse(HTTPStatus.OK, body)

    def _located(self, row: dict[str, Any], location: str) -> dict[str, Any]:
        if "meta" not in row:
            return row
        meta = {**row["meta"], "location": location}
        if not self.etag_supported:
            meta.pop("version", None)
        return {**row, "meta": meta}


class DialogHandler(ScimHandler):
    """Run bulk operations one by one, each of which may meet a fault.

    :param take_fault: gives the fault that an operation such as ``Users.create`` meets.
    """

    def __init__(
        self, service: DialogService, storage: DialogStore, *, take_fault: Callable[[str], Fault | None]
    ) -> None:
        super().__init__(service, storage)
        self._store = storage
        self._take_fault = take_fault

    def run_bulk_step(
        self, request: ScimRequest, plan: BulkPlan, step: BulkStep
    ) -> tuple[dict[str, Any], Resource[Any] | None]:
        """Apply one operation, unless a fault has it refused."""
        operation = plan.operation(step)
        fault = self._take_fault(_bulk_name(operation))
        if fault is not None and fault.kind == CHANGED_MEANWHILE:
            self._store.touch(operation.resource_id or "")
        if fault is None or fault.kind != "status":
            return super().run_bulk_step(request, plan, step)
        refusal = SCIMException(detail="refused by an injected fault")
        refusal.status = int(fault.args.get("status", 503))
        return self.service.bulk_failure(
            self.service.bulk_outcome(request.base_url, operation), refusal
        ), None


def _bulk_name(operation: BulkOperation[Any]) -> str:
    verbs = {"POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}
    return f"{(operation.endpoint or '/').lstrip('/')}.{verbs.get(str(operation.method), 'unknown')}"
