"""What holds of every plan, whoever is in the source and in Dialog."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_visma.dialog_import.plan import Create, Held
from airflow_provider_visma.nmbrs_records import SnapshotEmployee
from tests.unit.dialog_import.people import employee, function, plan, user

EMAILS = st.sampled_from([None, "", "a@example.com", "A@example.com ", "b@example.com", "geen-adres"])
PEOPLE = st.lists(
    st.builds(
        employee,
        st.integers(1, 12),
        nickname=st.sampled_from([None, "Testpersoon", "Anders"]),
        email_work=EMAILS,
        functions=st.sampled_from([(), (function(501),), (function(999),)]),
    ),
    max_size=12,
)
USERS = st.lists(
    st.builds(
        user, st.integers(1, 12), state=st.sampled_from(["imported", "invited", "linked"]), email=EMAILS
    ),
    max_size=8,
)


@given(PEOPLE, USERS)
def test_everybody_is_counted_exactly_once(people: list[SnapshotEmployee], held: list[Held]) -> None:
    counts = plan(*people, users=tuple(held)).counts()

    told = [counts[name] for name in ("created", "updated", "unchanged", "frozen")]
    assert sum(told) + sum(counts["set_aside"].values()) == counts["employees"]
    assert counts["employees"] == len({person.employee_id for person in people})


@given(PEOPLE, USERS)
def test_nothing_is_ever_sent_to_a_user_beyond_imported(
    people: list[SnapshotEmployee], held: list[Held]
) -> None:
    for line in plan(*people, users=tuple(held)).writes:
        assert isinstance(line, Create) or line.held.state == "imported"
