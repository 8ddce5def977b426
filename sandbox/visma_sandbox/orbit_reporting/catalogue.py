"""Which reports the tenant has, and which of them the user may see, as the switches have it."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from visma_sandbox.orbit_reporting.access import Refusal
from visma_sandbox.orbit_reporting.columns import View, views
from visma_sandbox.orbit_reporting.edm import Value
from visma_sandbox.orbit_reporting.every_type import Empty, EveryType
from visma_sandbox.orbit_reporting.projects import HoursPerProject
from visma_sandbox.orbit_reporting.reports import Report
from visma_sandbox.orbit_reporting.sales import Invoices, SalesPipeline
from visma_sandbox.orbit_reporting.staff import EmployeesAndContracts

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

_REPORTS: Final[tuple[type[Report], ...]] = (
    HoursPerProject,
    Invoices,
    SalesPipeline,
    EmployeesAndContracts,
    Empty,
    EveryType,
)


class Catalogue:
    """The reports of the one tenant."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._reports = {each.id: each(sandbox) for each in _REPORTS}

    def visible(self) -> Iterator[Report]:
        """The reports that the user may see."""
        return (each for each in self._known() if not self._is_named(each.id, "orbit_report_denied"))

    def find(self, name: str) -> Report:
        """The report with this id.

        :raises Refusal: when there is none, or the user may not see it.
        """
        report = next((each for each in self._known() if each.id == name), None)
        if report is None:
            raise Refusal(404, f"Resource not found for the segment '{name}'.")
        if self._is_named(name, "orbit_report_denied"):
            raise Refusal(403, "You have no right to see this report.")
        return report

    def any(self, name: str) -> Report | None:
        """The report with this id, whatever the switches say of it."""
        return self._reports.get(name)

    def views(self, report: Report, select: tuple[str, ...] = ()) -> list[View]:
        """The report as it is served now.

        :param select: the columns asked for; all without any.
        """
        return views(report, self._sandbox.settings["orbit_report_columns"].get(report.id, {}), select)

    def rows(self, report: Report, *, skip: int, top: int) -> Iterator[dict[str, Value]]:
        """Rows as they are served, without a feed around them."""
        served = self.views(report)
        for index in range(len(report))[skip : skip + top]:
            view = max((each for each in served if each.first <= index), key=lambda each: each.first)
            yield view.named(report.row(index))

    def counts(self) -> dict[str, Any]:
        """By report id: its title, its rows, and the types of its columns as they are served."""
        return {
            each.id: {
                "title": each.title,
                "rows": len(each),
                "columns": {one.column.name: one.column.type for one in self.views(each)[-1].columns},
            }
            for each in self.visible()
        }

    def _known(self) -> Iterator[Report]:
        settings = self._sandbox.settings
        for report in self._reports.values():
            wanted = not isinstance(report, EveryType) or settings["orbit_report_every_type"]
            if wanted and not self._is_named(report.id, "orbit_report_removed"):
                yield report

    def _is_named(self, report_id: str, setting: str) -> bool:
        return any(fnmatchcase(report_id, pattern) for pattern in self._sandbox.settings[setting])
