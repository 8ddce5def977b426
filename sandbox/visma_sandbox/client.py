"""Starting and steering a sandbox from a test, a demonstration or a notebook. Standard library only."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from visma_sandbox.connections import environment

STOP_SECONDS = 10


class SandboxError(RuntimeError):
    """The sandbox did not start, or refused what it was told."""


class SandboxClient:
    """Steers a sandbox that runs already.

    :param url: of its services.
    :param files_url: of its file host.
    :param certificate: PEM file to trust when it serves TLS.
    """

    def __init__(self, url: str, *, files_url: str = "", certificate: str | None = None) -> None:
        self.url = url
        self.files_url = files_url
        self.certificate = certificate
        self._context = None if certificate is None else ssl.create_default_context(cafile=certificate)

    def connections(self) -> dict[str, dict[str, Any]]:
        """The Airflow connections that lead here, by connection id."""
        found: dict[str, dict[str, Any]] = self._call("GET", "connections")
        return found

    def environment(self) -> dict[str, str]:
        """The same as ``AIRFLOW_CONN_*`` variables."""
        return environment(self.connections())

    def inject(
        self, system: str, operation: str, kind: str, *, count: int | None = 1, after: int = 0, **args: Any
    ) -> None:
        """Let something go wrong; the README lists the kinds.

        :param system: ``connect``, ``hrm``, ``files``, ``nmbrs``, ``severa``, ``orbit`` or ``dialog``, or a
            shell wildcard.
        :param operation: an operation of it; shell wildcards allowed.
        :param count: how many requests it hits; None for all that follow.
        :param after: how many matching requests pass unharmed first.
        :param args: what the kind needs besides.
        """
        self._call(
            "POST",
            "faults",
            {
                "system": system,
                "operation": operation,
                "kind": kind,
                "count": count,
                "after": after,
                "args": args,
            },
        )

    def clear_faults(self) -> None:
        """Let nothing more go wrong, and let go whom a hang keeps waiting."""
        self._call("DELETE", "faults")

    def journal(self, system: str | None = None, operation: str | None = None) -> list[dict[str, Any]]:
        """The requests received, oldest first; system and operation take shell wildcards."""
        wanted = {name: value for name, value in (("system", system), ("operation", operation)) if value}
        entries: list[dict[str, Any]] = self._call("GET", f"journal?{urlencode(wanted)}")
        return entries

    def kept_waiting(
        self, system: str | None = None, operation: str | None = None, *, port: int | None = None
    ) -> dict[str, Any] | None:
        """The request that a hang leaves without an answer at this moment; None when there is none.

        :param port: of the client; None for any.
        """
        entries = (entry for entry in self.journal(system, operation) if entry["kept_waiting"])
        return next((entry for entry in entries if port in (None, entry["kept_waiting"])), None)

    def clear_journal(self) -> None:
        """Forget the requests received so far."""
        self._call("DELETE", "journal")

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Set switches and return all of them; without changes, only return them."""
        found: dict[str, Any] = self._call("PATCH", "settings", changes)
        return found

    def counts(self) -> dict[str, Any]:
        """The sandbox's own figures, to hold a run's against."""
        found: dict[str, Any] = self._call("GET", "counts")
        return found

    def change_person(self, employee_id: int | None = None, **changes: Any) -> dict[str, Any]:
        """What happens to a person overnight.

        :param employee_id: who; None for someone new.
        """
        found: dict[str, Any] = self._call("POST", "people", {"employee_id": employee_id, "changes": changes})
        return found

    def move_user(self, employee_id: int | str, state: str) -> None:
        """What Dialog's administrator does.

        :param employee_id: the user's ``externalId``.
        :param state: ``imported``, ``invited`` or ``linked``.
        """
        self._call("POST", f"dialog/users/{employee_id}/state", {"state": state})

    def add_dialog_users(self, count: int) -> list[str]:
        """Let Dialog have users of its own, from before the integration; return their ids.

        Each has the work e-mail of an employee, beside a login name of their own.
        """
        found: dict[str, list[str]] = self._call("POST", "dialog/existing", {"count": count})
        return found["ids"]

    def finish_review(self, employee_id: int | str | None = None, **wishes: Any) -> dict[str, Any]:
        """What happens in Dialog when a review is finished.

        :param employee_id: the user's ``externalId``; None for somebody whom Dialog does not know.
        :param wishes: ``title``, ``size`` of the PDF, ``kind`` of document, ``finished_at`` (ISO 8601).
        :return: ``id``, ``size``, ``sha256`` and ``finished_at``.
        """
        body = {"employee_id": employee_id, **wishes}
        found: dict[str, Any] = self._call("POST", "dialog/reviews", body)
        return found

    def documents(self) -> list[dict[str, Any]]:
        """The documents uploaded to Nmbrs, in order: numbers, names, sizes and hashes."""
        found: list[dict[str, Any]] = self._call("GET", "nmbrs/documents")
        return found

    def change_severa(
        self,
        kind: str,
        guid: str | None = None,
        *,
        changes: dict[str, Any] | None = None,
        at: str | None = None,
        delete: bool = False,
    ) -> dict[str, Any]:
        """What somebody does in Severa itself; without a GUID, something new.

        :param kind: ``hour_entry``, ``case``, ``invoice``, ``user`` and so on.
        :param changes: members and their new values; decimals and moments as text.
        :param at: moment of the change, ISO 8601 in UTC; by the sandbox's clock by default.
        :return: ``guid`` and ``changed_at``.
        """
        body = {"kind": kind, "guid": guid, "changes": changes or {}, "at": at, "delete": delete}
        found: dict[str, Any] = self._call("POST", "severa/change", body)
        return found

    def orbit_sign_in(self, client_id: str | None = None) -> dict[str, Any]:
        """What Orbit gives when a person has signed in and allowed it.

        :param client_id: of the application; that of the connection by default.
        :return: ``refresh_token``, ``access_token``, ``expires_in``, and the ``session``'s number, as the
            journal has it.
        """
        wanted = "" if client_id is None else f"?{urlencode({'client_id': client_id})}"
        found: dict[str, Any] = self._call("POST", f"orbit/session{wanted}")
        return found

    def change_orbit(
        self,
        resource: str,
        id: str | None = None,
        changes: dict[str, Any] | None = None,
        *,
        at: str | None = None,
        delete: bool = False,
    ) -> dict[str, Any]:
        """What somebody does in Orbit itself; without an id, something new.

        :param resource: ``projects``, ``companies`` and so on.
        :param changes: fields and their new values.
        :param at: moment of the change, ISO 8601 without a zone, on Orbit's wall; by the sandbox's clock by
            default.
        :return: ``id``, ``added_at`` and ``updated_at``.
        """
        body = {"resource": resource, "id": id, "changes": changes or {}, "at": at, "delete": delete}
        found: dict[str, Any] = self._call("POST", "orbit/change", body)
        return found

    def orbit_rows(self, resource: str, *, skip: int = 0, top: int = 1000) -> list[dict[str, Any]]:
        """The rows of a resource as its list should have them.

        :param resource: ``projects``, ``companies`` and so on.
        """
        rows: list[dict[str, Any]] = self._call("GET", f"orbit/rows/{resource}?skip={skip}&top={top}")
        return rows

    def reset(self) -> None:
        """Same people, and nothing else remembered."""
        self._call("POST", "reset")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        request = Request(  # noqa: S310 - the URL is the sandbox's own
            f"{self.url}/_control/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=60, context=self._context) as answer:  # noqa: S310
                text = answer.read()
        except HTTPError as refused:
            raise SandboxError(f"{method} {path}: {refused.code} {refused.read().decode()}") from None
        return json.loads(text) if text else None


class SandboxProcess(SandboxClient):
    """A sandbox in a process of its own; leave the context to stop it."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        super().__init__(ready["url"], files_url=ready["files_url"], certificate=ready.get("certificate"))
        self._process = process

    @property
    def pid(self) -> int:
        """Of the process that serves."""
        return self._process.pid

    def stop(self) -> int:
        """Stop it and return its exit status; killed when it does not stop by itself."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_sandbox(
    *,
    employees: int = 500,
    seed: int = 1,
    tls: bool = False,
    port: int = 0,
    files_port: int = 0,
    dialog_file: Path | None = None,
) -> SandboxProcess:
    """Start a sandbox on loopback and wait until it serves.

    :param employees: how many people its organisation has.
    :param seed: the same seed gives the same people.
    :param tls: serve https; ``.certificate`` is then the file to trust.
    :param port: of the services; 0 takes a free one, and so does ``files_port``.
    :param dialog_file: where Dialog is kept over restarts; None forgets it.
    :raises SandboxError: when it ends before it serves; why is on standard error.
    """
    command = [
        sys.executable,
        "-m",
        "visma_sandbox",
        "serve",
        "--port",
        str(port),
        "--files-port",
        str(files_port),
    ]
    command += ["--employees", str(employees), "--seed", str(seed), *(["--tls"] if tls else [])]
    command += [] if dialog_file is None else ["--dialog-file", str(dialog_file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module
    assert process.stdout is not None  # noqa: S101 - it was asked for
    line = process.stdout.readline()
    if not line:
        process.stdout.close()
        raise SandboxError(f"the sandbox ended with status {process.wait()} before it served")
    return SandboxProcess(process, json.loads(line))
