"""scim2-client's requests on our own HTTP client, with our errors and our patience.

What may be repeated is repeated, and no answer's content, which is about people, gets into an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tenacity
from pydantic import ValidationError
from scim2_client import SCIMClientException
from scim2_client.client import BaseSyncSCIMClient
from scim2_client.errors import UnexpectedContentFormatException
from scim2_models import SCIMException, ScimPolicy, ScimProvider

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaIncompleteAnswerError,
    VismaTransientError,
)
from airflow_provider_visma.protocols.http import httpx, network_error, status_error

TOLERANT = ScimPolicy(unknown=ScimPolicy.Unknown.ignore)
"""A service may tell more than we know of: what is unknown to us is dropped, not refused."""

_MEDIA_TYPE = "application/scim+json"
ATTEMPTS = 4
_LONGEST_WAIT = 60.0
_REFUSALS = frozenset(
    {
        "invalidFilter",
        "invalidPath",
        "invalidSyntax",
        "invalidValue",
        "invalidVers",
        "mutability",
        "noTarget",
        "sensitive",
        "tooMany",
        "uniqueness",
    }
)


class ScimEngine(BaseSyncSCIMClient):
    """One service's requests; an answer that is no success is an error of ours.

    :param client: HTTP client whose base address is the service's, bearer included.
    :param sleep: waits that many seconds between two tries.
    :param attempts: how often a request is tried; 1 where a person is waiting for the answer.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        system: str,
        conn_id: str | None,
        sleep: Callable[[float], None],
        attempts: int = ATTEMPTS,
    ) -> None:
        super().__init__(provider=ScimProvider(policy=TOLERANT))
        self.client = client
        self.system = system
        self.conn_id = conn_id
        self._sleep = sleep
        self._attempts = attempts

    def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        """Send one request; see :class:`scim2_client.client.BaseSyncSCIMClient`."""
        where: dict[str, Any] = {
            "system": self.system,
            "operation": operation_of(method, url),
            "conn_id": self.conn_id,
        }
        # RFC 7644, 3.1: SCIM's own media type, both ways.
        headers = {"Accept": _MEDIA_TYPE, **kwargs.pop("headers", {})}
        if "json" in kwargs:
            headers["Content-Type"] = _MEDIA_TYPE
        try:
            response = self.client.request(method, url.lstrip("/"), headers=headers, **kwargs)
        except httpx.RequestError as error:
            raise network_error(error, **where) from None
        if response.is_success:
            return response
        raise status_error(response.status_code, response.headers, detail=_refusal(response), **where)

    def query(self, *arguments: Any, **options: Any) -> Any:
        """Read; the library has nothing against an answer without content, and no reader can use one."""
        return _content(super().query(*arguments, **options))

    def search(self, *arguments: Any, **options: Any) -> Any:
        """Read by a form that is sent; as :meth:`query`."""
        return _content(super().search(*arguments, **options))

    def call(
        self,
        operation: str,
        function: Callable[..., Any],
        *arguments: Any,
        repeat: type[VismaTransientError] = VismaTransientError,
        **options: Any,
    ) -> Any:
        """Call *function*, a request of scim2-client, again after errors of class *repeat*.

        A wait that the service asks for is kept, up to a minute. A longer one belongs to Airflow, which
        frees the worker meanwhile.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, repeat) and (error.retry_after or 0.0) <= _LONGEST_WAIT
            ),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=_wait,
            sleep=self._sleep,
            reraise=True,
        )

        def once() -> Any:
            with self.plain_errors(operation):
                return function(*arguments, **options)

        return retrying(once)

    @contextmanager
    def plain_errors(self, operation: str) -> Iterator[None]:
        """Turn scim2-client's errors into ours; their text quotes what the service sent."""
        where: dict[str, Any] = {"system": self.system, "operation": operation, "conn_id": self.conn_id}
        try:
            yield
        except UnexpectedContentFormatException:
            raise VismaIncompleteAnswerError("the answer is damaged: it is no JSON object", **where) from None
        except (SCIMClientException, SCIMException, httpx.InvalidURL, ValueError) as error:
            raise VismaContentError(
                f"the answer is not SCIM ({type(error).__name__}{_place_of(error)})",
                advice="Check that the address is that of a SCIM 2.0 service.",
                **where,
            ) from None


def _content(answer: Any) -> Any:
    if answer is None:
        raise UnexpectedContentFormatException
    return answer


def operation_of(method: str, url: str) -> str:
    """Return method and collection: the identifier of a person is nothing for a log."""
    return f"{method} /{url.lstrip('/').partition('/')[0].partition('?')[0]}"


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    told: float | None = getattr(error, "retry_after", None)
    return told if told is not None else tenacity.wait_exponential_jitter(max=20)(state)


def _refusal(response: httpx.Response) -> str | None:
    """Return what kind of refusal it was (RFC 7644, table 9); the ``detail`` may quote a person."""
    try:
        kind = response.json().get("scimType")
    except (ValueError, AttributeError):
        return None
    return f"the service refused it: {kind}" if kind in _REFUSALS else None


def _place_of(error: BaseException) -> str:
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return ""
    first = cause.errors(include_input=False, include_context=False, include_url=False)[0]
    return " at " + ".".join(str(part) for part in first["loc"])
