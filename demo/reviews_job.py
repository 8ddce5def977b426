"""Reviews back to Nmbrs: somebody is linked in Dialog, their review is finished, and its PDF is filed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from demo.airflow_api import AirflowApi
from visma_sandbox.client import SandboxClient

REVIEWS_DAG: Final = "dialog_reviews_to_nmbrs"
PDF_BYTES: Final = 1_500_000
FIGURES: Final = ("reviews", "filed", "filed_before", "refused", "failed", "in_doubt")

Finished = Callable[[AirflowApi, str, str], str]


@dataclass(frozen=True, slots=True)
class ReviewsJob:
    """Runs the DAG on one Airflow against one sandbox, after an import.

    :param files: folder for its ledger and reports.
    :param finished: waits for a run and returns its state, or raises.
    """

    api: AirflowApi
    sandbox: SandboxClient
    files: Path
    finished: Finished

    def run(self) -> dict[str, Any]:
        """Link somebody, finish their review, file it, and return the summary; run once more, too."""
        employee_id = self._somebody()
        self.sandbox.move_user(employee_id, "linked")
        review = self.sandbox.finish_review(employee_id, title="Jaargesprek", size=PDF_BYTES)
        first = self._filed()
        return {
            **first,
            "review": {**review, "employee_id": employee_id},
            "documents": self.sandbox.documents(),
            "again": self._filed(),
        }

    def _filed(self) -> dict[str, Any]:
        run_id = self.api.run(REVIEWS_DAG, {"destination": f"file://{self.files}"})
        state = self.finished(self.api, REVIEWS_DAG, run_id)
        (instance,) = self.api.task_instances(REVIEWS_DAG, run_id, "file_reviews")
        told = self.api.xcom(instance)
        return {"state": state, **{name: told[name] for name in FIGURES}}

    def _somebody(self) -> int:
        """Return the EmployeeId of a user whom the import brought to Dialog."""
        dialog = self.sandbox.connections()["dialog_default"]
        answer = requests.get(
            f"{dialog['host']}/Users",
            params={"filter": "externalId pr", "count": "1", "attributes": "externalId"},
            headers={"Authorization": f"Bearer {dialog['password']}"},
            timeout=60,
        )
        answer.raise_for_status()
        return int(answer.json()["Resources"][0]["externalId"])


def filed_line(outcome: dict[str, Any]) -> str:
    """Name the document that was filed, for a person to read."""
    (document,) = outcome["documents"]
    return (
        f"Filed review {outcome['review']['id']} in Nmbrs, with employee {document['employee_id']}:"
        f' "{document["name"]}", {document["size"]:,} bytes'
    )


def reviews_differences(outcome: dict[str, Any]) -> Iterator[str]:
    """Yield what is other than one review, filed once with the right employee."""
    review = outcome["review"]
    expected = [(review["employee_id"], review["size"], review["sha256"])]
    held = [(each["employee_id"], each["size"], each["sha256"]) for each in outcome["documents"]]
    if held != expected:
        yield f"documents in Nmbrs: {held}, and the review finished was {expected}"
    if outcome["filed"] != 1:
        yield f"reviews filed: {outcome['filed']}, and one was finished"
    again = outcome["again"]
    if (again["filed"], again["filed_before"]) != (0, 1):
        yield f"the second run filed {again['filed']} reviews and knew {again['filed_before']}"
