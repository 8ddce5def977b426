"""Bringing a snapshot of Nmbrs into Dialog: plan, guard, apply, report.

Nothing is written before the plan has passed the guard. The plan and its report are files at the
destination, since they are about people; XCom and logs get counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaGuardError,
    VismaNotFoundError,
    VismaUnavailableError,
)
from airflow_provider_visma.operators.base import VismaOperator
from airflow_provider_visma.storage import Publication, place, read_jsonl, read_manifest, stage_jsonl
from airflow_provider_visma.stores import content, store_errors

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_visma.dialog_import.plan import Approval, Plan
    from airflow_provider_visma.dialog_import.rules import DebtorLists
    from airflow_provider_visma.dialog_import.writer import WriteReport
    from airflow_provider_visma.nmbrs_records import SnapshotEmployee

_PLAN_FILE = "plan.jsonl"
_DUTCH_TIME = ZoneInfo("Europe/Amsterdam")


class DialogImportOperator(VismaOperator):
    """Import the employees of a snapshot into Dialog as users.

    The plan is made anew from the snapshot and from what Dialog holds now, so a second run changes
    nobody, and a retry sends what a killed run had not sent yet. Users who were invited or linked are
    left alone and nobody is removed.

    Files at *destination*: ``plan.txt`` (reads like a diff), ``plan.jsonl``, and after applying
    ``set_aside.jsonl`` (who cannot be imported and why), ``missing.json`` (departments and functions that
    users have and Dialog does not know), ``not_delivered.jsonl`` and ``report.json``.

    :param snapshot: folder of an Nmbrs snapshot, or what NmbrsSnapshotOperator returned. (templated)
    :param destination: folder for plan and report, any address that ObjectStoragePath takes. (templated)
    :param dialog_conn_id: connection to Dialog.
    :param dry_run: make and publish the plan only.
    :param guard: ``stop`` before a plan that changes too much, or ``off``. (templated)
    :param max_change_share: share of the users Dialog holds that may change without approval, 0 to 1.
    :param guard_minimum: number of users that Dialog must hold before that share counts.
    :param approved: what DialogImportApprovalOperator returned. It lets through the changes of the plan
        that was shown, and no others. (templated)
    :return: counts and the files' manifest; nothing about a person.
    """

    template_fields: Sequence[str] = ("snapshot", "destination", "guard", "approved")

    def __init__(
        self,
        *,
        snapshot: str | dict[str, Any],
        destination: str,
        dialog_conn_id: str = "dialog_default",
        dry_run: bool = False,
        guard: Literal["stop", "off"] | str = "stop",
        max_change_share: float = 0.2,
        guard_minimum: int = 25,
        approved: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.destination = destination
        self.dialog_conn_id = dialog_conn_id
        self.plan_only = dry_run  # BaseOperator has a method of the name
        self.guard = guard
        self.max_change_share = max_change_share
        self.guard_minimum = guard_minimum
        self.approved = approved

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan, guard, apply, report."""
        from airflow_provider_visma.dialog_import.planning import make_plan
        from airflow_provider_visma.hooks.dialog import DialogHook

        destination = place(self.destination)
        snapshot = _Snapshot(self.snapshot)
        with DialogHook(self.dialog_conn_id) as hook:
            plan = make_plan(
                snapshot.employees(), lists=snapshot.lists(), content=hook.content(), day=snapshot.day
            )
            told = {
                **plan.counts(),
                "snapshot": snapshot.uri,
                "abilities": hook.abilities(),
                "guard": {"reasons": self._reasons(plan)},
            }
            self.log.info("Made the plan: %s", plan.counts())
            with Publication(destination) as publication:
                self._stage_plan(publication, plan)
                if self.plan_only or told["guard"]["reasons"]:
                    manifest = publication.publish({"kind": "dialog-plan", **told})
                    if not self.plan_only:
                        raise self._stopped(manifest)
                    return manifest
                report = hook.write(plan.writes)
                told.update(_delivered(plan, report))
                self._stage_report(publication, plan, report, told)
                manifest = publication.publish({"kind": "dialog-import", **told})
        self.log.info("Imported: %s", _delivered(plan, report))
        self._check_delivery(report, manifest)
        return manifest

    def _reasons(self, plan: Plan) -> list[str]:
        from airflow_provider_visma.dialog_import.plan import guard

        if self.guard not in ("stop", "off"):
            raise ValueError(f"guard is stop or off, not {self.guard!r}")
        if self.guard == "off":
            return []
        return list(
            guard(
                plan, max_share=self.max_change_share, minimum=self.guard_minimum, approval=self._approval()
            )
        )

    def _approval(self) -> Approval | None:
        """Return the changes that a person let through, from the very plan file that was shown."""
        from airflow_provider_visma.dialog_import.plan import Approval

        approved = (self.approved or {}).get("approved_plan")
        if not approved:
            return None
        path = ObjectStoragePath(approved["uri"])
        advice = "Nothing was written; a retry reads it again."
        with store_errors(path, problem="the approved plan could not be read", advice=advice):
            try:
                plan_file = content(path)
            except FileNotFoundError:
                plan_file = b""
        if hashlib.sha256(plan_file).hexdigest() != approved["sha256"]:
            raise VismaContentError(
                "the approved plan's file is gone or not the one that was approved", operation=str(path)
            )
        return Approval.of(json.loads(line) for line in plan_file.splitlines())

    def _stopped(self, manifest: dict[str, Any]) -> VismaGuardError:
        return VismaGuardError(
            "; ".join(manifest["guard"]["reasons"]),
            system="Dialog",
            conn_id=self.dialog_conn_id,
            advice=f"Nothing was written. Read plan.txt at {manifest['uri']}; then approve the plan, run with"
            ' guard="off", or mend the source.',
        )

    def _stage_plan(self, publication: Publication, plan: Plan) -> None:
        with publication.stage("plan.txt") as text:
            for line in plan.text():
                text.write(f"{line}\n".encode())
        stage_jsonl(publication, _PLAN_FILE, plan.records())

    def _stage_report(
        self, publication: Publication, plan: Plan, report: WriteReport, told: dict[str, Any]
    ) -> None:
        from airflow_provider_visma.dialog_import.plan import SetAside

        aside = (asdict(line) for line in plan.lines if isinstance(line, SetAside))
        stage_jsonl(publication, "set_aside.jsonl", aside)
        stage_jsonl(publication, "not_delivered.jsonl", (asdict(item) for item in report.trouble))
        with publication.stage("missing.json") as file:
            file.write(json.dumps(plan.missing(), indent=1).encode())
        with publication.stage("report.json") as file:
            file.write(json.dumps(told, indent=1).encode())

    def _check_delivery(self, report: WriteReport, manifest: dict[str, Any]) -> None:
        """Fail where a retry can still deliver something, or where nothing may be written."""
        if report.fatal is not None:
            raise report.fatal
        if manifest["conflicts"] or manifest["refused"]:
            self.log.warning("Dialog refused changes; not_delivered.jsonl at %s lists them", manifest["uri"])
        if manifest["failed"]:
            raise VismaUnavailableError(
                f"{manifest['failed']} changes did not arrive, {manifest['not_sent']} were not sent",
                system="Dialog",
                conn_id=self.dialog_conn_id,
                advice=f"A retry sends what is missing; not_delivered.jsonl at {manifest['uri']} lists it.",
            )


