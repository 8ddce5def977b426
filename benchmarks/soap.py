"""PersonalInfo of 1,000, 10,000 and 50,000 employees: through the hook, by plain zeep, by lxml alone.

The answers are the sandbox's own, its items repeated to the wanted number, and come over HTTP from one
server that has them ready, so that only the reader is measured. Each reading happens in a process of
its own, after a warm-up with one employee, as it does in a task.
"""

from __future__ import annotations

import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from visma_sandbox.client import start_sandbox

SIZES = (1_000, 10_000, 50_000)
ROUNDS = {1_000: 5, 10_000: 5, 50_000: 1}
GOAL_SIZE = 10_000
GOAL_TIMES = 12.0
GOAL_GROWTH_MIB = 20.0
SERVICE = "EmployeeService"
OPERATION = "PersonalInfo_GetAll_AllEmployeesByCompany"
PATH = f"/soap/v3/{SERVICE}.asmx"
NAMESPACE = f"https://api.nmbrs.nl/soap/v3/{SERVICE}"


class Answers:
    """The WSDL and an answer of any size, recorded from a sandbox."""

    def __init__(self) -> None:
        with start_sandbox(employees=1_000) as sandbox:
            connection = sandbox.connections()["nmbrs_default"]
            self.wsdl = requests.get(f"{sandbox.url}{PATH}?WSDL", timeout=60).content
            answer = requests.post(
                f"{sandbox.url}{PATH}",
                data=_request(connection, company_id=71001),
                headers={"Content-Type": "text/xml", "SOAPAction": f'"{NAMESPACE}/{OPERATION}"'},
                timeout=60,
            ).text
        self._items = re.findall(r"<PersonalInfoItem>.*?</PersonalInfoItem>", answer, re.DOTALL)
        self._head = answer[: answer.index("<PersonalInfoItem")]
        self._tail = answer[answer.index(f"</{OPERATION}Result>") :]

    def of(self, employees: int) -> bytes:
        """Return an answer of so many employees."""
        whole, rest = divmod(employees, len(self._items))
        items = "".join(self._items) * whole + "".join(self._items[:rest])
        return f"{self._head}{items}{self._tail}".encode()


def _request(connection: dict[str, object], *, company_id: int) -> bytes:
    login = f"<Username>{connection['login']}</Username><Token>{connection['password']}</Token>"
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header>'
        f'<AuthHeaderWithDomain xmlns="{NAMESPACE}">{login}<Domain>sandbox</Domain></AuthHeaderWithDomain>'
        f'</s:Header><s:Body><{OPERATION} xmlns="{NAMESPACE}"><CompanyID>{company_id}</CompanyID>'
        f"</{OPERATION}></s:Body></s:Envelope>"
    ).encode()


def serve() -> None:
    """Serve: the company's id is the number of its employees."""
    answers = Answers()
    bodies = {size: answers.of(size) for size in (1, *SIZES)}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(answers.wsdl)

        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"])).decode()
            company_id = re.search(r"CompanyID>(\d+)<", request)
            assert company_id is not None
            self._answer(bodies[int(company_id[1])])

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/xml; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


def hook_reader(url: str) -> Callable[[int], int]:
    """Read with our hook."""
    connection = {"conn_type": "nmbrs", "host": url, "login": "a@example.com", "password": "x"}
    os.environ["AIRFLOW_CONN_NMBRS_DEFAULT"] = json.dumps({**connection, "extra": {"domain": "sandbox"}})

    from airflow_provider_visma.hooks.nmbrs import NmbrsHook

    hook = NmbrsHook()
    return lambda employees: sum(1 for _ in hook.personal_info(employees))


def zeep_reader(url: str) -> Callable[[int], int]:
    """Read with zeep as its documentation has it."""
    import zeep

    client: Any = zeep.Client(f"{url}{PATH}?WSDL")  # type: ignore[no-untyped-call]
    service = client.create_service(next(iter(client.wsdl.bindings)), f"{url}{PATH}")
    header = {"AuthHeaderWithDomain": {"Username": "a@example.com", "Token": "x", "Domain": "sandbox"}}
    return lambda employees: len(service[OPERATION](CompanyID=employees, _soapheaders=header))


def lxml_reader(url: str) -> Callable[[int], int]:
    """Read the whole body with lxml, and four fields of it."""
    from lxml import etree

    names = ("Nickname", "LastName", "EmailWork")

    def read(employees: int) -> int:
        body = requests.post(
            f"{url}{PATH}", data=_request({"login": "a", "password": "x"}, company_id=employees), timeout=600
        ).content
        rows = []
        for item in etree.fromstring(body).iter(f"{{{NAMESPACE}}}PersonalInfoItem"):
            record = item.find(f".//{{{NAMESPACE}}}PersonalInfo_V2")
            assert record is not None
            rows.append([record.findtext(f"{{{NAMESPACE}}}{name}") for name in names])
        return len(rows)

    return read


READERS = {"NmbrsHook": hook_reader, "plain zeep": zeep_reader, "lxml, whole body": lxml_reader}


def measure(name: str, url: str, employees: int) -> dict[str, float]:
    """Read once in this process; return seconds and peak memory in MiB."""
    read = READERS[name](url)
    assert read(1) == 1
    began = time.perf_counter()
    assert read(employees) == employees
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _in_a_process(name: str, url: str, employees: int, home: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.soap", "measure", name, url, str(employees)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "AIRFLOW_HOME": home}
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Print medians; 1 when ours miss a goal."""
    print("PersonalInfo over HTTP, one process per reading: median seconds, peak MiB")
    command = [sys.executable, "-m", "benchmarks.soap", "serve"]
    seconds: dict[tuple[str, int], float] = {}
    peaks: dict[tuple[str, int], float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="visma-benchmark-") as home,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            for size in SIZES:
                # In turns, so that a busy moment of the machine does not hit one of them alone.
                runs = [
                    (name, _in_a_process(name, url, size, home))
                    for _ in range(ROUNDS[size])
                    for name in READERS
                ]
                for name in READERS:
                    mine = [run for each, run in runs if each == name]
                    seconds[name, size] = statistics.median(run["seconds"] for run in mine)
                    peaks[name, size] = statistics.median(run["peak"] for run in mine)
                    figures = f"{seconds[name, size]:7.2f} s {peaks[name, size]:7.0f} MiB"
                    print(f"  {size:6,} {name:18} {figures}", flush=True)
        finally:
            server.terminate()
    times = seconds["plain zeep", GOAL_SIZE] / seconds["NmbrsHook", GOAL_SIZE]
    growth = peaks["NmbrsHook", SIZES[-1]] - peaks["NmbrsHook", SIZES[0]]
    met = times >= GOAL_TIMES and growth < GOAL_GROWTH_MIB
    print(
        f"  NmbrsHook: {times:.1f} times as fast as zeep at {GOAL_SIZE:,} (goal {GOAL_TIMES:.0f}),"
        f" memory grows by {growth:.1f} MiB (goal under {GOAL_GROWTH_MIB:.0f}): {'met' if met else 'MISSED'}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["measure", name, url, employees]:
            print(json.dumps(measure(name, url, int(employees))))
        case _:
            raise SystemExit(main())
