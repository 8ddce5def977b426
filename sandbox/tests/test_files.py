"""The file host: signed links, ranges, encodings, and a very large file from little memory."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

import pytest
import requests
import urllib3

from visma_sandbox.gzip_stream import repeated_gzip
from visma_sandbox.stored_files import Piece, StoredFile


def get(link, **headers):
    sent = {
        "Accept-Encoding": "identity",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return requests.get(link, headers=sent, timeout=30)


@pytest.fixture
def link(hrm):
    return hrm.links()[0]


def test_a_link_needs_no_bearer_and_the_journal_shows_that_none_was_sent(hrm, link):
    answer = get(link)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv"
    assert len(answer.content) == int(answer.headers["Content-Length"])
    (entry,) = hrm.sandbox.journal("files", "download/employees")
    assert (entry["authorization"], entry["authorized"], entry["status"]) == (None, True, 200)
    assert entry["bytes_sent"] == len(answer.content)
    assert entry["query"]["sig"] == "***"


def test_a_bearer_sent_to_the_file_host_is_refused_and_journalled(hrm, link):
    answer = get(link, Authorization="Bearer x")

    assert answer.status_code == 400
    assert [entry["authorization"] for entry in hrm.sandbox.journal("files")] == ["bearer"]


def test_a_lenient_file_host_takes_the_bearer_and_journals_it(hrm, link):
    hrm.sandbox.settings(files_strict=False)

    assert get(link, Authorization="Bearer x").status_code == 200
    assert [entry["authorization"] for entry in hrm.sandbox.journal("files")] == ["bearer"]


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("sig=", "sig=0", 403),
        ("se=", "se=9", 403),
        ("employees_0", "employees_7", 404),
        ("employees_0", "x", 404),
    ],
)
def test_a_link_that_was_tampered_with_leads_nowhere(link, old, new, status):
    assert get(link.replace(old, new)).status_code == status


def test_a_link_without_a_signature_leads_nowhere(link):
    assert get(link.partition("?")[0]).status_code == 403


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_link_expires_and_the_job_gives_a_fresh_one(hrm, status):
    hrm.sandbox.settings(files_expired_status=status, files_link_seconds=60, hrm_job_polls=0)
    job_id = hrm.job()
    old = hrm.query(job_id).json()["employeeFileUris"][0]

    hrm.sandbox.settings(clock_offset=62)

    assert get(old).status_code == status
    fresh = hrm.query(job_id).json()["employeeFileUris"][0]
    assert get(fresh).status_code == 200


def test_links_can_be_handed_out_expired_or_expire_at_one_request(hrm):
    hrm.sandbox.settings(hrm_job_polls=0)
    job_id = hrm.job()
    hrm.sandbox.inject("hrm", "query/employees", "link_expired")
    assert get(hrm.query(job_id).json()["employeeFileUris"][0]).status_code == 403
    good = hrm.query(job_id).json()["employeeFileUris"][0]
    hrm.sandbox.inject("files", "download/*", "link_expired")

    assert [get(good).status_code for _ in range(2)] == [403, 200]


# Ranges


@pytest.mark.parametrize(
    ("wanted", "start", "stop"), [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-7", -7, None)]
)
def test_a_range_is_sent_as_206(link, wanted, start, stop):
    whole = get(link).content

    answer = get(link, Range=wanted)

    assert answer.status_code == 206
    assert answer.content == whole[start:stop]
    first = start % len(whole)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(whole)}"


def test_a_range_past_the_end_is_416(link):
    size = len(get(link).content)

    answer = get(link, Range=f"bytes={size}-")

    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")


@pytest.mark.parametrize("wanted", ["bytes=9-1", "rows=1-2", "bytes=x"])
def test_a_range_that_makes_no_sense_is_ignored(link, wanted):
    assert get(link, Range=wanted).status_code == 200


@pytest.mark.parametrize(
    ("validator", "header", "resumes"),
    [("etag", "ETag", True), ("weak_etag", "ETag", False), ("last_modified", "Last-Modified", True)],
)
def test_a_resume_needs_a_strong_validator(hrm, link, validator, header, resumes):
    hrm.sandbox.settings(files_validator=validator)
    known = get(link).headers[header]

    answer = get(link, Range="bytes=10-", If_Range=known)

    assert answer.status_code == (206 if resumes else 200)
    assert get(link, Range="bytes=10-", If_Range='"other"').status_code == 200


def test_a_host_without_validators_sends_none(hrm, link):
    hrm.sandbox.settings(files_validator="none")

    assert not {"ETag", "Last-Modified"} & set(get(link).headers)


def test_a_host_without_ranges_sends_the_whole(hrm, link):
    hrm.sandbox.settings(files_range=False)
    answer = get(link, Range="bytes=10-")

    assert answer.status_code == 200
    assert "Accept-Ranges" not in answer.headers


def test_a_file_that_changed_meanwhile_is_sent_whole(hrm, link):
    known = get(link).headers["ETag"]
    hrm.sandbox.inject("files", "download/*", "changed_validator")

    answer = get(link, Range="bytes=10-", If_Range=known)

    assert answer.status_code == 200
    assert answer.headers["ETag"] != known


def test_a_host_can_answer_with_another_range_than_asked(hrm, link):
    hrm.sandbox.inject("files", "download/*", "wrong_range")

    answer = get(link, Range="bytes=10-")

    assert answer.status_code == 206
    assert answer.headers["Content-Range"].startswith("bytes 0-")


def test_a_link_made_anew_keeps_the_validator(hrm):
    hrm.sandbox.settings(hrm_job_polls=0)
    job_id = hrm.job()
    first, second = (get(hrm.query(job_id).json()["employeeFileUris"][0]).headers["ETag"] for _ in range(2))

    assert first == second


# Encodings


def test_a_byte_order_mark_and_windows_line_ends_can_be_switched_on(hrm):
    plain = get(hrm.links()[0]).content
    assert b"\r\n" not in plain
    hrm.sandbox.settings(files_bom=True, files_crlf=True)

    marked = get(hrm.links()[0]).content

    assert marked == b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n")


def test_gzip_in_transport_is_sent_to_who_accepts_it(hrm):
    plain = get(hrm.links()[0]).content
    hrm.sandbox.settings(files_gzip="transport")
    link = hrm.links()[0]

    packed = urllib3.request("GET", link, headers={"Accept-Encoding": "gzip"}, decode_content=False)

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain
    assert packed.headers["ETag"] != get(link).headers["ETag"]
    assert get(link).content == plain


def test_gzip_as_the_file_itself(hrm):
    plain = get(hrm.links()[0]).content
    hrm.sandbox.settings(files_gzip="file")
    (link,) = hrm.links()

    answer = get(link)

    assert ".csv.gz?" in link
    assert (answer.headers["Content-Type"], answer.headers.get("Content-Encoding")) == (
        "application/gzip",
        None,
    )
    assert gzip.decompress(answer.content) == plain


# Broken downloads


def test_a_truncated_download_announces_more_than_it_sends(hrm, link):
    size = len(get(link).content)
    hrm.sandbox.inject("files", "download/*", "truncated", keep=1000)

    headers, begun = hrm.cut_short(link)

    assert int(headers["Content-Length"]) == size
    assert len(begun) == 1000
    assert hrm.sandbox.journal("files")[-1]["bytes_sent"] == 1000


def test_a_reset_download_breaks_off(hrm, link):
    hrm.sandbox.inject("files", "download/*", "reset_body", keep=0.5)

    with pytest.raises(requests.exceptions.RequestException):
        get(link)
    assert get(link).status_code == 200


def test_a_truncated_download_can_be_resumed(hrm, link):
    whole = get(link).content
    hrm.sandbox.inject("files", "download/*", "truncated", keep=1000)
    headers, begun = hrm.cut_short(link)

    rest = get(link, Range=f"bytes={len(begun)}-", If_Range=headers["ETag"])

    assert begun + rest.content == whole


# The very large one


def test_the_benchmark_export_is_as_large_as_asked_and_takes_the_sandbox_little(hrm):
    hrm.sandbox.settings(hrm_benchmark_bytes=60_000_000)
    memory = Path(f"/proc/{hrm.sandbox.pid}/status")
    (link,) = hrm.links("benchmark")
    before = _resident(memory)

    received = 0
    lines = 0
    for piece in requests.get(link, stream=True, timeout=60).iter_content(1 << 20):
        received += len(piece)
        lines += piece.count(b"\n")

    assert 50_000_000 < received <= 60_000_000
    assert (lines - 1) % 100_000 == 0
    assert _resident(memory) - before < 20_000


def _resident(status):
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


def test_a_range_of_the_benchmark_export_matches_the_whole(hrm):
    hrm.sandbox.settings(hrm_benchmark_bytes=20_000_000)
    link = hrm.links("benchmark")[0]
    whole = get(link).content

    middle = len(whole) // 2
    rest = get(link, Range=f"bytes={middle}-").content

    assert hashlib.sha256(whole[:middle] + rest).digest() == hashlib.sha256(whole).digest()


def test_the_benchmark_export_also_comes_as_one_gzip_member(hrm):
    hrm.sandbox.settings(hrm_benchmark_bytes=20_000_000, files_gzip="transport")
    link = hrm.links("benchmark")[0]

    packed = urllib3.request("GET", link, headers={"Accept-Encoding": "gzip"}, decode_content=False).data

    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert member.decompress(packed) == get(link).content
    assert member.eof


@pytest.mark.parametrize("times", [0, 1, 5])
def test_repeated_gzip_unpacks_to_the_repeated_text(times):
    made = repeated_gzip(head=b"head", block=b"0123456789" * 100, times=times, tail=b"tail")

    assert (
        gzip.decompress(made.head + made.block * times + made.tail)
        == b"head" + b"0123456789" * 100 * times + b"tail"
    )


async def test_every_stretch_of_a_repeated_file_is_the_stretch_of_the_whole(tmp_path):
    path = tmp_path / "stored"
    path.write_bytes(b"HEADblockEND")
    stored = StoredFile(path, (Piece(0, 4), Piece(4, 5, times=3), Piece(9, 0), Piece(9, 3)), "tag")
    whole = b"HEADblockblockblockEND"

    assert stored.size == len(whole)
    for start in range(len(whole) + 1):
        for stop in range(start, len(whole) + 1):
            read = b"".join([piece async for piece in stored.read(start, stop)])
            assert read == whole[start:stop], (start, stop)
