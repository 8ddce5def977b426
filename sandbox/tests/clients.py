"""The least that clients of the sandbox's systems can be, for its tests to ask with."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from http.client import HTTPConnection, HTTPMessage, IncompleteRead
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import pytest
import requests
import zeep
from lxml import etree

from visma_sandbox.client import SandboxProcess
from visma_sandbox.nmbrs_faults import CODE_TEXTS, ENVELOPE_NAMESPACE
from visma_sandbox.nmbrs_wsdl import namespace
from visma_sandbox.orbit_reporting.edm import COMPLEX_TYPES
from visma_sandbox.severa.contract import SERVICE_NAMESPACE


class HrmClient:
    """The least a client of Visma Connect and the HRM API can be: what it is told, it sends."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.connection = sandbox.connections()["visma_hrm_default"]

    def form(self, **changes: str | None) -> dict[str, str]:
        extra = self.connection["extra"]
        form = {
            "grant_type": "client_credentials",
            "client_id": self.connection["login"],
            "client_secret": self.connection["password"],
            "tenant_id": extra["tenant_id"],
            "scope": extra["scopes"],
            **changes,
        }
        return {name: value for name, value in form.items() if value is not None}

    def ask_token(self, form: dict[str, str] | None = None, **wishes: Any) -> requests.Response:
        url = self.connection["extra"]["connect_url"]
        return self.session.post(url, data=self.form() if form is None else form, timeout=10, **wishes)

    def authorize(self, **changes: str | None) -> None:
        token = self.ask_token(self.form(**changes)).json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"

    def start(self, dataset: str = "employees", **wishes: Any) -> requests.Response:
        return self.session.post(f"{self.sandbox.url}/v1/command/nl/hrm/{dataset}", timeout=10, **wishes)

    def query(self, job_id: str, dataset: str = "employees") -> requests.Response:
        return self.session.get(f"{self.sandbox.url}/v1/query/nl/hrm/{dataset}/{job_id}", timeout=10)

    def job(self, dataset: str = "employees", **wishes: Any) -> str:
        job_id: str = self.start(dataset, **wishes).json()["jobId"]
        return job_id

    def finish(self, dataset: str = "employees", **wishes: Any) -> dict[str, Any]:
        """Poll a new job until it says something other than InProgress."""
        job_id = self.job(dataset, **wishes)
        while (body := self.query(job_id, dataset).json())["status"] == "InProgress":
            pass
        assert isinstance(body, dict)
        return body

    def links(self, dataset: str = "employees", **wishes: Any) -> list[str]:
        return links_in(self.finish(dataset, **wishes))

    def rows(self, dataset: str = "employees", **wishes: Any) -> list[dict[str, str]]:
        """The rows of all files of a new export."""
        found: list[dict[str, str]] = []
        for link in self.links(dataset, **wishes):
            found += csv.DictReader(io.StringIO(self.download(link).content.decode()))
        return found

    def download(self, link: str) -> requests.Response:
        """Follow a link, without the session's bearer."""
        return requests.get(link, timeout=10)

    def header(self, link: str) -> list[str]:
        """The names of a file's columns."""
        return next(csv.reader(self.download(link).content.decode().splitlines()))

    def cut_short(self, url: str, **headers: str) -> tuple[HTTPMessage, bytes]:
        """The headers and the beginning of a body that ends before its announced length."""
        parts = urlsplit(url)
        with closing(HTTPConnection(parts.netloc, timeout=10)) as connection:
            connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
            answer = connection.getresponse()
            with pytest.raises(IncompleteRead) as cut:
                answer.read()
        return answer.headers, cut.value.partial


