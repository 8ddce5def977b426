"""The ledger: what it says after any end, on a disk and in an object store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaRequestError,
    VismaStorageError,
    VismaTransientError,
)
from airflow_provider_visma.upload_ledger.ledger import Accepted, Ledger, NotSent, Owner, Rejected

ME = Owner("dag", "upload", "run-1")
OTHER = Owner("dag", "upload", "run-2")


@pytest.fixture(params=["file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStoragePath]:
    if request.param == "file":
        yield ObjectStoragePath(f"file://{tmp_path}/ledger [1]/abc")
        return
    store = fsspec.filesystem("memory")
    attach(protocol="memory", fs=store)
    yield ObjectStoragePath("memory://bucket/ledger/abc")
    if store.exists("/bucket"):
        store.rm("/bucket", recursive=True)


def is_over(answer: bool | None) -> object:
    return lambda owner: answer


def loaded(folder: ObjectStoragePath, **arguments: int) -> Ledger:
    ledger = Ledger(folder, system="Severa")
    ledger.load(**arguments)
    return ledger


def names(folder: ObjectStoragePath) -> list[str]:
    return sorted(path.rsplit("/", 1)[-1] for path in folder.fs.ls(folder.path, detail=False))


def damage(folder: ObjectStoragePath, name: str, *, keep: int) -> None:
    path = (folder / name).path
    folder.fs.pipe_file(path, folder.fs.cat_file(path)[:keep])


def test_a_row_without_an_intent_was_never_sent(folder: ObjectStoragePath) -> None:
    assert loaded(folder).is_open(1)


def test_a_row_with_an_intent_alone_is_in_doubt(folder: ObjectStoragePath) -> None:
    loaded(folder).intend([1, 2], before=["g0"])
    ledger = loaded(folder)
    assert ledger.in_doubt == {1: 1, 2: 1}
    assert not ledger.is_open(1)
    assert ledger.before([1]) == {"g0"}


def test_outcomes_are_what_the_next_try_finds(folder: ObjectStoragePath) -> None:
    ledger = loaded(folder)
    batch = ledger.intend([1, 2, 3, 4], before=())
    refusal = Rejected("VismaRequestError", "ValidationException", "why")
    ledger.conclude(batch, {1: Accepted("G1"), 2: refusal, 3: NotSent()})
    for found in (ledger, loaded(folder)):
        assert found.accepted == 1
        assert found.rejected == {2: refusal}
        assert found.in_doubt == {4: 1}
        assert [row for row in range(1, 6) if found.is_open(row)] == [3, 5]
        assert found.last_batch == 1
    assert ledger.accepted_among({"g1", "g2"}) == {"g1"}


def test_a_later_outcome_settles_a_row_in_doubt(folder: ObjectStoragePath) -> None:
    ledger = loaded(folder)
    batch = ledger.intend([1, 2], before=())
    ledger.conclude(batch, {1: Accepted("g1")})
    loaded(folder).conclude(batch, {2: Accepted("g2")})
    assert loaded(folder).accepted == 2


def test_an_accepted_row_stays_accepted_whatever_a_replaced_process_says_later(
    folder: ObjectStoragePath,
) -> None:
    ledger = loaded(folder)
    batch = ledger.intend([1], before=())
    ledger.conclude(batch, {1: Accepted("g1")})
    for later in (NotSent(), Rejected("VismaRequestError")):
        ledger.conclude(batch, {1: later})
    found = loaded(folder)
    assert not found.is_open(1)
    assert (found.accepted, found.rejected) == (1, {})


def test_rows_rejected_in_a_finished_upload_may_be_sent_again(folder: ObjectStoragePath) -> None:
    ledger = loaded(folder)
    for row in (1, 2):
        ledger.conclude(ledger.intend([row], before=()), {row: Rejected("VismaRequestError")})
    assert list(loaded(folder, retry_rejected_until=1).rejected) == [2]
    again = loaded(folder, retry_rejected_until=2)
    assert again.rejected == {}
    assert again.is_open(1)


@pytest.mark.parametrize("keep", [0, 10, -1, -3])
@pytest.mark.parametrize("name", ["000001.intent.json", "000001.outcome-1.json"])
def test_a_truncated_segment_is_an_error_that_says_what_to_do(
    folder: ObjectStoragePath, name: str, keep: int
) -> None:
    ledger = loaded(folder)
    ledger.conclude(ledger.intend([1], before=()), {1: Accepted("g1")})
    damage(folder, name, keep=keep if keep != -1 else -2)
    with pytest.raises(VismaContentError, match=rf"{name} of the ledger is damaged.*Bring the object back"):
        loaded(folder)


@pytest.mark.parametrize("name", ["000001.intent.json", "000002.intent.json"])
def test_a_lost_intent_is_an_error_and_not_rows_that_were_never_sent(
    folder: ObjectStoragePath, name: str
) -> None:
    ledger = loaded(folder)
    for row in (1, 2):
        ledger.conclude(ledger.intend([row], before=()), {row: Accepted(f"g{row}")})
    folder.fs.rm_file((folder / name).path)
    with pytest.raises(VismaContentError, match=f"{name} of the ledger is gone"):
        loaded(folder)


def test_a_lost_outcome_leaves_its_rows_in_doubt(folder: ObjectStoragePath) -> None:
    ledger = loaded(folder)
    ledger.conclude(ledger.intend([1], before=()), {1: Accepted("g1")})
    folder.fs.rm_file((folder / "000001.outcome-1.json").path)
    assert loaded(folder).in_doubt == {1: 1}


def test_the_intent_of_one_batch_is_written_by_one_process(folder: ObjectStoragePath) -> None:
    first, second = loaded(folder), loaded(folder)
    first.claim(ME, is_over=is_over(None), take_over=False)  # type: ignore[arg-type]
    first.intend([1], before=())
    with pytest.raises(VismaTransientError, match=r"dag\.upload of run run-1 is uploading the same file"):
        second.intend([1], before=())


def claim(
    folder: ObjectStoragePath, owner: Owner, over: bool | None = None, take_over: bool = False
) -> Ledger:
    ledger = Ledger(folder, system="Severa")
    ledger.claim(owner, is_over=is_over(over), take_over=take_over)  # type: ignore[arg-type]
    return ledger


def test_a_ledger_has_one_owner_at_a_time(folder: ObjectStoragePath) -> None:
    claim(folder, ME)
    with pytest.raises(VismaTransientError, match=r"is uploading the same file\. This task stops"):
        claim(folder, OTHER, over=False, take_over=True)
    with pytest.raises(VismaTransientError, match=r"as far as anybody knows.*take_over=True"):
        claim(folder, OTHER, over=None)


@pytest.mark.parametrize(
    ("owner", "over", "take_over"), [(ME, False, False), (OTHER, True, False), (OTHER, None, True)]
)
def test_a_ledger_passes_to_a_retry_and_to_who_comes_after_an_end(
    folder: ObjectStoragePath, owner: Owner, over: bool | None, take_over: bool
) -> None:
    first = claim(folder, ME)
    second = claim(folder, owner, over, take_over)
    second.still_owned()
    with pytest.raises(VismaTransientError):
        first.still_owned()


def test_a_released_ledger_is_anybodys(folder: ObjectStoragePath) -> None:
    claim(folder, ME).release()
    claim(folder, OTHER, over=False).still_owned()


def test_mapped_tasks_are_different_owners(folder: ObjectStoragePath) -> None:
    claim(folder, Owner("dag", "upload", "run-1", map_index=0))
    with pytest.raises(VismaTransientError, match=r"dag\.upload\[0\] of run run-1"):
        claim(folder, Owner("dag", "upload", "run-1", map_index=1), over=False)


def test_an_upload_goes_on_as_what_it_was_begun(folder: ObjectStoragePath) -> None:
    ledger = Ledger(folder, system="Severa")
    header = {"columns": {"a": "Quantity"}, "service": "https://sync.severa.com"}
    ledger.check_header(header)
    ledger.store_header(header)
    ledger.check_header(header)
    with pytest.raises(VismaRequestError, match="with another service"):
        ledger.check_header({**header, "service": "https://sync-test.severa.com"})


def test_what_a_store_cannot_do_is_a_passing_error(tmp_path: Path) -> None:
    (tmp_path / "abc").touch()
    with pytest.raises(VismaStorageError, match="A retry goes on where the ledger ends"):
        Ledger(ObjectStoragePath(f"file://{tmp_path}/abc"), system="Severa").intend([1], before=())


def test_nothing_is_left_beside_the_segments(folder: ObjectStoragePath) -> None:
    ledger = claim(folder, ME)
    ledger.conclude(ledger.intend([1], before=()), {1: Accepted("g1")})
    ledger.release()
    assert names(folder) == [
        "000001.intent.json",
        "000001.outcome-1.json",
        "000001.owner.json",
        "000001.released.json",
    ]
