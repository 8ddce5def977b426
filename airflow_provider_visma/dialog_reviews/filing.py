"""Reviews to Nmbrs, each at most once.

Before the first byte of a document is sent the ledger says that it will be, and before the last one that all
of it was. So a review that nobody knows the outcome of is one whose last piece was sent: it is told, and sent
again only when a person says that Nmbrs does not have it. What one review meets does not stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, cast

from airflow_provider_visma.dialog_reviews.documents import Documents, PrivateCopy, Watched
from airflow_provider_visma.dialog_reviews.ledger import (
    Entry,
    Ledger,
    Refusal,
    State,
    TakenOverError,
)
from airflow_provider_visma.dialog_reviews.pdf import problems_of
from airflow_provider_visma.dialog_reviews.report import Line, Report, Terms
from airflow_provider_visma.dialog_reviews.review import (
    Review,
    ReviewUser,
    file_name,
    why_set_aside,
)
from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConnectionConfigError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaPermanentError,
    VismaPermissionError,
    VismaStorageError,
    VismaThrottledError,
    VismaTransientError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.upload_ledger.ledger import Owner

FILED, NOT_FILED = "filed", "not filed"

_UNANSWERED_IN_A_ROW = 5
_OF_ONE_REVIEW = frozenset({"1003", "HTTP 413"})


class _LedgerError(Exception):
    """The ledger failed while a document was on its way: none of Nmbrs' errors, nor to be named as one."""

    def __init__(self, error: VismaError) -> None:
        super().__init__(str(error))
        self.error = error


