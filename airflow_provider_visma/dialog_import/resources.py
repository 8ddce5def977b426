"""Dialog on the SCIM wire: our schemas, and the way from a SCIM resource to plain values and back.

Dialog publishes no import API. Schemas, endpoints and states here are this provider's assumption, in the
shape that SCIM 2.0 (RFC 7643) gives to extensions; a service that lacks them is used without them.
"""

from __future__ import annotations

from typing import Annotated, Any

from scim2_models import (
    URN,
    AnyExtension,
    Email,
    EnterpriseUser,
    Extension,
    Name,
    PatchOp,
    PatchOperation,
    Required,
    Resource,
    Uniqueness,
    User,
)

from airflow_provider_visma.dialog_import.plan import Create, FieldChange, Held, Kind, Update
from airflow_provider_visma.dialog_import.planning import ALL_FIELDS, IMPORTED
from airflow_provider_visma.dialog_import.rules import EntryFields, UserFields


class DialogUser(Extension):
    """What Dialog keeps of a user beyond SCIM's own attributes."""

    __schema__ = URN("urn:airflow-provider-visma:params:scim:schemas:extension:dialog:2.0:User")

    start_date: str | None = None
    end_date: str | None = None
    department_code: str | None = None
    function_id: str | None = None
    state: str | None = None
    linked_user_id: str | None = None
    takes_effect_at: str | None = None


class Address(Email):
    """An e-mail address as somebody wrote it: what it should look like (RFC 7643, 4.1.2) nobody has to keep.

    One odd address must not stop the import of everybody else; a service that minds refuses that one user.
    """

    value: str | None = None


class CoreUser(User[AnyExtension]):
    """SCIM's own user, whatever their addresses look like."""

    emails: list[Address] | None = None  # type: ignore[assignment]


class Department(Resource[Any]):
    """A department; ``externalId`` is its Nmbrs code."""

    __schema__ = URN("urn:airflow-provider-visma:params:scim:schemas:dialog:2.0:Department")

    external_id: Annotated[str | None, Required.true, Uniqueness.server] = None
    display_name: Annotated[str | None, Required.true] = None


class Function(Resource[Any]):
    """A function; ``externalId`` is its Nmbrs id."""

    __schema__ = URN("urn:airflow-provider-visma:params:scim:schemas:dialog:2.0:Function")

    external_id: Annotated[str | None, Required.true, Uniqueness.server] = None
    display_name: Annotated[str | None, Required.true] = None


RESOURCES: dict[Kind, type[Resource[Any]]] = {
    Kind.DEPARTMENT: Department,
    Kind.FUNCTION: Function,
    Kind.USER: CoreUser,
}
EXTENSIONS: tuple[type[Extension], ...] = (EnterpriseUser, DialogUser)

_ENTERPRISE = str(EnterpriseUser.__schema__)
_DIALOG = str(DialogUser.__schema__)

_WIRE_NAMES = {
    "user_name": "userName",
    "given_name": "name.givenName",
    "family_name": "name.familyName",
    "email": "emails",
    "department": f"{_ENTERPRISE}:department",
    "start_date": f"{_DIALOG}:startDate",
    "end_date": f"{_DIALOG}:endDate",
    "department_code": f"{_DIALOG}:departmentCode",
    "function_id": f"{_DIALOG}:functionId",
    "display_name": "displayName",
}
_FIELDS_OF = {
    _ENTERPRISE: frozenset({"department"}),
    _DIALOG: frozenset({"start_date", "end_date", "department_code", "function_id"}),
}


def storable_fields(model: type[Resource[Any]]) -> frozenset[str]:
    """Return which of a user's fields *model*, as the service composes it, has a place for."""
    lacking = {
        name
        for extension in EXTENSIONS
        if extension not in model.get_extension_models().values()
        for name in _FIELDS_OF[str(extension.__schema__)]
    }
    return ALL_FIELDS - lacking


def wanted_attributes(kind: Kind, fields: frozenset[str]) -> list[str]:
    """Return the SCIM attributes to ask for, so that nothing else about a person is sent to us."""
    if kind is not Kind.USER:
        return ["externalId", "displayName", "meta"]
    names = [_WIRE_NAMES[name] for name in sorted(fields)]
    state = [f"{_DIALOG}:state"] if "start_date" in fields else []
    return ["externalId", "meta", *names, *state]


def held(kind: Kind, resource: Resource[Any], fields: frozenset[str]) -> Held:
    """Return what *resource* says, as plain values.

    A service without our extension knows no states: all of its users count as imported.
    """
    state = None
    values: UserFields | EntryFields
    if isinstance(resource, CoreUser):
        dialog = resource[DialogUser] if "start_date" in fields else None
        enterprise = resource[EnterpriseUser] if "department" in fields else None
        work = next((email.value for email in resource.emails or [] if email.type == "work"), None)
        state = (dialog.state if dialog else None) if "start_date" in fields else IMPORTED
        values = UserFields(
            user_name=resource.user_name,
            given_name=resource.name.given_name if resource.name else None,
            family_name=resource.name.family_name if resource.name else None,
            email=work or None,
            start_date=dialog.start_date if dialog else None,
            end_date=dialog.end_date if dialog else None,
            department=enterprise.department if enterprise else None,
            department_code=dialog.department_code if dialog else None,
            function_id=dialog.function_id if dialog else None,
        )
    else:
        values = EntryFields(display_name=getattr(resource, "display_name", None))
    return Held(
        kind=kind,
        id=resource.id or "",
        external_id=resource.external_id,
        version=resource.meta.version if resource.meta else None,
        state=state,
        fields=values,
    )


def new_resource(line: Create, model: type[Resource[Any]], fields: frozenset[str]) -> Resource[Any]:
    """Return the resource to create. A user is made known, not ready: state imported."""
    wanted = line.wanted
    if isinstance(wanted, EntryFields):
        return model.model_validate(
            {
                "schemas": [str(model.__schema__)],
                "externalId": line.external_id,
                "displayName": wanted.display_name,
            }
        )
    composed: Any = model
    user: CoreUser[Any] = composed(
        external_id=line.external_id,
        user_name=wanted.user_name,
        name=Name(given_name=wanted.given_name, family_name=wanted.family_name),
        emails=[_work_email(wanted.email)],
        active=True,
    )
    if "department" in fields and wanted.department:
        user[EnterpriseUser] = EnterpriseUser(department=wanted.department)
    if "start_date" in fields:
        user[DialogUser] = DialogUser(
            start_date=wanted.start_date,
            end_date=wanted.end_date,
            department_code=wanted.department_code,
            function_id=wanted.function_id,
            state=IMPORTED,
        )
    return user


def patch(line: Update, model: type[Resource[Any]]) -> PatchOp[Any]:
    """Return the changes of *line* and nothing else."""
    operations = [PatchOperation[model](**_operation(change)) for change in line.changes]  # type: ignore[valid-type]
    return PatchOp[model](operations=operations)  # type: ignore[valid-type]


def _operation(change: FieldChange) -> dict[str, Any]:
    path = _WIRE_NAMES[change.field]
    if change.new is None:
        return {"op": "remove", "path": path}
    if change.field != "email":
        return {"op": "replace", "path": path, "value": change.new}
    # A user may have other addresses, and those are not ours to change.
    if change.old is None:
        return {"op": "add", "path": path, "value": [_work_email(change.new)]}
    return {"op": "replace", "path": 'emails[type eq "work"].value', "value": change.new}


def _work_email(address: str | None) -> Address:
    return Address(value=address, type=Email.Type.work, primary=True)
