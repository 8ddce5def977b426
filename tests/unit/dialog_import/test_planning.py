"""Dialog's manual, sentence by sentence; each test says which one it holds us to."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime

import pytest

from airflow_provider_visma.dialog_import.plan import (
    Ambiguous,
    Create,
    Frozen,
    Gone,
    Kind,
    SetAside,
    Unknown,
    Update,
)
from airflow_provider_visma.dialog_import.planning import ALL_FIELDS, Content, make_plan
from airflow_provider_visma.dialog_import.rules import (
    DebtorLists,
    EntryFields,
    SetAsideReason,
    UserFields,
    employment_on,
    newest,
)
from airflow_provider_visma.nmbrs_records import (
    DebtorDepartment,
    DebtorFunction,
    EmployeeDepartment,
    EmployeeFunction,
    Employment,
)
from tests.unit.dialog_import.people import DAY, LISTS, department, employee, employment, function, plan, user


def test_a_user_gets_id_name_mail_employment_department_and_function() -> None:
    """2.1: the fields of PersonalInfo, Employment, EmployeeDepartmentItem and EmployeeFunctionItem."""
    ended = employee(employments=(employment(date(2020, 1, 1), date(2027, 3, 31)),))

    assert plan(ended).lines == (
        Create(
            Kind.USER,
            "503293",
            UserFields(
                user_name="persoon503293@example.com",
                given_name="Testpersoon",
                family_name="Nummer503293",
                email="persoon503293@example.com",
                start_date="2020-01-01",
                end_date="2027-03-31",
                department="Zorg",
                department_code="10",
                function_id="501",
            ),
        ),
    )


def test_functions_have_id_and_description_and_departments_code_and_description() -> None:
    """2.2: functions and departments come from the debtor."""
    first_import = make_plan([], lists=LISTS, content=Content(), day=DAY)

    assert first_import.lines == (
        Create(Kind.DEPARTMENT, "10", EntryFields("Zorg")),
        Create(Kind.DEPARTMENT, "20", EntryFields("Facilitair")),
        Create(Kind.FUNCTION, "501", EntryFields("Verpleegkundige")),
        Create(Kind.FUNCTION, "502", EntryFields("Kok")),
    )


def test_a_renamed_function_is_updated_and_one_gone_from_nmbrs_stays() -> None:
    lists = DebtorLists(functions=[DebtorFunction(1, 501, 7, "Wijkverpleegkundige")])

    lines = plan(lists=lists).lines

    (changed,) = (line for line in lines if isinstance(line, Update))
    assert [(c.old, c.new) for c in changed.changes] == [("Verpleegkundige", "Wijkverpleegkundige")]
    assert Gone(Kind.FUNCTION, "502") in lines
    assert Gone(Kind.DEPARTMENT, "10") in lines


def test_a_function_that_exists_only_globally_is_left_out_and_reported() -> None:
    """1.1.2 and 2.1, footnotes: Nmbrs gives functions of the debtor only."""
    created, unknown = plan(employee(functions=(function(999),))).lines

    assert isinstance(created, Create)
    assert isinstance(created.wanted, UserFields)
    assert created.wanted.function_id is None
    assert unknown == Unknown(Kind.FUNCTION, "503293", "999")


def test_a_function_of_another_debtor_is_as_unknown_as_a_global_one() -> None:
    lists = DebtorLists(functions=[DebtorFunction(2, 501, 7, "Verpleegkundige")])

    assert Unknown(Kind.FUNCTION, "503293", "501") in plan(employee(), lists=lists).lines


def test_what_is_missing_is_counted_by_number_the_most_wanted_first() -> None:
    made = plan(
        employee(1, functions=(function(998),)),
        employee(2, functions=(function(999),)),
        employee(3, functions=(function(999),), departments=(department(77),)),
    )
    assert made.missing() == {"department": {"77": 1}, "function": {"999": 2, "998": 1}}
    assert list(made.missing()["function"]) == ["999", "998"]


def test_a_department_that_the_debtor_does_not_define_is_left_out_and_reported() -> None:
    created, unknown = plan(employee(departments=(department(77),))).lines

    assert isinstance(created, Create)
    assert isinstance(created.wanted, UserFields)
    assert (created.wanted.department, created.wanted.department_code) == (None, None)
    assert unknown == Unknown(Kind.DEPARTMENT, "503293", "77")


@pytest.mark.parametrize("none", [(), (function(None),), (function(0),)])
def test_an_employee_without_function_is_imported_without_one_and_nothing_is_reported(
    none: tuple[EmployeeFunction, ...],
) -> None:
    (created,) = plan(employee(functions=none)).lines

    assert isinstance(created, Create)
    assert isinstance(created.wanted, UserFields)
    assert created.wanted.function_id is None


def test_two_debtors_that_describe_one_code_differently_are_reported_and_the_first_names_it() -> None:
    departments = [DebtorDepartment(2, 5, 10, "Ledenzorg"), DebtorDepartment(1, 4, 10, "Zorg")]

    for order in (departments, departments[::-1]):
        lines = plan(lists=DebtorLists(departments=order)).lines
        assert Ambiguous(Kind.DEPARTMENT, "10") in lines
        assert not [line for line in lines if isinstance(line, Update)]


def test_an_entry_without_description_is_called_by_its_number() -> None:
    lists = DebtorLists(departments=[DebtorDepartment(1, 4, 30, "  ")])

    assert Create(Kind.DEPARTMENT, "30", EntryFields("30")) in plan(lists=lists).lines


IN_FORCE = employment(date(2026, 1, 1), None, 1)
LAST_DAY = employment(date(2025, 1, 1), DAY, 2)
FIRST_DAY = employment(DAY, None, 3)
COMING = employment(date(2027, 1, 1), None, 4)
COMING_LATER = employment(date(2028, 1, 1), None, 5)
ENDED = employment(date(2019, 1, 1), date(2020, 1, 1), 6)
ENDED_LAST = employment(date(2018, 1, 1), date(2021, 1, 1), 7)
UNDATED = employment(None, None, 8)


@pytest.mark.parametrize(
    ("employments", "expected"),
    [
        ([ENDED, IN_FORCE, COMING], IN_FORCE),
        ([ENDED, LAST_DAY], LAST_DAY),
        ([ENDED, FIRST_DAY], FIRST_DAY),
        ([LAST_DAY, FIRST_DAY], FIRST_DAY),
        ([ENDED, COMING_LATER, COMING], COMING),
        ([ENDED, ENDED_LAST], ENDED_LAST),
        ([UNDATED], UNDATED),
        ([UNDATED, IN_FORCE], IN_FORCE),
        ([], None),
    ],
)
def test_the_employment_in_force_counts_else_the_next_to_start_else_the_last_ended(
    employments: list[Employment], expected: Employment | None
) -> None:
    assert employment_on(DAY, employments) == expected
    assert employment_on(DAY, employments[::-1]) == expected


OLD, NEW = datetime(2020, 5, 1, 9), datetime(2024, 5, 1, 9)


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([department(10, NEW), department(20, OLD)], 10),
        ([department(10, OLD), department(20, NEW)], 20),
        ([department(10, None), department(20, OLD)], 20),
        ([department(10, NEW, 2021), department(20, NEW, 2020)], 10),
        ([department(10, NEW, 2021, 2), department(20, NEW, 2021, 3)], 20),
        ([department(10, OLD, 2025), department(20, NEW, 2020)], 20),
        ([department(10, NEW), department(20, NEW)], 20),
        ([department(10, None), department(20, None)], 20),
    ],
)
def test_the_record_with_the_newest_creation_date_counts(
    records: list[EmployeeDepartment], code: int
) -> None:
    """2.1 names CreationDate for departments and functions: the newest one says what holds now."""
    found = newest(records)
    assert found is not None
    assert found.code == code


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"nickname": None}, SetAsideReason.NO_NAME),
        ({"nickname": "  "}, SetAsideReason.NO_NAME),
        ({"last_name": ""}, SetAsideReason.NO_NAME),
        ({"nickname": None, "email_work": None}, SetAsideReason.NO_NAME),
        ({"email_work": None}, SetAsideReason.NO_WORK_EMAIL),
        ({"email_work": " "}, SetAsideReason.NO_WORK_EMAIL),
        ({"email_work": "persoon.example.com"}, SetAsideReason.INVALID_EMAIL),
        ({"email_work": "@example.com"}, SetAsideReason.INVALID_EMAIL),
        ({"email_work": "een twee@example.com"}, SetAsideReason.INVALID_EMAIL),
        ({"email_work": "een@example.com;twee@example.com"}, SetAsideReason.INVALID_EMAIL),
        ({"email_work": "<een@example.com>"}, SetAsideReason.INVALID_EMAIL),
    ],
)
def test_who_cannot_be_imported_is_set_aside_with_the_first_reason_and_the_rest_goes_on(
    changes: dict[str, str | None], reason: SetAsideReason
) -> None:
    bad, good = employee(1, **changes), employee(2)

    assert [type(line) for line in plan(bad, good).lines] == [SetAside, Create]
    assert plan(bad, good).lines[0] == SetAside("1", reason)


def test_an_address_used_twice_sets_aside_everybody_who_uses_it() -> None:
    """Upper case and blanks make no other address; those without a name use it, too."""
    lines = plan(
        employee(1, email_work="samen@example.com"),
        employee(2, email_work=" Samen@Example.com "),
        employee(3, email_work="samen@example.com", nickname=None),
        employee(4),
    ).lines

    assert [line.reason for line in lines if isinstance(line, SetAside)] == [
        SetAsideReason.DUPLICATE_EMAIL,
        SetAsideReason.DUPLICATE_EMAIL,
        SetAsideReason.NO_NAME,
    ]
    assert isinstance(lines[-1], Create)


@pytest.mark.parametrize("external_id", ["999", "afas-17"])
def test_an_address_that_another_imported_user_has_sets_the_employee_aside(external_id: str) -> None:
    other = dataclasses.replace(user(7), external_id=external_id)

    lines = plan(employee(8, email_work="PERSOON7@example.com"), users=(other,)).lines

    assert SetAside("8", SetAsideReason.EMAIL_IN_USE) in lines
    assert not [line for line in lines if isinstance(line, (Create, Update))]


def test_somebody_whom_dialog_holds_twice_is_set_aside() -> None:
    twice = (user(1), dataclasses.replace(user(1), id="other"))

    assert plan(employee(1), users=twice).lines == (SetAside("1", SetAsideReason.HELD_TWICE),)


def test_somebody_whom_the_snapshot_names_twice_is_set_aside_once() -> None:
    assert plan(employee(1), employee(1)).lines == (SetAside("1", SetAsideReason.LISTED_TWICE),)


def test_a_change_in_nmbrs_reaches_an_imported_user_field_by_field() -> None:
    """2.3: every night users are fetched; an imported one follows Nmbrs."""
    (line,) = plan(employee(last_name="Anders", functions=()), users=(user(),)).lines

    assert isinstance(line, Update)
    assert [(change.field, change.old, change.new) for change in line.changes] == [
        ("family_name", "Nummer503293", "Anders"),
        ("function_id", "501", None),
    ]


def test_a_second_import_of_the_same_changes_nobody() -> None:
    again = plan(employee(1), employee(2), users=(user(1), user(2)))

    assert again.lines == ()
    assert again.counts()["unchanged"] == 2


def test_an_address_in_another_case_is_no_change() -> None:
    assert plan(employee(1, email_work="Persoon1@Example.com"), users=(user(1),)).lines == ()


@pytest.mark.parametrize("state", ["invited", "linked", "something-new", None])
def test_once_invited_or_linked_changes_in_nmbrs_no_longer_reach_the_user(state: str | None) -> None:
    """2.3: 'veranderingen in Nmbrs [worden] niet meer doorgevoerd'; a state unknown to us is no licence."""
    result = plan(
        employee(1, last_name="Anders"), employee(2), users=(user(1, state=state), user(2, state=state))
    )

    first, second = result.lines
    assert isinstance(first, Frozen)
    assert [change.new for change in first.changes] == ["Anders"]
    assert second == Frozen("2", state, ())
    assert list(result.writes) == []
    assert (result.counts()["frozen"], result.counts()["frozen_different"]) == (2, 1)


def test_somebody_gone_from_nmbrs_is_never_removed_but_counted_and_listed() -> None:
    """2.3: 'In Nmbrs verwijderde gebruikers zullen niet automatisch worden verwijderd in Dialog.'"""
    result = plan(users=(user(20), user(3)))

    assert result.lines[-2:] == (Gone(Kind.USER, "3"), Gone(Kind.USER, "20"))
    assert list(result.writes) == []
    assert result.counts()["gone"] == 2


@pytest.mark.parametrize("external_id", [None, "afas-17"])
def test_users_that_somebody_else_keeps_in_dialog_are_none_of_our_business(external_id: str | None) -> None:
    result = plan(users=(dataclasses.replace(user(1), external_id=external_id),))

    assert result.lines == ()
    assert result.held_users == 0


def test_fields_that_the_service_cannot_keep_are_no_difference() -> None:
    core = ALL_FIELDS - {"start_date", "end_date", "department_code", "function_id"}
    bare = user(1, start_date=None, department_code=None, function_id=None)

    result = make_plan(
        [employee(1)],
        lists=LISTS,
        content=Content(users=(bare,), user_fields=core, kinds={Kind.USER}),
        day=DAY,
    )

    assert result.lines == ()


def test_a_plan_does_not_depend_on_the_order_of_its_sources() -> None:
    people = [employee(number) for number in (30, 4, 100)]
    held = (user(100, given_name="Oud"), user(4, state="linked"), user(55))

    there = plan(*people, users=held)

    assert there == plan(*people[::-1], users=held[::-1])
    assert [getattr(line, "external_id", None) for line in there.lines] == ["4", "30", "100", "55"]


def test_a_plan_reads_like_a_diff() -> None:
    result = plan(
        employee(1, email_work=None),
        employee(2, last_name="Anders"),
        employee(3, functions=(function(999),)),
        employee(4),
        users=(user(2), user(4, state="invited", given_name="Oud"), user(9)),
    )

    assert list(result.text()) == [
        "# 4 employees in Nmbrs, 3 of our users in Dialog",
        "! user 1 set aside: no_work_email",
        "~ user 2 family_name: Nummer2 -> Anders",
        "+ user 3 user_name: persoon3@example.com, given_name: Testpersoon, family_name: Nummer3,"
        " email: persoon3@example.com, start_date: 2020-01-01, department: Zorg, department_code: 10",
        "? user 3 without function 999, which the debtor does not define",
        "* user 4 is invited, not sent: given_name: Oud -> Testpersoon",
        "- user 9 no longer in Nmbrs, kept in Dialog",
    ]
