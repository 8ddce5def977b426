"""What Airflow's button "Test" learns about an Nmbrs connection: who logs in where, and what is not open.

Of a list only the first row is awaited, and nothing that the service sent gets into the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.hooks._nmbrs_faults import MAY_CALL

if TYPE_CHECKING:
    from airflow_provider_visma.hooks.nmbrs import NmbrsHook

_NOWHERE = 0
_ACTIVE = 2
_MAY_NOT_CALL = "1002"


def check(hook: NmbrsHook) -> tuple[bool, str]:
    """Log in and try each read operation of the manual.

    :raises VismaError: the service cannot be reached or does not let the API user in.
    """
    probe = _Probe()
    # Without an id to ask for, the call is made all the same: a missing right is told all the same.
    debtor = probe.first("DebtorService List_GetAll", hook.debtors())
    debtor_id = debtor.id if debtor else _NOWHERE
    probe.first("DebtorService Department_GetList", hook.debtor_departments(debtor_id))
    probe.first("DebtorService Function_GetList", hook.debtor_functions(debtor_id))
    company = probe.first("CompanyService List_GetAll", hook.companies())
    company_id = company.id if company else _NOWHERE
    probe.first("EmployeeService List_GetByCompany", hook.employees(company_id, _ACTIVE))
    probe.first("EmployeeService PersonalInfo", hook.personal_info(company_id))
    probe.first("EmployeeService Employment", hook.employments(company_id))
    probe.first("EmployeeService Department", hook.departments(company_id))
    probe.first("EmployeeService Function", hook.functions(company_id))

    settings = hook.settings
    message = f"{settings.base_url} accepts {settings.login} for domain {hook.domain}."
    if probe.closed:
        message += (
            f" The API user may not call: {', '.join(probe.closed)}. Open them in its template in Nmbrs."
        )
    if probe.failed:
        message += f" These failed: {', '.join(probe.failed)}."
    if probe.all_open:
        message += " All nine read operations of the manual are open."
    return probe.all_open, f"{message} The upload of documents was not tried: it would store one."


class _Probe:
    """Makes calls and sorts them by what became of them."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.failed: list[str] = []
        self._logged_in = False

    @property
    def all_open(self) -> bool:
        return not (self.closed or self.failed)

    def first(self, name: str, records: Iterator[Any]) -> Any:
        """Return the first record, or None; an error before any login has succeeded is the answer itself."""
        record = None
        try:
            record = next(records, None)
        except VismaError as error:
            if error.code == _MAY_NOT_CALL:
                self.closed.append(name)
            elif error.code not in MAY_CALL:
                if not self._logged_in:
                    raise
                self.failed.append(f"{name} ({error.code or type(error).__name__})")
        self._logged_in = True
        return record
