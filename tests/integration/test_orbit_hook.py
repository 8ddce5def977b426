"""Orbit's regular API through the hook, against the sandbox."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConnectionConfigError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaRequestError,
    VismaThrottledError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hooks._orbit_settings import OrbitSettings
from airflow_provider_visma.protocols.http import httpx
from tests.integration.orbit_world import Orbit, change_connection
from visma_sandbox import credentials


def read(orbit: Orbit, resource: str = "projects", **wishes: Any) -> list[str]:
    with orbit.hook() as hook:
        return [row["id"] for row in hook.rows(resource, **wishes)]


def aread(orbit: Orbit, resource: str = "projects", **wishes: Any) -> list[str]:
    async def run() -> list[str]:
        async with orbit.hook() as hook:
            return [row["id"] async for row in hook.arows(resource, **wishes)]

    return asyncio.run(run())


def test_a_call_answers_with_what_orbit_has(orbit: Orbit) -> None:
    wanted = orbit.sandbox.orbit_rows("projects")[3]
    with orbit.hook() as hook:
        found = hook.call("projects.get", {"id": wanted["id"]})
        context = hook.call("users.me")
    assert found == {name: value for name, value in wanted.items() if name not in ("added_at", "updated_at")}
    assert context["email"] == credentials.ORBIT_USER


def test_a_call_is_awaited_too(orbit: Orbit) -> None:
    wanted = orbit.ids()[0]

    async def run() -> list[Any]:
        hook = orbit.hook()
        alone = await hook.acall("projects.get", {"id": wanted})
        async with hook:
            return [alone, await hook.acall("projects.get", {"id": wanted}), await hook.acall("users.me")]

    alone, together, who = asyncio.run(run())
    assert alone["id"] == together["id"] == wanted
    assert who["email"] == credentials.ORBIT_USER


@pytest.mark.parametrize(
    ("first", "before", "wrapper"), product((0, 1), ("error", "first", "empty"), ("", "data"))
)
def test_a_list_comes_whole_however_its_pages_are_numbered(
    orbit: Orbit, first: int, before: str, wrapper: str
) -> None:
    for rows in (1, 20, 50, 120):
        orbit.sandbox.settings(
            orbit_first_page=first,
            orbit_page_before_first=before,
            orbit_list_wrapper=wrapper,
            orbit_rows=rows,
        )
        assert read(orbit) == orbit.ids()
        assert aread(orbit) == orbit.ids()


@pytest.mark.parametrize("errors", ["json", "html"])
@pytest.mark.parametrize("limit", [0, 10, 30])
def test_limits_and_refused_orders_cost_no_row(orbit: Orbit, limit: int, errors: str) -> None:
    orbit.sandbox.settings(orbit_page_limit=limit, orbit_order="refused", orbit_errors=errors, orbit_rows=100)
    assert sorted(read(orbit)) == orbit.ids()


def test_the_numbers_of_pages_are_found_out_once_per_hook(orbit: Orbit) -> None:
    orbit.sandbox.settings(orbit_rows=60)
    with orbit.hook() as hook:
        list(hook.rows("projects"))
        before = len(orbit.asked("projects.list"))
        list(hook.rows("projects"))
    assert before == 4  # page 1, the row that stands alone on it, and the pages 2 and 3
    assert len(orbit.asked("projects.list")) - before == 3


def test_the_connection_may_say_where_numbers_begin(orbit: Orbit, monkeypatch: pytest.MonkeyPatch) -> None:
    change_connection(monkeypatch, orbit, first_page="0")
    orbit.sandbox.settings(orbit_first_page=0, orbit_rows=60)
    assert read(orbit) == orbit.ids()
    assert [entry["note"]["asked"]["page"]["number"] for entry in orbit.asked("projects.list")] == [0, 1, 2]
    change_connection(monkeypatch, orbit, first_page="2")
    with pytest.raises(VismaConnectionConfigError, match="neither 0 nor 1"):
        read(orbit)


def test_a_list_known_to_come_whole_is_asked_for_once(orbit: Orbit) -> None:
    assert sorted(read(orbit, "assettypes", paged=False)) == orbit.ids("assettypes")
    assert sorted(aread(orbit, "assettypes", paged=False)) == orbit.ids("assettypes")
    assert "page" not in orbit.asked("assettypes.list")[0]["note"]["asked"]


def test_a_list_known_to_come_whole_needs_no_order(orbit: Orbit) -> None:
    orbit.sandbox.settings(orbit_order="refused")
    assert sorted(read(orbit, "assettypes", paged=False)) == orbit.ids("assettypes")
    assert sorted(aread(orbit, "assettypes", paged=False)) == orbit.ids("assettypes")


def test_a_filter_and_an_order_go_along(orbit: Orbit) -> None:
    rows = orbit.sandbox.orbit_rows("projects")
    wanted = sorted(rows, key=lambda row: row["name"], reverse=True)
    found = read(orbit, order=[{"field": "name", "order": "desc"}])
    assert [row["name"] for row in wanted] == [
        next(row["name"] for row in rows if row["id"] == each) for each in found
    ]
    one = rows[5]["extid"]
    assert read(orbit, filter={"extid": one}) == [row["id"] for row in rows if row["extid"] == one]


def test_a_row_that_comes_in_between_is_not_missed_nor_doubled(orbit: Orbit) -> None:
    orbit.sandbox.settings(orbit_rows=100)
    with orbit.hook() as hook:
        rows = hook.rows("projects", order=[{"field": "added_at", "order": "desc"}], page_size=20)
        found = [next(rows)["id"]]
        new = orbit.sandbox.change_orbit("projects", changes={"name": "new"})["id"]
        found += [row["id"] for row in rows]
    assert sorted(found) == orbit.ids()
    assert new in found


def test_a_read_is_repeated_where_its_failure_may_pass(orbit: Orbit) -> None:
    for operation, fail in (
        ("projects.list", {"kind": "status", "status": 503}),
        ("projects.get", {"kind": "status", "status": 429}),
        ("users.me", {"kind": "status", "status": 500}),
    ):
        orbit.sandbox.clear_journal()
        orbit.sandbox.inject("orbit", operation, count=1, **fail)
        with orbit.hook() as hook:
            hook.call(operation, {"id": orbit.ids()[0]} if operation == "projects.get" else None)
        assert len(orbit.asked(operation)) >= 2


@pytest.mark.parametrize(
    ("fault", "error", "sent"),
    [
        ({"kind": "status", "status": 500}, VismaUnknownOutcomeError, 1),
        ({"kind": "status", "status": 504}, VismaUnknownOutcomeError, 1),
        ({"kind": "status", "status": 429}, VismaThrottledError, 1),
        ({"kind": "reset"}, VismaUnknownOutcomeError, 1),
        ({"kind": "act_then_reset"}, VismaUnknownOutcomeError, 1),
        ({"kind": "truncated"}, VismaUnknownOutcomeError, 1),
        ({"kind": "html_error_page", "status": 200}, VismaUnknownOutcomeError, 1),
    ],
)
def test_a_change_is_sent_once(
    orbit: Orbit, fault: dict[str, Any], error: type[VismaError], sent: int
) -> None:
    orbit.sandbox.inject("orbit", "companies.set", count=None, **fault)

    async def run() -> None:
        async with orbit.hook() as hook:
            await hook.acall("companies.set", {"name": "Proef bv"})

    with orbit.hook() as hook, pytest.raises(error):
        hook.call("companies.set", {"name": "Proef bv"})
    assert len(orbit.asked("companies.set")) == sent
    with pytest.raises(error):
        asyncio.run(run())
    assert len(orbit.asked("companies.set")) == 2 * sent


def test_a_change_that_met_an_expired_token_is_sent_again_with_a_new_one(orbit: Orbit) -> None:
    before = orbit.stored()
    orbit.sandbox.inject("orbit", "companies.set", kind="expired_token", count=1)
    with orbit.hook() as hook:
        made = hook.call("companies.set", {"name": "Proef bv"})
    assert made["name"] == "Proef bv"
    statuses = [entry["status"] for entry in orbit.asked("companies.set")]
    assert statuses == [401, 200]
    after = orbit.stored()
    assert before is not None
    assert after is not None
    assert after.access_token != before.access_token


def test_a_token_that_has_ended_is_renewed_once_for_all_threads(orbit: Orbit) -> None:
    session = orbit.sign_in()
    orbit.store(replace(session, expires_at=time.time() - 10, obtained_at=time.time() - 3600))
    results: list[int] = []
    with orbit.hook() as hook:
        threads = [
            threading.Thread(target=lambda: results.append(len(list(hook.rows("assettypes")))))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [4] * 8
    assert len(orbit.asked("token")) == 1


def test_without_a_sign_in_the_error_says_how_to(orbit: Orbit) -> None:
    orbit.forget()
    with orbit.hook() as hook, pytest.raises(VismaAuthenticationError, match=r"airflow visma orbit-login"):
        hook.call("users.me")
    assert orbit.asked() == []


@pytest.mark.parametrize("errors", ["json", "html"])
def test_an_error_tells_its_code_and_nothing_that_was_said(orbit: Orbit, errors: str) -> None:
    orbit.sandbox.settings(orbit_errors=errors)
    with orbit.hook() as hook, pytest.raises(VismaNotFoundError) as caught:
        hook.call("projects.get", {"id": "PR1111111111111"})
    assert "There is no such id" in (caught.value.reason or "")
    assert "There is no such id" not in str(caught.value)
    assert ("titled '404 Not Found'" in str(caught.value)) == (errors == "html")


def test_an_unknown_resource_is_a_page_of_which_the_title_is_told(orbit: Orbit) -> None:
    with orbit.hook() as hook, pytest.raises(VismaNotFoundError, match=r"a page titled '.+'.*\[HTTP 404\]"):
        hook.call("unicorns.list")


def test_an_answer_that_breaks_off_is_asked_for_again(orbit: Orbit) -> None:
    orbit.sandbox.inject("orbit", "projects.list", kind="truncated", count=2)
    assert read(orbit) == orbit.ids()
    orbit.sandbox.inject("orbit", "projects.list", kind="truncated", count=None)
    with pytest.raises((VismaIncompleteAnswerError, VismaUnavailableError)):
        read(orbit)


def test_a_refused_filter_is_an_error(orbit: Orbit) -> None:
    orbit.sandbox.settings(orbit_filter="refused")
    with pytest.raises(VismaRequestError, match=r"projects\.list .*\[HTTP 400\]"):
        read(orbit, filter={"name": "x"})


def test_no_token_is_in_any_log_or_error(orbit: Orbit, caplog: pytest.LogCaptureFixture) -> None:
    session = orbit.stored()
    assert session is not None
    orbit.sandbox.inject("orbit", "projects.list", kind="status", status=500, count=None)
    with caplog.at_level(logging.DEBUG), pytest.raises(VismaUnavailableError) as caught:
        read(orbit)
    for told in (caplog.text, str(caught.value), repr(caught.value.__dict__), repr(orbit.hook().settings)):
        assert session.access_token not in told
        assert str(session.refresh_token) not in told


def test_the_loop_is_free_while_a_list_is_read(orbit: Orbit) -> None:
    """Twenty lists at once take turns, and each is whole."""
    orbit.sandbox.settings(orbit_rows=60)

    async def run() -> list[list[str]]:
        async with orbit.hook() as hook:

            async def one() -> list[str]:
                return [row["id"] async for row in hook.arows("projects", page_size=20)]

            return list(await asyncio.gather(*(one() for _ in range(20))))

    found = asyncio.run(run())
    assert all(ids == orbit.ids() for ids in found)
    numbers = [entry["note"]["asked"]["page"]["number"] for entry in orbit.asked("projects.list")]
    assert numbers != [1, 1, 2, 3, 4] * 20  # as they would be one after another


def test_many_that_are_awaited_at_once_share_one_client(
    orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[httpx.AsyncClient] = []
    plain = OrbitSettings.open_async_client

    def open_one(settings: OrbitSettings, *arguments: Any, **more: Any) -> httpx.AsyncClient:
        opened.append(plain(settings, *arguments, **more))
        return opened[-1]

    monkeypatch.setattr(OrbitSettings, "open_async_client", open_one)

    async def run() -> None:
        async with orbit.hook() as hook:
            await asyncio.gather(*(hook.acall("users.me") for _ in range(5)))

    asyncio.run(run())
    assert [client.is_closed for client in opened] == [True]
