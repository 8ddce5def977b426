"""The inbox of the DAG that uploads hours, at S3."""

from __future__ import annotations

from dags.severa_upload_hours import severa_upload_hours
from tests.integration.s3.conftest import BUCKET
from tests.integration.s3.server import S3


def test_a_file_is_taken_once_and_one_that_came_since_is_seen(s3: S3, destination: str) -> None:
    take = severa_upload_hours().get_task("take").python_callable

    def taken(run_id: str) -> list[str]:
        params = {"files": [], "folder": destination, "quiet_seconds": 0}
        return [address.rsplit("/", 1)[-1] for address in take(params, run_id, {})]

    for name in ("a.csv", "b.csv", "_unfinished.csv"):
        s3.put(BUCKET, f"out/inbox/{name}", b"a\n1\n")
    assert taken("run-1") == taken("run-1") == ["a.csv", "b.csv"]
    s3.put(BUCKET, "out/inbox/c.csv", b"a\n1\n")
    assert taken("run-2") == ["c.csv"]
    assert [key for key in s3.keys(BUCKET) if "inbox" in key] == ["out/inbox/_unfinished.csv"]
