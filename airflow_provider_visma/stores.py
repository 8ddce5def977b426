"""What a store of files holds now, and what it refuses, as errors that say who must act.

fsspec's file systems keep the listings of folders as long as the process lives. From these they answer
whether a file is there and how long it is, s3fs even where it reads one whole: what another process wrote
since is not there for them. So a folder's listing is forgotten before anything in the folder is read.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import (
    VismaConnectionConfigError,
    VismaError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaStorageError,
)

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_LOCAL = ("", "file", "local")
_READ_AT_ONCE = 8 * 1024 * 1024
_PART = 8 * 1024 * 1024
_PARTS_AT_ONCE = 4
_MOST_PARTS = 10_000  # of an object of S3
_NO_CONTAINER = frozenset({"NoSuchBucket", "ContainerNotFound"})
_REFUSED = frozenset({"401", "403", "AccessDenied", "AuthorizationFailure", "AuthenticationFailed"})
_PASSING = frozenset({"ExpiredToken", "RequestTimeTooSkewed"})  # PermissionErrors of s3fs, and no rights
_MISADDRESSED = frozenset({"301", "PermanentRedirect", "AuthorizationHeaderMalformed", "InvalidBucketName"})


def as_now(path: ObjectStoragePath) -> Any:
    """Return the file system of *path*, which answers for that path as the store has it now."""
    store = path.fs
    store.invalidate_cache(path.parent.path)
    return store


def content(path: ObjectStoragePath) -> bytes:
    """Return what a file holds now.

    :raises FileNotFoundError: there is none.
    """
    found: bytes = as_now(path).cat_file(path.path)
    return found


def opened(path: ObjectStoragePath) -> Any:
    """Open a file as it is now, to read its bytes a few MiB at a time.

    :raises FileNotFoundError: there is none.
    """
    return as_now(path).open(path.path, "rb", block_size=_READ_AT_ONCE)


def lines(path: ObjectStoragePath, *, problem: str, advice: str) -> Iterator[bytes]:
    """Iterate over the lines of a file.

    :param problem: what failed, and *advice* what to do, for :func:`store_error`.
    :raises FileNotFoundError: there is no such file.
    :raises VismaError: the store failed.
    """
    try:
        with opened(path) as file:
            yield from file
    except (VismaError, FileNotFoundError):
        raise
    except Exception as error:
        raise store_error(error, path, problem=problem, advice=advice) from error


@contextmanager
def store_errors(path: ObjectStoragePath, *, problem: str, advice: str) -> Iterator[None]:
    """Raise what a store's client raises as :func:`store_error` has it."""
    try:
        yield
    except VismaError:
        raise
    except Exception as error:
        raise store_error(error, path, problem=problem, advice=advice) from error


def in_parts(store: Any, size: int) -> dict[str, int]:
    """Return how a file is uploaded by a file system that takes a say in it.

    Left to itself s3fs has up to ten parts of 50 MiB in memory, and of any file up to 100 MiB all of it.
    """
    parameters = inspect.signature(getattr(store, "_put_file", store.put_file)).parameters
    if not {"chunksize", "max_concurrency"} <= parameters.keys():
        return {}
    return {
        "chunksize": max(_PART, math.ceil(size / _MOST_PARTS)),
        "max_concurrency": _PARTS_AT_ONCE,
    }


def lacks_container(error: Exception) -> bool:
    """Return whether a store says that the bucket or container itself is not there; not all do."""
    return _code(error) in _NO_CONTAINER


def store_error(error: Exception, path: ObjectStoragePath, *, problem: str, advice: str) -> VismaError:
    """Return what a store's client raised as an error of this provider.

    s3fs, gcsfs and adlfs raise an OSError for some of what their stores refuse, and for the rest whatever the
    library below them does.

    :param path: what was asked for.
    :param problem: what failed, as a sentence without a full stop.
    :param advice: what to do where a retry may help.
    """
    code = _code(error)
    told: dict[str, Any] = {"operation": str(path), "conn_id": path.conn_id, "code": code}
    reason = getattr(error, "strerror", None)
    what = f"{problem} ({type(error).__name__}{f': {reason}' if reason else ''})"
    if path.protocol in _LOCAL:
        return VismaStorageError(what, **told, advice=advice)
    who = f"the connection {path.conn_id}" if path.conn_id else "the worker's own identity"
    if type(error).__name__ == "AirflowNotFoundException":
        return VismaConnectionConfigError(what, **told, advice=f"See that {who} exists.")
    if code in _PASSING:  # a retry is given other credentials, or another worker
        return VismaStorageError(what, **told, advice=advice)
    if code in _MISADDRESSED or type(error).__name__ == "ParamValidationError":
        return VismaRequestError(
            what, **told, advice=f"Correct the bucket's name, or the region and endpoint of {who}."
        )
    if code in _NO_CONTAINER or (isinstance(error, FileNotFoundError) and not _is_local(error)):
        container = path.path.lstrip("/").partition("/")[0]
        return VismaNotFoundError(
            what,
            **told,
            advice=f"Look whether there is a bucket or container {container}, and whether {who} leads to it.",
        )
    if isinstance(error, PermissionError) or code in _REFUSED or _is_refusal(error):
        return VismaPermissionError(
            what,
            **told,
            advice=f"See that {who} exists, and may list this folder and read, write and delete in it.",
        )
    return VismaStorageError(what, **told, advice=advice)


def _code(error: Exception) -> str | None:
    """Return the store's own code."""
    for each in (error, error.__cause__):
        response = getattr(each, "response", None)  # botocore's
        if isinstance(response, Mapping):
            return str(response.get("Error", {}).get("Code") or "") or None
        for name in ("error_code", "status_code", "code"):  # Azure's, and gcsfs'
            if isinstance(found := getattr(each, name, None), str | int):
                return str(getattr(found, "value", found))
    return None


def _is_local(error: FileNotFoundError) -> bool:
    return isinstance(error.filename, str) and os.path.isabs(error.filename)


def _is_refusal(error: Exception) -> bool:
    name = type(error).__name__
    if name == "CredentialRetrievalError":  # who hands them out did not answer
        return False
    return "Credential" in name or "Authentication" in name or str(error).startswith("Forbidden")
