"""A request to a token endpoint (RFC 6749, section 3.2) and what its answer means.

Of what the service says, only the error's code and the title of a web page are repeated: a description
may hold what was sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaPermanentError,
)
from airflow_provider_visma.protocols.html import page_title
from airflow_provider_visma.protocols.http import httpx, network_error, status_error

Refusals = Mapping[str, tuple[type[VismaPermanentError], str]]
"""What a code of an error means here: the class of the error, and the advice."""

_OPERATION = "token"
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")
_LONGEST_LIFETIME = 10 * 365 * 86400.0
_SCOPES = re.compile(r"[\w:./ -]{1,4000}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """What a token endpoint issued.

    :param refresh_token: None where none came along.
    :param lifetime: seconds; None where it was not said.
    :param scopes: what was granted, where the service said so.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    lifetime: float | None
    scopes: str | None


def request_token(
    token_url: str,
    form: Mapping[str, str],
    *,
    open_client: Callable[[], httpx.Client],
    system: str | None,
    refusals: Refusals,
) -> TokenAnswer:
    """Ask for a token, once.

    :param form: goes in the body, the client's secret with it (client_secret_post).
    :param open_client: opens the HTTP client that is used and closed.
    :raises VismaPermanentError: the service refuses; the error's code is its own.
    :raises VismaTransientError: there is no answer, or none that can be read.
    """
    try:
        with open_client() as client:
            response = client.post(token_url, data=dict(form))
    except httpx.HTTPError as error:
        raise network_error(error, system=system or "", operation=_OPERATION) from None
    except VismaError as error:  # the answer passes a bound; without a name it would seem to be the call's
        error.system, error.operation = error.system or system, error.operation or _OPERATION
        raise
    answer = _json_object(response)
    if response.status_code != httpx.codes.OK:
        raise _refusal(response, answer, system=system or "", refusals=refusals)
    if answer is None:
        title = page_title(response.content)
        raise VismaIncompleteAnswerError(
            f"a page titled {title!r} came instead of a token"
            if title
            else "the answer is not a JSON object",
            system=system,
            operation=_OPERATION,
            advice="Something else than the token endpoint may have answered, such as a proxy.",
        )
    return _issued(answer, system=system)


def _json_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _refusal(
    response: httpx.Response, answer: dict[str, Any] | None, *, system: str, refusals: Refusals
) -> VismaError:
    code = str((answer or {}).get("error", ""))
    if response.status_code in (400, 401) and _ERROR_CODE.fullmatch(code):
        kind, advice = refusals.get(
            code, (VismaAuthenticationError, "See RFC 6749, section 5.2, for the code.")
        )
        return kind("no token was issued", system=system, operation=_OPERATION, code=code, advice=advice)
    title = page_title(response.content) if answer is None else None
    return status_error(
        response.status_code,
        response.headers,
        system=system,
        operation=_OPERATION,
        detail=f"the service answered with a page titled {title!r}" if title else None,
        advice="Check the address of the token endpoint."
        if response.status_code in (400, 404, 405)
        else None,
    )


def _issued(answer: dict[str, Any], *, system: str | None) -> TokenAnswer:
    value = answer.get("access_token")
    kind = str(answer.get("token_type", "Bearer"))
    if not isinstance(value, str) or not _HEADER_SAFE.fullmatch(value) or kind.lower() != "bearer":
        raise VismaContentError("the answer holds no bearer token", system=system, operation=_OPERATION)
    scopes, refresh_token = answer.get("scope"), answer.get("refresh_token")
    return TokenAnswer(
        access_token=value,
        refresh_token=refresh_token if isinstance(refresh_token, str) and refresh_token else None,
        lifetime=_seconds(answer.get("expires_in")),
        scopes=scopes if isinstance(scopes, str) and _SCOPES.fullmatch(scopes) else None,
    )


def _seconds(told: Any) -> float | None:
    try:
        seconds = float(told)
    except (TypeError, ValueError, OverflowError):
        return None
    return min(seconds, _LONGEST_LIFETIME) if math.isfinite(seconds) else None
