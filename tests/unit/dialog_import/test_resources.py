"""What is made of a SCIM resource that some service or other has."""

from __future__ import annotations

import pytest

from airflow_provider_visma.dialog_import.plan import Kind
from airflow_provider_visma.dialog_import.resources import CoreUser, held
from airflow_provider_visma.dialog_import.rules import UserFields


@pytest.mark.parametrize("address", ["iemand@intranet", "a..b@example.com", "geen adres"])
def test_a_user_with_an_odd_address_does_not_keep_the_others_from_being_read(address: str) -> None:
    user = CoreUser.model_validate(
        {
            "schemas": [str(CoreUser.__schema__)],
            "id": "d1",
            "userName": "iemand",
            "emails": [{"value": address, "type": "work"}],
        }
    )

    fields = held(Kind.USER, user, frozenset()).fields

    assert isinstance(fields, UserFields)
    assert fields.email == address
