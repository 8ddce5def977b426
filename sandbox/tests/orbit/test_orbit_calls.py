"""Orbit's calls: lists, pages and their forms, single rows, what is no call (contract orbit, section a1)."""

from __future__ import annotations

import re

import pytest
from lxml import html

from visma_sandbox.orbit.ids import identifier, index_of
from visma_sandbox.orbit.resources import NOT_SIMULATED, RESOURCES

LISTED = sorted(name for name, each in RESOURCES.items() if "list" in each.verbs)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def page(number: int, size: int = 5) -> dict[str, dict[str, int]]:
    return {"page": {"size": size, "number": number}}


# -- ids


@pytest.mark.parametrize("index", [0, 1, 99, 12_345, 1 << 40, (1 << 40) + 7])
@pytest.mark.parametrize("seed", [1, 7, 118])
def test_an_id_can_be_read_back(seed, index) -> None:
    made = identifier("PR", seed, index)

    assert re.fullmatch("PR[123456789ABCDEFGHJKMNPQRSTUVWXYZ]{13}", made)
    assert index_of("PR", seed, made) == index
    assert index_of("CP", seed, made) is None


@pytest.mark.parametrize("text", ["", "PR", "PR000000000000O", "PRZZZZZZZZZZZZZ", "pr1111111111111", None, 7])
def test_what_is_no_id_is_read_as_none(text) -> None:
    assert index_of("PR", 1, text) is None


# -- lists


@pytest.mark.parametrize("name", LISTED)
def test_every_list_pages_over_all_its_rows_once(signed_in, name) -> None:
    rows = signed_in.all_of(name)

    assert len(rows) == signed_in.sandbox.counts()["orbit"][name]
    assert len({row["id"] for row in rows}) == len(rows)
    assert rows == signed_in.sandbox.orbit_rows(name)
    assert all(row["id"].startswith(RESOURCES[name].prefix) for row in rows)
    assert all(MOMENT.fullmatch(row[stamp]) for row in rows for stamp in ("added_at", "updated_at"))
    assert all(row["added_at"] <= row["updated_at"] for row in rows)


def test_without_a_page_a_list_has_the_first_twenty(signed_in) -> None:
    assert signed_in.call("users.list") == signed_in.sandbox.orbit_rows("users", top=20)
    assert signed_in.call("users.list", {"filter": None, "order": None}) == signed_in.call("users.list")


def test_projects_and_users_are_those_of_the_reports(signed_in) -> None:
    answer = signed_in.session.get(
        f"{signed_in.sandbox.url}/_control/orbit_reporting/rows/RP7K2M9XW4H1TQZ?top=2000", timeout=30
    )
    reported = {row["ProjectID"]: row["ProjectName"] for row in answer.json()}
    projects = {row["id"]: row["name"] for row in signed_in.all_of("projects")}

    assert projects == reported


def test_the_first_page_may_have_the_number_0(signed_in) -> None:
    signed_in.sandbox.settings(orbit_first_page=0)

    assert signed_in.call("projects.list", page(0)) == signed_in.sandbox.orbit_rows("projects", top=5)
    assert signed_in.all_of("projects", first=0) == signed_in.sandbox.orbit_rows("projects")


@pytest.mark.parametrize(("way", "rows"), [("first", 5), ("empty", 0)])
def test_a_number_before_the_first_page_may_answer_rows_or_none(signed_in, way, rows) -> None:
    signed_in.sandbox.settings(orbit_page_before_first=way)

    assert signed_in.call("projects.list", page(0)) == signed_in.call("projects.list", page(1))[:rows]


def test_a_number_before_the_first_page_is_an_error_by_default(signed_in) -> None:
    assert signed_in.post("projects.list", page(0)).status_code == 400


def test_a_page_beyond_the_last_is_empty(signed_in) -> None:
    assert signed_in.call("projects.list", page(1000)) == []


def test_a_large_page_may_be_cut_without_a_word(signed_in) -> None:
    signed_in.sandbox.settings(orbit_page_limit=3)

    assert signed_in.call("projects.list", page(2, 50)) == signed_in.sandbox.orbit_rows(
        "projects", skip=3, top=3
    )


