"""Trying again within a task, where asking twice does no harm and the failure may pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import tenacity

from airflow_provider_visma.exceptions import VismaError, VismaTransientError

_LONGEST_WAIT = 60.0


def retrying(
    *,
    attempts: int = 3,
    kind: type[VismaError] = VismaTransientError,
    sleep: Callable[[float], None] = tenacity.nap.sleep,
) -> tenacity.Retrying:
    """Return a caller that repeats on errors of *kind*, 1 to 20 s apart and as far apart as the service asks.

    A wait of more than a minute is left to Airflow: it frees the worker meanwhile.

    :param attempts: how often in all.
    """
    return tenacity.Retrying(sleep=sleep, **_rules(attempts, kind))


def aretrying(
    *,
    attempts: int = 3,
    kind: type[VismaError] = VismaTransientError,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> tenacity.AsyncRetrying:
    """Return a caller of coroutines that repeats as that of :func:`retrying` does."""
    return tenacity.AsyncRetrying(sleep=sleep, **_rules(attempts, kind))


def _rules(attempts: int, kind: type[VismaError]) -> dict[str, Any]:
    def may_pass(error: BaseException) -> bool:
        return isinstance(error, kind) and (error.retry_after or 0.0) <= _LONGEST_WAIT

    backoff = tenacity.wait_exponential_jitter(initial=1, max=20)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return max(getattr(error, "retry_after", None) or 0.0, backoff(state))

    return {
        "stop": tenacity.stop_after_attempt(attempts),
        "retry": tenacity.retry_if_exception(may_pass),
        "wait": wait,
        "reraise": True,
    }
