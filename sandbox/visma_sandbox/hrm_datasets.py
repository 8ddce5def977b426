"""The HRM datasets: result field, scope, columns (hrm_columns.json) and rows, drawn from the organisation.

A column that no rule here fills is empty: the vendor's lists are wide, and a client must carry every column.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Final, NamedTuple

from visma_sandbox.careers import Employment
from visma_sandbox.figures import employment_for, newest
from visma_sandbox.organisation import Organisation
from visma_sandbox.people import Person

SCOPE: Final = "hrmanalytics:nlhrm:export"
CONTACT_SCOPE: Final = f"{SCOPE}contactinformation"
COLUMNS: Final[dict[str, list[str]]] = json.loads(
    files("visma_sandbox").joinpath("hrm_columns.json").read_text("utf-8")
)
BENCHMARK: Final = "benchmark"
_FREE_COLUMNS: Final = ("employeeid", "name", "value", "existencestartutc")
_METADATA_CHANGED: Final = datetime(2024, 1, 1, tzinfo=UTC)
_TODAY: Final = date(2026, 1, 1)


class Row(NamedTuple):
    """A record and the moment it last changed, which a delta goes by."""

    changed_at: datetime
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What can be exported under one path.

    :param file_field: key of the file list in the job's answer; no rule gives it (contract hrm, 1.2).
    :param scope: what a bearer needs; None when any will do.
    :param gated: columns that need :data:`CONTACT_SCOPE` besides.
    """

    path: str
    file_field: str
    scope: str | None
    columns: tuple[str, ...]
    rows: Callable[[Organisation], Iterator[Row]]
    gated: frozenset[str] = frozenset()


def dataset_for(path: str) -> Dataset:
    """The dataset of a path; one that no contract names exports a few columns of everybody."""
    known = DATASETS.get(path)
    if known is not None:
        return known
    first, *others = path.rpartition("/")[2].split("-")
    name = first + "".join(word.capitalize() for word in others)
    return Dataset(path, f"{name}FileUris", None, _FREE_COLUMNS, _free_rows)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def _employees(organisation: Organisation) -> Iterator[Row]:
    for person in organisation.people():
        changed_at = organisation.changed_at(person)
        company = organisation.company_of(person.position)
        yield Row(
            changed_at,
            {
                "initials": person.initials,
                "firstname": person.first_name,
                "nameusage_en": "Own",
                "nameusage": "Eigen",
                "dateofbirth": _day(person.birthday),
                "nationality_en": "Dutch",
                "nationality": "Nederlandse",
                "officialdate": _day(person.initial_day),
                "employeegroupid": "1",
                "employeegroupname_en": 'Staff, "fixed"',
                "employeegroupname": 'Personeel, "vast"',
                "ismanager": "1" if person.mix % 20 == 0 else "0",
                "companyid": str(company.id),
                "companyname": company.name,
                "boardnumber": str(person.number),
                "homestreet": "Voorbeeldlaan",
                "homehousenumber": str(person.mix % 200 + 1),
                "homezipcode": "0000 XX",
                "homecity": person.birthplace or "",
                "homecountry": "Nederland",
                "homecountry_en": "Netherlands",
                "homeemailaddress": person.email_private,
                "businessemailaddress": person.email_work or "",
                "officetelphonenumber": f"0{person.phone_mobile[3:]}",
                "officemobilephonenumber": person.phone_mobile,
                **_identity(person, changed_at),
            },
        )


def _identity(person: Person, changed_at: datetime) -> dict[str, str]:
    return {
        "nickname": person.nickname or "",
        "birthname": person.last_name or "",
        "prefixbirthname": person.prefix or "",
        "formattedname": f"{person.display_name} ({person.initials})",
        "dateofbirth": _day(person.birthday),
        "gender": {"male": "M", "female": "V"}.get(person.gender, ""),
        "odporgid": "1",
        "employeeid": str(person.employee_id),
        "existencestartutc": _utc(changed_at),
    }


def _contracts(organisation: Organisation) -> Iterator[Row]:
    for person in organisation.people():
        changed_at = organisation.changed_at(person)
        shared = {**_identity(person, changed_at), **_position(organisation, person)}
        for employment in organisation.employments(person):
            yield Row(changed_at, {**shared, **_contract(person, employment)})


def _position(organisation: Organisation, person: Person) -> dict[str, str]:
    department = newest(organisation.department_records(person) or ())
    record = newest(organisation.function_records(person) or ())
    values: dict[str, str] = {}
    if department is not None:
        unit = department.department
        values |= {"orgunit": str(unit.code), "orgunitname": unit.description}
    if record is not None and record.function is not None and record.function.code:
        values |= {"functionid": str(record.function.id), "functionname": record.function.description}
    return values


