"""A file host that answers what a test tells it to, byte by byte where it must."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

RESET = "reset"
END = "end"
HANG = "hang"


@dataclass(frozen=True)
class Answer:
    """One answer.

    :param cut: send only so many bytes of the body.
    :param then: what happens after the body: an orderly end, a reset, or nothing at all.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: bool = True
    cut: int | None = None
    then: str = END

    def encode(self) -> bytes:
        headers = dict(self.headers)
        if self.length and "Transfer-Encoding" not in headers:
            headers.setdefault("Content-Length", str(len(self.body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} X\r\n{head}\r\n".encode() + self.body[: self.cut]


@dataclass(frozen=True)
class Request:
    target: str
    headers: dict[str, str]
    body: bytes = b""


class FileHost:
    """Serves on loopback, one connection per request.

    :param answer: what to answer to a request; called in the order of arrival.
    :param context: to serve TLS.
    """

    def __init__(self, answer: Callable[[Request], Answer], *, context: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self._kept_waiting: set[int] = set()
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[Request] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        for connection in self._held:
            connection.close()

    def keeps_waiting(self, port: int) -> bool:
        """Whether the client at *port* has got all that it will get, and its connection stays open."""
        return port in self._kept_waiting

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        try:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            received = b""
            while b"\r\n\r\n" not in received:
                piece = connection.recv(65536)
                if not piece:
                    return
                received += piece
            head, _, rest = received.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = bytearray(rest)
            while len(body) < int(headers.get("content-length", 0)):
                body += connection.recv(65536)
            request = Request(first.split(" ")[1], headers, bytes(body))
            self.requests.append(request)
            answer = self._answer(request)
            connection.sendall(answer.encode())
            if answer.then == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif answer.then == HANG:
                self._held.append(connection)
                self._kept_waiting.add(connection.getpeername()[1])
                return
            connection.close()
        except OSError:
            connection.close()


def scripted(*answers: Answer) -> Callable[[Request], Answer]:
    """Answer these in turn, the last one for ever."""
    waiting = list(answers)
    return lambda request: waiting.pop(0) if len(waiting) > 1 else waiting[0]


def tls_server(folder: Path, host: str) -> tuple[ssl.SSLContext, Path]:
    """A server's context for *host*, and the certificate to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "file host of a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate_file, chain = folder / "certificate.pem", folder / "chain.pem"
    certificate_file.write_bytes(certificate)
    chain.write_bytes(private + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context, certificate_file
