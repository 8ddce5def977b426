"""Dialog's finished reviews: who may read them, how they are listed, and what documents they have."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from visma_sandbox.client import SandboxError
from visma_sandbox.review_documents import KINDS, ReviewDocument

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


class Dialog:
    """The least a reader of reviews can be."""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox = sandbox
        connection = sandbox.connections()["dialog_default"]
        self.root = connection["host"]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {connection['password']}"

    def get(self, path: str, **parameters: Any) -> requests.Response:
        return self.session.get(f"{self.root}/{path}", params=parameters, timeout=30)

    def ids(self, **parameters: Any) -> list[str]:
        return [each["id"] for each in self.get("Reviews", **parameters).json()["Resources"]]

    def add_user(self, external_id: str) -> str:
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": f"{external_id}@example.com",
            "externalId": external_id,
        }
        headers = {"Content-Type": "application/scim+json"}
        answer = self.session.post(f"{self.root}/Users", json=body, headers=headers, timeout=30)
        return str(answer.json()["id"])


@pytest.fixture
def dialog(sandbox):
    return Dialog(sandbox)


def test_a_finished_review_tells_its_user_title_moment_and_document(dialog):
    user = dialog.add_user("500003")
    made = dialog.sandbox.finish_review(
        500003, title="Jaargesprek", size=20_000, finished_at=BEGIN.isoformat()
    )
    (listed,) = dialog.get("Reviews").json()["Resources"]
    assert listed["user"] == {"value": user}
    assert (listed["title"], listed["finishedAt"]) == ("Jaargesprek", "2026-11-01T00:00:00Z")
    assert listed["document"]["size"] == made["size"] == 20_000
    assert dialog.get(f"Reviews/{made['id']}").json() == listed
    content = dialog.session.get(listed["document"]["$ref"], timeout=30).content
    assert hashlib.sha256(content).hexdigest() == listed["document"]["sha256"] == made["sha256"]
    assert (content[:5], content[-6:]) == (b"%PDF-", b"%%EOF\n")


def test_reviews_are_filtered_by_the_moment_and_paged_in_its_order(dialog):
    made = [
        dialog.sandbox.finish_review(finished_at=(BEGIN + timedelta(days=day)).isoformat())["id"]
        for day in (2, 0, 1)
    ]
    assert dialog.ids() == [made[1], made[2], made[0]]
    assert dialog.ids(filter='finishedAt ge "2026-11-02T00:00:00Z"') == [made[2], made[0]]
    assert dialog.ids(filter='finishedAt gt "2026-11-02T00:00:00Z"') == [made[0]]
    page = dialog.get("Reviews", startIndex=2, count=1).json()
    assert (page["totalResults"], page["itemsPerPage"], page["startIndex"]) == (3, 1, 2)
    assert page["Resources"][0]["id"] == made[2]
    assert dialog.get("Reviews", filter='title eq "x"').json()["scimType"] == "invalidFilter"


@pytest.mark.parametrize("path", ["Reviews", "Reviews/x", "Reviews/x/document"])
def test_without_the_bearer_nothing_is_told(dialog, path):
    dialog.session.headers["Authorization"] = "Bearer wrong"
    assert dialog.get(path).status_code == 401
    assert {entry["authorized"] for entry in dialog.sandbox.journal("dialog", "Reviews.*")} == {False}


def test_a_dialog_without_reviews_says_so_and_one_may_keep_digests_to_itself(dialog):
    dialog.sandbox.finish_review()
    dialog.sandbox.settings(dialog_review_digests=False)
    assert set(dialog.get("Reviews").json()["Resources"][0]["document"]) == {"$ref", "contentType"}
    dialog.sandbox.settings(dialog_reviews=False)
    assert dialog.get("Reviews").status_code == 404


def test_a_review_needs_a_user_that_dialog_knows_or_none(dialog):
    with pytest.raises(SandboxError, match="no user has this externalId"):
        dialog.sandbox.finish_review(1)
    with pytest.raises(SandboxError, match="kind: one of pdf"):
        dialog.sandbox.finish_review(kind="docx")
    assert dialog.sandbox.counts()["dialog_reviews"] == {"reviews": 0, "bytes": 0}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [10_000, 300_000])
def test_a_document_is_the_same_every_time_and_as_large_as_was_asked(kind, size):
    document = ReviewDocument(kind, size, "seed")
    content = b"".join(document.pieces())
    assert document.measured() == (len(content), hashlib.sha256(content).hexdigest())
    assert content != b"".join(ReviewDocument(kind, size, "other").pieces()) or not content
    assert len(content) == {"empty": 0, "truncated": size * 3 // 5}.get(kind, size)
    if kind not in ("empty", "truncated", "executable", "html"):
        assert content[int(content[-17:-7]) :].startswith(b"xref\n0 7\n")


def test_a_large_document_is_sent_while_it_is_made(dialog):
    made = dialog.sandbox.finish_review(size=60 << 20)
    with dialog.session.get(
        f"{dialog.root}/Reviews/{made['id']}/document", stream=True, timeout=60
    ) as answer:
        assert answer.headers["Content-Length"] == str(60 << 20)
        digest = hashlib.sha256()
        for piece in answer.iter_content(1 << 20):
            digest.update(piece)
    assert digest.hexdigest() == made["sha256"]


def test_a_fault_gives_another_document_than_was_announced(dialog):
    made = dialog.sandbox.finish_review()
    dialog.sandbox.inject("dialog", "Reviews.document", "other_document")
    content = dialog.get(f"Reviews/{made['id']}/document").content
    assert len(content) == made["size"]
    assert hashlib.sha256(content).hexdigest() != made["sha256"]
