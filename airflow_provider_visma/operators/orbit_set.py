"""Rows from a file to a ``set`` of Orbit: all checked before the first is sent, and none made twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.operators._row_upload import RowUploadOperator
from airflow_provider_visma.operators.base import check_mappings
from airflow_provider_visma.orbit_set.rows import RowChecker
from airflow_provider_visma.orbit_set.upload import OrbitUpload

if TYPE_CHECKING:
    from airflow_provider_visma.hooks.orbit import OrbitHook
    from airflow_provider_visma.upload_ledger.ledger import Ledger
    from airflow_provider_visma.upload_ledger.rows import Members
    from airflow_provider_visma.upload_ledger.upload import RowUpload

_RESOURCE = re.compile(r"[a-z][a-z0-9_]{0,60}", re.ASCII)


class OrbitSetOperator(RowUploadOperator):
    """Send the rows of a file to ``<resource>.set`` of Orbit: with an id it changes, without one it makes.

    Columns are named as the fields. What a row leaves empty is left out, so that nothing is emptied in Orbit.
    All rows are checked before the first is sent; an id may come once in a file.

    The ledger keeps, for each file by its SHA-256, which rows were accepted: a retry and the same file again
    send only what was not. A row that Orbit rejects goes to ``result/rejected.csv`` (or ``.jsonl``) in the
    ledger; correct *that* file and upload it. Clearing the task after it ended sends the rejected rows again.

    A row with an id that got no answer is sent again. One without is looked up by ``look_up_by``; where that
    is not given the task fails and tells which rows a person has to look for.

    :param path: the file, any address that ObjectStoragePath takes. (templated)
    :param ledger: folder for ledgers and error files; it holds what the files say. (templated)
    :param resource: e.g. ``companies``. (templated)
    :param file_format: ``csv``, ``jsonl`` or ``parquet``; by the file's suffix where None. (templated)
    :param columns: field by column of the file, None to ignore a column. (templated)
    :param defaults: values of fields that a row without an id leaves empty. (templated)
    :param types: kind by field (``text``, ``number``, ``whole``, ``boolean``, ``date``, ``list``, ``any``),
        for fields that ``orbit_set/fields.py`` does not have. (templated)
    :param required: fields that no row without an id may leave empty. (templated)
    :param look_up_by: a field that no two rows of the resource share, e.g. ``extfincode``. The resource's
        list is then read before rows are made: one whose value is there already is rejected. (templated)
    :param batch_size: how many rows the ledger notes at a time.
    :param max_rejected: how many rows may be rejected before the task fails, after all others were sent.
        (templated)
    :param settle_time: how long the service may go on working on a request that got no answer.
    :param settled: what a person found of rows in doubt: id of what the row became, None where it is not
        there; a JSON object as text does too. (templated)
    :param take_over: take the ledger from an owner of which Airflow knows nothing. (templated)
    :param staging_dir: directory on the worker with room for the file, where the ledger is not local.
    :param orbit_conn_id: a connection of type ``teamleader_orbit``.
    :return: counts, and the addresses of ledger and error file.
    """

    system = "Teamleader Orbit"
    kind = "orbit-set"
    template_fields: Sequence[str] = (
        *RowUploadOperator.template_fields,
        "resource",
        "types",
        "required",
        "look_up_by",
    )

    def __init__(
        self,
        *,
        path: str,
        ledger: str,
        resource: str,
        file_format: str | None = None,
        columns: Mapping[str, str | None] | None = None,
        defaults: Mapping[str, Any] | None = None,
        types: Mapping[str, str] | None = None,
        required: Sequence[str] = (),
        look_up_by: str | None = None,
        batch_size: int = 25,
        max_rejected: int | str = 0,
        settle_time: timedelta = timedelta(minutes=1),
        settled: Mapping[int | str, str | None] | str | None = None,
        take_over: bool | str = False,
        staging_dir: str | None = None,
        orbit_conn_id: str = "teamleader_orbit_default",
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
        self.resource = resource
        self.types = types
        self.required = required
        self.look_up_by = look_up_by
        self.orbit_conn_id = orbit_conn_id

    @property
    def operation(self) -> str:
        """The service's operation that takes a row."""
        return f"{self.resource}.set"

    @property
    def conn_id(self) -> str:
        """The connection."""
        return self.orbit_conn_id

    @cached_property
    def _hook(self) -> OrbitHook:
        from airflow_provider_visma.hooks.orbit import OrbitHook

        return OrbitHook(self.orbit_conn_id)

    def _checker(self) -> RowChecker:
        return RowChecker(
            self.resource,
            columns=self.columns,
            defaults=self.defaults,
            types=self.types,
            required=self.required,
            look_up_by=self.look_up_by,
        )

    def _header(self) -> dict[str, Any]:
        return {
            "service": self._hook.settings.connection.base_url,
            "resource": self.resource,
            "types": dict(self.types or {}),
        }

    def _row_upload(self, ledger: Ledger, arguments: Mapping[str, Any]) -> RowUpload:
        from airflow_provider_visma.hooks._retrying import retrying

        return OrbitUpload(
            _ResourceRows(self._hook, self.resource),
            ledger,
            operation=self.operation,
            look_up_by=self.look_up_by,
            patiently=retrying(sleep=self._sleep),
            **arguments,
        )

    def _upload(self, ledger: Ledger, copy: Any) -> dict[str, Any]:
        with self._hook:
            return super()._upload(ledger, copy)

    def _check_arguments(self) -> None:
        if not _RESOURCE.fullmatch(str(self.resource)):
            raise VismaRequestError(f"{str(self.resource)[:80]!r} is no resource; write it like companies")
        check_mappings(types=self.types)
        if isinstance(self.required, str):
            raise VismaRequestError("required is a text and no list of fields")
        super()._check_arguments()


class _ResourceRows:
    """A resource, as an upload needs it."""

    def __init__(self, hook: OrbitHook, resource: str) -> None:
        self._hook = hook
        self._resource = resource

    def set(self, body: Members) -> Any:
        """Call ``set`` once and return the answer."""
        return self._hook.call(f"{self._resource}.set", body)

    def all(self) -> Iterable[Mapping[str, Any]]:
        """Return all rows of the resource."""
        return self._hook.rows(self._resource)
