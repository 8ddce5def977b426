"""Hours from a file to Severa: all rows checked before the first is sent, and none sent twice.

XCom and logs hold counts and addresses; what the file says of people stays in the file, in the error file
beside the ledger, and in Severa.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.hour_entries.rows import RowChecker
from airflow_provider_visma.hour_entries.upload import Upload
from airflow_provider_visma.operators._row_upload import RowUploadOperator
from airflow_provider_visma.operators._severa_hours import SeveraHourEntries

if TYPE_CHECKING:
    from airflow_provider_visma.hooks.severa import SeveraHook
    from airflow_provider_visma.upload_ledger.ledger import Ledger
    from airflow_provider_visma.upload_ledger.upload import RowUpload


class SeveraHourEntriesOperator(RowUploadOperator):
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

    system = "Severa"
    kind = "severa-hour-entries"
    template_fields: Sequence[str] = (*RowUploadOperator.template_fields, "in_doubt")

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
        super().__init__(
            path=path,
            ledger=ledger,
            file_format=file_format,
            columns=columns,
            defaults=defaults,
            batch_size=batch_size,
            max_rejected=max_rejected,
            settle_time=settle_time,
            settled=settled,
            take_over=take_over,
            staging_dir=staging_dir,
            **kwargs,
        )
        self.in_doubt = in_doubt
        self.severa_conn_id = severa_conn_id

    @property
    def operation(self) -> str:
        """The service's operation that takes a row."""
        return "IHourEntry.AddNewHourEntry"

    @property
    def conn_id(self) -> str:
        """The connection."""
        return self.severa_conn_id

    @cached_property
    def _hook(self) -> SeveraHook:
        from airflow_provider_visma.hooks.severa import SeveraHook

        return SeveraHook(self.severa_conn_id)

    def _checker(self) -> RowChecker:
        return RowChecker(columns=self.columns, defaults=self.defaults, same_columns=self._format != "jsonl")

    def _header(self) -> dict[str, Any]:
        return {"service": self._hook.settings.base_url}

    def _row_upload(self, ledger: Ledger, arguments: Mapping[str, Any]) -> RowUpload:
        return Upload(SeveraHourEntries(self._hook), ledger, ask=self.in_doubt == "ask", **arguments)

    def _check_arguments(self) -> None:
        if self.in_doubt not in ("ask", "fail"):
            raise VismaRequestError(f"in_doubt is ask or fail, not {self.in_doubt!r:.20}")
        super()._check_arguments()
