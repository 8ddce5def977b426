"""A finished review, whose it is, and what its file is called in Nmbrs.

Seed 003, step 3: a finished review goes to the documents of one employee, "only for users that are linked
already". Dialog publishes no interface; what a review looks like on the wire is this provider's assumption.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_visma.exceptions import VismaContentError

LINKED = "linked"

_LONGEST_NAME = 100
_DIGEST = re.compile(r"[0-9a-f]{64}")
# What Windows, where people open the file, allows in no name; controls and the like go by their category.
_NOT_IN_A_NAME = re.compile(r'[<>:"/\\|?*]')
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Review:
    """A review that Dialog calls finished.

    :param user_id: Dialog's id of the user whom it is about.
    :param size: bytes of its PDF, None where Dialog does not tell.
    :param sha256: hex digest of its PDF, None where Dialog does not tell.
    """

    id: str
    user_id: str
    title: str
    finished_at: datetime
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class ReviewUser:
    """The user of a review, as far as it matters here.

    :param external_id: the Nmbrs EmployeeId, where the user came from Nmbrs.
    :param state: how far the user has come in Dialog.
    """

    external_id: str | None
    state: str | None


def read_review(resource: Mapping[str, Any]) -> Review:
    """Return the review in *resource*, as it stands in Dialog's list.

    :raises VismaContentError: it lacks what a review needs.
    """
    try:
        document = resource.get("document") or {}
        size, digest = document.get("size"), document.get("sha256")
        digest = str(digest).lower() if digest else None
        if digest is not None and not _DIGEST.fullmatch(digest):
            raise ValueError("no digest")
        size = None if size is None else int(size)
        if size is not None and size < 0:
            raise ValueError("no size")
        return Review(
            id=_text(resource["id"]),
            user_id=_text(resource["user"]["value"]),
            title=str(resource.get("title") or ""),
            finished_at=read_moment(resource["finishedAt"]),
            size=size,
            sha256=digest,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise VismaContentError(
            "a review in the list lacks its id, its user or its moment, or has another in their place"
        ) from None


def read_id(resource: Any) -> str:
    """Return the id of what :func:`read_review` cannot read, nothing where it has none."""
    try:
        return _text(resource["id"])
    except (KeyError, TypeError, ValueError):
        return ""


def read_moment(text: str) -> datetime:
    """Return a moment of the wire; one without a zone is in UTC.

    :raises ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("no moment of UTC") from None
    return moment


def why_set_aside(user: ReviewUser | None, *, states: Collection[str] = (LINKED,)) -> str | None:
    """Return why a review of *user* is not for Nmbrs, None where it is.

    :param user: None where Dialog does not know whom the review is about.
    :param states: those in which a user counts as linked.
    """
    if user is None:
        return "unknown_user"
    if user.state not in states:
        return "not_linked"
    if not user.external_id:
        return "no_employee"
    return None if _is_employee_id(user.external_id) else "employee_id_is_no_number"


def file_name(review: Review) -> str:
    """Return the name under which the review's PDF is filed.

    Nmbrs wants an extension (fault 2040). What a title may hold besides (paths, line ends, marks that turn
    the direction of writing, endings of programs) must not become part of a name that people click on.
    """
    title = unicodedata.normalize("NFC", review.title)
    title = "".join(" " if unicodedata.category(sign) in _UNSEEN else sign for sign in title)
    title = " ".join(_NOT_IN_A_NAME.sub(" ", title).split())
    title = re.sub(r"\.pdf$", "", title, flags=re.IGNORECASE).replace(".", " ")
    day = review.finished_at.date().isoformat()
    room = _LONGEST_NAME - len(f" {day}.pdf")
    stem = " ".join(title.split())[:room].strip(" .") or "Beoordeling"
    return f"{stem} {day}.pdf"


def _is_employee_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 2**31


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > 200:
        raise ValueError("no identifier")
    return value
