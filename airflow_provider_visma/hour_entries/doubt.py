"""Which rows that were sent without an answer are in Severa after all, by what Severa itself holds.

An entry counts as ours only where it was not there before the row was sent and every member that was sent
is in it. One that is new and merely similar makes its row unclear: neither sending nor dropping the row is
safe then, and a person has to look.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from airflow_provider_visma.upload_ledger.settlement import Settlement

Entry = Mapping[str, Any]
"""An HourEntry as the service returns it, by member name."""


def settle(
    rows: Mapping[int, Mapping[str, Any]], entries: Iterable[Entry], *, known: Collection[str]
) -> Settlement:
    """Match rows in doubt with entries, each entry with one row at most.

    :param rows: members by row number.
    :param entries: what Severa holds for the users and days of the rows.
    :param known: GUIDs that cannot be one of these rows: there before, or accepted as another row.
    """
    left = {guid: entry for entry in entries if (guid := guid_of(entry)) and guid not in known}
    settlement = Settlement()
    unmatched: list[int] = []
    # Rows that say more first: one that says less would match their entries too.
    for number in sorted(rows, key=lambda row: (-len(rows[row]), row)):
        match = next((guid for guid, entry in left.items() if _same(rows[number], entry)), None)
        if match is None:
            unmatched.append(number)
        else:
            settlement.found[number] = match
            del left[match]
    for number in sorted(unmatched):
        similar = any(is_similar(rows[number], entry) for entry in left.values())
        (settlement.unclear if similar else settlement.absent).append(number)
    return settlement


def is_similar(members: Mapping[str, Any], entry: Entry) -> bool:
    """Return whether *entry* may have been made of *members*, where the service changed some of them.

    It keeps user, day, case, phase and work type; what it does not tell may be anything.
    """
    return all(
        entry.get(member) is None or _equal(value, entry[member], member)
        for member, value in members.items()
        if member.endswith("GUID") or member == "EventDate"
    )


def guid_of(entry: Entry) -> str:
    """Return the entry's GUID in the one spelling in which GUIDs are compared, empty where it has none."""
    return str(entry.get("GUID") or "").strip().lower()


def _same(members: Mapping[str, Any], entry: Entry) -> bool:
    if not members.get("Description") and entry.get("Description"):
        return False
    return all(_equal(value, entry.get(member), member) for member, value in members.items())


def _equal(sent: Any, held: Any, member: str) -> bool:
    if held is None:
        return isinstance(sent, str) and not sent.strip()
    if isinstance(sent, bool):
        return held is sent
    if isinstance(sent, Decimal):
        return sent == _decimal(held)
    if isinstance(sent, datetime):
        held = held if isinstance(held, datetime) else datetime.fromisoformat(str(held))
        # The contract does not say whether moments come with a zone: the clock's reading is compared.
        plain = held.replace(tzinfo=None, microsecond=0)
        return bool(plain.date() == sent.date() if member == "EventDate" else plain == sent)
    if member.endswith("GUID"):
        return str(sent).lower() == str(held).strip().lower()
    # XML turns each kind of line end into one.
    return str(sent).replace("\r\n", "\n").replace("\r", "\n").strip() == str(held).strip()


def _decimal(held: Any) -> Decimal | None:
    return Decimal(str(held)) if isinstance(held, (int, float, Decimal)) else None
