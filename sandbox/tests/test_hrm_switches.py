"""Exports as jobs: a test for each switch and each fault of the HRM API (contract hrm, section 6)."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from visma_sandbox.hrm_datasets import COLUMNS

# What can be switched


@pytest.mark.parametrize("status", [200, 202])
def test_the_status_code_of_a_running_job_can_be_switched(hrm, status):
    hrm.sandbox.settings(hrm_running_status=status, hrm_started_status=status)

    started = hrm.start()

    assert started.status_code == status
    assert hrm.query(started.json()["jobId"]).status_code == status


def test_a_running_job_can_ask_for_patience(hrm):
    hrm.sandbox.settings(hrm_running_retry_after=7)

    assert hrm.query(hrm.job()).headers["Retry-After"] == "7"


def test_several_parts_share_the_rows_and_the_header(hrm):
    hrm.sandbox.settings(hrm_parts=3)
    links = hrm.links()

    assert [hrm.header(link) for link in links] == [COLUMNS["employees"]] * 3
    assert len({row["employeeid"] for row in hrm.rows()}) == 100


def test_no_parts_is_an_empty_array(hrm):
    hrm.sandbox.settings(hrm_parts=0)

    assert hrm.links() == []


def test_columns_can_be_added(hrm):
    hrm.sandbox.settings(hrm_added_columns={"contracts": ["salaryfulltime", "brandnew"]})

    row = hrm.rows("contracts")[0]

    assert list(row) == [*COLUMNS["contracts"], "salaryfulltime", "brandnew"]
    assert float(row["salaryfulltime"]) > 0


def test_a_file_can_be_only_a_header(hrm):
    hrm.sandbox.settings(hrm_header_only=True)

    assert hrm.rows() == []


def test_rows_can_repeat(hrm):
    hrm.sandbox.settings(hrm_duplicate_every=10)

    assert len(hrm.rows()) == 110


def test_a_job_expires(hrm):
    hrm.sandbox.settings(hrm_job_lifetime=60)
    job_id = hrm.job()
    assert hrm.query(job_id).status_code == 202

    hrm.sandbox.settings(clock_offset=61)

    assert hrm.query(job_id).status_code == 404


def test_a_job_is_only_known_under_its_own_dataset(hrm):
    assert hrm.query(hrm.job("users"), "employees").status_code == 404


# What can go wrong


def test_a_job_that_never_ends_stays_in_progress_while_others_end(hrm):
    hrm.sandbox.inject("hrm", "command/employees", "never_ends")
    stuck = hrm.job()

    assert hrm.finish()["status"] == "Completed"
    assert {hrm.query(stuck).json()["status"] for _ in range(10)} == {"InProgress"}


def test_a_failed_job_says_so_after_its_polls_and_lists_nothing(hrm):
    hrm.sandbox.inject("hrm", "command/employees", "job_failed")

    assert hrm.finish() == {"changeTimestampBefore": None, "employeeFileUris": None, "status": "Failed"}


def test_a_failed_job_can_have_any_name_and_stays_failed(hrm):
    hrm.sandbox.settings(hrm_job_polls=0)
    job_id = hrm.job()
    hrm.sandbox.inject("hrm", "query/employees", "job_failed", status="Cancelled")

    assert [hrm.query(job_id).json()["status"] for _ in range(2)] == ["Cancelled", "Cancelled"]


def test_an_unknown_status_can_come_up_once(hrm):
    hrm.sandbox.settings(hrm_job_polls=0)
    job_id = hrm.job()
    hrm.sandbox.inject("hrm", "query/*", "unknown_status", status="Hibernating")

    assert [hrm.query(job_id).json()["status"] for _ in range(2)] == ["Hibernating", "Completed"]


def test_a_job_can_be_gone(hrm):
    job_id = hrm.job()
    hrm.sandbox.inject("hrm", "query/employees", "job_expired")

    assert [hrm.query(job_id).status_code for _ in range(2)] == [404, 404]


def test_a_token_can_expire_between_two_polls(hrm):
    job_id = hrm.job()
    hrm.sandbox.inject("hrm", "query/employees", "expired_token", after=1)

    assert [hrm.query(job_id).status_code for _ in range(3)] == [202, 401, 401]
    hrm.authorize()
    assert hrm.query(job_id).status_code == 202


def test_a_changed_header_can_strike_one_part_only(hrm):
    hrm.sandbox.settings(hrm_parts=2)
    hrm.sandbox.inject(
        "hrm",
        "command/users",
        "changed_header",
        rename={"userid": "user"},
        remove=["employeeid"],
        add=["x"],
        part=1,
    )

    headers = [hrm.header(link) for link in hrm.links("users")]

    assert headers == [COLUMNS["users"], ["user", "emailaddress", "x"]]


def test_a_changed_header_renames_the_first_column_when_nothing_else_is_asked(hrm):
    hrm.sandbox.inject("hrm", "command/users", "changed_header")

    assert hrm.header(hrm.links("users")[0])[0] == "userid_v2"


def test_one_job_can_have_several_parts(hrm):
    hrm.sandbox.inject("hrm", "command/employees", "several_parts", parts=4)

    assert [len(hrm.links()), len(hrm.links())] == [4, 1]


def test_a_link_can_lead_astray(hrm):
    hrm.sandbox.settings(hrm_job_polls=0)
    job_id = hrm.job()
    hrm.sandbox.inject("hrm", "query/employees", "foreign_link", url="https://10.0.0.1/x.csv")

    assert hrm.query(job_id).json()["employeeFileUris"] == ["https://10.0.0.1/x.csv"]
    assert urlsplit(hrm.query(job_id).json()["employeeFileUris"][0]).hostname == "127.0.0.1"


def test_the_status_code_can_contradict_the_body(hrm):
    job_id = hrm.job()
    hrm.sandbox.inject("hrm", "query/employees", "wrong_status", status=200)

    answer = hrm.query(job_id)

    assert (answer.status_code, answer.json()["status"]) == (200, "InProgress")


def test_the_journal_counts_jobs_and_polls(hrm):
    hrm.sandbox.clear_journal()
    job_id = hrm.job("users")
    hrm.query(job_id, "users")
    hrm.query(job_id, "users")

    assert [entry["note"]["job_id"] for entry in hrm.sandbox.journal("hrm", "command/*")] == [job_id]
    polls = hrm.sandbox.journal("hrm", "query/*")
    assert [(poll["note"]["job_id"], poll["status"], poll["authorized"]) for poll in polls] == [
        (job_id, 202, True)
    ] * 2
