from __future__ import annotations

import tracemalloc
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from visma_sandbox.careers import DepartmentRecord, Employment
from visma_sandbox.figures import employment_for, expected_users, newest
from visma_sandbox.organisation import Organisation, UnknownPersonError
from visma_sandbox.structure import DEPARTMENTS, FUNCTIONS, GLOBAL_FUNCTIONS

TODAY = date(2026, 11, 21)


def test_the_same_seed_gives_the_same_people_and_another_seed_gives_others() -> None:
    one, same, other = (list(Organisation(200, seed).people()) for seed in (7, 7, 8))
    assert one == same
    assert one != other


def test_a_person_does_not_depend_on_how_many_others_there_are() -> None:
    small, large = Organisation(1_000), Organisation(100_000)
    assert small.person(10) == large.person(10)


@pytest.mark.parametrize("employees", [0, 1, 7, 500, 12_500, 100_000])
def test_every_index_belongs_to_exactly_one_company(employees: int) -> None:
    organisation = Organisation(employees)
    found = [index for company in organisation.companies for index in organisation.indexes(company.id)]
    assert found == list(range(employees))


@pytest.mark.parametrize("employees", [-1, 100_001])
def test_a_size_beyond_the_limits_is_refused(employees: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 100,000"):
        Organisation(employees)


def test_walking_through_a_large_organisation_costs_no_memory() -> None:
    organisation = Organisation(20_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in organisation.people()) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_personal_cases_come_at_their_documented_shares() -> None:
    people = list(Organisation(10_000).people())
    emails = Counter((person.email_work or "").strip().lower() for person in people)
    counted = {
        "no work e-mail": sum(person.email_work is None for person in people),
        "empty work e-mail": sum(person.email_work == "" for person in people),
        "no nickname": sum(person.nickname is None for person in people),
        "no last name": sum(person.last_name is None for person in people),
        "shared e-mail": sum(count for email, count in emails.items() if email and count > 1),
        "in capitals": sum((person.email_work or "").isupper() for person in people),
        "padded": sum((person.email_work or "").startswith(" ") for person in people),
    }
    assert counted == {
        "no work e-mail": 200,
        "empty work e-mail": 100,
        "no nickname": 300,
        "no last name": 100,
        "shared e-mail": 800,
        "in capitals": 100,
        "padded": 100,
    }


def test_careers_hold_each_messy_case_at_its_documented_share() -> None:
    organisation = Organisation(4_000)
    people = list(organisation.people())
    active = [person for person in people if organisation.employee_type(person.position) == 2]
    functions = [organisation.function_records(person) for person in people]
    departments = [organisation.department_records(person) for person in people]
    newest_functions = [
        record.function if record else None for record in map(newest, (f or () for f in functions))
    ]
    known = {function.id for function in GLOBAL_FUNCTIONS}
    assert Counter(organisation.employee_type(person.position) for person in people) == {
        2: 3_400,
        4: 400,
        5: 100,
        6: 100,
    }
    assert sum(records is None for records in functions) == 100
    assert sum(records is None for records in departments) == 100
    assert sum(records == () for records in departments) == 100
    assert sum(len(records or ()) > 1 for records in departments) == 900
    assert sum(any(each.created is None for each in records or ()) for records in departments) == 200
    assert (
        sum(len({each.created for each in records}) < len(records) for records in departments if records)
        == 100
    )
    assert sum(function is not None and function.code == 0 for function in newest_functions) == 100
    assert sum(function is not None and function.id in known for function in newest_functions) == 200
    assert sum(len(organisation.employments(person)) > 1 for person in active) > 0.08 * len(active)
    assert any(not organisation.employments(person) for person in active)
    assert any(
        each.start and each.start > TODAY for person in active for each in organisation.employments(person)
    )


def test_employee_numbers_repeat_and_ids_do_not() -> None:
    people = list(Organisation(1_000).people())
    assert len({person.employee_id for person in people}) == 1_000
    assert len({person.number for person in people}) < 900


def test_nobody_can_be_mistaken_for_a_real_person() -> None:
    for person in Organisation(500).people():
        assert (person.email_work or "@example.com").strip().lower().endswith("@example.com")
        assert person.email_private.endswith("@example.org")
        assert person.bsn.startswith("9999")


def test_names_are_not_all_ascii() -> None:
    names = {person.display_name for person in Organisation(500).people()}
    assert any(not name.isascii() for name in names)
    assert any("&" in name for name in names)


def test_departments_and_functions_have_one_meaning_each() -> None:
    assert len({each.code for each in DEPARTMENTS}) == len(DEPARTMENTS)
    assert len({each.id for each in (*FUNCTIONS, *GLOBAL_FUNCTIONS)}) == len(FUNCTIONS) + len(
        GLOBAL_FUNCTIONS
    )


def test_nobody_changes_overnight_by_themselves() -> None:
    organisation = Organisation(500)
    tomorrow = TODAY + timedelta(days=1)
    assert list(expected_users(organisation, TODAY)) == list(expected_users(organisation, tomorrow))


def test_the_counts_agree_with_counting_by_hand() -> None:
    organisation = Organisation(2_000)
    snapshot = [p for p in organisation.people() if organisation.employee_type(p.position) == 2]
    emails = [(p.email_work or "").strip().lower() for p in snapshot]
    reasons: Counter[str] = Counter()
    for person, email in zip(snapshot, emails, strict=True):
        if not person.nickname or not person.last_name:
            reasons["no_name"] += 1
        elif not email:
            reasons["no_work_email"] += 1
        elif emails.count(email) > 1:
            reasons["duplicate_email"] += 1
        else:
            reasons["importable"] += 1
    counts = organisation.counts()
    assert counts["importable"] == reasons.pop("importable")
    assert counts["set_aside"] == reasons
    assert counts["employees"] == len(snapshot)
    assert (counts["departments"], counts["functions"]) == (24, 30)


def test_someone_who_leaves_is_no_longer_in_the_snapshot() -> None:
    organisation = Organisation(200)
    user = next(u for u in expected_users(organisation, TODAY) if u.set_aside is None and u.start)
    before = organisation.counts()["importable"]
    organisation.change_person(user.employee_id, changes={"leave": "2026-11-20"})
    assert organisation.counts()["importable"] == before - 1
    index = organisation.find(user.employee_id)
    assert index is not None
    assert organisation.employee_type(index) == 4
    assert organisation.employments(organisation.person(index))[-1].end == date(2026, 11, 20)


def test_someone_hired_gets_a_new_id_in_the_company_asked_for() -> None:
    organisation = Organisation(200)
    before = organisation.counts()["employees"]
    hired = organisation.change_person(
        changes={"company_id": 72_002, "nickname": "Nieuw", "email_work": "n@example.com"}
    )
    (person,) = organisation.people(72_002)
    assert (person.employee_id, person.nickname, person.email_work) == (hired, "Nieuw", "n@example.com")
    assert organisation.counts()["employees"] == before + 1


def test_a_changed_department_and_function_become_the_newest() -> None:
    organisation = Organisation(200)
    user = next(each for each in expected_users(organisation, TODAY) if each.set_aside is None)
    at = datetime(2026, 11, 21, 1, tzinfo=UTC)
    changes = {"department_code": 1_030, "function_id": 990_001, "last_name": "Nieuwenaam"}
    organisation.change_person(user.employee_id, changes=changes, at=at)
    after = next(u for u in expected_users(organisation, TODAY) if u.employee_id == user.employee_id)
    assert (after.department_code, after.function_id, after.last_name) == (1_030, 990_001, "Nieuwenaam")
    assert after.function_is_global
    index = organisation.find(user.employee_id)
    assert index is not None
    assert organisation.changed_at(organisation.person(index)) == at


@pytest.mark.parametrize(
    ("employee_id", "changes"),
    [
        (1, {"nickname": "x"}),
        (500_004, {"nickname": "x"}),
        (500_003, {"salary": 1}),
        (500_003, {"department_code": 3}),
        (500_003, {"function_id": 3}),
        (None, {"company_id": 3}),
    ],
)
def test_an_unknown_person_or_change_is_refused(employee_id: int | None, changes: dict[str, object]) -> None:
    organisation = Organisation(200)
    before = organisation.counts()
    with pytest.raises(UnknownPersonError):
        organisation.change_person(employee_id, changes=changes)
    assert organisation.counts() == before


def test_a_reset_forgets_every_change() -> None:
    organisation = Organisation(200)
    before = list(organisation.people())
    organisation.change_person(500_003, changes={"email_work": "new@example.com"})
    organisation.change_person(changes={})
    assert list(organisation.people()) != before
    organisation.reset()
    assert list(organisation.people()) == before


def _employment(number: int, start: date, end: date | None) -> Employment:
    return Employment(number, None, start, end, start)


PAST = _employment(1, date(2020, 1, 1), date(2021, 1, 1))
LATER_PAST = _employment(2, date(2022, 1, 1), date(2023, 1, 1))
CURRENT = _employment(3, date(2024, 1, 1), None)
NEXT = _employment(4, date(2035, 1, 1), None)
AFTER_NEXT = _employment(5, date(2036, 1, 1), None)


@pytest.mark.parametrize(
    ("employments", "chosen"),
    [
        ((PAST, CURRENT, NEXT), CURRENT),
        ((PAST, AFTER_NEXT, NEXT), NEXT),
        ((LATER_PAST, PAST), LATER_PAST),
        ((_employment(6, TODAY, TODAY), NEXT), _employment(6, TODAY, TODAY)),
        ((), None),
    ],
)
def test_the_employment_is_the_one_in_force_else_the_next_else_the_last(
    employments: tuple[Employment, ...], chosen: Employment | None
) -> None:
    assert employment_for(employments, TODAY) == chosen


def _record(created: datetime | None, year: int, period: int) -> DepartmentRecord:
    return DepartmentRecord(DEPARTMENTS[0], created, year, period)


@pytest.mark.parametrize(
    ("records", "chosen"),
    [
        ((_record(datetime(2024, 1, 1), 2026, 1), _record(datetime(2025, 1, 1), 2020, 1)), 1),
        ((_record(datetime(2024, 1, 1), 2024, 2), _record(datetime(2024, 1, 1), 2024, 1)), 0),
        ((_record(None, 2026, 1), _record(datetime(2012, 1, 1), 2012, 1)), 1),
        ((_record(None, 2026, 1), _record(None, 2026, 2)), 1),
    ],
)
def test_the_newest_record_wins_and_equal_ones_go_by_their_start(
    records: tuple[DepartmentRecord, ...], chosen: int
) -> None:
    assert newest(records) is records[chosen]
