"""The index of a run and the keys that are gone, as files beside its rows.

An index counts only where its manifest says what it is of. Without one rows come again and nothing is called
gone: that is all it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import VismaContentError, VismaError
from airflow_provider_visma.published_rows.index import RowIndex
from airflow_provider_visma.storage import Publication, read_manifest, stage_jsonl
from airflow_provider_visma.stores import lines

INDEX_NAME = "index.tsv"
GONE_NAME = "gone.jsonl"
_SHOWN = 20
_UNREADABLE = (
    "Nothing was asked or published; a retry reads it again. Where it can never be read again, give the"
    " export another export_name: it then begins anew."
)


def remember_run(
    index: RowIndex,
    folder: str,
    *,
    is_of: Callable[[Mapping[str, Any]], bool],
    log: Any,
    system: str,
    conn_id: str,
) -> bool:
    """Take the index of an earlier run; return whether it names all that was published until then.

    :param is_of: whether that is the read of such a manifest: a repeated run may have left another one.
    :raises VismaError: it is there and cannot be read now.
    """
    path = ObjectStoragePath(folder) / INDEX_NAME
    try:
        # A try that was killed while it published may have left the index of rows that nobody got.
        manifest = read_manifest(path.parent, advice=_UNREADABLE) or {}
        if manifest and is_of(manifest):
            problem = "the index of an earlier run could not be read"
            index.remember(lines(path, problem=problem, advice=_UNREADABLE))
            return bool(manifest["knows_all"])
        problem = "is of another read" if manifest else "was not published"
    except FileNotFoundError:
        problem = "is not there any more"
    except (VismaContentError, ValueError):
        problem = "is damaged"
    except VismaError as error:
        error.system, error.conn_id = system, error.conn_id or conn_id
        raise
    log.warning("The index of an earlier run %s", problem, folder=folder)
    return False


def stage_index(publication: Publication, index: RowIndex, *, carry: bool) -> None:
    """Stage the index for the next run.

    :param carry: name also what was known before and did not come.
    """
    with publication.stage(INDEX_NAME) as staged:
        for line in index.lines(carry=carry):
            staged.write(line)


def stage_gone(publication: Publication, index: RowIndex) -> dict[str, Any]:
    """Stage the keys that did not come again, where there are any; return what a manifest says of them."""
    shown: list[dict[str, Any]] = []

    def keys() -> Iterator[dict[str, Any]]:
        for key in index.gone():
            if len(shown) < _SHOWN:
                shown.append(key)
            yield key

    found = keys()
    first = next(found, None)
    count = 0 if first is None else stage_jsonl(publication, GONE_NAME, chain([first], found))
    return {"rows": count, "first": shown}
