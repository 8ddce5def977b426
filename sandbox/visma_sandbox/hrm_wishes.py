"""What a client of the HRM API may ask for, read from its request: the plan of an export, or a refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from visma_sandbox.faults import Fault
from visma_sandbox.hrm_datasets import CONTACT_SCOPE, Dataset
from visma_sandbox.hrm_export import ExportPlan, HeaderChange
from visma_sandbox.settings import Settings


class Refused(Exception):
    """The API says no. The shape of its error bodies is not known; this one follows RFC 9457."""

    def __init__(self, status: int, title: str, *, challenge: str | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.challenge = challenge

    def response(self) -> web.Response:
        """The refusal as it goes out."""
        return web.Response(
            status=self.status,
            text=json.dumps({"title": self.title, "status": self.status}),
            content_type="application/problem+json",
            headers={}
            if self.challenge is None
            else {"WWW-Authenticate": f'Bearer error="{self.challenge}"'},
        )


def export_plan(
    *,
    dataset: Dataset,
    query: Mapping[str, str],
    scopes: frozenset[str],
    settings: Settings,
    fault: Fault | None,
) -> ExportPlan:
    """The plan of an export.

    :param query: ``fields``, ``changeTimestampAfter``, ``changeTimestampBefore``; others are ignored, as the
        vendor's service seems to do (contract hrm, 1.1).
    :param scopes: what the bearer may see.
    :raises Refused: for a moment that is none, or an unknown field when those are refused.
    """
    delta = has_delta(dataset, settings)
    columns = _columns(dataset, query.get("fields"), settings)
    gated = frozenset[str]() if CONTACT_SCOPE in scopes else dataset.gated
    if settings["hrm_gated_columns"] == "missing":
        columns = [column for column in columns if column not in gated]
    parts = int(settings["hrm_parts"])
    if fault is not None and fault.kind == "several_parts":
        parts = int(fault.args.get("parts", 3))
    return ExportPlan(
        rows=dataset.rows,
        columns=tuple(columns),
        blanked=gated,
        after=_moment(query.get("changeTimestampAfter")) if delta else None,
        after_inclusive=settings["hrm_after_inclusive"],
        before=_moment(query.get("changeTimestampBefore")) if delta else None,
        before_inclusive=settings["hrm_before_inclusive"],
        parts=parts,
        header_only=settings["hrm_header_only"],
        duplicate_every=int(settings["hrm_duplicate_every"]),
        bom=settings["files_bom"],
        crlf=settings["files_crlf"],
        gzip=settings["files_gzip"] != "off",
        header_change=_header_change(fault, columns),
    )


def has_delta(dataset: Dataset, settings: Settings) -> bool:
    """Whether the dataset knows change timestamps at all."""
    return dataset.path in settings["hrm_delta_datasets"]


def _columns(dataset: Dataset, fields: str | None, settings: Settings) -> list[str]:
    """The columns in the dataset's own order; one ``!`` in front excludes the whole list (contract, 1.1)."""
    columns = [*dataset.columns, *settings["hrm_added_columns"].get(dataset.path, ())]
    if not fields:
        return columns
    named = set(fields.removeprefix("!").split(","))
    unknown = sorted(named - set(columns))
    if unknown and settings["hrm_unknown_fields"] == "refuse":
        raise Refused(400, f"Unknown fields: {', '.join(unknown)}")
    return [column for column in columns if (column in named) != fields.startswith("!")]


def _header_change(fault: Fault | None, columns: list[str]) -> HeaderChange | None:
    if fault is None or fault.kind != "changed_header":
        return None
    args: Mapping[str, Any] = fault.args
    if not {"rename", "remove", "add"} & set(args):
        args = {**args, "rename": {columns[0]: f"{columns[0]}_v2"}}
    return HeaderChange(
        rename=tuple(dict(args.get("rename", {})).items()),
        remove=frozenset(args.get("remove", ())),
        add=tuple(args.get("add", ())),
        part=args.get("part"),
    )


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, "A timestamp is not RFC 3339") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def callback_address(body: bytes) -> str | None:
    """``callbackAddress`` of the optional body.

    :raises Refused: for a body that is no JSON object, or an address that is no http(s) URL.
    """
    if not body.strip():
        return None
    try:
        wishes = json.loads(body)
    except ValueError:
        raise Refused(400, "The body is not JSON") from None
    if not isinstance(wishes, dict):
        raise Refused(400, "The body is not an object")
    address = wishes.get("callbackAddress")
    if address is None:
        return None
    if urlsplit(str(address)).scheme not in ("http", "https"):
        raise Refused(400, "callbackAddress is not an http address")
    return str(address)


def timestamp(now: float, form: str) -> str:
    """A moment in one of the forms that RFC 3339 allows: clients must give it back as they got it.

    :param form: ``seconds``, ``milliseconds``, ``ticks`` (seven digits, as .NET writes), ``offset``.
    """
    moment = datetime.fromtimestamp(now, UTC)
    match form:
        case "seconds":
            return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        case "ticks":
            return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
        case "offset":
            return moment.isoformat(timespec="milliseconds")
        case _:
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