class DialogImportApprovalOperator(ApprovalOperator):
    """Ask a person, in Airflow's own form, where the guard stops a plan; else succeed at once.

    The form shows counts and the guard's reasons; the plan itself is read at its destination, by those
    who may. *Reject* skips what follows. The approval holds for the changes of this plan alone.

    :param plan: what DialogImportOperator returned with ``dry_run=True``. (templated)
    :return: what DialogImportOperator takes as ``approved``.
    """

    template_fields: Sequence[str] = (*ApprovalOperator.template_fields, "plan")

    def __init__(self, *, plan: dict[str, Any], **kwargs: Any) -> None:
        kwargs.setdefault("subject", "Import into Dialog: may this much change?")
        super().__init__(**kwargs)
        self.plan = plan

    def execute(self, context: Context) -> Any:
        """Ask, where the guard has a reason to."""
        if not self.plan["guard"]["reasons"]:
            self.log.info("The guard has nothing to ask")
            return {"asked": False}
        self.body = self.body or _question(self.plan)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Return the approval, bound to the plan's file."""
        answer = super().execute_complete(context, event)
        if answer["chosen_options"] != [self.APPROVE]:
            return {"asked": True}
        (file,) = (file for file in self.plan["files"] if file["uri"].endswith(f"/{_PLAN_FILE}"))
        return {"asked": True, "approved_plan": {"uri": file["uri"], "sha256": file["sha256"]}}


