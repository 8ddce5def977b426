"""What a SCIM service may do to its client, and what the client makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from scim2_models import EnterpriseUser, PatchOp, PatchOperation, User

from airflow_provider_visma.exceptions import (
    VismaConflictError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaRequestError,
    VismaThrottledError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.http import httpx
from airflow_provider_visma.protocols.scim import ListChangedError, ScimService
from airflow_provider_visma.protocols.scim_bulk import BulkItem, BulkLimits, batches, message, statuses

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ENTERPRISE = str(EnterpriseUser.__schema__)
STRANGE = "urn:example:params:scim:schemas:extension:strange:1.0:User"

Answer = Callable[[httpx.Request], httpx.Response]


def users(*numbers: int, total: int, start: int = 1) -> dict[str, Any]:
    resources = [
        {"schemas": [USER], "id": f"id{n}", "externalId": str(n), "userName": f"p{n}@example.com"}
        for n in numbers
    ]
    return {
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(resources),
        "Resources": resources,
    }


class Server:
    """A SCIM service with one user type and an answer of the test's choosing to everything else.

    :ivar requests: those that came after discovery.
    """

    def __init__(self, answer: Answer, **config: Any) -> None:
        self.answer = answer
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        offers = {"supported": True, "maxOperations": 10, "maxPayloadSize": 10_000, "maxResults": 100}
        self.config = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
            "authenticationSchemes": [],
            **dict.fromkeys(("patch", "bulk", "filter", "changePassword", "sort", "etag"), offers),
            **config,
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v2/ServiceProviderConfig":
            return httpx.Response(200, json=self.config)
        if request.url.path == "/v2/ResourceTypes":
            user = {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
                "id": "User",
                "name": "User",
                "endpoint": "/Mensen",
                "schema": USER,
                "schemaExtensions": [
                    {"schema": ENTERPRISE, "required": False},
                    {"schema": STRANGE, "required": False},
                ],
            }
            other = {**user, "id": "Robot", "name": "Robot", "endpoint": "/Robots", "schema": "urn:x:Robot"}
            return httpx.Response(
                200, json={"schemas": [LIST], "totalResults": 2, "Resources": [other, user]}
            )
        self.requests.append(request)
        return self.answer(request)

    def service(self) -> ScimService:
        client = httpx.Client(base_url="http://dialog.example/v2/", transport=httpx.MockTransport(self))
        service = ScimService(
            client,
            models=(User, EnterpriseUser),
            system="Dialog",
            conn_id="dialog_test",
            sleep=self.slept.append,
        )
        service.discover()
        return service


def pages(*bodies: dict[str, Any]) -> Answer:
    answers = iter(bodies)
    return lambda request: httpx.Response(200, json=next(answers))


def read(server: Server) -> list[str | None]:
    return [user.external_id for user in server.service().read_all(User, ["externalId"], page_size=2)]


def test_endpoints_are_those_that_the_service_names_and_unknown_extensions_are_left_out() -> None:
    server = Server(pages(users(1, total=1)))
    service = server.service()

    (found,) = service.read_all(User, ["userName"])

    assert server.requests[0].url.path == "/v2/Mensen"
    assert service.model(User) is User[EnterpriseUser]
    assert isinstance(found, User)


def test_pages_smaller_than_asked_for_are_read_on_from_where_they_ended() -> None:
    server = Server(pages(users(1, total=3), users(2, total=3, start=2), users(3, total=3, start=3)))

    assert read(server) == ["1", "2", "3"]
    assert [request.url.params["startIndex"] for request in server.requests] == ["1", "2", "3"]


def test_an_empty_list_is_a_list() -> None:
    assert read(Server(pages({"schemas": [LIST], "totalResults": 0}))) == []


@pytest.mark.parametrize(
    ("bodies", "why"),
    [
        ([users(1, 2, total=4), users(2, 3, total=4)], "repeats"),
        ([users(1, 2, total=4), users(1, 2, total=4)], "repeats"),
        ([users(1, 1, total=2)], "repeats"),
        ([users(1, 2, total=4), users(3, 4, total=5)], "total changed"),
        ([users(1, 2, total=4), users(3, total=3)], "total changed"),
        ([users(1, 2, 3, total=2)], "total changed"),
        ([users(1, 2, total=4), users(total=4)], "ended after 2 of 4"),
    ],
)
def test_pages_that_do_not_add_up_to_one_list_are_refused(bodies: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(ListChangedError, match=why):
        read(Server(pages(*bodies)))


def test_a_service_that_overlooks_the_filter_does_not_pass_a_stranger_off_as_ours() -> None:
    server = Server(pages(users(1, 2, total=2), users(1, 2, total=2)))
    service = server.service()

    assert service.find(User, "3", ["externalId"]) is None
    found = service.find(User, "2", ["externalId"])
    assert found is not None
    assert found.id == "id2"
    assert server.requests[0].url.params["filter"] == 'externalId eq "3"'


def test_a_service_without_filters_is_searched() -> None:
    server = Server(pages(users(1, 2, total=2)), filter={"supported": False, "maxResults": 0})

    found = server.service().find(User, "2", ["externalId"])

    assert found is not None
    assert "filter" not in server.requests[0].url.params


def change(service: ScimService, identifier: str = "id/1") -> None:
    operation = PatchOperation[User[Any]](op="replace", path="name.familyName", value="Anders")
    service.patch(User, identifier, PatchOp[User[Any]](operations=[operation]), version='W/"3"')


def create(service: ScimService) -> None:
    service.create(User, User(user_name="p1@example.com", external_id="1"))


def test_a_change_depends_on_the_version_that_was_read() -> None:
    server = Server(lambda request: httpx.Response(204))

    change(server.service())

    (request,) = server.requests
    assert request.headers["If-Match"] == 'W/"3"'
    assert request.headers["Content-Type"] == request.headers["Accept"] == "application/scim+json"
    assert request.url.raw_path == b"/v2/Mensen/id%2F1"


def test_an_identifier_that_no_address_can_hold_is_an_unusable_answer() -> None:
    with pytest.raises(VismaContentError, match="InvalidURL"):
        change(Server(lambda request: httpx.Response(204)).service(), "x" * 100_000)


def test_no_version_is_sent_to_a_service_that_has_none() -> None:
    server = Server(lambda request: httpx.Response(204), etag={"supported": False})

    change(server.service())

    assert "If-Match" not in server.requests[0].headers


@pytest.mark.parametrize("status", [408, 500, 502, 503])
def test_a_creation_is_not_repeated_where_it_may_have_happened(status: int) -> None:
    server = Server(lambda request: httpx.Response(status))

    with pytest.raises(VismaUnavailableError):
        create(server.service())

    assert len(server.requests) == 1


def test_reading_and_changing_are_repeated_a_few_times() -> None:
    server = Server(lambda request: httpx.Response(503))
    service = server.service()

    with pytest.raises(VismaUnavailableError):
        list(service.read_all(User, ["userName"]))
    with pytest.raises(VismaUnavailableError):
        change(service)

    assert len(server.requests) == 8
    assert len(server.slept) == 6


def test_the_service_says_how_long_to_wait() -> None:
    answers = iter([httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(201, json={})])
    server = Server(lambda request: next(answers))

    create(server.service())

    assert server.slept == [7.0]


def test_a_wait_of_more_than_a_minute_is_left_to_airflow() -> None:
    server = Server(lambda request: httpx.Response(429, headers={"Retry-After": "600"}))

    with pytest.raises(VismaThrottledError) as raised:
        create(server.service())

    assert server.slept == []
    assert raised.value.retry_after == 600


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(200, text="<html>Sorry</html>"), VismaIncompleteAnswerError),
        (httpx.Response(200, content=b'{"schemas": ["x"], "totalRes'), VismaIncompleteAnswerError),
        (httpx.Response(200, json=[1, 2]), VismaIncompleteAnswerError),
        (httpx.Response(200), VismaIncompleteAnswerError),
        (httpx.Response(204), VismaContentError),
        (httpx.Response(200, json={"schemas": [USER], "id": "1"}), VismaContentError),
        (
            httpx.Response(200, json={"schemas": [LIST], "totalResults": "geheim@example.com"}),
            VismaContentError,
        ),
        (httpx.Response(302, headers={"Location": "http://elsewhere.example/"}), VismaRequestError),
        (httpx.Response(404, json={"detail": "geheim@example.com"}), VismaNotFoundError),
        (httpx.Response(409, json={"detail": "geheim@example.com"}), VismaConflictError),
    ],
)
def test_an_answer_that_cannot_be_used_is_an_error_that_quotes_nothing_of_it(
    answer: httpx.Response, kind: type[VismaError]
) -> None:
    with pytest.raises(kind) as raised:
        list(Server(lambda request: answer).service().read_all(User, ["userName"]))

    assert "geheim" not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert (raised.value.operation, raised.value.conn_id) == ("GET /Mensen", "dialog_test")


def test_the_kind_of_a_refusal_is_told_where_the_standard_names_it() -> None:
    body = {"scimType": "uniqueness", "detail": "geheim@example.com"}

    with pytest.raises(VismaConflictError, match="refused it: uniqueness"):
        create(Server(lambda request: httpx.Response(409, json=body)).service())


def test_a_service_that_is_no_scim_service_is_recognised() -> None:
    client = httpx.Client(
        base_url="http://dialog.example/",
        transport=httpx.MockTransport(lambda request: httpx.Response(200, json={"hello": "world"})),
    )

    with pytest.raises(VismaContentError, match=r"SCIM 2\.0 service"):
        ScimService(client, models=(User,), system="Dialog").discover()


def item(number: int, size: int = 10) -> BulkItem:
    return BulkItem(key=str(number), method="POST", path="/Users", body={"userName": "é" * size})


@pytest.mark.parametrize("limits", [BulkLimits(3, 10_000), BulkLimits(100, 700), BulkLimits(1, 10_000)])
def test_a_batch_keeps_to_both_limits_and_nothing_is_left_out(limits: BulkLimits) -> None:
    items = [item(number, size=number) for number in range(20)]

    made = list(batches(items, limits))

    assert [each for batch in made for each in batch] == items
    assert max(map(len, made)) <= limits.max_operations
    assert max(len(json.dumps(message(batch))) for batch in made) <= limits.max_bytes


def test_one_operation_too_large_for_the_service_goes_alone_and_does_not_hold_up_the_others() -> None:
    made = list(batches([item(1), item(2, size=500), item(3)], BulkLimits(10, 500)))

    assert [[each.key for each in batch] for batch in made] == [["1"], ["2"], ["3"]]


def test_results_are_matched_by_key_or_by_place_and_never_by_position() -> None:
    created = item(1)
    changed = BulkItem(key="2", method="PATCH", path="/Users/abc", body={})
    answer = {
        "Operations": [
            {"method": "PATCH", "location": "https://dialog.example/v2/Users/abc", "status": "200"},
            {"method": "POST", "bulkId": "1", "status": "409"},
            {"method": "POST", "bulkId": "9", "status": "201"},
        ]
    }

    assert statuses(answer, [created, changed]) == {"2": 200, "1": 409}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"Operations": []},
        {"Operations": None},
        {"Operations": [None, "201"]},
        {"Operations": [{"bulkId": "1"}]},
        {"Operations": [{"bulkId": ["1"], "status": "201"}]},
    ],
)
def test_an_operation_that_the_answer_does_not_name_has_no_result(answer: Any) -> None:
    assert statuses(answer, [item(1)]) == {}
