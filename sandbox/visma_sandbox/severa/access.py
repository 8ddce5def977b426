"""Who may call: the key in the header alone says who the user and the organisation are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Rights = Literal["administrator", "narrow"]

NARROW_BUSINESS_UNIT: Final = "5e7e4a00-0000-4000-8000-000000000002"
"""The GUID of the business unit that the narrow user sees; the first child of the root unit."""


@dataclass(frozen=True, slots=True)
class ApiUser:
    """A user with an API key.

    :param active: an inactive user's key is refused.
    :param rights: an administrator sees all rows, a narrow user those of one business unit, without an error.
    :param business_unit_guid: the narrow user's business unit; None for the administrator.
    """

    name: str
    key: str
    active: bool = True
    rights: Rights = "administrator"
    business_unit_guid: str | None = None
