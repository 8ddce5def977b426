"""A SOAP 1.1 client: requests checked by zeep against the WSDL, answers streamed by lxml.

A fault becomes an error by the service's code; neither its text nor anything else that the service
sent is put into a message, because both may name people.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import requests
import urllib3
from lxml import etree

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.protocols.http import HttpLimits, network_error, status_error
from airflow_provider_visma.protocols.soap_contract import AnswerShape, Placeholder, SoapContract
from airflow_provider_visma.protocols.soap_parser import FaultFoundError
from airflow_provider_visma.protocols.soap_reader import ReadReport, SoapReader
from airflow_provider_visma.protocols.soap_shape import Shape, select
from airflow_provider_visma.protocols.streaming import PIECE, body_pieces
from airflow_provider_visma.protocols.xml_parser import local_name

__all__ = ["SOAP_LIMITS", "Octets", "ReadReport", "SoapClient", "SoapFault"]

SOAP_LIMITS = HttpLimits(max_bytes=1024**3)
_MAX_ERROR_BYTES = 1024 * 1024
_WORDS = ("Description", "Message")


@dataclass(frozen=True, slots=True)
class SoapFault:
    """A fault as sent. Its texts serve to classify it and go no further.

    :param code: local part of faultcode (1.1) or Code/Value (1.2), e.g. ``Client``.
    :param text: faultstring (1.1) or Reason/Text (1.2).
    :param detail: local name of the first element in the detail.
    :param description: what the detail says in words, where a WCF service puts it (Description, Message).
    """

    code: str
    text: str
    detail: str | None
    description: str | None = None


class _NoConnectionError(VismaUnavailableError):
    """The connection never stood: nothing was sent."""


class Octets:
    """The bytes of a base64Binary argument, encoded while they are being sent.

    :param file: read once, from its present position to its end.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        start = file.tell()
        self._size = file.seek(0, 2) - start
        file.seek(start)

    @property
    def encoded_size(self) -> int:
        """Characters of the base64 text."""
        return 4 * -(-self._size // 3)

    def encoded(self) -> Iterator[bytes]:
        """Yield the base64 text in pieces."""
        left = self._size
        while left:
            piece = self._file.read(min(3 * PIECE, left))
            while len(piece) % 3 and len(piece) < left:
                piece += self._file.read(min(3 - len(piece) % 3, left - len(piece))) or b""
            if not piece:
                raise OSError("the file became shorter while it was being sent")
            left -= len(piece)
            yield base64.b64encode(piece)


class _Body:
    """A request body of known length that requests streams."""

    def __init__(self, envelope: bytes, octets: Mapping[Placeholder, Octets]) -> None:
        self._parts: list[bytes | Octets] = [envelope]
        for mark, source in octets.items():
            before, _, after = self._parts.pop().partition(mark.encode())  # type: ignore[union-attr]
            self._parts += [before, source, after]
        self._length = sum(
            part.encoded_size if isinstance(part, Octets) else len(part) for part in self._parts
        )

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, Octets):
                yield from part.encoded()
            else:
                yield part