def test_items_and_rows_may_be_wrapped(signed_in) -> None:
    signed_in.sandbox.settings(orbit_list_wrapper="data", orbit_get_wrapper="data")
    listed = signed_in.call("projects.list", page(1))

    assert listed == {"data": signed_in.sandbox.orbit_rows("projects", top=5)}
    row = signed_in.call("projects.get", {"id": listed["data"][0]["id"]})
    assert set(row) == {"data"}


def test_an_order_sorts_over_all_pages_and_nulls_come_first(signed_in) -> None:
    order = [{"field": "city", "order": "asc"}, {"field": "updated_at", "order": "desc"}]
    rows = signed_in.all_of("companies", order=order)

    cities = [row["city"] for row in rows]
    assert cities == sorted(cities, key=lambda city: (city is not None, city or ""))
    assert len({row["id"] for row in rows}) == len(rows) == signed_in.sandbox.counts()["orbit"]["companies"]
    within = [row["updated_at"] for row in rows if row["city"] == "Testdam"]
    assert within == sorted(within, reverse=True)


@pytest.mark.parametrize("low", ["from", "gte"])
def test_a_filter_takes_bounds_and_values(signed_in, low) -> None:
    everything = signed_in.all_of("companies")
    middle = sorted(row["updated_at"] for row in everything)[20]

    found = signed_in.all_of("companies", filter={"updated_at": {low: middle}, "country": "NL"})

    wanted = [row for row in everything if row["updated_at"] >= middle and row["country"] == "NL"]
    assert found == wanted
    assert 0 < len(wanted) < len(everything)
    note = signed_in.notes("companies.list")[-1]
    assert note["asked"]["filter"] == {"updated_at": {low: middle}, "country": "NL"}


def test_filters_and_orders_may_be_ignored_or_refused(signed_in) -> None:
    wishes = {"filter": {"city": "Testdam"}}, {"order": [{"field": "city", "order": "desc"}]}
    signed_in.sandbox.settings(orbit_filter="ignored", orbit_order="ignored")
    for wish in wishes:
        assert signed_in.call("companies.list", wish) == signed_in.call("companies.list")
    signed_in.sandbox.settings(orbit_filter="refused", orbit_order="refused")
    for wish in wishes:
        assert signed_in.post("companies.list", wish).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"page": []},
        {"page": {"size": 0}},
        {"page": {"size": "20"}},
        {"page": {"number": True}},
        {"filter": {"shoe_size": 43}},
        {"filter": "name"},
        {"filter": {"name": ["a"]}},
        {"filter": {"name": {"like": "a"}}},
        {"filter": {"updated_at": {"gt": 7}}},
        {"order": {"field": "name"}},
        {"order": [{"field": "shoe_size"}]},
        {"order": [{"field": "name", "order": "up"}]},
    ],
)
def test_what_a_list_does_not_understand_is_refused(signed_in, body) -> None:
    assert signed_in.post("projects.list", body).status_code == 400


def test_a_change_moves_updated_at_to_the_wall_clock_of_orbit(signed_in) -> None:
    before = signed_in.sandbox.orbit_rows("projects")[3]
    told = signed_in.sandbox.change_orbit("projects", before["id"], {"name": "Anders"})
    after = signed_in.sandbox.orbit_rows("projects")[3]

    assert after == {**before, "name": "Anders", "updated_at": told["updated_at"]}
    assert told["updated_at"] > before["updated_at"]
    assert signed_in.all_of("projects", filter={"updated_at": {"from": told["updated_at"]}}) == [after]
    signed_in.sandbox.settings(orbit_zone="UTC")
    later = signed_in.sandbox.change_orbit("projects", before["id"])
    assert later["updated_at"] < told["updated_at"]


def test_rows_come_and_go(signed_in) -> None:
    first, second = (row["id"] for row in signed_in.sandbox.orbit_rows("deals", top=2))
    added = signed_in.sandbox.change_orbit("deals", changes={"name": "Nieuw"}, at="2026-08-28T09:37:45")
    signed_in.sandbox.change_orbit("deals", first, delete=True)

    rows = signed_in.all_of("deals")
    assert (rows[0]["id"], rows[-1]["id"]) == (second, added["id"])
    assert rows[-1]["added_at"] == rows[-1]["updated_at"] == "2026-08-28T09:37:45"
    assert len(rows) == signed_in.sandbox.counts()["orbit"]["deals"]
    assert signed_in.post("deals.get", {"id": first}).status_code == 404


