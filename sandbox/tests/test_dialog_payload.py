"""What is computed on stored JSON is what scim2-models computes on its models."""

from __future__ import annotations

from typing import Any

import pytest
from scim2_models import Context, Path, ResponseParameters, ScimFilter, SearchRequest

from visma_sandbox.dialog_payload import Payload, compile_filter, projection, sort_key
from visma_sandbox.dialog_schemas import DIALOG_USER, DIALOG_USER_MODEL

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def person(number: int, **more: Any) -> Payload:
    extensions = [urn for urn in (ENTERPRISE, DIALOG_USER) if urn in more]
    moment = f"2026-11-0{number}T10:00:00Z"
    meta = {"resourceType": "User", "created": moment, "lastModified": moment, "version": f'W/"{number}"'}
    return {"schemas": [USER, *extensions], "id": f"id-{number}", "meta": meta, **more}


ROWS = [
    person(
        1,
        userName="Zoë@example.com",
        externalId="503293",
        active=True,
        name={"givenName": "Zoë", "familyName": "Testpersoon"},
        emails=[{"value": "Zoë@example.com", "type": "work", "primary": True}],
        **{ENTERPRISE: {"department": "Zorg"}, DIALOG_USER: {"state": "invited", "functionId": "F1"}},
    ),
    person(
        2,
        userName="anna@example.com",
        externalId="7",
        active=False,
        emails=[{"value": "a@example.org", "type": "home"}, {"value": "anna@example.com", "type": "work"}],
        **{DIALOG_USER: {"state": "imported", "startDate": "2020-01-01", "functionId": "f1"}},
    ),
    person(3, userName="bare@example.com"),
    person(4, userName='quote"d@example.com', externalId="8", name={"familyName": "testpersoon-Bos"}),
]
MODELS = [DIALOG_USER_MODEL.model_validate(row) for row in ROWS]


@pytest.mark.parametrize(
    ("expression", "matching"),
    [
        ('userName eq "ZOË@EXAMPLE.COM"', [1]),
        ('userName eq "quote\\"d@example.com"', [4]),
        ('externalId eq "7" or externalId eq "8"', [2, 4]),
        ('externalId ne "7"', [1, 3, 4]),
        ("externalId eq null", [3]),
        ("externalId pr", [1, 2, 4]),
        ("not (name pr)", [2, 3]),
        ("active eq true", [1]),
        ("active ne true", [2, 3, 4]),
        ('name.familyName co "SOON"', [1, 4]),
        ('name.familyName sw "test" and name.familyName ew "bos"', [4]),
        ('emails co "example.org"', [2]),
        ('emails.type eq "work"', [1, 2]),
        ('emails ne "anna@example.com"', [1, 3, 4]),
        ('emails[type eq "work" and value sw "anna"]', [2]),
        ('emails[type eq "home" and value sw "anna"]', []),
        ("emails[primary eq true]", [1]),
        (f'{DIALOG_USER}:state eq "invited"', [1]),
        (f'{DIALOG_USER}:functionId eq "f1"', [2]),
        (f'{ENTERPRISE}:department eq "zorg" or {DIALOG_USER}:startDate ge "2020"', [1, 2]),
        ('meta.created gt "2026-11-02T10:00:00+00:00"', [3, 4]),
        ('meta.created le "2026-11-02T11:00:00+01:00"', [1, 2]),
        ('userName gt "c"', [1, 4]),
        ('nosuchattribute eq "x"', []),
        (f'schemas eq "{ENTERPRISE}"', [1]),
    ],
)
def test_a_filter_finds_what_it_finds_on_models(expression: str, matching: list[int]) -> None:
    scim_filter = ScimFilter.__class_getitem__(DIALOG_USER_MODEL)(expression)
    matches = compile_filter(DIALOG_USER_MODEL, scim_filter.ast)

    found = [matches(row) for row in ROWS]

    assert found == [number in matching for number in (1, 2, 3, 4)]
    assert found == [scim_filter.match(model) for model in MODELS]


@pytest.mark.parametrize(
    "parameters",
    [
        {"attributes": "userName"},
        {"attributes": "USERNAME,name.familyName,meta"},
        {"attributes": "emails.value,meta.version"},
        {"attributes": f"{DIALOG_USER}:state"},
        {"attributes": f"externalId,{DIALOG_USER}"},
        {"excludedAttributes": "emails,active"},
        {"excludedAttributes": "name.familyName,emails.type,id,schemas"},
        {"excludedAttributes": f"{DIALOG_USER}:state,{ENTERPRISE}"},
        {"excludedAttributes": f"{ENTERPRISE}:department"},
    ],
    ids=lambda parameters: "-".join(*parameters.items()),
)
def test_a_projection_keeps_what_it_keeps_of_models(parameters: dict[str, str]) -> None:
    asked = ResponseParameters.__class_getitem__(DIALOG_USER_MODEL).model_validate(parameters)
    project = projection(DIALOG_USER_MODEL, attributes=asked.attributes, excluded=asked.excluded_attributes)
    assert project is not None

    projected = [project(row) for row in ROWS]

    assert projected == [
        model.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=asked)
        for model in MODELS
    ]
    assert projected != ROWS


def test_nothing_asked_is_the_whole() -> None:
    assert projection(DIALOG_USER_MODEL, attributes=None, excluded=[]) is None


@pytest.mark.parametrize("attribute", ["userName", "name.familyName", "meta.created", "emails", "externalId"])
def test_payloads_sort_as_models_do(attribute: str) -> None:
    request = SearchRequest.__class_getitem__(DIALOG_USER_MODEL)(sort_by=attribute)
    key = sort_key(DIALOG_USER_MODEL, Path.__class_getitem__(DIALOG_USER_MODEL)(attribute))

    for row, model in zip(ROWS, MODELS, strict=True):
        value = request.sort_value(model)
        assert key(row) == ((True, "") if value is None else (False, value))
