"""What the ledger says after each step, and what two writers of one attempt do to each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.dialog_reviews.ledger import Entry, Ledger, Refusal, State, TakenOverError
from airflow_provider_visma.exceptions import VismaContentError
from airflow_provider_visma.upload_ledger.ledger import Owner

OWNER = Owner("dag", "task", "run-1")
OTHER = Owner("dag", "task", "run-2")
REFUSAL = Refusal("nmbrs", ("2041",), {"max_bytes": 5}, "run-1")


@pytest.fixture
def root(tmp_path: Path) -> ObjectStoragePath:
    return ObjectStoragePath(f"file://{tmp_path}/ledger")


def entry(root: ObjectStoragePath, review: str = "r1", *, domain: str = "acme") -> Entry:
    """Return what a process that starts now knows."""
    return Ledger(root, domain=domain).entry(review)


def begun(root: ObjectStoragePath) -> Entry:
    found = entry(root)
    found.begin(employee_id=7, sha256="ab", size=2, owner=OWNER)
    return found


def test_each_step_is_known_to_whoever_comes_next(root: ObjectStoragePath) -> None:
    assert entry(root).state is State.NEW
    mine = begun(root)
    assert (entry(root).state, entry(root).owner, entry(root).sha256) == (State.STARTED, OWNER, "ab")
    mine.decide()
    mine.decide()
    assert entry(root).state is State.IN_DOUBT
    mine.filed()
    assert entry(root).state is State.FILED


def test_a_refusal_is_kept_with_its_terms(root: ObjectStoragePath) -> None:
    begun(root).refused(REFUSAL)
    assert (entry(root).state, entry(root).refusal) == (State.REFUSED, REFUSAL)


def test_what_was_not_filed_may_be_begun_again(root: ObjectStoragePath) -> None:
    begun(root).not_filed()
    assert entry(root).state is State.NEW
    begun(root).filed()
    assert entry(root).state is State.FILED


def test_of_two_that_begin_at_the_same_time_one_is_refused(root: ObjectStoragePath) -> None:
    first, second = entry(root), entry(root)
    first.begin(employee_id=7, sha256="ab", size=2, owner=OWNER)
    with pytest.raises(TakenOverError):
        second.begin(employee_id=7, sha256="ab", size=2, owner=OWNER)


def test_who_was_given_up_may_not_decide_to_send_the_rest(root: ObjectStoragePath) -> None:
    slow = begun(root)
    assert entry(root).give_up()
    with pytest.raises(TakenOverError):
        slow.decide()
    assert entry(root).state is State.NEW


def test_who_has_decided_cannot_be_given_up(root: ObjectStoragePath) -> None:
    slow, late = begun(root), entry(root)
    slow.decide()
    assert (late.give_up(), late.state) == (False, State.IN_DOUBT)


def test_who_ended_meanwhile_is_not_taken_for_in_doubt(root: ObjectStoragePath) -> None:
    quick, late = begun(root), entry(root)
    quick.decide()
    quick.filed()
    assert (late.give_up(), late.state) == (False, State.FILED)


def test_a_person_who_is_late_does_not_undo_an_answer(root: ObjectStoragePath) -> None:
    quick = begun(root)
    quick.decide()
    late = entry(root)
    quick.filed()
    late.not_filed(settled_in=OTHER)
    assert late.state is entry(root).state is State.FILED


def test_giving_up_twice_is_giving_up(root: ObjectStoragePath) -> None:
    begun(root)
    first, second = entry(root), entry(root)
    assert (first.give_up(), second.give_up()) == (True, True)


@pytest.mark.parametrize("found", ["filed", "not_filed"])
def test_an_answer_that_comes_after_a_person_settled_it_is_kept(root: ObjectStoragePath, found: str) -> None:
    slow = begun(root)
    slow.decide()
    getattr(entry(root), found)(settled_in=OTHER)
    slow.filed()
    assert entry(root).state is State.FILED


def test_a_late_refusal_does_not_undo_what_a_person_found(root: ObjectStoragePath) -> None:
    slow = begun(root)
    slow.decide()
    entry(root).filed(settled_in=OTHER)
    slow.refused(REFUSAL)
    assert entry(root).state is State.FILED


@pytest.mark.parametrize("review", ["../../x", "a/b", "", "x" * 300, "é", "a.001.intent", "CON", "sha256-1"])
def test_any_id_is_a_folder_of_its_own_in_its_domains(root: ObjectStoragePath, review: str) -> None:
    found = entry(root, review)
    found.begin(employee_id=7, sha256="ab", size=2, owner=OWNER)
    folder = Path(root.path)
    (written,) = folder.rglob("*.json")
    assert written.parent.parent == folder / "domain=acme"
    assert entry(root, review).state is State.STARTED
    assert entry(root, f"{review}2").state is State.NEW


def test_another_domain_is_another_ledger_and_its_letters_are_not(root: ObjectStoragePath) -> None:
    begun(root).filed()
    assert entry(root, domain="other").state is State.NEW
    assert entry(root, domain="../acme").folder.path.startswith(f"{root.path}/domain=")
    assert entry(root, domain="Acme").state is State.FILED


def test_what_a_person_found_before_a_run_holds_for_one_attempt_of_it(root: ObjectStoragePath) -> None:
    mine = begun(root)
    mine.decide()
    assert not entry(root).was_settled_in(OWNER)
    entry(root).not_filed(settled_in=OWNER)
    second = entry(root)
    second.begin(employee_id=7, sha256="ab", size=2, owner=OWNER)
    second.decide()
    later = entry(root)
    assert (later.was_settled_in(OWNER), later.was_settled_in(OTHER)) == (True, False)


@pytest.mark.parametrize("kind", ["intent", "decision", "outcome"])
def test_a_damaged_object_stops_everything(root: ObjectStoragePath, kind: str) -> None:
    mine = begun(root)
    mine.decide()
    if kind == "outcome":
        mine.filed()
    (path,) = Path(root.path).rglob(f"*.{kind}.json")
    path.chmod(0o644)
    path.write_text(path.read_text().replace("a", "b", 1))
    with pytest.raises(VismaContentError, match=f"{kind}.json of the ledger is damaged"):
        entry(root)


def test_other_files_in_the_folder_are_left_alone(root: ObjectStoragePath) -> None:
    begun(root).filed()
    (folder,) = Path(root.path).rglob("review=r1")
    (folder / "README.txt").write_text("x")
    (folder / ".writing-1").write_text("x")
    assert entry(root).state is State.FILED
