"""Tasks that each ask Orbit again and again, as so many processes that have just started would."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, BaseAsyncOperator, task

from airflow_provider_visma.hooks import _orbit_settings
from airflow_provider_visma.hooks.orbit import OrbitHook

TOKENS = 5


class AsksOnAnEventLoop(BaseAsyncOperator):
    """Asks with coroutines until it has seen some tokens end."""

    async def aexecute(self, context: Any) -> None:
        seen: set[str] = set()
        while len(seen) < TOKENS:
            _orbit_settings._cached_source.cache_clear()
            async with OrbitHook() as hook:
                await hook.acall("users.me")
                seen.add((await hook.settings.token_source().aget_token()).value)


with DAG("orbit_callers", schedule=None):

    @task
    def ask(number: int) -> None:
        """Ask until it has seen some tokens end."""
        seen: set[str] = set()
        while len(seen) < TOKENS:
            _orbit_settings._cached_source.cache_clear()
            with OrbitHook() as hook:
                hook.call("users.me")
                seen.add(hook.settings.token_source().get_token().value)

    ask.expand(number=[1, 2, 3])
    AsksOnAnEventLoop(task_id="ask_on_an_event_loop")