class NmbrsClient:
    """The least a client of Nmbrs can be: envelopes written by hand, answers read by name."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        connection = sandbox.connections()["nmbrs_default"]
        self.account = {
            "Username": connection["login"],
            "Token": connection["password"],
            "Domain": connection["extra"]["domain"],
        }

    def envelope(
        self,
        operation: str = "EmployeeType_GetList",
        fields: str = "",
        *,
        service: str = "EmployeeService",
        account: dict[str, str] | None = None,
        header: str = "AuthHeaderWithDomain",
        header_namespace: str | None = None,
        soap: str = ENVELOPE_NAMESPACE["1.1"],
    ) -> bytes:
        account = self.account if account is None else account
        given = "".join(f"<{name}>{text}</{name}>" for name, text in account.items())
        space = namespace(service)
        return (
            f'<soap:Envelope xmlns:soap="{soap}">'
            f'<soap:Header><{header} xmlns="{header_namespace or space}">{given}</{header}></soap:Header>'
            f'<soap:Body><{operation} xmlns="{space}">{fields}</{operation}></soap:Body></soap:Envelope>'
        ).encode()

    def post(
        self, body: bytes | Iterator[bytes], *, service: str = "EmployeeService", **headers: str
    ) -> requests.Response:
        headers.setdefault("Content-Type", "text/xml; charset=utf-8")
        url = f"{self.sandbox.url}/soap/v3/{service}.asmx"
        return requests.post(url, data=body, headers=headers, timeout=20)

    def call(
        self, operation: str, fields: str = "", *, service: str = "EmployeeService", **wishes: Any
    ) -> requests.Response:
        return self.post(self.envelope(operation, fields, service=service, **wishes), service=service)

    def ask(self, operation: str, fields: str = "", *, service: str = "EmployeeService") -> Any:
        answer = self.call(operation, fields, service=service)
        assert answer.status_code == 200, answer.text
        return etree.fromstring(answer.content)

    def zeep(self, service: str) -> Any:
        url = f"{self.sandbox.url}/soap/v3/{service}.asmx?WSDL"
        return zeep.Client(url, settings=zeep.Settings(strict=True)).service

    def fault(self, answer: requests.Response) -> tuple[str, str]:
        """Code and text of a fault of either version."""
        assert answer.status_code == 500
        root = etree.fromstring(answer.content)
        if root.tag == f"{{{ENVELOPE_NAMESPACE['1.1']}}}Envelope":
            assert root.find(".//detail") is not None
            return root.findtext(".//faultcode") or "", root.findtext(".//faultstring") or ""
        space = f".//{{{ENVELOPE_NAMESPACE['1.2']}}}"
        return root.findtext(f"{space}Value") or "", root.findtext(f"{space}Text") or ""

    def service_fault(self, code: str) -> tuple[str, str]:
        """What the service itself says with a code."""
        return "soap:Server", f"Server was unable to process request. ---> {code}: {CODE_TEXTS[code]}"

    def peak_memory(self) -> int:
        return peak_memory(self.sandbox)


class SeveraClient:
    """The least a client of Severa can be: envelopes written by hand, answers read by name."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        self.url = f"{sandbox.url}/webservice/S3/API.svc"
        self.key = sandbox.connections()["severa_default"]["password"]

    def envelope(self, operation: str, fields: str = "", *, key: str | None = "") -> bytes:
        """A request; without a key when it is None, with the administrator's when it is empty."""
        header = "" if key is None else f"<v:WebServicePassword>{key or self.key}</v:WebServicePassword>"
        return (
            f'<s:Envelope xmlns:s="{ENVELOPE_NAMESPACE["1.1"]}" xmlns:v="{SERVICE_NAMESPACE}">'
            f"<s:Header>{header}</s:Header><s:Body><v:{operation}>{fields}</v:{operation}></s:Body></s:Envelope>"
        ).encode()

    def post(
        self, body: bytes | Iterator[bytes], action: str, *, stream: bool = False, **headers: str
    ) -> requests.Response:
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": action, **headers}
        return requests.post(self.url, data=body, headers=headers, stream=stream, timeout=60)

    def call(self, name: str, fields: str = "", *, key: str | None = "") -> requests.Response:
        """Call ``IContract.Operation``."""
        contract, _, operation = name.partition(".")
        action = f'"{SERVICE_NAMESPACE}{contract}/{operation}"'
        return self.post(self.envelope(operation, fields, key=key), action)

    def ask(self, name: str, *, key: str = "", **arguments: Any) -> Any:
        """Call ``IContract.Operation`` through zeep, which reads the WSDL."""
        contract, _, operation = name.partition(".")
        service = _severa_wsdl(f"{self.url}?wsdl").bind("API", f"Severa.API.{contract}")
        header = etree.Element(f"{{{SERVICE_NAMESPACE}}}WebServicePassword")
        header.text = key or self.key
        found = service[operation](**arguments, _soapheaders=[header])
        return zeep.helpers.serialize_object(found, dict)

    def peak_memory(self) -> int:
        return peak_memory(self.sandbox)

    def header(self, answer: requests.Response) -> dict[str, int]:
        """The quota headers of an answer."""
        entries = etree.fromstring(answer.content).find("{*}Header")
        return {etree.QName(entry).localname: int(entry.text) for entry in entries}

    def fault(self, answer: requests.Response) -> SeveraFaultRead:
        """What an answer that is a fault says."""
        assert answer.status_code == 500
        fault = etree.fromstring(answer.content).find("{*}Body/{*}Fault")
        detail = fault.find("detail/*")
        return SeveraFaultRead(
            code=fault.findtext("faultcode"),
            text=fault.findtext("faultstring"),
            type=None if detail is None else etree.QName(detail).localname,
            description=None if detail is None else detail.findtext("{*}Description"),
        )


