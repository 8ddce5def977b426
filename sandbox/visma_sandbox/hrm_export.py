"""Writing an export: rows to CSV files, and the large synthetic one that downloads are measured with."""

from __future__ import annotations

import csv
import gzip
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import TextIO

from visma_sandbox.gzip_stream import repeated_gzip
from visma_sandbox.hrm_datasets import Row
from visma_sandbox.organisation import Organisation
from visma_sandbox.stored_files import Piece, StoredFile

_BLOCK_ROWS = 100_000
_BENCHMARK_HEADER = b"employeeid,formattedname,businessemailaddress,startdate,ptfactor,salaryhour,value\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderChange:
    """What the fault ``changed_header`` does to the columns.

    :param part: number of the only file it happens to; None for all.
    """

    rename: tuple[tuple[str, str], ...]
    remove: frozenset[str]
    add: tuple[str, ...]
    part: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """Everything that decides an export's bytes.

    :param columns: what each file holds, in order; the ``blanked`` ones of them without a value.
    :param after: only rows changed after this moment (or at it, with ``after_inclusive``).
    :param before: only rows changed before this moment (or at it, with ``before_inclusive``).
    :param duplicate_every: every so many rows, one is written twice; 0 for never.
    :param parts: into how many files the rows are dealt, one by one.
    """

    rows: Callable[[Organisation], Iterator[Row]]
    columns: tuple[str, ...]
    blanked: frozenset[str]
    after: datetime | None
    after_inclusive: bool
    before: datetime | None
    before_inclusive: bool
    parts: int
    header_only: bool
    duplicate_every: int
    bom: bool
    crlf: bool
    gzip: bool
    header_change: HeaderChange | None

    def wants(self, changed_at: datetime) -> bool:
        """Whether a row that changed then belongs to the export."""
        if self.after is not None:
            inside = changed_at >= self.after if self.after_inclusive else changed_at > self.after
            if not inside:
                return False
        if self.before is not None:
            return changed_at <= self.before if self.before_inclusive else changed_at < self.before
        return True


@dataclass(frozen=True, slots=True)
class ExportPart:
    """One file of an export, and its gzip form when the plan asked for one."""

    plain: StoredFile
    gzipped: StoredFile | None


@dataclass(frozen=True, slots=True)
class Export:
    """The files of a job."""

    parts: tuple[ExportPart, ...]
    rows: int


def write_export(plan: ExportPlan, organisation: Organisation, folder: Path) -> Export:
    """Write the files of a plan; meant to run in a thread.

    :param folder: of the sandbox, which is removed with it.
    """
    names = [folder / f"{token_hex(8)}.csv" for _ in range(plan.parts)]
    count = 0
    with ExitStack() as stack:
        writers = [
            _PartWriter(stack.enter_context(_opened(name, plan)), _header(plan, part), plan.crlf)
            for part, name in enumerate(names)
        ]
        for row in _repeated(plan, organisation):
            writers[count % plan.parts].write(row.values)
            count += 1
    return Export(tuple(_stored(name, plan) for name in names), count)


def _repeated(plan: ExportPlan, organisation: Organisation) -> Iterator[Row]:
    if plan.header_only or not plan.parts:
        return
    wanted = (row for row in plan.rows(organisation) if plan.wants(row.changed_at))
    for number, row in enumerate(wanted, start=1):
        yield row
        if plan.duplicate_every and number % plan.duplicate_every == 0:
            yield row


def _opened(name: Path, plan: ExportPlan) -> TextIO:
    encoding = "utf-8-sig" if plan.bom else "utf-8"
    # newline="" and the writer's own line ends: a line break inside a value must stay as it is.
    return name.open("w", encoding=encoding, newline="", buffering=1 << 16)


class _PartWriter:
    """Writes one file.

    :param columns: name shown in the header, and the name the rows know the value by.
    """

    def __init__(self, file: TextIO, columns: list[tuple[str, str]], crlf: bool) -> None:
        self._csv = csv.writer(file, lineterminator="\r\n" if crlf else "\n")
        self._csv.writerow(shown for shown, _ in columns)
        self._sources = [source for _, source in columns]

    def write(self, values: Mapping[str, str]) -> None:
        self._csv.writerow([values.get(source, "") for source in self._sources])


def _header(plan: ExportPlan, part: int) -> list[tuple[str, str]]:
    columns = [(column, "" if column in plan.blanked else column) for column in plan.columns]
    change = plan.header_change
    if change is None or change.part not in (None, part):
        return columns
    renamed = dict(change.rename)
    kept = [(renamed.get(shown, shown), source) for shown, source in columns if shown not in change.remove]
    return kept + [(name, name) for name in change.add]


def _stored(name: Path, plan: ExportPlan) -> ExportPart:
    plain = _whole(name)
    if not plan.gzip:
        return ExportPart(plain, None)
    packed = name.with_suffix(".csv.gz")
    with name.open("rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target)
    return ExportPart(plain, _whole(packed))


def _whole(name: Path) -> StoredFile:
    return StoredFile(name, (Piece(0, name.stat().st_size),), token_hex(8))


def write_benchmark(size: int, parts: int, folder: Path, *, packed: bool) -> Export:
    """Write an export of about ``size`` bytes; on disk it takes one block, whatever the size.

    :param packed: also offer it as gzip, compressed once per block.
    """
    rows = b"".join(
        b"%d,Testpersoon %06d,test.%d@example.com,2020-01-01,0.8000,%d.50,%d\n"
        % (500_003 + 3 * number, number, number, 15 + number % 40, number * 7919 % 1000)
        for number in range(100_000, 100_000 + _BLOCK_ROWS)
    )
    times = max(1, size // max(1, parts) // len(rows))
    name = folder / f"{token_hex(8)}.csv"
    name.write_bytes(_BENCHMARK_HEADER + rows)
    plain = _in_pieces(name, len(_BENCHMARK_HEADER), len(rows), times)
    gzipped = None
    if packed:
        member = repeated_gzip(head=_BENCHMARK_HEADER, block=rows, times=times, tail=b"")
        name = name.with_suffix(".csv.gz")
        name.write_bytes(member.head + member.block + member.tail)
        gzipped = _in_pieces(name, len(member.head), len(member.block), times, tail=len(member.tail))
    return Export((ExportPart(plain, gzipped),) * parts, times * parts * _BLOCK_ROWS)


def _in_pieces(name: Path, head: int, block: int, times: int, *, tail: int = 0) -> StoredFile:
    pieces = (Piece(0, head), Piece(head, block, times), Piece(head + block, tail))
    return StoredFile(name, pieces, token_hex(8))
