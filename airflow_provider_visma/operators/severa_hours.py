"""Working hours from a file to Severa: each row checked before the first is sent, and none sent twice.

XCom and logs hold counts and addresses; what the file says of people stays in the file, in the error file
beside the ledger, and in Severa.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import VismaError, VismaRequestError, VismaStorageError
from airflow_provider_visma.hour_entries.ledger import Ledger
from airflow_provider_visma.hour_entries.rows import REJECTED_COLUMNS, Problem, RowChecker
from airflow_provider_visma.hour_entries.upload import Upload, open_rows
from airflow_provider_visma.operators._severa_hours import (
    SeveraHourEntries,
    as_written,
    asking_airflow,
    copied,
    csv_line,
    finished_until,
    is_true,
    owner_of,
    settled_rows,
)
from airflow_provider_visma.operators.base import VismaOperator
from airflow_provider_visma.storage import Publication

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_visma.hooks.severa import SeveraHook
    from airflow_provider_visma.hour_entries.rows import Members
    from airflow_provider_visma.staged_file import StagedFile

_KIND = "severa-hour-entries"
_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_SHOWN = 100


class SeveraHourEntriesOperator(VismaOperator):
    """Add the rows of a file to Severa as hour entries, with ``IHourEntry.AddNewHourEntry``.

    Columns are named as the members of HourEntry. Every row needs EventDate, Quantity, UserGUID,
    WorkTypeGUID, IsBillable, and PhaseGUID or CaseGUID. All rows are checked before the first is sent.

    The ledger keeps, for each file by its SHA-256, which rows were accepted: a retry and the same file
    again send only what was not. A row that Severa rejects goes to ``result/rejected.csv`` (or
    ``.jsonl``) in the ledger; correct *that* file and upload it, since a corrected copy of the whole file
    is a new file. Clearing the task after it ended sends the rejected rows again.

    :param path: the file, any address that ObjectStoragePath takes. (templated)
    :param ledger: folder for ledgers and error files; it holds what the files say of people. (templated)
    :param file_format: ``csv``, ``jsonl`` or ``parquet``; by the file's suffix where None. (templated)
    :param columns: member by column of the file, None to ignore a column. (templated)
    :param defaults: values of members that a row leaves empty, e.g. ``{"IsBillable": True}``. (templated)
    :param batch_size: how many rows the ledger notes at a time. Before each batch there is one call per
        user in it, so a file sorted by user costs least.
    :param max_rejected: how many rows Severa may reject before the task fails, after all others were
        sent. (templated)
    :param in_doubt: what to do about a row that was sent and got no answer: ``ask`` Severa whether it has
        it, or ``fail`` at once. (templated)
    :param settle_time: how long the service may go on working on a request that got no answer.
    :param settled: what a person found of rows in doubt: GUID of the entry by row, None where there is
        none; a JSON object as text does too. (templated)
    :param take_over: take the ledger from an owner of which Airflow knows nothing. (templated)
    :param staging_dir: directory on the worker with room for the file, where the ledger is not local.
    :param severa_conn_id: a connection of type ``severa``.
    :return: counts, and the addresses of ledger and error file.
    """

    template_fields: Sequence[str] = (
        "path",
        "ledger",
        "file_format",
        "columns",
        "defaults",
        "max_rejected",
        "in_doubt",
        "settled",
        "take_over",
    )

    def __init__(
        self,
        *,
        path: str,
        ledger: str,
        file_format: str | None = None,
        columns: Mapping[str, str | None] | None = None,
        defaults: Mapping[str, Any] | None = None,
        batch_size: int = 25,
        max_rejected: int | str = 0,
        in_doubt: Literal["ask", "fail"] | str = "ask",
        settle_time: timedelta = timedelta(minutes=1),
        settled: Mapping[int | str, str | None] | str | None = None,
        take_over: bool | str = False,
        staging_dir: str | None = None,
        severa_conn_id: str = "severa_default",
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
        self.in_doubt = in_doubt
        self.settle_time = settle_time
        self.settled = settled
        self.take_over = take_over
        self.staging_dir = staging_dir
        self.severa_conn_id = severa_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Check all rows, then send those that the ledger has not."""
        from airflow_provider_visma.hooks.severa import SeveraHook

        self._check_arguments()
        hook = SeveraHook(self.severa_conn_id)
        root = ObjectStoragePath(self.ledger)
        with self._publication(root) as staging:
            # A copy: whoever writes the file again meanwhile does not change what is sent.
            copy = copied(staging, ObjectStoragePath(self.path))
            ledger = Ledger(root / copy.sha256)
            ledger.claim(
                owner_of(context), is_over=asking_airflow(context), take_over=is_true(self.take_over)
            )
            try:
                return self._upload(hook, ledger, copy)
            finally:
                _release(ledger)

    def _upload(self, hook: SeveraHook, ledger: Ledger, copy: StagedFile) -> dict[str, Any]:
        header = {
            "columns": dict(self.columns or {}),
            "defaults": json.loads(json.dumps(dict(self.defaults or {}), default=str)),
            "file_format": self._format,
            "service": hook.settings.base_url,
        }
        ledger.check_header(header)
        ledger.load(retry_rejected_until=finished_until(ledger.folder / "result"))
        rows, doubtful = self._checked(copy, ledger)
        ledger.store_header(header)
        upload = Upload(
            SeveraHourEntries(hook),
            ledger,
            batch_size=self.batch_size,
            ask=self.in_doubt == "ask",
            settle_seconds=self.settle_time.total_seconds(),
            sleep=self._sleep,
            log=self.log,
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
                system="Severa",
                conn_id=self.severa_conn_id,
                operation="IHourEntry.AddNewHourEntry",
                advice=f"{result['rejected_file']} tells why; correct that file and upload it, or mend what"
                " is wrong in Severa and clear this task.",
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

    def _checker(self) -> RowChecker:
        return RowChecker(columns=self.columns, defaults=self.defaults, same_columns=self._format != "jsonl")

    def _rows(self, copy: StagedFile) -> Iterator[tuple[int, dict[str, Any]]]:
        from airflow_provider_visma.row_files import read_rows

        try:
            yield from enumerate(read_rows(ObjectStoragePath(f"file://{copy.path}"), self._format), 1)
        except VismaRequestError as error:
            if not copy.path.exists():
                # SIGTERM removes it; its exception is lost where it is raised in a destructor.
                raise VismaStorageError(
                    "the private copy of the file is gone, as it is when a task is told to end",
                    system="Severa",
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
            publication.publish({"kind": f"{_KIND}-problems", "file": self.path, "problems": wrong})
        shown = "; ".join(map(str, first))
        more = f"; and {wrong - len(first)} more" if wrong > len(first) else ""
        return VismaRequestError(
            f"the file cannot be uploaded: {shown}{more}",
            system="Severa",
            conn_id=self.severa_conn_id,
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
                    "kind": _KIND,
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
            # The service's own words come first: who corrects hours knows no classes of errors.
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
        if self.in_doubt not in ("ask", "fail"):
            raise VismaRequestError(f"in_doubt is ask or fail, not {self.in_doubt!r:.20}")
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
