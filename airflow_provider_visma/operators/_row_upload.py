"""What every upload of a file of rows does: all checked before the first is sent, and none sent twice.

XCom and logs hold counts and addresses; what the file says stays in the file, in the error file beside the
ledger, and in the service.
"""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import VismaError, VismaRequestError, VismaStorageError
from airflow_provider_visma.operators._ledger_owner import asking_airflow, owner_of
from airflow_provider_visma.operators._uploaded_file import (
    as_written,
    copied,
    csv_line,
    finished_until,
    settled_rows,
)
from airflow_provider_visma.operators.base import VismaOperator, check_mappings, is_true, named_errors
from airflow_provider_visma.storage import Publication, place
from airflow_provider_visma.upload_ledger.ledger import Ledger
from airflow_provider_visma.upload_ledger.rows import REJECTED_COLUMNS, Problem
from airflow_provider_visma.upload_ledger.upload import open_rows

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_visma.staged_file import StagedFile
    from airflow_provider_visma.upload_ledger.rows import Members
    from airflow_provider_visma.upload_ledger.upload import RowUpload

_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_SHOWN = 100


class Checker(Protocol):
    """Turns rows into members, row after row."""

    def check(self, number: int, row: Mapping[str, Any]) -> tuple[Members, list[Problem]]:
        """Return the members of a row, and what is wrong with it: usable only where that is nothing."""


