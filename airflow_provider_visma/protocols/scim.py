"""SCIM 2.0 (RFC 7643, RFC 7644) for a client that brings people into a service.

Messages are built and read by scim2-models. What is added here: what the service says it can do decides
how it is spoken to, and a list is complete or an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import tenacity
from scim2_models import (
    Context,
    Extension,
    PatchOp,
    Resource,
    ResourceType,
    ResponseParameters,
    Schema,
    ScimProvider,
    SearchRequest,
    ServiceProviderConfig,
)

from airflow_provider_visma.exceptions import (
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaThrottledError,
)
from airflow_provider_visma.protocols.http import httpx
from airflow_provider_visma.protocols.scim_bulk import BulkItem, BulkLimits, message, statuses
from airflow_provider_visma.protocols.scim_engine import ATTEMPTS, TOLERANT, ScimEngine, operation_of

_PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class ScimPage:
    """One page of a list.

    :param total: how many resources the whole list has.
    """

    resources: tuple[Resource[Any], ...]
    total: int


class ListChangedError(VismaIncompleteAnswerError):
    """The pages of a list do not add up to one list. Reading it again from its beginning may help."""


class ScimService:
    """One SCIM service, spoken to within what it says it can do.

    :param client: HTTP client whose base address is the service's, bearer included.
    :param models: resources and extensions that we can read and write; the others are ignored.
    :param sleep: waits that many seconds between two tries.
    :param attempts: how often a request is tried; 1 where a person is waiting for the answer.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        models: Sequence[type[Resource[Any]] | type[Extension]],
        system: str,
        conn_id: str | None = None,
        sleep: Callable[[float], None] = tenacity.nap.sleep,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._engine = ScimEngine(client, system=system, conn_id=conn_id, sleep=sleep, attempts=attempts)
        self._models = tuple(models)
        self._types: dict[str, ResourceType] = {}
        self.config = ServiceProviderConfig()

    def discover(self) -> None:
        """Ask what the service can do and which of our models it knows (RFC 7644, 4)."""
        engine = self._engine
        self.config = engine.call("GET /ServiceProviderConfig", engine.query, ServiceProviderConfig)
        answer = engine.call("GET /ResourceTypes", engine.query, ResourceType)
        known = {_key(model.__schema__) for model in self._models}
        for published in answer.resources or []:
            schema = _key(published.schema_)
            if schema in known and schema not in self._types:
                extensions = [
                    item for item in published.schema_extensions or [] if _key(item.schema_) in known
                ]
                self._types[schema] = published.model_copy(update={"schema_extensions": extensions})
        with engine.plain_errors("GET /ResourceTypes"):
            engine.provider = ScimProvider(
                models=self._models,
                resource_types=tuple(self._types.values()),
                config=self.config,
                policy=TOLERANT,
            )

    def schemas(self) -> frozenset[str]:
        """Return the identifiers of the schemas that the service publishes."""
        answer = self._engine.call("GET /Schemas", self._engine.query, Schema)
        return frozenset(str(schema.id) for schema in answer.resources or [])

    def model(self, resource: type[Resource[Any]]) -> type[Resource[Any]] | None:
        """Return *resource* with the extensions that the service gives it; None where it lacks it."""
        found = self._types.get(_key(resource.__schema__))
        composed: Any = self._engine.provider.model_for(found) if found is not None else None
        return composed  # type: ignore[no-any-return]

    @property
    def bulk_limits(self) -> BulkLimits | None:
        """Bounds of Bulk, or None where the service has none."""
        bulk = self.config.bulk
        if not bulk or not bulk.supported or not bulk.max_operations or not bulk.max_payload_size:
            return None
        return BulkLimits(max_operations=bulk.max_operations, max_bytes=bulk.max_payload_size)

    @property
    def has_etags(self) -> bool:
        """Tell whether a change can be made to depend on the version that was read."""
        return bool(self.config.etag and self.config.etag.supported)

    @property
    def has_patch(self) -> bool:
        """Tell whether single attributes can be changed."""
        return bool(self.config.patch and self.config.patch.supported)

    @property
    def has_filter(self) -> bool:
        """Tell whether a list can be narrowed down."""
        return bool(self.config.filter and self.config.filter.supported)

    @property
    def has_sort(self) -> bool:
        """Tell whether a list can be had in an order."""
        return bool(self.config.sort and self.config.sort.supported)

    def page(
        self,
        resource: type[Resource[Any]],
        attributes: Sequence[str],
        *,
        count: int,
        start_index: int = 1,
        condition: str | None = None,
        sort_by: str | None = None,
    ) -> ScimPage:
        """Return one page of a list, for somebody who looks at it; :meth:`read_all` is for all of it.

        A condition is sent in the body (RFC 7644, 3.4.3): it may name a person, and addresses are logged.

        :param condition: a filter; only where :attr:`has_filter`.
        """
        parameters: dict[str, Any] = {
            "attributes": list(attributes),
            "count": count,
            "start_index": start_index,
        }
        if sort_by is not None and self.has_sort:
            parameters["sort_by"] = sort_by
        if condition is None:
            answer = self._page(resource, **parameters)
        else:
            found = self._type(resource)
            answer = self._engine.call(
                operation_of("POST", f"{found.endpoint}/.search"),
                self._engine.search,
                found,
                SearchRequest[Any](filter=condition, **parameters),
            )
        resources = tuple(answer.resources or ())
        return ScimPage(resources=resources, total=max(answer.total_results or 0, len(resources)))

    def get(
        self, resource: type[Resource[Any]], identifier: str, attributes: Sequence[str]
    ) -> Resource[Any] | None:
        """Return the resource with the service's own *identifier*, or None."""
        found = self._type(resource)
        asked = ResponseParameters[Any](attributes=list(attributes))
        try:
            answer: Resource[Any] = self._engine.call(
                operation_of("GET", str(found.endpoint)), self._engine.query, found, identifier, asked
            )
        except VismaNotFoundError:
            return None
        return answer

    def read_all(
        self, resource: type[Resource[Any]], attributes: Sequence[str], *, page_size: int = _PAGE_SIZE
    ) -> Iterator[Resource[Any]]:
        """Yield every resource, page by page.

        The service may give fewer than asked for. It may not change its total while it is read, repeat
        a resource or stop early: RFC 7644, 3.4.2.4, promises no stable order, so only the count of
        distinct resources proves that none was missed.

        :raises ListChangedError: the pages do not add up to one list.
        """
        seen: set[str] = set()
        total: int | None = None
        while total is None or len(seen) < total:
            before = len(seen)
            page = self._page(resource, start_index=before + 1, count=page_size, attributes=list(attributes))
            found = page.resources or []
            total = page.total_results if total is None else total
            seen.update(item.id or "" for item in found)
            if page.total_results != total or len(seen) > (total or 0):
                raise self._list_changed(resource, "its total changed while it was read")
            if len(seen) != before + len(found):
                raise self._list_changed(resource, "one page repeats what another held")
            if total and not found:
                raise self._list_changed(resource, f"it ended after {before} of {total}")
            yield from found

    def find(
        self, resource: type[Resource[Any]], external_id: str, attributes: Sequence[str]
    ) -> Resource[Any] | None:
        """Return the resource with our *external_id*, or None."""
        if self.config.filter and self.config.filter.supported:
            condition = f"externalId eq {json.dumps(external_id)}"
            page = self._page(resource, filter=condition, attributes=list(attributes))
            candidates = iter(page.resources or [])
        else:
            candidates = self.read_all(resource, attributes)
        # A service that overlooks the filter answers with everybody; never take one of those for ours.
        return next((item for item in candidates if item.external_id == external_id), None)

    def create(self, base: type[Resource[Any]], resource: Resource[Any]) -> None:
        """Create *resource*. Repeated only after 429: after a time-out it may exist already."""
        found = self._type(base)
        self._engine.call(
            operation_of("POST", str(found.endpoint)),
            self._engine.create,
            found,
            resource,
            check_response_payload=False,
            repeat=VismaThrottledError,
        )

    def patch(
        self, base: type[Resource[Any]], identifier: str, changes: PatchOp[Any], *, version: str | None
    ) -> None:
        """Change a resource, if it still is the *version* that was read."""
        found = self._type(base)
        self._engine.call(
            operation_of("PATCH", str(found.endpoint)),
            self._engine.modify,
            found,
            identifier,
            changes,
            headers={"If-Match": version} if version and self.has_etags else {},
            check_response_payload=False,
        )

    def creation(self, key: str, base: type[Resource[Any]], resource: Resource[Any]) -> BulkItem:
        """Return the Bulk operation that creates *resource*."""
        body = resource.model_dump(scim_ctx=Context.RESOURCE_CREATION_REQUEST)
        return BulkItem(key=key, method="POST", path=str(self._type(base).endpoint), body=body)

    def modification(
        self, key: str, base: type[Resource[Any]], identifier: str, changes: PatchOp[Any], version: str | None
    ) -> BulkItem:
        """Return the Bulk operation that changes a resource."""
        return BulkItem(
            key=key,
            method="PATCH",
            path=f"{self._type(base).endpoint}/{quote(identifier, safe='')}",
            body=changes.model_dump(scim_ctx=Context.RESOURCE_PATCH_REQUEST),
            version=version if self.has_etags else None,
        )

    def bulk(self, items: Sequence[BulkItem]) -> dict[str, int]:
        """Send one Bulk request; return the status of each operation that the answer names, by key."""
        answer = self._engine.call(
            "POST /Bulk",
            self._engine.bulk,
            message(items),
            check_request_payload=False,
            check_response_payload=False,
            repeat=VismaThrottledError,
        )
        return statuses(answer, items)

    def _type(self, resource: type[Resource[Any]]) -> ResourceType:
        return self._types[_key(resource.__schema__)]

    def _page(self, resource: type[Resource[Any]], **parameters: Any) -> Any:
        found = self._type(resource)
        operation = operation_of("GET", str(found.endpoint))
        return self._engine.call(operation, self._engine.query, found, SearchRequest[Any](**parameters))

    def _list_changed(self, resource: type[Resource[Any]], why: str) -> ListChangedError:
        return ListChangedError(
            f"the list could not be read as a whole: {why}",
            system=self._engine.system,
            operation=operation_of("GET", str(self._type(resource).endpoint)),
            conn_id=self._engine.conn_id,
            advice="A retry reads it from its beginning.",
        )


def _key(schema: Any) -> str:
    return str(schema).casefold()
