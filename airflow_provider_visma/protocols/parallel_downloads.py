"""Several files at once: all of them, or the first error.

Links expire while others are still downloading, so they are renewed for everybody by the first who
finds out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager

from airflow_provider_visma.exceptions import VismaContentError
from airflow_provider_visma.protocols.downloads import FileDownload, LinkExpiredError, Sink
from airflow_provider_visma.protocols.file_hosts import FileHostAccess

_MAX_RENEWALS = 2


def download_all(
    links: Sequence[str],
    *,
    renew: Callable[[], Sequence[str]],
    open_part: Callable[[int], AbstractContextManager[Sink]],
    access: FileHostAccess,
    max_concurrency: int = 4,
) -> None:
    """Download every link into its own sink.

    :param renew: reads fresh links to the same files, in the same order; called by one thread at a time.
    :param open_part: opens the sink of the file with this number; called in the thread that downloads it.
    :raises VismaError: of the first file that could not be had; the other downloads are ended then.
    """
    if not links:
        return
    shelf = _Links(links, renew)
    stop = threading.Event()
    downloads: list[FileDownload] = []

    def fetch(number: int) -> None:
        with open_part(number) as sink:
            download = FileDownload(sink, access=access, stop=stop)
            downloads.append(download)
            for renewal in range(_MAX_RENEWALS + 1):
                link, generation = shelf.link(number)
                try:
                    download.run(link)
                except LinkExpiredError:
                    if renewal == _MAX_RENEWALS:
                        raise
                    shelf.renew(generation)
                else:
                    return

    with ThreadPoolExecutor(min(max_concurrency, len(links)), thread_name_prefix="download") as pool:
        try:
            for done in as_completed([pool.submit(fetch, number) for number in range(len(links))]):
                done.result()
        except BaseException:
            # Also when Airflow ends the task: the threads must not outlive what they write to.
            stop.set()
            for download in downloads:
                download.abort()
            pool.shutdown(cancel_futures=True)
            raise


class _Links:
    """The links as they are now."""

    def __init__(self, links: Sequence[str], renew: Callable[[], Sequence[str]]) -> None:
        self._links = links
        self._renew = renew
        self._generation = 0
        self._lock = threading.Lock()

    def link(self, number: int) -> tuple[str, int]:
        """Return a link and the generation it is of."""
        with self._lock:
            return self._links[number], self._generation

    def renew(self, generation: int) -> None:
        """Read fresh links, unless somebody has done so since *generation*."""
        with self._lock:
            if generation != self._generation:
                return
            fresh = self._renew()
            if len(fresh) != len(self._links):
                raise VismaContentError(
                    f"the job had {len(self._links)} files and now has {len(fresh)}",
                    advice="Start the export again: this one can no longer be had whole.",
                )
            self._links = fresh
            self._generation += 1