def test_there_can_be_many_rows(signed_in) -> None:
    signed_in.sandbox.settings(orbit_rows={"projects": 30_000, "assets": 0})

    counts = signed_in.sandbox.counts()["orbit"]
    assert (counts["projects"], counts["assets"], counts["users"]) == (30_000, 0, 100)
    assert signed_in.call("assets.list") == []
    rows = signed_in.all_of("projects", size=10_000)
    assert len({row["id"] for row in rows}) == 30_000


# -- single rows


@pytest.mark.parametrize("name", sorted(name for name, each in RESOURCES.items() if "get" in each.verbs))
def test_a_single_row_is_flat_and_has_no_stamps(signed_in, name) -> None:
    item = signed_in.sandbox.orbit_rows(name, skip=2, top=1)[0]

    row = signed_in.call(f"{name}.get", {"id": item["id"]})

    assert {**row, "added_at": item["added_at"], "updated_at": item["updated_at"]} == item
    assert set(item) - set(row) == {"added_at", "updated_at"}


def test_the_user_who_signed_in_is_me_with_either_method(signed_in) -> None:
    me = signed_in.call("users.me")

    assert me["id"].startswith("US")
    assert signed_in.session.get(f"{signed_in.url}/users.me", timeout=30).json() == me


@pytest.mark.parametrize("row_id", [None, 7, "PR", "CPZZZZZZZZZZZZZ"])
def test_an_unknown_id_is_not_found(signed_in, row_id) -> None:
    assert signed_in.post("projects.get", {"id": row_id}).status_code == 404


def test_another_user_may_have_signed_in(signed_in) -> None:
    users = signed_in.sandbox.orbit_rows("users", top=2)
    for place, user in enumerate(users):
        signed_in.sandbox.settings(orbit_me=place)
        assert signed_in.call("users.me")["id"] == user["id"]


# -- what is no call


@pytest.mark.parametrize("data", ["[]", "", "{", "null", '"text"', "[" * 100_000])
def test_a_body_must_be_an_object(signed_in, data) -> None:
    answer = signed_in.post("projects.list", data=data)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "invalid_request"


def test_errors_can_be_pages(signed_in) -> None:
    signed_in.sandbox.settings(orbit_errors="html")
    answer = signed_in.post("projects.list", data="[]")

    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert html.fromstring(answer.content).findtext(".//title") == "400 Bad Request"


@pytest.mark.parametrize("operation", sorted(NOT_SIMULATED))
def test_what_is_not_simulated_says_so(signed_in, operation) -> None:
    answer = signed_in.post(operation)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (501, "not_simulated")


@pytest.mark.parametrize("path", ["nothing.list", "projects.set", "projects", "mcp", ""])
def test_what_no_client_calls_is_a_page(signed_in, path) -> None:
    for answer in (signed_in.post(path), signed_in.session.get(f"{signed_in.url}/{path}", timeout=30)):
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert len(signed_in.notes("unknown")) == 2


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer unknown", "Basic dTpw"])
def test_a_call_needs_a_bearer(orbit, header) -> None:
    answer = orbit.post("projects.list", headers={} if header is None else {"Authorization": header})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert orbit.sandbox.journal("orbit", "projects.list")[0]["authorized"] is False


def test_a_fault_ends_the_access_token_alone(signed_in) -> None:
    signed_in.sandbox.inject("orbit", "projects.list", "expired_token")

    assert signed_in.post("projects.list").status_code == 401
    assert signed_in.post("projects.list").status_code == 401
    signed_in.sign_in()
    assert signed_in.post("projects.list").status_code == 200


def test_the_common_faults_meet_calls_too(signed_in) -> None:
    signed_in.sandbox.inject("orbit", "projects.*", "status", status=429, retry_after=3)
    signed_in.sandbox.inject("orbit", "projects.*", "html_error_page", status=403)

    throttled, page_of_an_error = signed_in.post("projects.list"), signed_in.post("projects.list")
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "3")
    assert (page_of_an_error.status_code, page_of_an_error.headers["Content-Type"]) == (
        403,
        "text/html; charset=utf-8",
    )
