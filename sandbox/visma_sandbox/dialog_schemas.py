"""What Dialog publishes about itself: resource types, schemas and capabilities.

Dialog publishes no import API; this SCIM 2.0 description (RFC 7643) is the sandbox's assumption of one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any

from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    EnterpriseUser,
    ETag,
    Extension,
    Filter,
    Mutability,
    Patch,
    Required,
    Resource,
    ResourceType,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    User,
)

from visma_sandbox.settings import Settings

_URN = "urn:airflow-provider-visma:params:scim:schemas"
DIALOG_USER = f"{_URN}:extension:dialog:2.0:User"


class UserState(StrEnum):
    """How far a user has come: known to Dialog, invited, or linked to an existing Dialog user."""

    IMPORTED = "imported"
    INVITED = "invited"
    LINKED = "linked"


class DialogUser(Extension):
    """What Dialog keeps of an employee besides the SCIM user: employment, department, function and state."""

    __schema__ = URN(DIALOG_USER)

    start_date: str | None = None
    """First day of the employment in force, as YYYY-MM-DD."""

    end_date: str | None = None
    """Last day of the employment in force, as YYYY-MM-DD."""

    department_code: Annotated[str | None, CaseExact.true] = None
    """The externalId of the department the employee works in."""

    function_id: Annotated[str | None, CaseExact.true] = None
    """The externalId of the employee's function."""

    state: UserState | None = None
    """How far the user has come; Dialog sets "imported" on creation when it is absent."""

    linked_user_id: Annotated[str | None, CaseExact.true] = None
    """The id of the existing Dialog user that a linked user is linked with."""

    takes_effect_at: Annotated[datetime | None, Mutability.read_only] = None
    """Until when an invitation or a link can be undone."""


class Department(Resource[Any]):
    """A department that users can be placed in. Its externalId is unique."""

    __schema__ = URN(f"{_URN}:dialog:2.0:Department")

    display_name: Annotated[str | None, Required.true] = None
    """The department's description."""


class Function(Resource[Any]):
    """A function that users can hold. Its externalId is unique."""

    __schema__ = URN(f"{_URN}:dialog:2.0:Function")

    display_name: Annotated[str | None, Required.true] = None
    """The function's description."""


DIALOG_USER_MODEL = User[EnterpriseUser | DialogUser]


def state_of(resource: Resource[Any]) -> UserState | None:
    """Return a user's state; None for what has none."""
    extension = extension_of(resource)
    return extension.state if extension is not None else None


def extension_of(resource: Resource[Any]) -> DialogUser | None:
    """Return what is Dialog's own about a user; None for what has nothing of the kind."""
    extension: DialogUser | None = getattr(resource, DialogUser.__name__, None)
    return extension


def set_state(user: Resource[Any], state: UserState) -> None:
    """Give a user a state."""
    user[f"{DIALOG_USER}:state"] = state


RESOURCE_TYPES = tuple(
    ResourceType.from_resource(model) for model in (DIALOG_USER_MODEL, Department, Function)
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this Dialog offers: a switch ``dialog_<field>`` each, since the real service is unknown."""

    bulk: bool = True
    bulk_max_operations: int = 1000
    bulk_max_payload_size: int = 4 * 1024 * 1024
    max_results: int = 1000
    etag: bool = True
    patch: bool = True
    filter: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Capabilities:
        """Read the switches."""
        return cls(**{switch.name: settings[f"dialog_{switch.name}"] for switch in fields(cls)})


SETTINGS: dict[str, Any] = {
    **{f"dialog_{name}": value for name, value in asdict(Capabilities()).items()},
    # Whether an import may still change an invited or linked user: seed 003 says that Dialog takes no
    # changes from then on, not how it answers one.
    "dialog_freeze": False,
    # For how long an invitation or a link can be undone; seed 003 does not say that it can.
    "dialog_undo_seconds": 900,
    # Take every change of a state, as a suite of SCIM's own rules makes them.
    "dialog_any_state": False,
}


@cache
def provider_of(capabilities: Capabilities) -> ScimProvider:
    """Describe the service for its discovery endpoints."""
    config = ServiceProviderConfig(
        patch=Patch(supported=capabilities.patch),
        bulk=Bulk(
            supported=capabilities.bulk,
            max_operations=capabilities.bulk_max_operations if capabilities.bulk else 0,
            max_payload_size=capabilities.bulk_max_payload_size if capabilities.bulk else 0,
        ),
        filter=Filter(supported=capabilities.filter, max_results=capabilities.max_results),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=capabilities.etag),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="A token sent in the Authorization header.",
                primary=True,
            )
        ],
    )
    return ScimProvider(
        models=[User, EnterpriseUser, DialogUser, Department, Function],
        resource_types=RESOURCE_TYPES,
        config=config,
    )
