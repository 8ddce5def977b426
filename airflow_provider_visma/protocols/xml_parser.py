"""What every XML document from the network is held to, whatever it is a document of.

Nothing that is damaged, cut off or hostile may look like a whole one: lxml is kept strict, with libxml2's own
limits on, and what libxml2 lets pass is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from lxml import etree

from airflow_provider_visma.exceptions import VismaContentError, VismaError, VismaIncompleteAnswerError

MAX_DEPTH = 64
MAX_ATTRIBUTES = 100

STRICT: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "recover": False,
    "remove_comments": True,
    "collect_ids": False,
}

DOCTYPE = "the answer holds a document type declaration (DOCTYPE)"
WEB_PAGE = re.compile(rb"\s*<(!DOCTYPE\s+)?html\b", re.IGNORECASE)

# position()=N is several times cheaper in libxml2 than [N].
_TOO_MANY_ATTRIBUTES = f".//@*[position()={MAX_ATTRIBUTES + 1}]"


def _whether(expression: str) -> etree.XPath:
    return etree.XPath(f"boolean({expression})", smart_strings=False, regexp=False)


class Bounds:
    """Refuses too many attributes and too much depth.

    :param level: the level in their document of the children of what is checked; the root is at 1.
    :param usual: levels that are asked for first, because a path of sixty steps costs as much as reading.
    """

    _ATTRIBUTES = _whether(_TOO_MANY_ATTRIBUTES)

    def __init__(self, *, level: int, usual: int | None = None) -> None:
        self._too_deep = _whether("/".join(["*"] * (MAX_DEPTH - level + 2)))
        self._suspicious = _whether(f"{_TOO_MANY_ATTRIBUTES} or {'/'.join(['*'] * usual)}") if usual else None

    def check(self, element: etree._Element) -> None:
        """Refuse *element* for what is in it."""
        if self._suspicious is not None and not self._suspicious(element):
            return
        if self._ATTRIBUTES(element):
            raise VismaContentError(f"an element of the answer has more than {MAX_ATTRIBUTES} attributes")
        if self._too_deep(element):
            raise VismaContentError(f"the answer is nested deeper than {MAX_DEPTH}")


def local_name(element: etree._Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


_LIMITS = (etree.ErrorTypes.ERR_RESOURCE_LIMIT, etree.ErrorTypes.ERR_NAME_TOO_LONG)


def damaged(error: etree.XMLSyntaxError) -> VismaError:
    """Tell a damaged answer, which a retry may get whole, from one that passes a limit of libxml2.

    :param error: with its own parser's log, since lxml gives it that of all parsers of this thread.
    """
    # The log tells more than the error, which may be only that there is no element after all that.
    log = cast("Iterable[etree._LogEntry]", error.error_log)
    codes = {getattr(error, "code", None), *(entry.type for entry in log)}
    if codes.intersection(_LIMITS):
        return VismaContentError("the answer passes a limit on depth, text or tag size")
    if etree.ErrorTypes.ERR_UNDECLARED_ENTITY in codes:
        return VismaContentError("the answer refers to an entity")
    # libxml2's message may quote the text that it stumbled over, so only the place is told.
    return VismaIncompleteAnswerError(
        f"the answer is cut off or damaged (line {error.lineno}, code {getattr(error, 'code', None)})",
        advice="A retry reads it again.",
    )
