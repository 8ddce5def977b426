"""One call of Orbit's regular API: what is sent, and what its answer means. No request is made here.

A call that is no read is never sent twice, and whatever leaves open whether it was carried out says so.
Nothing that the service said gets into a message, except the title of a web page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Self

from airflow_provider_visma.exceptions import (
    VismaError,
    VismaIncompleteAnswerError,
    VismaPermanentError,
    VismaRequestError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hooks._orbit_settings import SYSTEM
from airflow_provider_visma.protocols.html import page_title
from airflow_provider_visma.protocols.http import httpx, network_error, status_error

HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}

_METHOD = re.compile(r"[a-z][a-z0-9_]{0,60}\.[a-z][a-z0-9_]{0,60}", re.IGNORECASE)
_READS = frozenset({"list", "get", "getvariable", "detail", "context", "me"})
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_NOT_CARRIED_OUT = (400, 401, 403, 404, 405, 406, 409, 410, 412, 413, 415, 422, 429)
ERROR_KEYS = ("error", "errors", "err")
_SHORT_CODE = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_LONGEST_REASON = 2000
_LOOK = "Look in Orbit whether it was carried out before it is sent again."
_ADVICE = {
    400: "Check the body of the call: its fields and their types.",
    401: "Orbit accepts this sign-in no longer: sign in again.",
    403: "The user who signed in may not do this, or the application may not.",
    404: "Check the resource and the verb, and the id: it may not exist, or not for the user who signed in.",
    405: "Check the resource and the verb.",
    422: "Check the body of the call: its fields and their types.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrbitCall:
    """One call, checked.

    :param method: resource and verb, e.g. ``projects.list``.
    :param content: the body as it is sent; an empty one is ``{}``, since Orbit refuses ``[]``.
    :param repeatable: whether sending it twice does no harm.
    :param http_method: the only known exception to POST is ``users.me``.
    """

    method: str
    content: bytes
    repeatable: bool
    conn_id: str
    http_method: str = "POST"

    @classmethod
    def of(
        cls, method: str, body: Mapping[str, Any] | None, *, conn_id: str, repeatable: bool | None = None
    ) -> Self:
        """Check a call.

        :param repeatable: None goes by the verb.
        :raises VismaRequestError: it is none that Orbit could know.
        """
        if not _METHOD.fullmatch(method):
            raise VismaRequestError(
                f"{method[:80]!r} is no resource and verb",
                system=SYSTEM,
                conn_id=conn_id,
                advice="Write it like projects.list.",
            )
        if body is not None and not isinstance(body, Mapping):
            raise VismaRequestError(
                "the body is no mapping", system=SYSTEM, conn_id=conn_id, operation=method
            )
        try:
            content = json.dumps(dict(body or {}), default=_plain, allow_nan=False).encode()
        except (TypeError, ValueError):
            # Without its text, which quotes the value.
            raise VismaRequestError(
                "the body holds a value that JSON has no form for",
                system=SYSTEM,
                conn_id=conn_id,
                operation=method,
            ) from None
        verb = method.rpartition(".")[2].lower()
        return cls(
            method=method,
            content=content,
            repeatable=verb in _READS if repeatable is None else repeatable,
            conn_id=conn_id,
            http_method="GET" if method == "users.me" and not body else "POST",
        )

    def request(self) -> dict[str, Any]:
        """Return the arguments of an HTTP client's ``request``."""
        content = None if self.http_method == "GET" else self.content
        return {"method": self.http_method, "url": f"/{self.method}", "content": content, "headers": HEADERS}

    def otherwise(self, error: VismaError) -> OrbitCall | None:
        """Return the call by POST where a server knows none by GET, None where that is not it."""
        if self.http_method == "GET" and error.code in ("HTTP 404", "HTTP 405"):
            return replace(self, http_method="POST")
        return None

    def no_answer(self, error: Exception) -> VismaError:
        """Return what it means that a client raised *error* instead of answering."""
        if isinstance(error, VismaError):
            if error.system is not None:  # it is about the token: nothing was sent
                return error
            error.system, error.conn_id, error.operation = SYSTEM, self.conn_id, self.method
            return error if self.repeatable else self._unknown(error.message)
        if self.repeatable or isinstance(error, _NEVER_SENT):
            return network_error(error, system=SYSTEM, operation=self.method, conn_id=self.conn_id)
        return self._unknown(f"no answer ({type(error).__name__})")

    def answer(self, status: int, headers: Mapping[str, str], content: bytes) -> Any:
        """Return what a call was answered with: JSON, whose fractions are Decimals.

        :return: None where there is nothing to say about a change that was made.
        :raises VismaError: it was refused, or the answer is none.
        """
        if not 200 <= status < 300:
            raise self._refusal(status, headers, content)
        if not content.strip() and not self.repeatable:
            return None
        if _is_html(headers, content):
            raise self._unusable("a web page came instead of an answer", title=page_title(content))
        try:
            answer = json.loads(content, parse_float=Decimal, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise self._unusable("the answer is not JSON") from None
        if _is_error(answer):
            raise self._said(answer, content)
        return _mended(answer) if _SURROGATE.search(content) else answer

    def _refusal(self, status: int, headers: Mapping[str, str], content: bytes) -> VismaError:
        if 300 <= status < 400:
            return self._wrong(
                "the service redirects instead of answering",
                code=f"HTTP {status}",
                advice="Redirects are not followed: check the connection's host.",
            )
        title = page_title(content) if _is_html(headers, content) else None
        error = status_error(
            status,
            headers,
            system=SYSTEM,
            operation=self.method,
            conn_id=self.conn_id,
            detail=f"the service answered with status {status} and a page titled {title!r}"
            if title
            else None,
            advice=_ADVICE.get(status),
        )
        error.reason = content.decode("utf-8", "replace")[:_LONGEST_REASON]
        if self.repeatable or status in _NOT_CARRIED_OUT:
            return error
        unknown = self._unknown(error.message, code=error.code)
        unknown.reason = error.reason
        return unknown

    def _said(self, answer: Any, content: bytes) -> VismaError:
        """Return the error for a refusal that came with a status of success."""
        told = next((answer[key] for key in ERROR_KEYS if answer.get(key)), None) if answer else None
        code = told if isinstance(told, str) and _SHORT_CODE.fullmatch(told) else None
        error = self._wrong("the service answered with an error", code=code, advice=_ADVICE[400])
        error.reason = content.decode("utf-8", "replace")[:_LONGEST_REASON]
        return error

    def _unusable(self, message: str, *, title: str | None = None) -> VismaError:
        message = f"{message}, titled {title!r}" if title else message
        if not self.repeatable:
            return self._unknown(message)
        return VismaIncompleteAnswerError(
            message,
            system=SYSTEM,
            conn_id=self.conn_id,
            operation=self.method,
            advice="A retry asks again. If it stays so: it may be another server's, such as a proxy's.",
        )

    def _unknown(self, message: str, *, code: str | None = None) -> VismaUnknownOutcomeError:
        return VismaUnknownOutcomeError(
            message, system=SYSTEM, conn_id=self.conn_id, operation=self.method, code=code, advice=_LOOK
        )

    def _wrong(self, message: str, *, code: str | None, advice: str) -> VismaRequestError:
        return VismaRequestError(
            message, system=SYSTEM, conn_id=self.conn_id, operation=self.method, code=code, advice=advice
        )


def is_refusal(error: VismaError) -> bool:
    """Return whether the service turned the request itself down, which it would do again."""
    code = error.code or ""
    return (
        isinstance(error, VismaPermanentError)
        and code.startswith("HTTP 4")
        and code not in ("HTTP 401", "HTTP 403", "HTTP 407")
    )


def may_be_refusal(error: VismaError) -> bool:
    """Return whether the request may be what is wrong: some services fail over a field they do not know."""
    return is_refusal(error) or error.code == "HTTP 500"


def _is_error(answer: Any) -> bool:
    """Return whether an answer with a status of success says that there was none."""
    if not isinstance(answer, dict):
        return answer is False
    # Of a row it may be a field.
    return not answer.get("id") and (
        answer.get("success") is False or any(answer.get(key) for key in ERROR_KEYS)
    )


def _is_html(headers: Mapping[str, str], content: bytes) -> bool:
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") or content[:64].lstrip()[:1] == b"<"


def _plain(value: Any) -> Any:
    """Return what JSON has for a value, so that no digit is lost."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal) and value.is_finite():
        for plain in (int(value), float(value)):
            if Decimal(repr(plain)) == value:
                return plain
    raise TypeError


def _mended(value: Any) -> Any:
    """Return an answer whose texts are Unicode: half a character is what cutting a text off may leave."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_mended(each) for each in value]
        case dict():
            return {_mended(name): _mended(each) for name, each in value.items()}
        case _:
            return value


def _no_number(name: str) -> Any:
    raise ValueError