class RowUploadOperator(VismaOperator):
    """Upload the rows of a file, each at most once.

    :param conn_id: the connection, for messages.
    """

    #: As users know it.
    system: ClassVar[str]
    #: Of the results, in their manifest.
    kind: ClassVar[str]

    def __init__(
        self,
        *,
        path: str,
        ledger: str,
        file_format: str | None,
        columns: Mapping[str, str | None] | None,
        defaults: Mapping[str, Any] | None,
        batch_size: int,
        max_rejected: int | str,
        settle_time: timedelta,
        settled: Mapping[int | str, str | None] | str | None,
        take_over: bool | str,
        staging_dir: str | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.ledger = ledger
        self.file_format = file_format
        self.columns = columns
        self.defaults = defaults
        self.batch_size = batch_size
        self.max_rejected = max_rejected
        self.settle_time = settle_time
        self.settled = settled
        self.take_over = take_over
        self.staging_dir = staging_dir

    template_fields: Sequence[str] = (
        "path",
        "ledger",
        "file_format",
        "columns",
        "defaults",
        "max_rejected",
        "settled",
        "take_over",
    )

    # What a service is like

    @property
    @abstractmethod
    def operation(self) -> str:
        """The service's operation that takes a row."""

    @property
    @abstractmethod
    def conn_id(self) -> str:
        """The connection."""

    @abstractmethod
    def _checker(self) -> Checker:
        """Return a new checker of rows.

        :raises VismaRequestError: the operator's arguments are unusable.
        """

    @abstractmethod
    def _header(self) -> dict[str, Any]:
        """Return what the upload is: a file that was uploaded as something else is refused."""

    @abstractmethod
    def _row_upload(self, ledger: Ledger, arguments: Mapping[str, Any]) -> RowUpload:
        """Return one try, of which *arguments* say how."""

    # What is done with every one

    def execute(self, context: Context) -> dict[str, Any]:
        """Check all rows, then send those that the ledger has not."""
        with named_errors(system=self.system, conn_id=self.conn_id, operation=self.operation):
            return self._execute(context)

    def _execute(self, context: Context) -> dict[str, Any]:
        self._check_arguments()
        root, source = place(self.ledger), place(self.path)
        with self._publication(root) as staging:
            # A copy: whoever writes the file again meanwhile does not change what is sent.
            copy = copied(staging, source, system=self.system)
            ledger = Ledger(root / copy.sha256, system=self.system)
            ledger.claim(
                owner_of(context), is_over=asking_airflow(context), take_over=is_true(self.take_over)
            )
            try:
                return self._upload(ledger, copy)
            finally:
                _release(ledger)

    def _upload(self, ledger: Ledger, copy: StagedFile) -> dict[str, Any]:
        header = {
            "columns": dict(self.columns or {}),
            "defaults": json.loads(json.dumps(dict(self.defaults or {}), default=str)),
            "file_format": self._format,
            **self._header(),
        }
        ledger.check_header(header)
        ledger.load(retry_rejected_until=finished_until(ledger.folder / "result"))
        rows, doubtful = self._checked(copy, ledger)
        ledger.store_header(header)
        upload = self._row_upload(
            ledger,
            {
                "batch_size": self.batch_size,
                "settle_seconds": self.settle_time.total_seconds(),
                "sleep": self._sleep,
                "log": self.log,
            },
        )
        upload.settle_earlier(doubtful, told=settled_rows(self.settled))
        self.log.info("Checked all rows", rows=rows, accepted_before=ledger.accepted)
        upload.send(open_rows(self._members(copy), ledger))
        result = self._publish(ledger, copy, rows=rows)
        self.log.info("Uploaded", **result)
        if (rejected := result["rejected"]) > int(self.max_rejected):
            raise VismaRequestError(
                f"{rejected} of {rows} rows were rejected, {result['accepted']} accepted;"
                f" {int(self.max_rejected)} may be rejected",
                system=self.system,
                conn_id=self.conn_id,
                operation=self.operation,
                advice=f"{result['rejected_file']} tells why; correct that file and upload it, or mend what"
                f" is wrong in {self.system} and clear this task.",
            )
        return {**result, "sent": upload.sent}

    # Reading the file

    @property
    def _format(self) -> str:
        suffix = PurePosixPath(self.path).suffix.lower()
        file_format = self.file_format or _FORMATS.get(suffix)
        if file_format not in _FORMATS.values():
            raise VismaRequestError(
                f"{self.file_format or suffix or 'no suffix'!r} is not a file format of rows",
                advice="Give file_format: csv, jsonl or parquet.",
            )
        return str(file_format)

    def _rows(self, copy: StagedFile) -> Iterator[tuple[int, dict[str, Any]]]:
        from airflow_provider_visma.row_files import read_rows

        try:
            yield from enumerate(read_rows(ObjectStoragePath(f"file://{copy.path}"), self._format), 1)
        except VismaRequestError as error:
            if not copy.path.exists():
                # SIGTERM removes it; its exception is lost where it is raised in a destructor.
                raise VismaStorageError(
                    "the private copy of the file is gone, as it is when a task is told to end",
                    system=self.system,
                    operation=self.path,
                    advice="A retry goes on where the ledger ends.",
                ) from None
            error.operation = self.path  # and not its copy's
            raise

    def _members(self, copy: StagedFile) -> Iterator[tuple[int, Members]]:
        checker = self._checker()
        return ((number, checker.check(number, row)[0]) for number, row in self._rows(copy))

    def _checked(self, copy: StagedFile, ledger: Ledger) -> tuple[int, dict[int, Members]]:
        """Check every row; return how many there are, and those in doubt."""
        checker = self._checker()
        count, wrong, first = 0, 0, list[Problem]()
        doubtful: dict[int, Members] = {}
        for number, row in self._rows(copy):
            members, problems = checker.check(number, row)
            count = number
            wrong += len(problems)
            first += problems[: _SHOWN - len(first)]
            if number in ledger.in_doubt:
                doubtful[number] = members
        if wrong:
            raise self._unusable(ledger, copy, wrong=wrong, first=first)
        return count, doubtful

    def _unusable(
        self, ledger: Ledger, copy: StagedFile, *, wrong: int, first: list[Problem]
    ) -> VismaRequestError:
        checker = self._checker()
        with self._publication(ledger.folder / "problems") as publication:
            with publication.stage("problems.csv") as report:
                report.write(csv_line(("row", "column", "problem")))
                for number, row in self._rows(copy):
                    for problem in checker.check(number, row)[1]:
                        report.write(csv_line((problem.row, problem.column, problem.rule)))
            publication.publish({"kind": f"{self.kind}-problems", "file": self.path, "problems": wrong})
        shown = "; ".join(map(str, first))
        more = f"; and {wrong - len(first)} more" if wrong > len(first) else ""
        return VismaRequestError(
            f"the file cannot be uploaded: {shown}{more}",
            system=self.system,
            conn_id=self.conn_id,
            operation=self.path,
            advice=f"Nothing was sent. {ledger.folder / 'problems' / 'problems.csv'} lists all of it; row 1 "
            "is the first after the header.",
        )

    # Results

    def _publish(self, ledger: Ledger, copy: StagedFile, *, rows: int) -> dict[str, Any]:
        folder = ledger.folder / "result"
        rejected_file = None
        with self._publication(folder) as publication:
            if ledger.rejected:
                name = "rejected.csv" if self._format == "csv" else "rejected.jsonl"
                with publication.stage(name) as staged:
                    self._write_rejected(staged, ledger, copy)
                rejected_file = str(folder / name)
            counts = {"rows": rows, "accepted": ledger.accepted, "rejected": len(ledger.rejected)}
            publication.publish(
                {
                    "kind": self.kind,
                    "file": self.path,
                    "sha256": copy.sha256,
                    "last_batch": ledger.last_batch,
                    **counts,
                }
            )
        return {**counts, "ledger": str(ledger.folder), "rejected_file": rejected_file}

    def _write_rejected(self, staged: StagedFile, ledger: Ledger, copy: StagedFile) -> None:
        as_csv = self._format == "csv"
        staged.rows = 0
        for number, row in self._rows(copy):
            if (rejection := ledger.rejected.get(number)) is None:
                continue
            # The service's own words come first: who corrects the rows knows no classes of errors.
            why = (rejection.reason or rejection.error, rejection.code or rejection.error)
            told = dict(zip(REJECTED_COLUMNS, (number, *why), strict=True))
            if as_csv and not staged.rows:
                staged.write(csv_line([*(name for name in row if name not in told), *told]))
            whole = {**{name: value for name, value in row.items() if name not in told}, **told}
            staged.write(
                csv_line(whole.values())
                if as_csv
                else json.dumps(whole, ensure_ascii=False, default=as_written).encode() + b"\n"
            )
            staged.rows += 1

    def _publication(self, folder: ObjectStoragePath) -> Publication:
        return Publication(folder, staging_dir=Path(self.staging_dir) if self.staging_dir else None)

    def _check_arguments(self) -> None:
        check_mappings(columns=self.columns, defaults=self.defaults)
        if self.batch_size < 1:
            raise VismaRequestError("batch_size must be at least 1")
        if not str(self.max_rejected).strip().isdecimal():
            raise VismaRequestError("max_rejected must be a whole number, 0 or more")
        self._checker()
        settled_rows(self.settled)

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # only after a row got no answer, so that the service can end what it began


def _release(ledger: Ledger) -> None:
    # Where this fails, Airflow's state of the task tells it, as after a kill.
    with suppress(VismaError):
        ledger.release()
