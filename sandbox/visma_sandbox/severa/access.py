"""Who may call, and how often: the key in the header alone says who the user and the organisation are.

Every reason to refuse a key gives the same "Access denied", as the vendor's support page has it: which of its
causes it was, the service does not tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, Literal

from visma_sandbox import credentials
from visma_sandbox.severa.contract import Operation
from visma_sandbox.severa.faults import ACCESS_DENIED, SeveraFault

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

Rights = Literal["administrator", "narrow"]

NARROW_BUSINESS_UNIT: Final = "5e7e4a00-0000-4000-8000-000000000002"
"""The GUID of the business unit that the narrow user sees; the first child of the root unit."""
VERSION_CONTRACT: Final = "IAPI"


@dataclass(frozen=True, slots=True)
class ApiUser:
    """A user with an API key.

    :param active: an inactive user's key is refused.
    :param rights: an administrator sees all rows, a narrow user those of one business unit, without an error.
    :param business_unit_guid: the narrow user's business unit; None for the administrator.
    :param soap_allowed: whether the user's SOAP API permission is on; refused when it is off.
    """

    name: str
    key: str
    active: bool = True
    rights: Rights = "administrator"
    business_unit_guid: str | None = None
    soap_allowed: bool = True


ADMINISTRATOR: Final = ApiUser("administrator", credentials.SEVERA_KEY)
API_USERS: Final = (
    ADMINISTRATOR,
    ApiUser(
        "narrow",
        credentials.SEVERA_NARROW_KEY,
        rights="narrow",
        business_unit_guid=NARROW_BUSINESS_UNIT,
    ),
    ApiUser("inactive", credentials.SEVERA_INACTIVE_KEY, active=False),
    ApiUser("without SOAP permission", credentials.SEVERA_NO_RIGHT_KEY, soap_allowed=False),
)


class Access:
    """Keys and rights, as the switches have them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def user(self, operation: Operation, key: str | None) -> ApiUser:
        """The user who calls.

        :param key: None when the header has none.
        :raises SeveraFault: when the key is refused, the terms of service are not approved, or the operation
            is denied to everybody.
        """
        settings = self._sandbox.settings
        if operation.contract == VERSION_CONTRACT and not settings["severa_version_needs_key"]:
            return ADMINISTRATOR
        user = next((each for each in API_USERS if self._key_of(each) == key), None)
        if user is None or not user.active or not user.soap_allowed or not settings["severa_addon"]:
            raise SeveraFault("AuthenticationFailureException", ACCESS_DENIED)
        if not settings["severa_tos_approved"]:
            raise SeveraFault.of_type("TosNotApprovedException")
        if any(fnmatchcase(operation.full_name, each) for each in settings["severa_denied_operations"]):
            raise SeveraFault.of_type("NoPermissionException")
        return user

    def _key_of(self, user: ApiUser) -> str:
        if user is ADMINISTRATOR and self._sandbox.settings["severa_key_regenerated"]:
            return credentials.SEVERA_NEW_KEY
        return user.key


class Quota:
    """Counts the calls of the organisation in a UTC day, those refused for the quota among them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._day = date.min
        self._told = 0
        self.used = 0

    @property
    def limit(self) -> int:
        """Calls a day."""
        return int(self._sandbox.settings["severa_quota"])

    def count(self, now: datetime) -> None:
        """Count one call.

        :param now: naive UTC; at midnight the count begins again.
        """
        if now.date() != self._day:
            self._day, self.used = now.date(), 0
        told = int(self._sandbox.settings["severa_used_quota"])
        if told != self._told:
            self._told = self.used = told
        self.used += 1

    def check(self) -> None:
        """Refuse what is over the quota.

        :raises SeveraFault: QuotaLimitExceededException, which the contract does not declare.
        """
        if self.used > self.limit:
            raise SeveraFault.of_type("QuotaLimitExceededException")

    def reset(self) -> None:
        """Begin the day again."""
        self._day, self._told, self.used = date.min, 0, 0


def naive_utc(seconds: float) -> datetime:
    """A moment of the sandbox's clock as Severa writes it."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