class SoapClient:
    """Calls the operations of one port.

    :param contract: the port, from the WSDL.
    :param endpoint: the address to post to, whatever the WSDL says.
    :param session: proxy, TLS and adapters; shared by threads.
    :param headers: makes the SOAP header's elements for an operation and its namespace.
    :param fault_error: turns a fault into the error to raise.
    :param on_header: told of each answer's SOAP header, a fault's too, before anything else of it is used:
        texts by local name.
    :param label: prefix of the operation's name in errors, e.g. ``EmployeeService``.
    """

    def __init__(
        self,
        contract: SoapContract,
        *,
        endpoint: str,
        session: requests.Session,
        headers: Callable[[str, str], list[etree._Element]],
        fault_error: Callable[[SoapFault], VismaError],
        system: str,
        label: str,
        on_header: Callable[[Mapping[str, str]], None] | None = None,
        conn_id: str | None = None,
        limits: HttpLimits = SOAP_LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.contract = contract
        self._endpoint = endpoint
        self._session = session
        self._headers = headers
        self._fault_error = fault_error
        self._system = system
        self._label = label
        self._on_header = on_header
        self._conn_id = conn_id
        self._limits = limits
        self._clock = clock

    def call(self, operation: str, arguments: Mapping[str, Any], *, repeatable: bool = True) -> Any:
        """Call *operation* and return its result whole: a value, a dict, a list of dicts, or None.

        :param repeatable: False where a second call would do its work twice; then no answer is an
            error that a retry must not try to mend.
        :raises VismaRequestError: the WSDL does not allow the arguments; nothing was sent.
        :raises VismaUnknownOutcomeError: not repeatable, sent, and no usable answer came.
        """
        with self._context(operation):
            answer = self.contract.answer(operation)
            try:
                if answer.result is not None and answer.result.only_item is not None:
                    return list(self.rows(operation, arguments))
                return self._value(operation, arguments, answer)
            except _NoConnectionError:
                raise
            except (VismaUnavailableError, VismaIncompleteAnswerError, VismaContentError):
                if repeatable:
                    raise
                raise VismaUnknownOutcomeError(
                    "the request was sent and no usable answer came: it may have been carried out",
                    advice="Look in the service whether it was before sending it again.",
                ) from None

    def _value(self, operation: str, arguments: Mapping[str, Any], answer: AnswerShape) -> Any:
        reader = SoapReader(answer, answer.result, ReadReport(), self._on_header)
        try:
            with self._post(operation, arguments) as response:
                return reader.value(self._pieces(response))
        except FaultFoundError as fault:
            raise self._fault(fault.element) from None

    def rows(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        fields: Collection[str] | None = None,
        report: ReadReport | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Call *operation* and yield the items of its list while they come in.

        An element that is nil is there with None; one that is absent is not a key of the row.

        :param fields: paths below the item to read, all where None. What is not named here is dropped
            by the parser.
        :param report: filled while reading; without one, unreadable rows end in an error.
        :raises VismaContentError: after the last row, where rows could not be read and no *report* was given.
        """
        with self._context(operation):
            noticed = report if report is not None else ReadReport()
            reader = self._reader(self.contract.answer(operation), operation, fields, noticed)
            try:
                with self._post(operation, arguments) as response:
                    yield from reader.rows(self._pieces(response))
            except FaultFoundError as fault:
                raise self._fault(fault.element) from None
            if report is None and noticed.unreadable_rows:
                first = noticed.unreadable[0]
                raise VismaContentError(
                    f"{noticed.unreadable_rows} rows cannot be read, the first with key {first.key}"
                    f" at place {first.position}: {first.field} is {first.reason}"
                )

    def _reader(
        self, answer: AnswerShape, operation: str, fields: Collection[str] | None, report: ReadReport
    ) -> SoapReader:
        item = _item_of(answer, operation)
        shape = answer.result
        if shape is not None and fields is not None:
            shape = select(shape, [f"{item.name}/{path}" for path in fields])
        return SoapReader(answer, shape, report, self._on_header)

    def columns(self, operation: str) -> dict[str, str]:
        """Return the elements of a list's items, each with its kind (:data:`soap_shape.KINDS`).

        :raises VismaError: there is no such operation, or it does not return a list.
        """
        with self._context(operation):
            item = _item_of(self.contract.answer(operation), operation)
            parts = item.parts.values() or (replace(item, many=False),)  # or a list of plain values
            return {part.name: "json" if part.many else part.kind for part in parts}

    @contextmanager
    def _post(self, operation: str, arguments: Mapping[str, Any]) -> Iterator[requests.Response]:
        body = self._body(operation, arguments)
        headers = {
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": f'"{self.contract.action(operation)}"',
            # No compression: a bomb would otherwise have to be measured while it inflates.
            "Accept-Encoding": "identity",
        }
        try:
            response = self._session.post(
                self._endpoint,
                data=body,
                headers=headers,
                stream=True,
                timeout=(self._limits.connect, self._limits.read),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            failure = network_error(error, system=self._system, operation=operation)
            if _no_connection(error):
                failure = _NoConnectionError(failure.message, advice=failure.advice)
            raise failure from None
        with response:
            self._check_status(response, operation)
            yield response

    def _body(self, operation: str, arguments: Mapping[str, Any]) -> bytes | _Body:
        octets = {
            Placeholder(f"octets-{number}-of-{id(self)}"): value
            for number, value in enumerate(arguments.values())
            if isinstance(value, Octets)
        }
        marks = {id(source): mark for mark, source in octets.items()}
        envelope = self.contract.envelope(
            operation,
            {name: marks.get(id(value), value) for name, value in arguments.items()},
            headers=self._headers(operation, self.contract.namespace(operation)),
        )
        encoded: bytes = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
        return _Body(encoded, octets) if octets else encoded

    def _check_status(self, response: requests.Response, operation: str) -> None:
        if response.status_code == 200:
            return
        if response.status_code == 500:  # where SOAP 1.1 puts faults; anything else is no SOAP
            reader = SoapReader(AnswerShape("", None), None, ReadReport(), self._on_header)
            try:
                reader.value(self._pieces(response, max_bytes=_MAX_ERROR_BYTES))
            except FaultFoundError as fault:
                raise self._fault(fault.element) from None
            except VismaError:
                pass
        raise status_error(response.status_code, response.headers, system=self._system, operation=operation)

    def _pieces(self, response: requests.Response, *, max_bytes: int | None = None) -> Iterator[bytes]:
        return body_pieces(response, limits=self._limits, max_bytes=max_bytes, clock=self._clock)

    def _fault(self, element: etree._Element) -> VismaError:
        return self._fault_error(read_fault(element))

    @contextmanager
    def _context(self, operation: str) -> Iterator[None]:
        """Complete an error of the inner rooms with where it happened."""
        try:
            yield
        except VismaError as error:
            error.system = error.system or self._system
            error.conn_id = error.conn_id or self._conn_id
            error.operation = f"{self._label}.{operation}"
            raise


def _item_of(answer: AnswerShape, operation: str) -> Shape:
    item = answer.result.only_item if answer.result is not None else None
    if item is None:
        raise VismaContentError(f"{operation} does not return a list")
    return item


def read_fault(element: etree._Element) -> SoapFault:
    """Return the fault in a SOAP 1.1 or 1.2 Fault element."""
    namespace = etree.QName(element).namespace
    code = element.findtext("faultcode") or element.findtext(f"{{{namespace}}}Code/{{{namespace}}}Value")
    text = element.findtext("faultstring") or element.findtext(f"{{{namespace}}}Reason/{{{namespace}}}Text")
    detail = element.find("detail")
    if detail is None:
        detail = element.find(f"{{{namespace}}}Detail")
    first = next(iter(detail), None) if detail is not None else None
    words = (part.text for part in (first if first is not None else ()) if local_name(part) in _WORDS)
    return SoapFault(
        code=(code or "").rpartition(":")[2].strip(),
        text=(text or "").strip(),
        detail=local_name(first) if first is not None else None,
        description=next(filter(None, words), None),
    )


def _no_connection(error: requests.RequestException) -> bool:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(
        reason, urllib3.exceptions.NewConnectionError
    )
