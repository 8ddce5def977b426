"""Who may call what, and how often: credentials, rights per operation, tags on debtors, calls a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from visma_sandbox import credentials
from visma_sandbox.nmbrs_faults import SoapFault
from visma_sandbox.nmbrs_wsdl import AUTH_HEADER, Operation
from visma_sandbox.structure import COMPANY_BY_ID, Company, Debtor

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox


class Access:
    """The rights of the one API user, as the switches have them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def check_credentials(self, operation: Operation, given: Mapping[str, str]) -> None:
        """Compare the auth header with the account.

        :raises SoapFault: 1001.
        """
        right = (
            given.get("Username", "").lower() == credentials.NMBRS_LOGIN
            and given.get("Token") == credentials.NMBRS_TOKEN
        )
        if right and operation.auth_header != AUTH_HEADER:
            # Whether Domain may be left out is contested between the vendor's page and its users: a switch.
            needed = self._sandbox.settings["nmbrs_domain_required"]
            domain = given.get("Domain", "")
            right = domain == credentials.NMBRS_DOMAIN or (not domain and not needed)
        if not right:
            raise SoapFault.of_code("1001")

    def check_right(self, operation: Operation) -> None:
        """Look the operation up in the user's template.

        :raises SoapFault: 1002.
        """
        settings = self._sandbox.settings
        allowed = any(fnmatchcase(operation.full_name, each) for each in settings["nmbrs_allowed_operations"])
        denied = any(fnmatchcase(operation.full_name, each) for each in settings["nmbrs_denied_operations"])
        if denied or not allowed:
            raise SoapFault.of_code("1002")

    def debtors(self) -> list[Debtor]:
        """The debtors the user's tags let through."""
        return [debtor for debtor in self._sandbox.organisation.debtors if not self._is_hidden(debtor.id)]

    def companies(self) -> list[Company]:
        """The companies of those debtors."""
        return [
            company
            for company in self._sandbox.organisation.companies
            if not self._is_hidden(company.debtor_id)
        ]

    def debtor(self, debtor_id: int) -> Debtor:
        """A debtor the user may see.

        :raises SoapFault: 2009 when there is none of this id, 1003 when tags hide it.
        """
        found = next((each for each in self._sandbox.organisation.debtors if each.id == debtor_id), None)
        if found is None:
            raise SoapFault.of_code("2009")
        self._check_visible(found.id, "2009")
        return found

    def company(self, company_id: int) -> Company:
        """A company the user may see.

        :raises SoapFault: 2004 when there is none of this id, 1003 when its debtor is hidden.
        """
        found = COMPANY_BY_ID.get(company_id)
        if found is None:
            raise SoapFault.of_code("2004")
        self._check_visible(found.debtor_id, "2004")
        return found

    def check_employee(self, employee_id: int) -> None:
        """Look an employee up.

        :raises SoapFault: 2003 when there is none of this id, 1003 when their debtor is hidden.
        """
        organisation = self._sandbox.organisation
        index = organisation.find(employee_id)
        if index is None:
            raise SoapFault.of_code("2003")
        self._check_visible(organisation.company_of(index).debtor_id, "2003")

    def _is_hidden(self, debtor_id: int) -> bool:
        return debtor_id in self._sandbox.settings["nmbrs_hidden_debtors"]

    def _check_visible(self, debtor_id: int, specific: str) -> None:
        if self._is_hidden(debtor_id):
            # Both answers are documented for a forbidden id; which one comes is not: a switch.
            raise SoapFault.of_code("1003" if self._sandbox.settings["nmbrs_hidden_is_1003"] else specific)


class Throttle:
    """Adds delay above a number of calls a second: Nmbrs slows callers down, it does not refuse them."""

    def __init__(self) -> None:
        self._calls: deque[float] = deque()

    def delay(self, now: float, *, limit: int, seconds: float) -> float:
        """Count a call.

        :param now: a clock that never goes back, in seconds.
        :return: seconds by which the answer is to be held up.
        """
        while self._calls and self._calls[0] <= now - 1.0:
            self._calls.popleft()
        self._calls.append(now)
        return seconds if len(self._calls) > limit else 0.0
