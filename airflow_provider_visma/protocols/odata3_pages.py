"""From page to page of a feed by its own links, never to another host and never in a circle.

A link is the server's: it is followed as it is. The name and password of the connection go along, so it must
lead to where they belong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol
from urllib.parse import SplitResult, urldefrag, urljoin, urlsplit, urlunsplit

from airflow_provider_visma.exceptions import VismaContentError

MAX_PAGES = 100_000
_PORTS = {"http": 80, "https": 443}
_NOT_IN_LINKS = re.compile(r"[\x00-\x1f\x7f\\]")


class PageReader(Protocol):
    """What reads a page and knows the next one then: :class:`~.odata3.FeedReader`."""

    next_link: str | None


def follow(
    url: str,
    reader: PageReader,
    read_page: Callable[[str], Iterator[dict[str, Any]]],
    *,
    max_pages: int = MAX_PAGES,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of all pages of a feed.

    :param url: the first page.
    :param reader: read by *read_page*; knows the next page once that has ended.
    :param read_page: asks for a page and yields its rows.
    :raises VismaContentError: a link leads to another host, or to a page that was read already.
    """
    seen = {urldefrag(url).url}  # a fragment is never sent
    page: str | None = url
    while page is not None:
        yield from read_page(page)
        page = reader.next_link
        if page is None:
            return
        page = urldefrag(checked_next(url, page)).url
        if page in seen:
            raise VismaContentError("the feed's link to the next page leads back to a page already read")
        if len(seen) >= max_pages:
            raise VismaContentError(f"the feed has more than {max_pages} pages")
        seen.add(page)


def checked_next(first: str, link: str) -> str:
    """Return where to read on.

    A server behind a TLS proxy writes http links to its own host; they are followed over https.

    :param first: the address that the connection allowed.
    :raises VismaContentError: *link* leads elsewhere. The message holds no part of it.
    """
    try:
        allowed, to = urlsplit(first), urlsplit(link)
        same = _origin(to) == _origin(allowed)
        named = to.username is not None or to.password is not None
        upgraded = (allowed.scheme, to.scheme) == ("https", "http") and to.port in (None, 80)
        if upgraded and to.hostname == allowed.hostname and allowed.port in (None, 443):
            to = to._replace(scheme="https", netloc=allowed.netloc.rpartition("@")[2])
            link, same = urlunsplit(to), True
    except ValueError:
        raise VismaContentError("the feed's link to the next page cannot be read") from None
    if not same or named:
        raise VismaContentError(
            "the feed's link to the next page leads to another host",
            advice="The name and password of this connection are not sent there.",
        )
    return link


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)


def resolved(link: str | None, *bases: str | None) -> str | None:
    """Return *link* relative to *bases*, the innermost first; None where no address comes of it.

    A space is written as addresses write it; HTTP libraries disagree about line breaks and backslashes.
    """
    link = (link or "").strip().replace(" ", "%20")
    if not link or _NOT_IN_LINKS.search(link):
        return None
    try:
        for base in bases:
            link = urljoin(base or "", link)
    except ValueError:
        return None
    return link
