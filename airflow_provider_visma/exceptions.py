"""What can go wrong, and for each: does a retry help?

The base class answers that: :class:`VismaPermanentError` needs a person, :class:`VismaTransientError`
may pass by itself. :mod:`airflow_provider_visma.retry` turns the answer into Airflow's retry policy.
None of them derives from ``AirflowException``: a deferred sensor with ``soft_fail=True`` would turn
such an error into *skipped*, and a failed export must never look like a skipped one.

A message never holds a secret, a signed link or a person's data.
"""

from __future__ import annotations


class VismaError(Exception):
    """Anything this provider raises.

    :param message: what happened, in one sentence, without a full stop.
    :param system: the system's name as users know it, e.g. ``Nmbrs``.
    :param conn_id: the Airflow connection in use.
    :param operation: the operation of the system, e.g. ``EmployeeService.List_GetByCompany``.
    :param code: the system's own code, e.g. ``1002`` or ``HTTP 429``.
    :param advice: what to do about it.
    :param retry_after: seconds after which the system said to try again.
    :ivar reason: what the system itself said. It may quote a person's data: it belongs where that data is
        kept, never into a message or a log.
    """

    def __init__(
        self,
        message: str,
        *,
        system: str | None = None,
        conn_id: str | None = None,
        operation: str | None = None,
        code: str | None = None,
        advice: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.system = system
        self.conn_id = conn_id
        self.operation = operation
        self.code = code
        self.advice = advice
        self.retry_after = retry_after
        self.reason: str | None = None

    def __str__(self) -> str:
        where = " ".join(
            part
            for part in (
                self.system,
                self.operation,
                f"(connection {self.conn_id})" if self.conn_id else None,
            )
            if part
        )
        text = f"{where}: {self.message}" if where else self.message
        if self.code:
            text += f" [{self.code}]"
        return f"{text}. {self.advice}" if self.advice else text


class VismaPermanentError(VismaError):
    """A retry would fail again: somebody has to change something first."""


class VismaTransientError(VismaError):
    """A retry may succeed."""


class VismaConnectionConfigError(VismaPermanentError):
    """The Airflow connection lacks a field or holds an unusable one; raised before anything is sent."""


class VismaAuthenticationError(VismaPermanentError):
    """The system does not accept who we say we are: token, secret, domain or tenant."""


class VismaPermissionError(VismaPermanentError):
    """The system knows us and refuses: a right, scope or subscription is missing."""


class VismaRequestError(VismaPermanentError):
    """The request is wrong: an unknown argument, a value of the wrong type, a refused parameter."""


class VismaNotFoundError(VismaPermanentError):
    """What was asked for does not exist, or not for this user."""


class VismaConflictError(VismaPermanentError):
    """The system holds something that contradicts the request (409) or changed under it (412)."""


class VismaContentError(VismaPermanentError):
    """An answer that must not be used: a DOCTYPE, an entity, a limit passed, a required value unreadable."""


class VismaUnknownOutcomeError(VismaPermanentError):
    """A request that must not be sent twice got no usable answer: it may have been carried out."""


class VismaIncompleteAnswerError(VismaTransientError):
    """An answer that ended too early or is damaged. Nothing of it was published; a retry reads it again."""


class VismaUnavailableError(VismaTransientError):
    """No answer, a time-out or a server error. A retry asks again."""


class VismaThrottledError(VismaTransientError):
    """The system asks for patience (429). A retry waits for ``retry_after`` where it was given."""


class VismaQuotaError(VismaTransientError):
    """The calls that the system allows per day are used up, or but for a reserve.

    Nothing was carried out. A retry comes after the quota's reset, as ``retry_after`` says.
    """


class VismaJobFailedError(VismaTransientError):
    """The remote export job ended without a result. A retry starts a new job."""


class VismaJobDeadlineError(VismaTransientError):
    """The remote export job did not end in time and was given up. A retry re-attaches or starts anew."""


class VismaGuardError(VismaPermanentError):
    """A guard stopped the run before anything was written. Approve the plan or mend the source."""


class VismaStorageError(VismaTransientError):
    """Files could not be verified or published. Nothing became visible; a retry writes the same keys."""
