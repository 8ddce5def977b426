"""Any operation of Severa's contracts, as a task.

A call that writes is noted in Airflow's task state before it is sent, so that the retry of a task that was
killed meanwhile does not send it again. Of the result, XCom gets ids unless the author names more.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import VismaError, VismaRequestError, VismaUnknownOutcomeError
from airflow_provider_visma.operators.base import VismaOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

_NOTE = "severa_call"
_MAX_RESULT = 32 * 1024


class SeveraCallOperator(VismaOperator):
    """Call an operation of Severa: ``ICase.UpdateCase``, ``IInvoice.SetInvoiceStatus`` or any other.

    For lists use SeveraExportOperator, for hours SeveraHourEntriesOperator.

    A call that writes is sent once. Where no answer came, or the worker was killed before one did, the
    task fails and stays failed: look in Severa whether the call was carried out; then mark the task as
    successful, or clear it to send the call again.

    :param contract: e.g. ``ICase``. (templated)
    :param operation: e.g. ``UpdateCase``. (templated)
    :param arguments: by the contract's own names; a mapping for an entity. (templated)
    :param result_fields: which members of a returned entity, or of each in a list, go to XCom; only GUID
        by default, since others may be about people. A result that is a single text, number or truth
        value goes there as it is; an empty list keeps every result out.
    :param severa_conn_id: a connection of type ``severa``.
    :return: what *result_fields* names, as JSON; None where there is nothing.
    """

    template_fields: Sequence[str] = ("contract", "operation", "arguments")

    def __init__(
        self,
        *,
        contract: str,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        result_fields: Sequence[str] = ("GUID",),
        severa_conn_id: str = "severa_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.contract = contract
        self.operation = operation
        self.arguments = arguments
        self.result_fields = result_fields
        self.severa_conn_id = severa_conn_id

    def execute(self, context: Context) -> Any:
        """Call, once."""
        from airflow_provider_visma.hooks.severa import SeveraHook

        hook = SeveraHook(self.severa_conn_id)
        arguments = dict(self.arguments or {})
        if self.operation.startswith("Get"):
            return self._told(hook.call(self.contract, self.operation, **arguments))
        note = {
            "call": f"{self.contract}.{self.operation}",
            # Clearing a task raises this number and a retry does not: clearing is a person's decision.
            "max_tries": getattr(context["ti"], "max_tries", None),
        }
        state = context["task_state_store"]
        earlier = state.get(_NOTE)
        if isinstance(earlier, dict) and {name: earlier.get(name) for name in note} == note:
            if earlier["state"] == "answered":
                self.log.info("An earlier try was answered; nothing is sent again")
                return earlier.get("result")
            if earlier["state"] == "sent":
                raise self._unknown("an earlier try sent the call and did not live to see the answer")
        state.set(_NOTE, {**note, "state": "sent"})
        try:
            answer = hook.call(self.contract, self.operation, **arguments)
        except VismaUnknownOutcomeError as error:
            raise self._unknown(error.message) from error
        except VismaError:
            state.set(_NOTE, {**note, "state": "refused"})
            raise
        result = self._told(answer)
        state.set(_NOTE, {**note, "state": "answered", "result": result})
        return result

    def _told(self, answer: Any) -> Any:
        """Return what XCom may hold of an answer."""
        fields = [self.result_fields] if isinstance(self.result_fields, str) else list(self.result_fields)
        if not fields or answer is None:
            return None
        if isinstance(answer, bytes):
            self.log.warning(
                "The result is a file and goes nowhere; SeveraHook.call returns it", bytes=len(answer)
            )
            return None
        try:
            if isinstance(answer, list):
                told: Any = [_chosen(item, fields) for item in answer]
            else:
                told = _chosen(answer, fields)
        except KeyError as missing:
            self._warn_or_raise(f"the result has no member {missing.args[0]}")
            return None
        told = json.loads(json.dumps(told, default=_plain))
        if len(json.dumps(told)) > _MAX_RESULT:
            self._warn_or_raise(f"the result is larger than {_MAX_RESULT // 1024} KiB of JSON")
            return None
        return told

    def _warn_or_raise(self, message: str) -> None:
        """Say that the result cannot be told; a call that wrote has succeeded all the same."""
        if self.operation.startswith("Get"):
            raise VismaRequestError(
                message,
                system="Severa",
                conn_id=self.severa_conn_id,
                operation=f"{self.contract}.{self.operation}",
                advice="Name other result_fields, or read it with SeveraExportOperator.",
            )
        self.log.warning("The call was carried out, but its result is left out: %s", message)

    def _unknown(self, message: str) -> VismaUnknownOutcomeError:
        return VismaUnknownOutcomeError(
            message,
            system="Severa",
            conn_id=self.severa_conn_id,
            operation=f"{self.contract}.{self.operation}",
            advice="Look in Severa whether it was carried out. If so, mark the task as successful; if not, "
            "clear it, which sends the call again.",
        )


def _chosen(item: Any, fields: Sequence[str]) -> Any:
    # A member that the service left out is null; one that no item has is a misspelling.
    return {name: item[name] for name in fields} if isinstance(item, Mapping) else item


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value).__name__)
