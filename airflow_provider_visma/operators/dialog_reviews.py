"""Finished reviews of Dialog to the documents of employees in Nmbrs: each checked, and none filed twice.

XCom and logs hold counts, ids and addresses; names of files are in the report at the destination.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_visma.dialog_reviews.filing import FILED, NOT_FILED, Filing
from airflow_provider_visma.dialog_reviews.ledger import Ledger
from airflow_provider_visma.dialog_reviews.pdf import MAX_BYTES
from airflow_provider_visma.dialog_reviews.report import Line, Report, Terms
from airflow_provider_visma.dialog_reviews.review import LINKED, read_moment
from airflow_provider_visma.exceptions import (
    VismaConnectionConfigError,
    VismaRequestError,
    VismaStorageError,
    VismaTransientError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.operators._ledger_owner import asking_airflow, owner_of
from airflow_provider_visma.operators.base import VismaOperator, is_true
from airflow_provider_visma.storage import Publication, place, stage_jsonl

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_visma.hooks.nmbrs import NmbrsHook
    from airflow_provider_visma.staged_file import StagedFile

_KIND = "dialog-reviews"
_TOLD = 100
_OUTCOMES = ("filed", "filed_before", "refused", "refused_before", "failed", "in_doubt", "elsewhere")
_UPLOAD = "EmployeeService.EmployeeDocument_UploadDocument"


class DialogReviewsToNmbrsOperator(VismaOperator):
    """File the PDFs of finished reviews with the employees in Nmbrs whom they are about.

    Only reviews of linked users, and only files that are PDFs by their bytes and hold no program. What one
    review meets stands in the report and does not stop the others.

    The ledger serves all runs, also those of other DAGs: give them all the same. A retry, clearing the task
    and a later run file only what was not filed. A review whose upload got no answer is *in doubt*: it is
    told in every run, and sent again only when *settled* says that Nmbrs does not have it. A review that was
    refused is not tried again in later runs, unless it is judged by other terms or *retry_refused* is on.

    :param ledger: folder for the ledger. (templated)
    :param destination: folder for the report of this run; it names people's files. (templated)
    :param since: leave out reviews finished before; ISO 8601, in UTC without a zone. Nothing for all of
        them: what was filed before is known. (templated)
    :param user_states: states of a Dialog user that count as linked.
    :param max_failed: how many reviews may be refused, fail or be in doubt before the task fails, after all
        others were filed. (templated)
    :param settled: what a person found of reviews in doubt: ``filed`` or ``not filed`` by review; a JSON
        object as text does too. It holds for one attempt: give it to one run. (templated)
    :param retry_refused: try again what an earlier run had refused. (templated)
    :param max_bytes: how large a PDF may be.
    :param allow_active: file PDFs with a program, an action that starts one, or attached files in them.
    :param allow_encrypted: file encrypted PDFs.
    :param document_type: GUID of the document type in Nmbrs; the connection's where None. (templated)
    :param staging_dir: directory on the worker with room for one PDF, where the ledger is not local.
    :param dialog_conn_id: a connection of type ``dialog``.
    :param nmbrs_conn_id: a connection of type ``nmbrs``.
    :return: counts, the ids of the first hundred reviews that were filed, and the addresses of ledger and
        report.
    """

    template_fields: Sequence[str] = (
        "ledger",
        "destination",
        "since",
        "max_failed",
        "settled",
        "retry_refused",
        "document_type",
    )

    def __init__(
        self,
        *,
        ledger: str,
        destination: str,
        since: str | None = None,
        user_states: Sequence[str] = (LINKED,),
        max_failed: int | str = 0,
        settled: Mapping[str, str] | str | None = None,
        retry_refused: bool | str = False,
        max_bytes: int = MAX_BYTES,
        allow_active: bool = False,
        allow_encrypted: bool = False,
        document_type: str | None = None,
        staging_dir: str | None = None,
        dialog_conn_id: str = "dialog_default",
        nmbrs_conn_id: str = "nmbrs_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ledger = ledger
        self.destination = destination
        self.since = since
        self.user_states = user_states
        self.max_failed = max_failed
        self.settled = settled
        self.retry_refused = retry_refused
        self.max_bytes = max_bytes
        self.allow_active = allow_active
        self.allow_encrypted = allow_encrypted
        self.document_type = document_type
        self.staging_dir = staging_dir
        self.dialog_conn_id = dialog_conn_id
        self.nmbrs_conn_id = nmbrs_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """File what may be filed, publish the report, and fail where too much was not."""
        from airflow_provider_visma.hooks.dialog import DialogHook
        from airflow_provider_visma.hooks.nmbrs import NmbrsHook

        max_failed, since, settled = self._max_failed(), self._since(), settled_reviews(self.settled)
        nmbrs = NmbrsHook(self.nmbrs_conn_id)
        terms = self._terms(nmbrs)
        ledger = Ledger(place(self.ledger), domain=nmbrs.domain)

        def upload(employee_id: int, name: str, file: BinaryIO) -> None:
            nmbrs.upload_document(employee_id, name, file, terms.document_type)

        with (
            DialogHook(self.dialog_conn_id) as dialog,
            # At the ledger, which all runs share: so the next one removes what a kill left behind.
            self._publication(ledger.folder) as copies,
            self._publication(place(self.destination)) as publication,
        ):
            filing = Filing(
                dialog,
                upload,
                ledger,
                terms=terms,
                owner=owner_of(context),
                copy=lambda: _copy(copies),
                is_over=asking_airflow(context),
                settled=settled,
                retry_refused=is_true(self.retry_refused),
            )
            unreadable: set[str] = set()
            report = filing.run(list(dialog.finished_reviews(since, unreadable=unreadable)))
            report.lines += [Line(review, "refused", why=("unreadable",)) for review in sorted(unreadable)]
            result = self._publish(publication, report, ledger)
        self.log.info("Filed reviews", **result)
        self._judge(report, max_failed, result["report"])
        return result

    def _publication(self, folder: ObjectStoragePath) -> Publication:
        return Publication(folder, staging_dir=Path(self.staging_dir) if self.staging_dir else None)

    def _publish(self, publication: Publication, report: Report, ledger: Ledger) -> dict[str, Any]:
        stage_jsonl(publication, "reviews.jsonl", (asdict(line) for line in report.lines))
        counts = {
            "reviews": len(report.lines) + report.not_tried,
            **{name: report.count(name) for name in _OUTCOMES},
            "settled": report.settled,
            "not_tried": report.not_tried,
            "set_aside": report.set_aside(),
        }
        manifest = publication.publish({"kind": _KIND, **counts})
        (file,) = manifest["files"]
        filed = [line.review for line in report.lines if line.outcome == "filed"]
        return {**counts, "filed_reviews": filed[:_TOLD], "ledger": str(ledger.folder), "report": file["uri"]}

    def _judge(self, report: Report, max_failed: int, where: str) -> None:
        """Raise where too much was not filed: so that Airflow retries what a retry can help."""
        if report.fatal is not None:
            raise report.fatal
        refused, failed, doubt = (report.count(name) for name in ("refused", "failed", "in_doubt"))
        if refused + failed + doubt <= max_failed:
            return
        filed = report.count("filed")
        message = f"{filed} reviews were filed, {refused} refused, {failed} failed, {doubt} in doubt"
        told: dict[str, Any] = {"system": "Nmbrs", "conn_id": self.nmbrs_conn_id, "operation": _UPLOAD}
        if failed:
            raise VismaTransientError(
                message, advice=f"A retry files what failed and nothing twice; {where} tells why.", **told
            )
        if doubt:
            raise VismaUnknownOutcomeError(
                message,
                advice=f"Look in Nmbrs for the documents that {where} names as in doubt, then run with"
                f' settled {{"<review>": "{FILED}" or "{NOT_FILED}"}}.',
                **told,
            )
        raise VismaRequestError(
            message,
            advice=f"{where} tells why. Mend what is wrong and clear this task; later runs leave these alone"
            " unless retry_refused is on.",
            **told,
        )

    def _terms(self, nmbrs: NmbrsHook) -> Terms:
        given = self.document_type or nmbrs.settings.extra.get("document_type")
        try:
            document_type = str(uuid.UUID(str(given)))
        except ValueError:
            raise VismaConnectionConfigError(
                "the document type is not a GUID",
                system="Nmbrs",
                conn_id=self.nmbrs_conn_id,
                advice="Nmbrs has no list of them over SOAP: give the connection's document_type.",
            ) from None
        return Terms(
            document_type=document_type,
            max_bytes=self.max_bytes,
            states=tuple(self.user_states),
            allow_active=self.allow_active,
            allow_encrypted=self.allow_encrypted,
        )

    def _since(self) -> datetime | None:
        try:
            return read_moment(self.since) if self.since else None
        except ValueError:
            raise VismaRequestError("since is not a moment in ISO 8601") from None

    def _max_failed(self) -> int:
        if not str(self.max_failed).strip().isdecimal():
            raise VismaRequestError("max_failed must be a whole number, 0 or more")
        return int(self.max_failed)


def settled_reviews(values: Mapping[str, str] | str | None) -> dict[str, str]:
    """Return what a person found of reviews in doubt, by review.

    :raises VismaRequestError: it is something else than *filed* or *not filed*.
    """
    try:
        # Text is what a template makes of a parameter of the run.
        told = json.loads(values or "{}") if isinstance(values, str) else dict(values or {})
        if not set(told.values()) <= {FILED, NOT_FILED}:
            raise ValueError("no such finding")
        return {str(review): found for review, found in told.items()}
    except (ValueError, TypeError, AttributeError):
        raise VismaRequestError(f"settled takes reviews, each with {FILED!r} or {NOT_FILED!r}") from None


class _Copy:
    """A download, staged where a task that is told to end removes it.

    :param close: ends the writing.
    """

    def __init__(self, staged: StagedFile, close: Callable[[], None]) -> None:
        self._staged = staged
        self._close = close

    @property
    def size(self) -> int:
        return self._staged.size

    @property
    def sha256(self) -> str:
        return self._staged.sha256

    def write(self, chunk: bytes) -> None:
        try:
            self._staged.write(chunk)
        except OSError as error:
            raise VismaStorageError(
                f"a review's copy cannot be written ({type(error).__name__}: {error.strerror or 'failed'})",
                advice="Look whether the worker has room. What was filed stays filed.",
            ) from None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        self._close()
        with self._staged.path.open("rb") as file:
            yield file


@contextmanager
def _copy(copies: Publication) -> Iterator[_Copy]:
    staged = copies.stage("review.pdf")
    with ExitStack() as stack:
        stack.callback(_discard, copies, staged)
        writing = stack.enter_context(ExitStack())
        writing.enter_context(staged)
        yield _Copy(staged, writing.close)


def _discard(copies: Publication, staged: StagedFile) -> None:
    with suppress(FileNotFoundError):  # SIGTERM has removed it already
        copies.discard(staged)
