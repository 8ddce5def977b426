"""10,000 and 100,000 hour entries of Severa to a parquet file: through the hook, and by plain zeep.

The answers are the sandbox's own, its entries repeated to the wanted number, and come over HTTP from one
server that has them ready.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import requests

from benchmarks.readings import Read, compare, measure, serve_answers
from visma_sandbox.client import start_sandbox

ROUNDS = {10_000: 5, 100_000: 1}
PATH = "/webservice/S3/API.svc"
NAMESPACE = "http://soap.severa.com/"
OPERATION = "GetHourEntriesByDate"
PERIOD: dict[str, Any] = {"startdate": "2000-01-01", "enddate": "2100-01-01"}


def serve() -> None:
    """Serve: the business unit's GUID is the number of entries."""
    with start_sandbox(employees=200) as sandbox:
        sandbox.settings(severa_hour_entries=10_000)
        wsdl = requests.get(f"{sandbox.url}{PATH}?wsdl", timeout=60).content
        answer = requests.post(
            f"{sandbox.url}{PATH}",
            data=_request(str(sandbox.connections()["severa_default"]["password"])),
            headers={"Content-Type": "text/xml", "SOAPAction": f'"{NAMESPACE}IHourEntry/{OPERATION}"'},
            timeout=60,
        ).text
    entries = re.findall(r"<a:HourEntry>.*?</a:HourEntry>", answer, re.DOTALL)
    head, tail = answer[: answer.index("<a:HourEntry>")], answer[answer.index(f"</{OPERATION}Result>") :]

    def of(size: int) -> bytes:
        whole, rest = divmod(size, len(entries))
        return f"{head}{''.join(entries) * whole}{''.join(entries[:rest])}{tail}".encode()

    bodies = {size: of(size) for size in (1, *ROUNDS)}

    def answer_of(request: str) -> bytes:
        unit = re.search(r"businessUnitGUID[^>]*>(\d+)<", request)
        assert unit is not None
        return bodies[int(unit[1])]

    serve_answers(lambda address: wsdl, answer_of)


def _request(key: str) -> bytes:
    period = "".join(f"<{name}>{day}</{name}>" for name, day in PERIOD.items())
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header>'
        f'<WebServicePassword xmlns="{NAMESPACE}">{key}</WebServicePassword></s:Header>'
        f'<s:Body><{OPERATION} xmlns="{NAMESPACE}">{period}</{OPERATION}></s:Body></s:Envelope>'
    ).encode()


def hook_reader(url: str) -> Read:
    """Read with our hook, publish with our storage."""
    connection = {"conn_type": "severa", "host": url, "password": "x"}
    os.environ["AIRFLOW_CONN_SEVERA_DEFAULT"] = json.dumps(connection)

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visma.hooks.severa import SeveraHook
    from airflow_provider_visma.row_files import stage_rows
    from airflow_provider_visma.storage import Publication

    hook = SeveraHook()
    columns = hook.columns("IHourEntry", OPERATION)

    def read(entries: int) -> int:
        with (
            tempfile.TemporaryDirectory() as folder,
            Publication(ObjectStoragePath(f"file://{folder}")) as out,
        ):
            rows = hook.rows("IHourEntry", OPERATION, businessUnitGUID=str(entries), **PERIOD)
            stage_rows(out, "rows.parquet", rows, file_format="parquet", columns=columns)
            return int(out.publish({})["rows"])

    return read


def zeep_reader(url: str) -> Read:
    """Read with zeep, write with pyarrow, as their documentation has it."""
    import pyarrow
    import pyarrow.parquet
    import zeep
    import zeep.helpers

    client: Any = zeep.Client(f"{url}{PATH}?wsdl")  # type: ignore[no-untyped-call]
    binding = next(name for name in client.wsdl.bindings if name.endswith("IHourEntry"))
    service = client.create_service(binding, f"{url}{PATH}")

    def read(entries: int) -> int:
        answer = service[OPERATION](businessUnitGUID=str(entries), **PERIOD)
        table = pyarrow.Table.from_pylist(zeep.helpers.serialize_object(answer, dict))  # type: ignore[no-untyped-call]
        with tempfile.TemporaryDirectory() as folder:
            pyarrow.parquet.write_table(table, Path(folder) / "rows.parquet", compression="zstd")
        return int(table.num_rows)

    return read


READERS = {"SeveraHook": hook_reader, "plain zeep": zeep_reader}


def main() -> int:
    """Print medians; 1 when ours miss a goal."""
    print("Hour entries over HTTP to parquet, one process per reading: median seconds, peak MiB")
    medians = compare("benchmarks.hours", tuple(READERS), ROUNDS)
    met = medians.judge("SeveraHook", peer="plain zeep", at=10_000, times=10, sizes=(10_000, 100_000), mib=20)
    return 0 if met else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["measure", name, url, entries]:
            print(measure(READERS, name, url, int(entries)))
        case _:
            raise SystemExit(main())
