"""Visma.net HRM & Payroll: starting exports and reading what became of them.

A request that starts an export is sent once. Nobody can tell from a lost answer whether a job was
started, and a second one costs the customer twice, so repeating it is the caller's decision.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaUnavailableError,
)
from airflow_provider_visma.export_jobs import ExportJob, parse_job, parse_job_id
from airflow_provider_visma.export_request import (
    SYSTEM,
    ExportRequest,
    checked_dataset,
    checked_job_id,
    column_names,
)
from airflow_provider_visma.hooks._hrm_settings import HrmSettings
from airflow_provider_visma.hooks._polling_session import shared_session
from airflow_provider_visma.protocols.bearer import BearerAuth
from airflow_provider_visma.protocols.http import (
    HttpLimits,
    httpx,
    network_error,
    retry_after_seconds,
    status_error,
)
from airflow_provider_visma.protocols.links import LinkRules
from airflow_provider_visma.protocols.oauth2 import ClientCredentialsSource

if TYPE_CHECKING:
    import requests

_TEST_LIMITS = HttpLimits(connect=5.0, read=10.0, total=15.0)
_MAX_ANSWER_BYTES = 4 * 1024 * 1024


class VismaHrmHook(BaseHook):
    """Speaks to the analytics API of Visma.net HRM & Payroll.

    :param hrm_conn_id: a connection of type ``visma_hrm``.
    """

    conn_name_attr = "hrm_conn_id"
    default_conn_name = "visma_hrm_default"
    conn_type = "visma_hrm"
    hook_name = "Visma.net HRM & Payroll"

    def __init__(self, hrm_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.hrm_conn_id = hrm_conn_id

    @cached_property
    def settings(self) -> HrmSettings:
        """The connection; not to be asked for on an event loop."""
        return HrmSettings.read(self.get_connection(self.hrm_conn_id))

    @property
    def tenant_id(self) -> str:
        """The customer's tenant."""
        return self.settings.credentials.tenant_id

    @property
    def link_rules(self) -> LinkRules:
        """Where the connection allows export files to come from: by default the API's own host."""
        connection = self.settings.connection
        hosts = str(connection.extra.get("file_hosts") or urlsplit(connection.base_url).hostname).split()
        return LinkRules(hosts=tuple(hosts), allow_insecure=connection.is_on("allow_insecure_files"))

    def requests_session(self) -> requests.Session:
        """Return a session for the file host: the connection's proxy and TLS, and no credentials."""
        return self.settings.connection.requests_session()

    def start_export(
        self,
        dataset: str,
        *,
        changed_after: str | None = None,
        fields: Collection[str] | None = None,
        exclude_fields: Collection[str] | None = None,
        callback_address: str | None = None,
    ) -> str:
        """Start an export and return its job id; parameters as for :class:`ExportRequest`."""
        return self.submit(
            ExportRequest(
                dataset=dataset,
                changed_after=changed_after,
                fields=column_names(fields),
                exclude_fields=column_names(exclude_fields),
                callback_address=callback_address,
            )
        )

    def submit(self, request: ExportRequest) -> str:
        """Start the export *request* and return its job id.

        :raises VismaUnavailableError: there was no answer; the message says whether a job may run.
        """
        operation = f"command {request.dataset}"
        callback = {"callbackAddress": request.callback_address} if request.callback_address else None
        try:
            with self._client(repeat=True) as client:
                response = client.post(
                    f"/v1/command/nl/hrm/{request.dataset}",
                    params=request.query(),
                    content=json.dumps(callback) if callback else b"",
                    headers={"Content-Type": "application/json"},
                )
        except httpx.ConnectError as error:
            raise self._no_answer(error, operation) from None
        except httpx.HTTPError as error:
            raise VismaUnavailableError(
                f"no answer ({type(error).__name__})",
                system=SYSTEM,
                operation=operation,
                conn_id=self.hrm_conn_id,
                advice="A job may have been started all the same, and cannot be found again; the request"
                " was not repeated. A retry starts another one.",
            ) from None
        body = self._decoded(response.status_code, response.headers, response.content, operation)
        job_id = parse_job_id(body, dataset=request.dataset)
        self.log.info("Export started", dataset=request.dataset, job_id=job_id)
        return job_id

    def get_job(self, dataset: str, job_id: str, *, repeat: bool = True) -> ExportJob:
        """Read a job.

        :param repeat: ask once more, with another token, when the first is turned down. Whoever polls
            says False, so that a refusal costs no more than one request per interval.
        :raises VismaNotFoundError: the job is unknown, or no longer known.
        """
        operation = f"query {dataset}"
        path = _job_path(dataset, job_id)
        try:
            with self._client(repeat=repeat) as client:
                response = client.get(path)
        except httpx.HTTPError as error:
            raise self._no_answer(error, operation) from None
        return self._job(dataset, job_id, response.status_code, response.headers, response.content)

    @asynccontextmanager
    async def polling_session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Lend the session that all pollers of this event loop share."""
        async with shared_session((await self._asettings()).connection.verify) as session:
            yield session

    async def aget_job(self, session: aiohttp.ClientSession, dataset: str, job_id: str) -> ExportJob:
        """Read a job with one request, as :meth:`get_job` with ``repeat=False``.

        :param session: from :meth:`polling_session`.
        """
        settings = await self._asettings()
        path = _job_path(dataset, job_id)
        source = settings.token_source()
        token = await source.aget_token()
        try:
            async with session.get(
                settings.connection.base_url + path,
                headers={"Authorization": f"Bearer {token.value}"},
                proxy=settings.connection.proxy,
                allow_redirects=False,
            ) as response:
                content = await _bounded(response.content)
                status, headers = response.status, response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._no_answer(error, f"query {dataset}") from None
        if status == httpx.codes.UNAUTHORIZED:
            source.reject(token.value)
        return self._job(dataset, job_id, status, headers, content)

    def test_connection(self) -> tuple[bool, str]:
        """Fetch a token, for Airflow's connection form. Nothing secret is in the answer."""
        try:
            settings = self.settings
            # Not the shared source: a test must ask, not remember.
            source = ClientCredentialsSource(
                settings.credentials,
                open_client=lambda: settings.open_client(_TEST_LIMITS),
                on_token=mask_secret,
            )
            token = source.get_token()
        except VismaError as error:
            return False, str(error)
        lifetime = "an unstated time" if token.lifetime is None else f"{token.lifetime:.0f} s"
        scopes = token.scopes or settings.credentials.scopes or "not stated"
        return True, (
            f"Visma Connect issued a token for tenant {settings.credentials.tenant_id}, valid for {lifetime}."
            f" Scopes: {scopes}. The API itself was not called: an export would start a job."
        )

    async def _asettings(self) -> HrmSettings:
        """Return :attr:`settings`, read without blocking the event loop."""
        if "settings" not in self.__dict__:
            connection = await get_async_connection(self.hrm_conn_id, hook=self)
            self.settings = HrmSettings.read(connection, extra=await get_async_extra_dejson(connection))
        return self.settings

    def _client(self, *, repeat: bool) -> httpx.Client:
        settings = self.settings
        return settings.open_client(auth=BearerAuth(settings.token_source(), repeat=repeat))

    def _no_answer(self, error: Exception, operation: str) -> VismaUnavailableError:
        return network_error(error, system=SYSTEM, operation=operation, conn_id=self.hrm_conn_id)

    def _job(
        self, dataset: str, job_id: str, status: int, headers: Mapping[str, str], content: bytes
    ) -> ExportJob:
        body = self._decoded(status, headers, content, f"query {dataset}")
        return parse_job(
            body,
            dataset=dataset,
            job_id=job_id,
            http_status=status,
            retry_after=retry_after_seconds(headers),
        )

    def _decoded(self, status: int, headers: Mapping[str, str], content: bytes, operation: str) -> Any:
        """Return the JSON of a successful answer."""
        if not 200 <= status < 300:
            credentials = self.settings.credentials
            raise status_error(
                status,
                headers,
                system=SYSTEM,
                operation=operation,
                conn_id=self.hrm_conn_id,
                advice=(
                    f"Check that tenant {credentials.tenant_id} is the right one and has approved the scope"
                    f" for this dataset; asked for: {credentials.scopes or 'all approved scopes'}."
                    if status in (401, 403)
                    else None
                ),
            )
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise VismaIncompleteAnswerError(
                "the answer is not JSON", system=SYSTEM, operation=operation, conn_id=self.hrm_conn_id
            ) from None


def _job_path(dataset: str, job_id: str) -> str:
    return f"/v1/query/nl/hrm/{checked_dataset(dataset)}/{checked_job_id(job_id)}"


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    pieces = bytearray()
    async for piece in content.iter_any():
        pieces += piece
        if len(pieces) > _MAX_ANSWER_BYTES:
            raise VismaContentError(f"the answer is larger than {_MAX_ANSWER_BYTES} bytes", system=SYSTEM)
    return bytes(pieces)