@cache
def _severa_wsdl(url: str) -> zeep.Client:
    return zeep.Client(url)


class SeveraFaultRead(NamedTuple):
    code: str
    text: str
    type: str | None
    description: str | None


class OrbitReader:
    """The least a reader of Orbit's reports can be: whole documents, and the types that it is told."""

    atom = "{http://www.w3.org/2005/Atom}"
    meta = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}"

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        connection = sandbox.connections()["teamleader_orbit_reporting_default"]
        self.account = connection["login"], connection["password"]
        self.url = f"{connection['host']}/odata.svc/"

    def get(self, path: str = "", **wishes: Any) -> requests.Response:
        return requests.get(urljoin(self.url, path), **{"auth": self.account, "timeout": 30, **wishes})

    def counts(self) -> dict[str, Any]:
        found: dict[str, Any] = self.sandbox.counts()["orbit_reporting"]
        return found

    def told(self, report: str, top: int = 100_000) -> list[dict[str, Any]]:
        """The rows as the control endpoint has them."""
        answer = requests.get(
            f"{self.sandbox.url}/_control/orbit_reporting/rows/{report}?top={top}", timeout=30
        )
        rows: list[dict[str, Any]] = answer.json()
        return rows

    def pages(self, path: str) -> Iterator[etree._Element]:
        """The documents of a report, by their next links."""
        address: str | None = urljoin(self.url, path)
        seen: set[str] = set()
        while address is not None:
            assert address not in seen
            seen.add(address)
            answer = self.get(address)
            assert answer.status_code == 200, answer.text
            feed = etree.fromstring(answer.content)
            yield feed
            links = feed.findall(f"{self.atom}link[@rel='next']")
            base = feed.get("{http://www.w3.org/XML/1998/namespace}base", answer.url)
            address = urljoin(base, links[0].get("href")) if links else None

    def rows(self, path: str, columns: dict[str, str]) -> list[dict[str, Any]]:
        """The rows in those documents; what has no element has no key."""
        return [
            {
                name.localname: self._value(each, columns[name.localname])
                for each, name in self._children(found)
            }
            for feed in self.pages(path)
            for entry in feed.findall(f"{self.atom}entry")
            for found in [self.properties(entry)]
        ]

    def properties(self, entry: etree._Element) -> etree._Element:
        beside = entry.find(f"{self.meta}properties")
        within = entry.find(f"{self.atom}content/{self.meta}properties")
        assert (beside is None) != (within is None)
        return within if beside is None else beside

    def peak_memory(self) -> int:
        return peak_memory(self.sandbox)

    def _children(self, parent: etree._Element) -> Iterator[tuple[etree._Element, etree.QName]]:
        return ((each, etree.QName(each)) for each in parent.iterchildren("*"))

    def _value(self, element: etree._Element, kind: str) -> Any:
        if element.get(f"{self.meta}null") == "true":
            return None
        if kind.startswith("Collection("):
            of = kind[len("Collection(") : -1]
            return [self._value(each, of) for each in element.iterchildren("*")]
        if kind in COMPLEX_TYPES:
            found = {name.localname: each for each, name in self._children(element)}
            members = COMPLEX_TYPES[kind]
            return [
                self._value(found[each.name], each.type) if each.name in found else None for each in members
            ]
        return element.text or ""


def peak_memory(sandbox: SandboxProcess) -> int:
    """Bytes the sandbox's process has held at most."""
    with open(f"/proc/{sandbox.pid}/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10


def links_in(body: dict[str, Any]) -> list[str]:
    (field,) = (name for name in body if name.endswith("FileUris"))
    links: list[str] = body[field]
    return links
