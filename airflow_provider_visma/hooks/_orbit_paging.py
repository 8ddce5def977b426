"""All rows of a list that comes in pages, whose first page may be numbered 0 or 1. No request is made here.

What is not known of the service is found out from its answers, and never guessed: where its numbers begin,
whether it turns pages at all, how many rows it puts on one. A page that is shorter than asked is not trusted
to be the last, unless the service says by which size it counted; the end is a page with nothing on it.

A row that comes on two pages tells that the list moved while it was read, or has no order: then others may
have been missed. So the list is read again, and what was missed is handed out; each row comes once.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaRequestError,
)
from airflow_provider_visma.hooks._orbit_calls import OrbitCall, is_refusal, may_be_refusal
from airflow_provider_visma.hooks._orbit_pages import Ask, Page, Steps, page_of, row_id
from airflow_provider_visma.hooks._orbit_settings import SYSTEM

_BY_ID = ({"field": "id", "order": "asc"},)
_READINGS = 3
# With smaller pages, one row that is deleted meanwhile could make the second row look like the first.
_TELLING_SIZE = 10
# No service allows fewer rows on a page; a shorter first page is a short list, or hides rows from this user.
_SMALLEST_LIMIT = 10


class ListRequest:
    """One reading of a list, as steps: whoever drives it asks for the pages, and passes the rows on.

    :param resource: whose list it is.
    :param order: by id where None, if the service can: a list must not move while it is read.
    :param page_size: rows per page to ask for.
    :param first_pages: number of the first page by resource, as found out so far.
    :raises VismaRequestError: it is no list that Orbit could know.
    """

    def __init__(
        self,
        resource: str,
        *,
        filter: Mapping[str, Any] | None,
        order: Sequence[Mapping[str, Any]] | None,
        page_size: int,
        conn_id: str,
        first_pages: MutableMapping[str, int],
    ) -> None:
        self._resource = resource
        self._filter = dict(filter or {})
        self._may_drop_order = order is None
        self._order = list(_BY_ID if order is None else order)
        self._size = page_size
        self._conn_id = conn_id
        self._first_pages = first_pages
        self._first = 1
        self._held: dict[tuple[int, int], Page] = {}
        self._method = f"{resource}.list"
        self.call(None)
        if page_size < 1:
            raise VismaRequestError(
                f"page_size is {page_size}", system=SYSTEM, conn_id=conn_id, operation=self._method
            )

    def call(self, wanted: Ask | None) -> OrbitCall:
        """Return the call for a page, or for the list at once."""
        body: dict[str, Any] = {"filter": self._filter, "order": self._order}
        if wanted is not None:
            body["page"] = {"size": wanted.size, "number": wanted.number}
        elif self._may_drop_order:  # nobody asked for one, and what comes at once cannot move
            del body["order"]
        # What is empty is left out: there is no telling what an empty order does.
        body = {name: value for name, value in body.items() if value}
        return OrbitCall.of(self._method, body, conn_id=self._conn_id)

    def page(self, answer: Any, wanted: Ask | None) -> Page:
        """Read the answer to such a call."""
        with self._named():
            return page_of(answer, asked=wanted.size if wanted else self._size)

    def take_first_page(self, number: int | None) -> None:
        """Take somebody's word for the number of the first page, None where nobody gave it."""
        if number is not None:
            self._first_pages[self._resource] = number

    def steps(self) -> Steps:
        """Yield what to ask for, and the rows; an :class:`Ask` is answered with its page.

        :raises VismaContentError: the service does not turn pages.
        :raises VismaIncompleteAnswerError: the list moved during every reading.
        """
        with self._named():
            yield from self._find_first_page()
            handed_out: set[str] = set()
            for reading in range(_READINGS):
                moved = yield from self._read(handed_out, known=set() if reading else handed_out)
                if not moved:
                    return
        raise self._moved()

    def _moved(self) -> VismaIncompleteAnswerError:
        return VismaIncompleteAnswerError(
            f"rows came on two pages in each of {_READINGS} readings",
            advice="The list changes while it is read, or the service keeps no order: a retry reads it again."
            " Another order may help, or a larger page.",
            system=SYSTEM,
            conn_id=self._conn_id,
            operation=self._method,
        )

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say in an error where it happened."""
        try:
            yield
        except VismaError as error:
            error.system, error.conn_id = SYSTEM, self._conn_id
            error.operation = error.operation or self._method
            raise

    def _read(self, handed_out: set[str], *, known: set[str]) -> Generator[Any, Any, bool]:
        """Read all pages once; return whether the list moved meanwhile.

        :param known: ids that came during this reading; at the first the same set as *handed_out*.
        """
        number = first = self._first
        before: Page | None = None
        while True:
            page = yield from self._page(number)
            if not page.rows:
                return False
            if before is not None and page.keys == before.keys:
                # Some services give their last page for all that follow.
                if number - 1 == first:
                    yield from self._check_turning(number, before)
                return False
            came = [row_id(row) for row in page.rows]
            again = [key for key in came if key is not None and key in known]
            new = [
                row for row, key in zip(page.rows, came, strict=True) if key is None or key not in handed_out
            ]
            ids = {key for key in came if key is not None}
            known |= ids
            handed_out |= ids
            if new:
                yield new
            if again:
                return True
            if page.is_last:
                return False
            if before is None and known is handed_out:
                self._settle_size(page)
            before = page
            number += 1

    def _find_first_page(self) -> Generator[Any, Any, None]:
        """Find out whether the first page is numbered 0 or 1, unless that is known."""
        if self._resource in self._first_pages:
            self._first = self._first_pages[self._resource]
            return
        one = yield from self._page(1, hold=True)
        alone = (yield from self._alone(1)) if len(one.rows) > 1 else []
        # Where numbers begin with 0, the second row stands alone on page 1, and not the first of many.
        begins_alike = 0 < len(alone) < len(one.rows) and one.keys[: len(alone)] == alone
        if begins_alike and self._size >= _TELLING_SIZE:
            self._first_is(1)
            return
        zero: Page | VismaError = yield Ask(0, self._size, refusable=True)
        if isinstance(zero, VismaError):
            if not is_refusal(zero):
                # Taken for a refusal, it might hide the first page of all.
                zero.advice = (
                    "This was page 0, asked for to find out where the numbers begin. If it fails each time,"
                    " set the connection's extra first_page."
                )
                raise zero
            self._first_is(1)
        elif not zero.rows:
            if one.rows:  # an empty list tells nothing: the next may
                self._first_is(1)
        elif not _mostly_the_same(zero, one) or (alone and alone == zero.keys[1:2]):
            self._first_is(0)
            # Page 1 is asked for anew: what moved onto it since would show on no page that comes later.
            self._held = {(0, self._size): zero}
        elif begins_alike:
            self._first_is(1)
        # Else it is one page, by whichever number: what is beyond either end may be answered with it.

    def _first_is(self, number: int) -> None:
        self._first = self._first_pages[self._resource] = number

    def _page(self, number: int, *, hold: bool = False) -> Generator[Any, Any, Page]:
        held = self._held.pop((number, self._size), None)
        answer: Any = held or (yield Ask(number, self._size, refusable=self._may_drop_order))
        if isinstance(answer, VismaError):
            if not may_be_refusal(answer):
                raise answer
            # It may be the order, which nobody asked for; if it is not, the same is refused again.
            self._order = []
            answer = yield Ask(number, self._size)
        page: Page = answer
        self._may_drop_order = False
        if hold:
            self._held[number, self._size] = page
        return page

    def _settle_size(self, first: Page) -> None:
        """Ask from now on for as many rows as the service puts on a page.

        Asked for more than it allows, it might still count that many for each page that is skipped.
        """
        if first.shown_size is not None:
            self._size = first.shown_size
        elif _SMALLEST_LIMIT <= len(first.rows) < self._size:
            self._size = len(first.rows)

    def _check_turning(self, number: int, first: Page) -> Generator[Any, Any, None]:
        """Check that a page which repeats the first one is the end of a list with one page.

        :raises VismaContentError: the service does not turn pages, so nobody knows what else there is.
        """
        if len(first.rows) == 1 < first.asked:
            return
        alone = yield from self._alone(number)
        if len(first.rows) > 1 and alone == first.keys[1:2]:
            return
        raise VismaContentError(
            "the second page repeats the first, whatever size is asked for",
            advice="The service does not turn the pages of this list, so it may hold more than came. Where it"
            " is known to come whole, read it with paged=False.",
        )

    def _alone(self, number: int) -> Generator[Any, Any, list[str]]:
        """Return what is on a page of one row; nothing where the service refuses so small a page."""
        page: Page | VismaError = yield Ask(number, 1, refusable=True)
        if not isinstance(page, VismaError):
            return page.keys
        if is_refusal(page):
            return []
        raise page


def _mostly_the_same(page: Page, other: Page) -> bool:
    """Return whether two pages are one, though the list may have changed between the two requests."""
    shared = len(set(page.keys) & set(other.keys))
    return 2 * shared > min(len(page.rows), len(other.rows))
