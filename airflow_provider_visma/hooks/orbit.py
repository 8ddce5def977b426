"""Teamleader Orbit's regular API, for the user who signed in, from an Airflow connection.

A read is repeated where its failure may pass; anything else is sent once. A list comes whole or ends in an
error, whatever way the service numbers its pages.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, closing
from functools import cached_property
from typing import Any, Self

import tenacity
from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.sdk import BaseHook

from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.hooks._orbit_calls import OrbitCall
from airflow_provider_visma.hooks._orbit_check import checked_sign_in, first_page_of
from airflow_provider_visma.hooks._orbit_pages import Ask, Page, Row, adriven, driven
from airflow_provider_visma.hooks._orbit_paging import ListRequest
from airflow_provider_visma.hooks._orbit_settings import OrbitSettings
from airflow_provider_visma.hooks._retrying import aretrying, retrying
from airflow_provider_visma.protocols.bearer import BearerAuth
from airflow_provider_visma.protocols.http import httpx

PAGE_SIZE = 50


class OrbitHook(BaseHook):
    """Calls any resource and verb of Orbit, and streams its lists.

    Use it in a ``with``, or call :meth:`close`; in an ``async with`` where it is awaited. One hook may be
    used by several threads.

    :param orbit_conn_id: a connection of type ``teamleader_orbit``, for which somebody has signed in.
    :param sleep: waits for seconds between attempts.
    :param asleep: the same, awaited.
    """

    conn_name_attr = "orbit_conn_id"
    default_conn_name = "teamleader_orbit_default"
    conn_type = "teamleader_orbit"
    hook_name = "Teamleader Orbit"

    def __init__(
        self,
        orbit_conn_id: str = default_conn_name,
        *,
        sleep: Callable[[float], None] = tenacity.nap.sleep,
        asleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__()
        self.orbit_conn_id = orbit_conn_id
        self._sleep = sleep
        self._asleep = asleep
        self._client: httpx.Client | None = None
        self._opening = threading.Lock()
        self._aclient: httpx.AsyncClient | None = None
        self._aopening: asyncio.Lock | None = None  # while it is in an async with
        self._first_pages: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self._aopening = asyncio.Lock()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._aopening = None
        client, self._aclient = self._aclient, None
        if client is not None:
            await client.aclose()

    def close(self) -> None:
        """Close the connections to the service; the next call opens them again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @cached_property
    def settings(self) -> OrbitSettings:
        """The connection; not to be asked for on an event loop."""
        return OrbitSettings.read(self.get_connection(self.orbit_conn_id))

    def call(
        self, method: str, body: Mapping[str, Any] | None = None, *, repeatable: bool | None = None
    ) -> Any:
        """Call a resource and verb and return the answer: an object, a list, or None.

        Fractions are Decimals. What reads (``list``, ``get``, ``detail``, ``context``, ``me``) is repeated
        where its failure may pass, everything else is sent once.

        :param method: e.g. ``projects.get``.
        :param body: e.g. ``{"id": "PR…"}``; an empty one is sent as ``{}``.
        :param repeatable: whether sending it twice does no harm; None goes by the verb.
        :raises VismaRequestError: it is no resource and verb, or Orbit refuses the body.
        :raises VismaUnknownOutcomeError: something else than a read was sent and no usable answer came.
        """
        call = self._checked(method, body, repeatable)
        try:
            return self._repeated(call)
        except VismaError as error:
            other = call.otherwise(error)
            if other is None:
                raise
        return self._repeated(other)

    async def acall(
        self, method: str, body: Mapping[str, Any] | None = None, *, repeatable: bool | None = None
    ) -> Any:
        """Call a resource and verb, as :meth:`call`, without blocking the event loop."""
        call = self._checked(method, body, repeatable)
        async with self._alent() as client:
            try:
                return await self._arepeated(client, call)
            except VismaError as error:
                other = call.otherwise(error)
                if other is None:
                    raise
            return await self._arepeated(client, other)

    def rows(
        self,
        resource: str,
        *,
        filter: Mapping[str, Any] | None = None,
        order: Sequence[Mapping[str, Any]] | None = None,
        page_size: int = PAGE_SIZE,
        paged: bool = True,
    ) -> Generator[Row]:
        """Yield the rows of a list over all of its pages, each row once, a page in memory at a time.

        Where rows show that the list moved while it was read, it is read again for what was missed.

        :param resource: e.g. ``projects``, whose ``projects.list`` is asked.
        :param filter: as the service has it.
        :param order: e.g. ``[{"field": "name", "order": "asc"}]``; by id where None.
        :param page_size: how many rows to ask for at once; the service may put fewer on a page.
        :param paged: False for a list that is known to come whole: it is asked for once.
        :raises VismaContentError: the answer is no list, or the service does not turn its pages.
        :raises VismaIncompleteAnswerError: the list moved each time that it was read.
        """
        request = self._list(resource, filter, order, page_size)

        def ask(wanted: Ask | None) -> Page:
            return request.page(self._repeated(request.call(wanted)), wanted)

        if not paged:
            yield from ask(None).rows
            return
        request.take_first_page(first_page_of(self.settings))
        with closing(driven(request.steps(), ask)) as rows:
            yield from rows

    async def arows(
        self,
        resource: str,
        *,
        filter: Mapping[str, Any] | None = None,
        order: Sequence[Mapping[str, Any]] | None = None,
        page_size: int = PAGE_SIZE,
        paged: bool = True,
    ) -> AsyncGenerator[Row]:
        """Yield the rows of a list, as :meth:`rows`, without blocking the event loop."""
        request = self._list(resource, filter, order, page_size)
        async with self._alent() as client:

            async def ask(wanted: Ask | None) -> Page:
                return request.page(await self._arepeated(client, request.call(wanted)), wanted)

            if not paged:
                for row in (await ask(None)).rows:
                    yield row
                return
            request.take_first_page(first_page_of(self.settings))
            async with aclosing(adriven(request.steps(), ask)) as rows:
                async for row in rows:
                    yield row

    def test_connection(self) -> tuple[bool, str]:
        """Say what is known of the sign-in, for Airflow's connection form; no refresh token is redeemed."""
        try:
            return checked_sign_in(self.settings)
        except VismaError as error:
            return False, str(error)

    def _checked(self, method: str, body: Mapping[str, Any] | None, repeatable: bool | None) -> OrbitCall:
        return OrbitCall.of(method, body, conn_id=self.orbit_conn_id, repeatable=repeatable)

    def _list(
        self,
        resource: str,
        filter: Mapping[str, Any] | None,
        order: Sequence[Mapping[str, Any]] | None,
        page_size: int,
    ) -> ListRequest:
        return ListRequest(
            resource,
            filter=filter,
            order=order,
            page_size=page_size,
            conn_id=self.orbit_conn_id,
            first_pages=self._first_pages,
        )

    def _repeated(self, call: OrbitCall) -> Any:
        if not call.repeatable:
            return self._once(call)
        return retrying(sleep=self._sleep)(self._once, call)

    async def _arepeated(self, client: httpx.AsyncClient, call: OrbitCall) -> Any:
        if not call.repeatable:
            return await self._aonce(client, call)
        return await aretrying(sleep=self._asleep)(self._aonce, client, call)

    def _once(self, call: OrbitCall) -> Any:
        with self._opening:
            if self._client is None:
                self._client = self.settings.open_client(auth=BearerAuth(self.settings.token_source()))
            client = self._client
        try:
            response = client.request(**call.request())
        except (httpx.HTTPError, VismaError) as error:
            raise call.no_answer(error) from None
        return call.answer(response.status_code, response.headers, response.content)

    async def _aonce(self, client: httpx.AsyncClient, call: OrbitCall) -> Any:
        try:
            response = await client.request(**call.request())
        except (httpx.HTTPError, VismaError) as error:
            raise call.no_answer(error) from None
        return call.answer(response.status_code, response.headers, response.content)

    @asynccontextmanager
    async def _alent(self) -> AsyncIterator[httpx.AsyncClient]:
        """Lend the client of the ``async with``, or one for this use alone."""
        if self._aopening is None:
            async with await self._aopened() as client:
                yield client
            return
        async with self._aopening:  # or each of many that begin at once would open one
            if self._aclient is None:
                self._aclient = await self._aopened()
            client = self._aclient
        yield client

    async def _aopened(self) -> httpx.AsyncClient:
        if "settings" not in self.__dict__:
            connection = await get_async_connection(self.orbit_conn_id, hook=self)
            extra = await get_async_extra_dejson(connection)
            self.settings = OrbitSettings.read(connection, extra=extra)
        auth = BearerAuth(self.settings.token_source())
        return await asyncio.to_thread(self.settings.open_async_client, auth=auth)  # reads the trust store
