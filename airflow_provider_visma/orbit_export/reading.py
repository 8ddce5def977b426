"""What is asked of Orbit for an export: in whose name, and the rows of a list.

Whether Orbit honours a filter is read from its answers. One that is refused, ignored or misread costs a
reading of the whole list, and so does a row that is missing where everything is read; never a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaPermanentError,
)
from airflow_provider_visma.orbit_export.changes import with_since

if TYPE_CHECKING:
    from airflow_provider_visma.hooks.orbit import OrbitHook
    from airflow_provider_visma.published_rows.index import RowIndex

_READINGS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OrbitList:
    """A list and how it is asked for.

    :param changed_filter: added to *filter* to ask for changes, with ``{since}`` for the moment; None where
        the service is not to be asked for changes.
    :param scope: digest of what decides which rows come.
    :param user: digest of who is signed in, None where Orbit does not say.
    """

    resource: str
    filter: Mapping[str, Any]
    order: Sequence[Mapping[str, Any]] | None
    changed_filter: Mapping[str, Any] | None
    page_size: int
    paged: bool
    scope: str
    user: str | None


@dataclass(slots=True)
class Reading:
    """The rows of a list.

    :ivar honoured: whether the filter was, None where none was sent.
    :ivar moving: whether each reading of everything brought rows that the one before had missed.
    """

    hook: OrbitHook
    wanted: OrbitList
    honoured: bool | None = None
    moving: bool = False

    def everything(self, index: RowIndex, *, may_miss: bool) -> Iterator[dict[str, Any]]:
        """Yield all rows, each once; where one is missing that was published before, read the list again.

        A row that is deleted from a page already read moves another one onto that page, unseen. The second
        reading brings that one; what a reading does not bring that found no such row is gone.

        :param may_miss: whether *index* names rows that were published before.
        """
        yield from index.new_rows(self._list(self.wanted.filter), drop_repeats=False)
        if not may_miss or not self.wanted.paged or index.without_key:
            return
        missing = index.missing()
        for _ in range(_READINGS - 1):
            if not missing:
                return
            yield from index.missed(self._list(self.wanted.filter))
            before, missing = missing, index.missing()
            if missing == before:
                return
        self.moving = bool(missing)

    def changes(self, since: str | None, *, expected: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield all rows that changed at *since* or later, and perhaps others.

        :param since: None to send no filter.
        :param expected: ids that a filter which works must bring.
        """
        if since is None or self.wanted.changed_filter is None:
            yield from self._list(self.wanted.filter)
            return
        from airflow_provider_visma.hooks._orbit_calls import may_be_refusal
        from airflow_provider_visma.hooks._orbit_pages import row_id

        came: set[str | None] = set()
        self.honoured = True
        try:
            for row in self._list({**self.wanted.filter, **with_since(self.wanted.changed_filter, since)}):
                came.add(row_id(row))
                yield row
        except VismaError as error:
            if came or not may_be_refusal(error):
                raise
            self.honoured = False
        if not came.issuperset(expected):
            # Deleted, or the filter means something else: then what it leaves out is anyone's guess.
            self.honoured = False
        if not self.honoured:
            came.discard(None)
            yield from (row for row in self._list(self.wanted.filter) if row_id(row) not in came)

    def _list(self, wanted: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        return self.hook.rows(
            self.wanted.resource,
            filter=wanted,
            order=self.wanted.order,
            page_size=self.wanted.page_size,
            paged=self.wanted.paged,
        )


def signed_in(hook: OrbitHook) -> str | None:
    """Return the id of the user who is signed in, whose rights limit every list; None where that is not told.

    :raises VismaError: Orbit cannot be reached, or takes nobody for signed in.
    """
    from airflow_provider_visma.hooks._orbit_calls import may_be_refusal
    from airflow_provider_visma.hooks._orbit_pages import row_id

    try:
        answer = hook.call("users.me")
    except VismaAuthenticationError:
        raise
    except VismaError as error:
        # What it answers is not known for certain: an export must not depend on it.
        if isinstance(error, VismaPermanentError | VismaIncompleteAnswerError) or may_be_refusal(error):
            return None
        raise
    if not isinstance(answer, dict):
        return None
    wrapped = [value for value in answer.values() if isinstance(value, dict)]
    return row_id(answer) or (row_id(wrapped[0]) if len(wrapped) == 1 else None)
