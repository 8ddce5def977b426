"""PersonalInfo of 1,000, 10,000 and 50,000 employees: through the hook, by plain zeep, by lxml alone.

The answers are the sandbox's own, its items repeated to the wanted number, and come over HTTP from one
server that has them ready, so that only the reader is measured. Each reading happens in a process of
its own, after a warm-up with one employee, as it does in a task.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

import requests

from benchmarks.readings import Read, compare, measure, serve_answers
from visma_sandbox.client import start_sandbox

ROUNDS = {1_000: 5, 10_000: 5, 50_000: 1}
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
    bodies = {size: answers.of(size) for size in (1, *ROUNDS)}

    def answer_of(request: str) -> bytes:
        company_id = re.search(r"CompanyID>(\d+)<", request)
        assert company_id is not None
        return bodies[int(company_id[1])]

    serve_answers(lambda address: answers.wsdl, answer_of)


def hook_reader(url: str) -> Read:
    """Read with our hook."""
    connection = {"conn_type": "nmbrs", "host": url, "login": "a@example.com", "password": "x"}
    os.environ["AIRFLOW_CONN_NMBRS_DEFAULT"] = json.dumps({**connection, "extra": {"domain": "sandbox"}})

    from airflow_provider_visma.hooks.nmbrs import NmbrsHook

    hook = NmbrsHook()
    return lambda employees: sum(1 for _ in hook.personal_info(employees))


def zeep_reader(url: str) -> Read:
    """Read with zeep as its documentation has it."""
    import zeep

    client: Any = zeep.Client(f"{url}{PATH}?WSDL")  # type: ignore[no-untyped-call]
    service = client.create_service(next(iter(client.wsdl.bindings)), f"{url}{PATH}")
    header = {"AuthHeaderWithDomain": {"Username": "a@example.com", "Token": "x", "Domain": "sandbox"}}
    return lambda employees: len(service[OPERATION](CompanyID=employees, _soapheaders=header))


def lxml_reader(url: str) -> Read:
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


def main() -> int:
    """Print medians; 1 when ours miss a goal."""
    print("PersonalInfo over HTTP, one process per reading: median seconds, peak MiB")
    medians = compare("benchmarks.soap", tuple(READERS), ROUNDS)
    met = medians.judge("NmbrsHook", peer="plain zeep", at=10_000, times=12, sizes=(1_000, 50_000), mib=20)
    return 0 if met else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["measure", name, url, employees]:
            print(measure(READERS, name, url, int(employees)))
        case _:
            raise SystemExit(main())
