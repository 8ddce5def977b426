"""Switches: how the sandbox behaves where the contracts leave room. An unknown name is an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

CORE_SETTINGS: dict[str, Any] = {
    # Seconds added to the sandbox's clock: tokens, jobs and links age without anybody waiting.
    "clock_offset": 0.0,
}


class UnknownSettingError(ValueError):
    """A switch was named that no system has."""


class Settings:
    """The current value of every switch.

    :param defaults: one mapping per system, names prefixed with the system (``hrm_job_polls``).
    """

    def __init__(self, defaults: Iterable[Mapping[str, Any]] = ()) -> None:
        self._defaults = dict(CORE_SETTINGS)
        for part in defaults:
            self._defaults.update(part)
        self._values = deepcopy(self._defaults)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set switches; all or, when one is unknown, none of them.

        :raises UnknownSettingError: naming what is unknown, so that a typo cannot pass for a switch.
        """
        unknown = sorted(set(changes) - set(self._defaults))
        if unknown:
            raise UnknownSettingError(f"unknown settings: {', '.join(unknown)}")
        self._values.update(changes)

    def reset(self) -> None:
        """Put every switch back to its default."""
        self._values = deepcopy(self._defaults)

    def as_dict(self) -> dict[str, Any]:
        """Every switch and its value."""
        return dict(self._values)