def _contract(person: Person, employment: Employment) -> dict[str, str]:
    hours = 40 - person.mix % 4 * 8
    return {
        "startdate": _day(employment.start),
        "enddate": _day(employment.end),
        "contracttypeindication_nl": "Bepaalde tijd" if employment.end else "Onbepaalde tijd",
        "contracttypeindication_en": "Fixed term" if employment.end else "Permanent",
        "contractid": str(employment.id),
        "subcontractid": "1",
        "ptfactor": f"{hours / 40:.4f}",
        "weekhoursfixed": f"{hours:.2f}",
        "weekhoursvar": "0.00",
        "normalhours": "40.00",
        "salaryhour": f"{15 + person.mix % 4000 / 100:.2f}",
        "salaryfulltime": f"{(15 + person.mix % 4000 / 100) * 173.33:.2f}",
    }


def _employee_fields(organisation: Organisation) -> Iterator[Row]:
    for person in organisation.people():
        yield Row(organisation.changed_at(person), _field(person, "Kledingmaat", "SML"[person.mix % 3]))


def _contract_fields(organisation: Organisation) -> Iterator[Row]:
    for person in organisation.people():
        employment = employment_for(organisation.employments(person), _TODAY)
        if employment is not None:
            values = {"contractid": str(employment.id), "subcontractid": "1"}
            values |= _field(person, "Leaseauto", "Ja" if person.mix % 5 == 0 else "Nee")
            yield Row(organisation.changed_at(person), values)


def _field(person: Person, name: str, value: str) -> dict[str, str]:
    return {
        "employeeid": str(person.employee_id),
        "fieldname": name,
        "listname": f"Lijst {name}",
        "value": value,
        "startdate": _day(person.initial_day),
    }


def _users(organisation: Organisation) -> Iterator[Row]:
    for person in organisation.people():
        if person.email_work:
            values = {
                "userid": f"user-{person.position}",
                "emailaddress": person.email_work,
                "employeeid": str(person.employee_id),
            }
            yield Row(organisation.changed_at(person), values)


def _cost_centers(organisation: Organisation) -> Iterator[Row]:
    for center in organisation.cost_centers:
        yield Row(_METADATA_CHANGED, {"costcenter": center.code, "costcentername": center.name})


def _organization_units(organisation: Organisation) -> Iterator[Row]:
    """Each unit twice: a closed history row and the one in force."""
    for unit in organisation.departments:
        for start, end, name in (
            ("2015-01-01", "2023-12-31", f"{unit.description} (oud)"),
            ("2024-01-01", "", unit.description),
        ):
            values = {
                "odporgid": "1",
                "publicid": f"{unit.debtor_id}-{unit.code}",
                "orgunitid": str(unit.id),
                "orgdescription": name,
                "orgname": name,
                "existencestartutc": _utc(_METADATA_CHANGED),
                "startdate": start,
                "enddate": end,
            }
            yield Row(_METADATA_CHANGED, values)


def _free_rows(organisation: Organisation) -> Iterator[Row]:
    for person in organisation.people():
        changed_at = organisation.changed_at(person)
        values = {
            "employeeid": str(person.employee_id),
            "name": person.display_name,
            "value": str(person.mix % 1000),
            "existencestartutc": _utc(changed_at),
        }
        yield Row(changed_at, values)


def _known(
    path: str,
    file_field: str,
    scope: str,
    rows: Callable[[Organisation], Iterator[Row]],
    gated: frozenset[str] = frozenset(),
) -> Dataset:
    return Dataset(path, file_field, SCOPE + scope, tuple(COLUMNS[path]), rows, gated)


DATASETS: Final = {
    dataset.path: dataset
    for dataset in (
        _known(
            "employees",
            "employeeFileUris",
            "employees",
            _employees,
            frozenset({"homeemailaddress", "officetelphonenumber", "officemobilephonenumber"}),
        ),
        _known(
            "employees/user-defined-field-histories",
            "employeeUdfHistoryFileUris",
            "employees",
            _employee_fields,
        ),
        _known("contracts", "contractFileUris", "contracts", _contracts),
        _known(
            "contracts/user-defined-field-histories",
            "contractUdfHistoryFileUris",
            "contracts",
            _contract_fields,
        ),
        _known("users", "usersFileUris", "users", _users),
        _known("metadata/cost-centers", "costCentersFileUris", "metadata", _cost_centers),
        _known(
            "metadata/organization-units",
            "organizationUnitsFileUris",
            "organizationunits",
            _organization_units,
        ),
    )
}
