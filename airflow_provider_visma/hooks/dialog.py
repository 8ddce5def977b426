"""Dialog, from an Airflow connection.

Dialog publishes no import API: what is spoken here is SCIM 2.0 (RFC 7644), the standard for bringing
people into a service; the extensions in :mod:`airflow_provider_visma.dialog_import.resources` are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.hooks._connection import ConnectionSettings
from airflow_provider_visma.protocols.http import build_client

if TYPE_CHECKING:
    from airflow_provider_visma.dialog_import.plan import Create, Held, Update
    from airflow_provider_visma.dialog_import.planning import Content
    from airflow_provider_visma.dialog_import.service import DialogService
    from airflow_provider_visma.dialog_import.writer import WriteReport

_SYSTEM = "Dialog"
_MAX_CONCURRENCY = 8


class DialogHook(BaseHook):
    """Reads and writes users, departments and functions in Dialog.

    Use it in a ``with``, or call :meth:`close`.

    :param dialog_conn_id: connection with the SCIM address as host and the bearer token as password.
    """

    conn_name_attr = "dialog_conn_id"
    default_conn_name = "dialog_default"
    conn_type = "dialog"
    hook_name = "Dialog (SCIM 2.0)"

    def __init__(self, dialog_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dialog_conn_id = dialog_conn_id
        self._client: Any = None
        self._service: DialogService | None = None
        self._max_concurrency = _MAX_CONCURRENCY

    def __enter__(self) -> DialogHook:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the service."""
        if self._client is not None:
            self._client.close()
        self._client = self._service = None

    def get_conn(self) -> DialogService:
        """Return the service; nothing is sent before its first use."""
        if self._service is None:
            # Imported here: scim2-models takes a second, and every DAG file that names an operator of
            # ours imports the hook's package.
            from airflow_provider_visma.dialog_import.resources import EXTENSIONS, RESOURCES
            from airflow_provider_visma.dialog_import.service import DialogService
            from airflow_provider_visma.protocols.scim import ScimService

            settings = ConnectionSettings.read(self.get_connection(self.dialog_conn_id), system=_SYSTEM)
            settings.required(Bearer_token=settings.password)
            self._max_concurrency = settings.positive_int("max_concurrency", _MAX_CONCURRENCY)
            self._client = build_client(
                f"{settings.base_url}/",
                headers={"Authorization": f"Bearer {settings.password}"},
                verify=settings.verify,
                proxy=settings.proxy,
                limits=settings.limits,
            )
            self._service = DialogService(
                ScimService(
                    self._client,
                    models=(*RESOURCES.values(), *EXTENSIONS),
                    system=_SYSTEM,
                    conn_id=settings.conn_id,
                )
            )
        return self._service

    def abilities(self) -> dict[str, bool]:
        """Return what the service offers of what an import can use."""
        return self.get_conn().abilities()

    def users(self) -> Iterator[Held]:
        """Yield the users in Dialog, page by page."""
        from airflow_provider_visma.dialog_import.plan import Kind

        return self.get_conn().read(Kind.USER)

    def departments(self) -> Iterator[Held]:
        """Yield the departments in Dialog, page by page."""
        from airflow_provider_visma.dialog_import.plan import Kind

        return self.get_conn().read(Kind.DEPARTMENT)

    def functions(self) -> Iterator[Held]:
        """Yield the functions in Dialog, page by page."""
        from airflow_provider_visma.dialog_import.plan import Kind

        return self.get_conn().read(Kind.FUNCTION)

    def content(self) -> Content:
        """Return all that Dialog holds, read as a whole."""
        return self.get_conn().content()

    def write(self, lines: Iterable[Create | Update]) -> WriteReport:
        """Send a plan's changes: by Bulk where the service has it, else with bounded concurrency."""
        from airflow_provider_visma.dialog_import.writer import DialogWriter

        service = self.get_conn()
        return DialogWriter(service, max_concurrency=self._max_concurrency).write(lines)

    def test_connection(self) -> tuple[bool, str]:
        """Ask what the service can do and for one page of users; say what was found."""
        try:
            service = self.get_conn()
            missing = service.schemas_missing()
            abilities = service.abilities()
            first = next(self.users(), None)
        except VismaError as error:
            return False, str(error)
        finally:
            self.close()
        offered = ", ".join(
            f"{name.replace('_', ' ')}: {'yes' if yes else 'no'}" for name, yes in abilities.items()
        )
        listing = "users may be listed" if first is not None else "users may be listed (there are none)"
        schemas = "all schemas present" if not missing else f"schemas missing: {', '.join(sorted(missing))}"
        return True, f"SCIM service answers; {listing}; {schemas}; {offered}"
