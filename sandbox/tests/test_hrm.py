"""Exports as jobs: what contract hrm fixes, who may ask, and what may be asked for."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from visma_sandbox.hrm_datasets import COLUMNS, DATASETS

# What is fixed


def test_starting_an_export_gives_a_job_id_and_nothing_else(hrm):
    answer = hrm.start()

    assert answer.status_code == 200
    assert list(answer.json()) == ["jobId"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.json()["jobId"])


def test_a_running_job_answers_202_with_nulls_in_the_vendors_order(hrm):
    answer = hrm.query(hrm.job())

    assert answer.status_code == 202
    assert answer.text == '{"changeTimestampBefore": null, "employeeFileUris": null, "status": "InProgress"}'


def test_a_finished_job_answers_200_with_an_array_of_links_and_the_moment_it_was_started(hrm):
    body = hrm.finish()

    assert body["status"] == "Completed"
    moment = datetime.fromisoformat(body["changeTimestampBefore"])
    assert abs(datetime.now(UTC) - moment) < timedelta(seconds=60)
    (link,) = body["employeeFileUris"]
    assert link.startswith(hrm.sandbox.files_url)


@pytest.mark.parametrize("polls", [0, 1, 5])
def test_a_job_is_in_progress_for_exactly_as_many_polls_as_set(hrm, polls):
    hrm.sandbox.settings(hrm_job_polls=polls)
    hrm.sandbox.clear_journal()

    hrm.finish()

    statuses = [entry["note"]["status"] for entry in hrm.sandbox.journal("hrm", "query/employees")]
    assert statuses == ["InProgress"] * polls + ["Completed"]


def test_a_job_can_take_time_instead(hrm):
    hrm.sandbox.settings(hrm_job_polls=0, hrm_job_seconds=60)
    job_id = hrm.job()
    assert hrm.query(job_id).json()["status"] == "InProgress"

    hrm.sandbox.settings(clock_offset=61)

    assert hrm.query(job_id).json()["status"] == "Completed"


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_every_known_dataset_has_its_own_result_field_columns_and_as_many_rows_as_counted(hrm, dataset):
    body = hrm.finish(dataset)

    (link,) = body[DATASETS[dataset].file_field]
    assert hrm.header(link) == COLUMNS[dataset]
    lines = list(csv.reader(hrm.download(link).content.decode().splitlines()))
    assert len(lines) - 1 == hrm.sandbox.counts()["hrm"][dataset] > 0


def test_datasets_without_a_delta_carry_no_change_timestamp(hrm):
    assert list(hrm.finish("metadata/cost-centers")) == ["costCentersFileUris", "status"]


def test_a_dataset_nobody_named_can_be_exported_too(hrm):
    body = hrm.finish("payroll/pay-slips")

    assert hrm.download(body["paySlipsFileUris"][0]).text.startswith("employeeid,name,value,")


def test_free_datasets_can_be_switched_off(hrm):
    hrm.sandbox.settings(hrm_free_datasets=False)

    assert hrm.start("payroll/pay-slips").status_code == 404
    assert hrm.start("users").status_code == 200


def test_the_rows_are_the_people_of_the_organisation(hrm):
    rows = {row["employeeid"]: row for row in hrm.rows()}

    assert len(rows) == 100
    first = rows["500006"]
    assert first["businessemailaddress"].endswith("@example.com")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", first["dateofbirth"])
    assert {row["birthname"] == "" for row in rows.values()} == {True, False}


def test_the_rows_are_the_same_each_time(hrm):
    assert hrm.download(hrm.links()[0]).content == hrm.download(hrm.links()[0]).content


# Who may


@pytest.mark.parametrize("authorization", [None, "Bearer nonsense", "Basic abc"])
def test_without_a_good_bearer_nothing_is_started_and_nothing_told(hrm, authorization):
    job_id = hrm.job()
    hrm.session.headers["Authorization"] = authorization
    hrm.sandbox.clear_journal()

    assert hrm.start().status_code == 401
    assert hrm.query(job_id).status_code == 401
    assert [entry["authorized"] for entry in hrm.sandbox.journal("hrm")] == [False, False]


@pytest.mark.parametrize("status", [401, 403])
def test_a_bearer_without_the_datasets_scope_is_refused(hrm, status):
    hrm.sandbox.settings(hrm_missing_scope_status=status)
    hrm.authorize(scope="hrmanalytics:nlhrm:exportusers")

    refused = hrm.start("employees")

    assert refused.status_code == status
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
    assert hrm.start("users").status_code == 200


def test_a_good_bearer_of_another_tenant_is_refused(hrm):
    other = "00000000-0000-4000-8000-000000000002"
    hrm.sandbox.settings(connect_tenants=[other])
    hrm.authorize(tenant_id=other)

    assert hrm.start().status_code == 401
    hrm.sandbox.settings(hrm_tenants=[other])
    assert hrm.start().status_code == 200


GATED = {"homeemailaddress", "officetelphonenumber", "officemobilephonenumber"}


def test_columns_of_a_scope_that_was_not_granted_are_missing(hrm):
    hrm.authorize(scope="hrmanalytics:nlhrm:exportemployees")

    assert set(COLUMNS["employees"]) - set(hrm.header(hrm.links()[0])) == GATED


def test_columns_of_a_scope_that_was_not_granted_can_be_empty_instead(hrm):
    hrm.sandbox.settings(hrm_gated_columns="empty")
    granted = hrm.rows()
    hrm.authorize(scope="hrmanalytics:nlhrm:exportemployees")
    rows = hrm.rows()

    assert list(rows[0]) == COLUMNS["employees"]
    assert {row[column] for row in rows for column in GATED} == {""}
    assert "" not in {row[column] for row in granted for column in GATED}


# What may be asked for


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("employeeid,firstname", ["firstname", "employeeid"]),
        ("!" + ",".join(COLUMNS["employees"][2:]), ["salutationid", "salutation"]),
        ("employeeid,nonsense", ["employeeid"]),
    ],
)
def test_fields_include_or_exclude_in_the_datasets_own_order(hrm, fields, expected):
    assert hrm.header(hrm.links(params={"fields": fields})[0]) == expected


def test_unknown_fields_can_be_refused(hrm):
    hrm.sandbox.settings(hrm_unknown_fields="refuse")

    refused = hrm.start(params={"fields": "employeeid,nonsense"})

    assert refused.status_code == 400
    assert "nonsense" in refused.json()["title"]


def test_unknown_parameters_are_ignored(hrm):
    assert hrm.start(params={"nonsense": "1"}).status_code == 200


def test_a_delta_holds_who_changed_since_and_nobody_else(hrm):
    before = hrm.finish()["changeTimestampBefore"]
    changed = hrm.sandbox.change_person(500006, nickname="Testnaam")
    hired = hrm.sandbox.change_person(nickname="Nieuw", last_name="Testpersoon")

    rows = hrm.rows(params={"changeTimestampAfter": before})

    assert {row["employeeid"] for row in rows} == {"500006", str(hired["employee_id"])}
    assert rows[0]["nickname"] == "Testnaam"
    moment = datetime.fromisoformat(rows[0]["existencestartutc"])
    assert abs(moment - datetime.fromisoformat(changed["changed_at"])) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("parameter", "switch", "inclusive"),
    [
        ("changeTimestampAfter", "hrm_after_inclusive", True),
        ("changeTimestampAfter", "hrm_after_inclusive", False),
        ("changeTimestampBefore", "hrm_before_inclusive", True),
        ("changeTimestampBefore", "hrm_before_inclusive", False),
    ],
)
def test_either_bound_of_a_delta_can_be_inclusive_or_exclusive(hrm, parameter, switch, inclusive):
    moment = hrm.sandbox.change_person(500006, nickname="Testnaam")["changed_at"]
    hrm.sandbox.settings(**{switch: inclusive})

    rows = hrm.rows(params={parameter: moment})

    assert ("500006" in {row["employeeid"] for row in rows}) is inclusive


def test_a_moment_that_is_none_is_refused(hrm):
    assert hrm.start(params={"changeTimestampAfter": "yesterday"}).status_code == 400


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("seconds", r"\d\dZ"),
        ("milliseconds", r"\d\d\.\d{3}Z"),
        ("ticks", r"\d\d\.\d{7}Z"),
        ("offset", r"\d\d\.\d{3}\+00:00"),
    ],
)
def test_the_timestamp_comes_in_every_form_of_rfc_3339_and_is_accepted_back(hrm, form, pattern):
    hrm.sandbox.settings(hrm_timestamp_form=form)

    moment = hrm.finish()["changeTimestampBefore"]

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:" + pattern, moment)
    assert hrm.start(params={"changeTimestampAfter": moment}).status_code == 200


def test_an_unchanged_delta_is_a_file_with_only_a_header_or_no_file_at_all(hrm):
    body = hrm.finish()
    unchanged = {"changeTimestampAfter": body["changeTimestampBefore"]}

    (link,) = hrm.links(params=unchanged)
    assert hrm.download(link).text.splitlines() == [",".join(COLUMNS["employees"])]
    hrm.sandbox.settings(hrm_empty_delta="empty_array")
    assert hrm.links(params=unchanged) == []


@pytest.mark.parametrize("body", [b"", b"{}", b'{"callbackAddress": null}'])
def test_the_body_is_optional(hrm, body):
    assert hrm.start(data=body, headers={"Content-Type": "application/json"}).status_code == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"callbackAddress": "ftp://example.com"}'])
def test_a_body_that_makes_no_sense_is_refused(hrm, body):
    assert hrm.start(data=body).status_code == 400


def test_the_callback_address_gets_the_finished_answer(hrm):
    received: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        job_id = hrm.job(json={"callbackAddress": f"http://127.0.0.1:{server.server_port}/done?secret=1"})
        thread.join(60)

    answer = json.loads(received[0])
    assert answer["status"] == "Completed"
    assert hrm.download(answer["employeeFileUris"][0]).status_code == 200
    assert hrm.query(job_id).json()["status"] == "Completed"
