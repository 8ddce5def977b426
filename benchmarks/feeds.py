"""10,000 and 100,000 entries of an Atom feed to a parquet file: by our hook, by pandas, by a plain lxml loop.

The feed is the sandbox's own, of fifteen columns, and comes over HTTP from one server that has it ready. The
peers are told the columns and their types, which the hook finds out from the feed. What the three write is
compared first.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from benchmarks.readings import Read, compare, measure, serve_answers, serving
from visma_sandbox.client import start_sandbox

ROUNDS = {10_000: 5, 100_000: 3}
COMPARED = 10_000
REPORT = "RP7K2M9XW4H1TQZ"
PATH = f"/odata.svc/{REPORT}"
ATOM = "http://www.w3.org/2005/Atom"
DATA = "http://schemas.microsoft.com/ado/2007/08/dataservices"
METADATA = f"{DATA}/metadata"
COLUMNS = {
    "RowID": "integer",
    "ProjectID": "text",
    "ProjectNumber": "text",
    "ProjectName": "text",
    "CompanyName": "text",
    "UserID": "text",
    "UserName": "text",
    "Year": "integer",
    "Week": "integer",
    "WeekStart": "datetime",
    "Hours": "decimal",
    "Billable": "boolean",
    "Rate": "decimal",
    "Cost": "double",
    "UpdatedAt": "datetime",
}

ToParquet = Callable[[int, Path], int]
"""Reads so many entries into a folder, and returns how many it found."""


def serve() -> None:
    """Serve: `$top` is the number of entries."""
    most = max(ROUNDS)
    with start_sandbox(employees=500) as sandbox:
        sandbox.settings(orbit_report_rows=most)
        connection = sandbox.connections()["teamleader_orbit_reporting_default"]
        account = (str(connection["login"]), str(connection["password"]))
        feed = requests.get(f"{sandbox.url}{PATH}", auth=account, timeout=600).content
    ends = [found.end() for found in re.finditer(rb"</entry>", feed)]
    begin = feed.index(b"<entry>")
    assert len(ends) == most
    bodies = {
        size: feed[:begin] + feed[begin : ends[size - 1]] + feed[ends[-1] :]
        for size in (1, COMPARED, *ROUNDS)
    }
    serve_answers(lambda address: bodies[int(parse_qs(urlsplit(address).query)["$top"][0])])


def hook_writer(url: str) -> ToParquet:
    """Read with our hook, publish with our storage, as the operator does."""
    connection = {"conn_type": "teamleader_orbit_reporting", "host": url, "login": "a", "password": "b"}
    os.environ["AIRFLOW_CONN_TEAMLEADER_ORBIT_REPORTING_DEFAULT"] = json.dumps(
        {**connection, "extra": {"test_server": True}}
    )

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visma.feed_files import ColumnKinds, stage_feed
    from airflow_provider_visma.hooks.orbit_reporting import OrbitReportingHook
    from airflow_provider_visma.protocols.odata3 import FeedReader
    from airflow_provider_visma.storage import Publication

    hook = OrbitReportingHook()

    def write(entries: int, folder: Path) -> int:
        reader = FeedReader()
        with Publication(ObjectStoragePath(folder.as_uri())) as out:
            stage_feed(
                out,
                "rows.parquet",
                hook.rows(REPORT, query={"$top": entries}, reader=reader),
                file_format="parquet",
                kinds=ColumnKinds(lambda: reader.columns),
            )
            return int(out.publish({})["rows"])

    return write


def _schema() -> Any:
    import pyarrow

    types = {
        "text": pyarrow.string(),
        "integer": pyarrow.int64(),
        "decimal": pyarrow.decimal128(38, 18),
        "double": pyarrow.float64(),
        "boolean": pyarrow.bool_(),
        "datetime": pyarrow.timestamp("us"),
    }
    return pyarrow.schema([(column, types[kind]) for column, kind in COLUMNS.items()])


def pandas_writer(url: str) -> ToParquet:
    """Read with pandas.read_xml, the types given; write with pyarrow."""
    import pandas
    import pyarrow
    import pyarrow.parquet

    schema = _schema()
    dtypes: Any = {"text": "str", "decimal": "str", "integer": "int64", "double": "float64"}
    dtype = {column: dtypes[kind] for column, kind in COLUMNS.items() if kind in dtypes}
    moments = [column for column, kind in COLUMNS.items() if kind == "datetime"]

    def write(entries: int, folder: Path) -> int:
        body = requests.get(f"{url}{PATH}", params={"$top": entries}, timeout=600).content
        frame = pandas.read_xml(
            io.BytesIO(body),
            xpath="//m:properties",
            namespaces={"m": METADATA},
            dtype=dtype,
            parse_dates=moments,
        )
        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
        table = table.cast(schema, safe=False)  # it keeps the seventh digit of a second, as nobody else does
        pyarrow.parquet.write_table(table, folder / "rows.parquet", compression="zstd")
        return int(table.num_rows)

    return write


def lxml_writer(url: str) -> ToParquet:
    """Read with lxml's iterparse, entry by entry, write with pyarrow in batches."""
    import pyarrow
    import pyarrow.parquet
    from lxml import etree

    schema = _schema()
    convert: dict[str, Callable[[str], Any]] = {
        "text": str,
        "integer": int,
        "decimal": Decimal,
        "double": float,
        "boolean": "true".__eq__,
        "datetime": datetime.fromisoformat,
    }
    read = {f"{{{DATA}}}{column}": (column, convert[kind]) for column, kind in COLUMNS.items()}
    null = f"{{{METADATA}}}null"

    def write(entries: int, folder: Path) -> int:
        count = 0
        rows: list[dict[str, Any]] = []
        with (
            requests.get(f"{url}{PATH}", params={"$top": entries}, timeout=600, stream=True) as answer,
            pyarrow.parquet.ParquetWriter(folder / "rows.parquet", schema, compression="zstd") as file,
        ):
            for _, properties in etree.iterparse(answer.raw, tag=f"{{{METADATA}}}properties"):
                row = {}
                for element in properties:
                    column, converted = read[element.tag]
                    row[column] = None if element.get(null) == "true" else converted(element.text or "")
                rows.append(row)
                entry = properties.getparent().getparent()
                entry.clear()
                while entry.getprevious() is not None:
                    del entry.getparent()[0]
                if len(rows) == 5_000:
                    file.write_batch(pyarrow.RecordBatch.from_pylist(rows, schema=schema))
                    count += len(rows)
                    rows.clear()
            file.write_batch(pyarrow.RecordBatch.from_pylist(rows, schema=schema))
        return count + len(rows)

    return write


