"""Dialog, from an Airflow connection.

Dialog publishes no import API: what is spoken here is SCIM 2.0 (RFC 7644), the standard for bringing
people into a service; the extensions in :mod:`airflow_provider_visma.dialog_import.resources` are ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.sdk import BaseHook

from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.hooks._connection import ConnectionSettings
from airflow_provider_visma.protocols.http import HttpLimits, build_async_client, build_client

if TYPE_CHECKING:
    from airflow_provider_visma.dialog_import.moves import DialogMoves
    from airflow_provider_visma.dialog_import.plan import Create, Held, Update
    from airflow_provider_visma.dialog_import.planning import Content
    from airflow_provider_visma.dialog_import.roster import DialogRoster
    from airflow_provider_visma.dialog_import.service import DialogService
    from airflow_provider_visma.dialog_import.writer import WriteReport
    from airflow_provider_visma.dialog_reviews.review import Review, ReviewUser
    from airflow_provider_visma.hooks._dialog_reviews import DialogReviews
    from airflow_provider_visma.protocols.http import httpx

_SYSTEM = "Dialog"
_MAX_CONCURRENCY = 8
# Who polls asks for a page or two, on an event loop that a thousand others share.
_POLL_LIMITS = HttpLimits(read=30.0, total=60.0, max_bytes=8 * 1024 * 1024)
_PATIENCE = 20.0


class DialogHook(BaseHook):
    """Reads and writes users, departments and functions in Dialog.

    Use it in a ``with``, or call :meth:`close`.

    :param dialog_conn_id: connection with the SCIM address as host and the bearer token as password.
    :param waited_for: whether a person is waiting: a request is then tried once, and for 20 seconds at most.
    """

    conn_name_attr = "dialog_conn_id"
    default_conn_name = "dialog_default"
    conn_type = "dialog"
    hook_name = "Dialog (SCIM 2.0)"

    def __init__(
        self, dialog_conn_id: str = default_conn_name, *, waited_for: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._waited_for = waited_for
        self.dialog_conn_id = dialog_conn_id
        self._client: Any = None
        self._service: DialogService | None = None
        self._reviews: DialogReviews | None = None
        self._max_concurrency = _MAX_CONCURRENCY

    def __enter__(self) -> DialogHook:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the service."""
        if self._client is not None:
            self._client.close()
        self._client = self._service = self._reviews = None

    def get_conn(self) -> DialogService:
        """Return the service; nothing is sent before its first use."""
        if self._service is None:
            # Imported here: scim2-models takes a second, and every DAG file that names an operator of
            # ours imports the hook's package.
            from airflow_provider_visma.dialog_import.resources import EXTENSIONS, RESOURCES
            from airflow_provider_visma.dialog_import.service import DialogService
            from airflow_provider_visma.protocols.scim import ScimService
            from airflow_provider_visma.protocols.scim_engine import ATTEMPTS

            self._service = DialogService(
                ScimService(
                    self._http_client(),
                    models=(*RESOURCES.values(), *EXTENSIONS),
                    system=_SYSTEM,
                    conn_id=self.dialog_conn_id,
                    attempts=1 if self._waited_for else ATTEMPTS,
                )
            )
        return self._service

    def _http_client(self) -> httpx.Client:
        """Return the one client of this hook, with the bearer."""
        if self._client is None:
            settings = ConnectionSettings.read(self.get_connection(self.dialog_conn_id), system=_SYSTEM)
            self._max_concurrency = settings.positive_int("max_concurrency", _MAX_CONCURRENCY)
            limits = settings.limits
            if self._waited_for:
                limits = replace(limits, read=min(limits.read, _PATIENCE), total=_PATIENCE)
            self._client = build_client(**_client_options(settings), limits=limits)
        client: httpx.Client = self._client
        return client

    def abilities(self) -> dict[str, bool]:
        """Return what the service offers of what an import can use."""
        return self.get_conn().abilities()

    def users(self) -> Iterator[Held]:
        """Yield the users in Dialog, page by page."""
        from airflow_provider_visma.dialog_import.plan import Kind

        return self.get_conn().read(Kind.USER)

    def departments(self) -> Iterator[Held]:
        """Yield the departments in Dialog, page by page."""
        from airflow_provider_visma.dialog_import.plan import Kind

        return self.get_conn().read(Kind.DEPARTMENT)

    def functions(self) -> Iterator[Held]:
        """Yield the functions in Dialog, page by page."""
        from airflow_provider_visma.dialog_import.plan import Kind

        return self.get_conn().read(Kind.FUNCTION)

    def content(self) -> Content:
        """Return all that Dialog holds, read as a whole."""
        return self.get_conn().content()

    def write(self, lines: Iterable[Create | Update]) -> WriteReport:
        """Send a plan's changes: by Bulk where the service has it, else with bounded concurrency."""
        from airflow_provider_visma.dialog_import.writer import DialogWriter

        service = self.get_conn()
        return DialogWriter(service, max_concurrency=self._max_concurrency).write(lines)

    def roster(self) -> DialogRoster:
        """Return the users as pages, for somebody who looks at them."""
        from airflow_provider_visma.dialog_import.roster import DialogRoster

        return DialogRoster(self.get_conn())

    def moves(self) -> DialogMoves:
        """Return what invites and links users, and takes that back."""
        from airflow_provider_visma.dialog_import.moves import DialogMoves

        return DialogMoves(self.get_conn())

    def finished_reviews(
        self, since: datetime | None = None, *, unreadable: set[str] | None = None
    ) -> Iterator[Review]:
        """Yield the reviews that were finished, the earliest first, page by page.

        :param since: leave out those finished before; a moment with a zone.
        :param unreadable: takes the ids of reviews that cannot be read (nothing for one without an id);
            without it they end in an error.
        """
        return self._review_source().finished(since, unreadable)

    def review_user(self, user_id: str) -> ReviewUser | None:
        """Return the user of a review: external id and state, and nothing else. None where there is none."""
        return self._review_source().user(user_id)

    def download_review(self, review: Review, write: Callable[[bytes], Any], *, max_bytes: int) -> None:
        """Give the PDF of *review* to *write*, in pieces as they come.

        :param max_bytes: how large it may be.
        :raises VismaContentError: it is larger; its code is ``too_large``.
        """
        self._review_source().download(review, write, max_bytes=max_bytes)

    @asynccontextmanager
    async def polling_client(self) -> AsyncIterator[httpx.AsyncClient]:
        """Lend a client for an event loop; the connection is read without blocking it."""
        connection = await get_async_connection(self.dialog_conn_id, hook=self)
        settings = ConnectionSettings.read(
            connection, system=_SYSTEM, extra=await get_async_extra_dejson(connection)
        )
        async with build_async_client(**_client_options(settings), limits=_POLL_LIMITS) as client:
            yield client

    def afinished_reviews(self, client: httpx.AsyncClient, since: datetime | None) -> AsyncIterator[Review]:
        """Yield the finished reviews that can be read, on an event loop; no request is repeated.

        :param client: from :meth:`polling_client`.
        """
        from airflow_provider_visma.hooks._dialog_reviews import finished_reviews

        return finished_reviews(client, since, conn_id=self.dialog_conn_id)

    def _review_source(self) -> DialogReviews:
        if self._reviews is None:
            from airflow_provider_visma.hooks._dialog_reviews import DialogReviews

            self._reviews = DialogReviews(self._http_client(), conn_id=self.dialog_conn_id)
        return self._reviews

    def test_connection(self) -> tuple[bool, str]:
        """Ask what the service can do and for one page of users; say what was found."""
        try:
            service = self.get_conn()
            missing = service.schemas_missing()
            abilities = service.abilities()
            first = next(self.users(), None)
        except VismaError as error:
            return False, str(error)
        finally:
            self.close()
        offered = ", ".join(
            f"{name.replace('_', ' ')}: {'yes' if yes else 'no'}" for name, yes in abilities.items()
        )
        listing = "users may be listed" if first is not None else "users may be listed (there are none)"
        schemas = "all schemas present" if not missing else f"schemas missing: {', '.join(sorted(missing))}"
        return True, f"SCIM service answers; {listing}; {schemas}; {offered}"


def _client_options(settings: ConnectionSettings) -> dict[str, Any]:
    settings.required(Bearer_token=settings.password)
    return {
        "base_url": f"{settings.base_url}/",
        "headers": {"Authorization": f"Bearer {settings.password}"},
        "verify": settings.verify,
        "proxy": settings.proxy,
    }