class Filing:
    """One try to bring reviews to Nmbrs.

    :param upload: stores a document with an employee: number, name, bytes. It is sent once.
    :param copy: makes a private file for a download, and removes it.
    :param is_over: tells of another task instance whether it has ended; None where nobody knows.
    :param settled: what a person found of reviews in doubt: ``filed`` or ``not filed``, by review.
    :param retry_refused: send again what an earlier run had refused.
    """

    def __init__(
        self,
        dialog: Documents,
        upload: Callable[[int, str, BinaryIO], None],
        ledger: Ledger,
        *,
        terms: Terms,
        owner: Owner,
        copy: Callable[[], AbstractContextManager[PrivateCopy]],
        is_over: Callable[[Owner], bool | None],
        settled: Mapping[str, str],
        retry_refused: bool = False,
    ) -> None:
        self._dialog = dialog
        self._upload = upload
        self._ledger = ledger
        self._terms = terms
        self._owner = owner
        self._copy = copy
        self._is_over = is_over
        self._settled = settled
        self._retry_refused = retry_refused
        self._unanswered = 0
        self._users: dict[str, ReviewUser | None] = {}

    def run(self, reviews: Sequence[Review]) -> Report:
        """File what may be filed; return what became of each."""
        report = Report()
        for number, review in enumerate(reviews):
            try:
                line = self._line(review, report)
            except VismaError as error:
                self._unanswered += isinstance(error, VismaUnavailableError | VismaThrottledError)
                if _stops(error) or self._unanswered >= _UNANSWERED_IN_A_ROW:
                    report.fatal, report.not_tried = error, len(reviews) - number
                    break
                line = Line(review.id, "failed", why=(error.code or type(error).__name__,))
            report.lines.append(line)
            if line.outcome in ("filed", "refused"):
                self._unanswered = 0
            elif self._unanswered >= _UNANSWERED_IN_A_ROW:  # each further one would be in doubt too
                report.fatal, report.not_tried = _no_answers(), len(reviews) - number - 1
                break
        return report

    def _line(self, review: Review, report: Report) -> Line:
        # The ledger first: what was filed or is in doubt stays so, whatever became of the user.
        entry = self._ledger.entry(review.id)
        found = self._before(entry, review, report)
        if found is None:
            user = self._user(review.user_id)
            aside = why_set_aside(user, states=self._terms.states)
            if user is None or user.external_id is None or aside is not None:
                return Line(review.id, "set_aside", why=(aside or "unknown_user",))
            found = self._file_anew(entry, review, int(user.external_id))
        outcome, why = found
        return Line(
            review.id,
            outcome,
            entry.employee_id,
            why,
            file_name(review) if outcome in ("filed", "in_doubt") else None,
            entry.sha256,
        )

    def _user(self, user_id: str) -> ReviewUser | None:
        if user_id not in self._users:
            self._users[user_id] = self._dialog.review_user(user_id)
        return self._users[user_id]

    def _before(self, entry: Entry, review: Review, report: Report) -> tuple[str, tuple[str, ...]] | None:
        """Return what an earlier attempt came to, None where the review is to be sent."""
        if entry.state in (State.STARTED, State.IN_DOUBT) and self._is_elsewhere(entry):
            return "elsewhere", ()
        if entry.state is State.STARTED:
            entry.give_up()
        if entry.state is State.IN_DOUBT:
            report.settled += self._settle(entry)
        match entry.state:
            case State.IN_DOUBT:
                return "in_doubt", ("unknown_outcome",)
            case State.FILED:
                if review.sha256 and entry.sha256 and review.sha256 != entry.sha256:
                    return "set_aside", ("changed_since_it_was_filed",)
                return "filed_before", ()
        return None

    def _settle(self, entry: Entry) -> bool:
        """Note what a person found of a review in doubt; return whether they found anything."""
        told = self._settled.get(entry.review_id)
        # Airflow gives a retry the same arguments: a finding holds for what was in doubt when it was made.
        if told is None or entry.was_settled_in(self._owner):
            return False
        entry.filed(settled_in=self._owner) if told == FILED else entry.not_filed(settled_in=self._owner)
        return True

    def _is_elsewhere(self, entry: Entry) -> bool:
        other = entry.owner
        same = other is not None and self._owner.is_same_task_instance(other)
        return other is not None and not same and self._is_over(other) is False

    def _is_tried_again(self, entry: Entry, review: Review, employee_id: int) -> bool:
        refusal = entry.refusal
        return (
            refusal is None
            or self._retry_refused
            or employee_id != entry.employee_id
            or refusal.terms != self._terms.of_document()
            or refusal.run_id == self._owner.run_id
            or bool(review.sha256 and review.sha256 != entry.sha256)
        )

    def _file_anew(self, entry: Entry, review: Review, employee_id: int) -> tuple[str, tuple[str, ...]]:
        if entry.state is State.REFUSED and not self._is_tried_again(entry, review, employee_id):
            return "refused_before", entry.refusal.problems if entry.refusal else ()
        try:
            return self._file(entry, review, employee_id)
        except TakenOverError:
            return "elsewhere", ()

    def _file(self, entry: Entry, review: Review, employee_id: int) -> tuple[str, tuple[str, ...]]:
        def refuse(sha256: str | None, size: int | None, *problems: str) -> tuple[str, tuple[str, ...]]:
            entry.begin(employee_id=employee_id, sha256=sha256, size=size, owner=self._owner)
            entry.refused(Refusal("check", problems, self._terms.of_document(), self._owner.run_id))
            return "refused", problems

        if review.size is not None and review.size > self._terms.max_bytes:
            return refuse(review.sha256, review.size, "too_large")
        with self._copy() as copy:
            try:
                self._dialog.download_review(review, copy.write, max_bytes=self._terms.max_bytes)
            except VismaContentError as error:
                return refuse(review.sha256, review.size, error.code or "unusable_answer")
            except VismaNotFoundError:
                return refuse(review.sha256, review.size, "no_document")
            announced = (review.sha256, copy.sha256) if review.sha256 else (review.size, copy.size)
            if announced[0] not in (None, announced[1]):
                raise VismaIncompleteAnswerError("the document is not the one that Dialog announced")
            with copy.open() as file:
                if problems := self._problems(file):
                    return refuse(copy.sha256, copy.size, *problems)
                entry.begin(employee_id=employee_id, sha256=copy.sha256, size=copy.size, owner=self._owner)
                return self._send(entry, review, employee_id, file)

    def _problems(self, file: BinaryIO) -> tuple[str, ...]:
        return problems_of(
            file,
            max_bytes=self._terms.max_bytes,
            allow_active=self._terms.allow_active,
            allow_encrypted=self._terms.allow_encrypted,
        )

    def _send(
        self, entry: Entry, review: Review, employee_id: int, file: BinaryIO
    ) -> tuple[str, tuple[str, ...]]:
        def decide() -> None:
            try:
                entry.decide()
            except VismaError as error:
                raise _LedgerError(error) from error

        watched = cast("BinaryIO", Watched(file, decide))
        try:
            self._upload(employee_id, file_name(review), watched)
        except VismaUnknownOutcomeError as error:
            if entry.state is State.IN_DOUBT:
                self._unanswered += 1
                return "in_doubt", ("unknown_outcome",)
            entry.not_filed()  # it broke off before the last piece: no service has the whole of it
            raise VismaUnavailableError(
                "the document was not sent to its end", system=error.system, operation=error.operation
            ) from None
        except _LedgerError as ledger_failed:
            raise ledger_failed.error from ledger_failed.error.__cause__
        except VismaPermanentError as error:
            if _stops(error):
                entry.not_filed()
                raise
            why = (error.code or type(error).__name__,)
            entry.refused(Refusal("nmbrs", why, self._terms.of_document(), self._owner.run_id))
            return "refused", why
        except VismaTransientError:
            entry.not_filed()
            raise
        entry.filed()
        return "filed", ()


def _no_answers() -> VismaError:
    return VismaUnknownOutcomeError(
        f"{_UNANSWERED_IN_A_ROW} reviews in a row were sent and got no answer",
        system="Nmbrs",
        advice="The rest was not sent. See that Nmbrs answers, look there for the documents that the report"
        " names as in doubt, and tell what you found with settled.",
    )


def _stops(error: VismaError) -> bool:
    """Return whether the other reviews would meet the same error."""
    if isinstance(error, VismaAuthenticationError | VismaConnectionConfigError | VismaStorageError):
        return True
    if isinstance(error, VismaPermanentError) and error.system is None:  # the ledger, or its store
        return True
    # Asked for one document or user, Dialog may keep just that one to itself.
    if error.code in _OF_ONE_REVIEW or error.system == "Dialog":
        return False
    if isinstance(error, VismaPermissionError):
        return True
    # Without a code of the service it is our own request that is wrong; with HTTP's, the address.
    return isinstance(error, VismaPermanentError) and (error.code or "HTTP").startswith("HTTP")