WRITERS = {"OrbitReportingHook": hook_writer, "pandas.read_xml": pandas_writer, "lxml iterparse": lxml_writer}


def _reader(write_to: Callable[[str], ToParquet]) -> Callable[[str], Read]:
    def reader(url: str) -> Read:
        write = write_to(url)

        def read(entries: int) -> int:
            with tempfile.TemporaryDirectory() as folder:
                return write(entries, Path(folder))

        return read

    return reader


READERS = {name: _reader(writer) for name, writer in WRITERS.items()}


def _check_equal() -> None:
    """Let all three write the same entries, and stop where they hold different rows."""
    import pyarrow.compute
    import pyarrow.parquet

    tables = {}
    with tempfile.TemporaryDirectory(prefix="visma-benchmark-") as home, serving("benchmarks.feeds") as url:
        for name in WRITERS:
            folder = Path(home) / name
            folder.mkdir()
            command = [sys.executable, "-m", "benchmarks.feeds", "write", name, url, str(folder)]
            subprocess.run(command, check=True, env={**os.environ, "AIRFLOW_HOME": home})
            tables[name] = pyarrow.parquet.read_table(folder / "rows.parquet").replace_schema_metadata(None)
    ours, pandas, loop = tables.values()
    assert ours.num_rows == COMPARED
    assert ours.equals(loop), "the lxml loop writes other rows"
    for number, field in enumerate(ours.schema):  # pandas takes an empty text for a null
        if field.type == pyarrow.string():
            column = ours.column(number)
            text = pyarrow.compute.if_else(pyarrow.compute.equal(column, ""), None, column)
            ours = ours.set_column(number, field, text)
    assert ours.equals(pandas), "pandas writes other rows"


def main() -> int:
    """Print medians; 1 when ours miss a goal."""
    print("Entries of an Atom feed over HTTP to parquet, one process per reading: median seconds, peak MiB")
    _check_equal()
    medians = compare("benchmarks.feeds", tuple(WRITERS), ROUNDS)
    met = [
        medians.judge("OrbitReportingHook", peer=peer, at=100_000, times=1, sizes=(10_000, 100_000), mib=20)
        for peer in ("pandas.read_xml", "lxml iterparse")
    ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["measure", name, url, entries]:
            print(measure(READERS, name, url, int(entries)))
        case ["write", name, url, folder]:
            WRITERS[name](url)(COMPARED, Path(folder))
        case _:
            raise SystemExit(main())