class _Snapshot:
    """A published snapshot of Nmbrs."""

    def __init__(self, source: str | dict[str, Any]) -> None:
        self.uri: str = source if isinstance(source, str) else source["uri"]
        self._folder = ObjectStoragePath(self.uri)
        manifest = read_manifest(self._folder)
        if manifest is None or manifest.get("kind") != "nmbrs-snapshot":
            raise VismaNotFoundError(
                "there is no whole snapshot of Nmbrs",
                operation=self.uri,
                advice="Run the snapshot task again.",
            )
        self._manifest = manifest

    @property
    def day(self) -> date:
        """Day of the snapshot in the Netherlands: the same for a plan, its approval and its retries."""
        return datetime.fromisoformat(self._manifest["read_at"]).astimezone(_DUTCH_TIME).date()

    def employees(self) -> Iterator[SnapshotEmployee]:
        """Yield the employees.

        :raises VismaContentError: there are not as many as the manifest says.
        """
        from airflow_provider_visma.nmbrs_records import SnapshotEmployee

        count = 0
        for record in read_jsonl(self._folder / "employees.jsonl"):
            yield SnapshotEmployee.from_json(record)
            count += 1
        if count != self._manifest["employees"]:
            raise VismaContentError(
                f"the snapshot holds {count} employees, and its manifest says {self._manifest['employees']}",
                operation=self.uri,
            )

    def lists(self) -> DebtorLists:
        """Return the debtors' departments and functions."""
        from airflow_provider_visma.dialog_import.rules import DebtorLists
        from airflow_provider_visma.nmbrs_records import DebtorDepartment, DebtorFunction

        return DebtorLists(
            departments=(DebtorDepartment(**item) for item in read_jsonl(self._folder / "departments.jsonl")),
            functions=(DebtorFunction(**item) for item in read_jsonl(self._folder / "functions.jsonl")),
        )


def _delivered(plan: Plan, report: WriteReport) -> dict[str, int]:
    """Return what really happened, in place of what the plan foresaw."""
    from airflow_provider_visma.dialog_import.plan import Kind
    from airflow_provider_visma.dialog_import.writer import Outcome

    return {
        "created": report.counts[Outcome.CREATED, Kind.USER],
        "updated": report.counts[Outcome.UPDATED, Kind.USER],
        "frozen": plan.counts()["frozen"] + report.counts[Outcome.FROZEN, Kind.USER],
        "conflicts": report.total(Outcome.CONFLICT),
        "refused": report.total(Outcome.REFUSED),
        "failed": report.total(Outcome.FAILED),
        "not_sent": report.total(Outcome.NOT_SENT),
    }


def _question(plan: dict[str, Any]) -> str:
    reasons = "\n".join(f"- {reason}" for reason in plan["guard"]["reasons"])
    names = ("employees", "created", "updated", "unchanged", "frozen", "gone")
    rows = "\n".join(f"| {name} | {plan[name]} |" for name in names)
    aside = "\n".join(f"| set aside: {reason} | {count} |" for reason, count in plan["set_aside"].items())
    return (
        f"The guard stopped the import before anything was written:\n\n{reasons}\n\n"
        f"| | users |\n| --- | ---: |\n{rows}\n{aside}\n\n"
        f"The plan, line by line: `{plan['uri']}/plan.txt`"
    )
