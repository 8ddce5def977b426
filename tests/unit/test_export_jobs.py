from __future__ import annotations

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaContentError,
    VismaError,
    VismaJobDeadlineError,
    VismaJobFailedError,
    VismaNotFoundError,
    VismaPermanentError,
    VismaPermissionError,
    VismaThrottledError,
    VismaUnavailableError,
)
from airflow_provider_visma.export_jobs import (
    Attachment,
    ExportJob,
    JobStatus,
    PollDecision,
    Poller,
    PollOutcome,
    decide_attachment,
    outcome_error,
    parse_job,
    parse_job_id,
)

JOB_ID = "879689bd-b219-4f05-8660-2d3f06d9808b"
# As the service wrote it, word for word (contract, 1.1).
RUNNING = {"changeTimestampBefore": None, "employeeFileUris": None, "status": "InProgress"}
DONE = {
    "changeTimestampBefore": "2024-01-31T23:00:00.1234567Z",
    "employeeFileUris": ["https://files.example.invalid/a.csv?sig=canary", "https://files.example.invalid/b"],
    "status": "Completed",
}
UNREACHED = VismaUnavailableError("no answer (ReadTimeout)")


def parsed(body: object, http_status: int = 200) -> ExportJob:
    return parse_job(body, dataset="employees", job_id=JOB_ID, http_status=http_status)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def poller(clock: Clock, *, deadline: float = 1e9, chance: float = 0.0, **intervals: float) -> Poller:
    return Poller(
        dataset="employees",
        job_id=JOB_ID,
        deadline=deadline,
        clock=clock,
        chance=lambda: chance,
        **intervals,
    )


def test_a_running_job_has_no_files_and_no_watermark() -> None:
    job = parsed(RUNNING, 202)
    assert (job.status, job.file_uris, job.watermark, job.oddities) == (JobStatus.IN_PROGRESS, (), None, ())


def test_a_completed_job_keeps_all_links_and_the_timestamp_as_it_was_written() -> None:
    job = parsed(DONE)
    assert job.status is JobStatus.COMPLETED
    assert job.file_uris == tuple(DONE["employeeFileUris"])
    assert job.watermark == "2024-01-31T23:00:00.1234567Z"


def test_no_link_is_printed_with_a_job() -> None:
    assert "canary" not in repr(parsed(DONE))


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("InProgress", JobStatus.IN_PROGRESS),
        ("inprogress", JobStatus.IN_PROGRESS),
        ("Completed", JobStatus.COMPLETED),
        ("Failed", JobStatus.FAILED),
        ("Cancelled", JobStatus.FAILED),
        ("Error", JobStatus.FAILED),
    ],
)
def test_a_status_is_known_by_its_name(name: str, status: JobStatus) -> None:
    assert parsed({**DONE, "status": name}).status is status


@pytest.mark.parametrize(
    ("body", "http_status", "oddity"),
    [
        (RUNNING, 200, "HTTP 200 came with the status InProgress"),
        (DONE, 202, "HTTP 202 came with the status Completed"),
        ({**DONE, "status": "Failed"}, 202, "HTTP 202 came with the status Failed"),
        ({**DONE, "employeeFileUris": None}, 200, "the job is completed with null instead of a file list"),
    ],
)
def test_a_contradiction_is_reported_and_the_status_believed(
    body: dict[str, object], http_status: int, oddity: str, clock: Clock
) -> None:
    job = parsed(body, http_status)
    assert job.oddities == (oddity,)
    decision = poller(clock).on_job(job)
    assert oddity in decision.message
    assert decision.changed


def test_a_null_list_moves_no_watermark_since_the_files_may_come_yet() -> None:
    assert parsed({**DONE, "employeeFileUris": []}).watermark == DONE["changeTimestampBefore"]
    assert parsed({**DONE, "employeeFileUris": None}).watermark is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({**DONE, "status": "Levitating"}, "unknown status 'Levitating'"),
        ({**DONE, "status": "someone@example.com"}, "status is no word"),
        ({**DONE, "status": None}, "not an object with a status"),
        ({}, "not an object with a status"),
        ([DONE], "not an object with a status"),
        ("Completed", "not an object with a status"),
        ({"status": "Completed"}, "no key ending in FileUris"),
        ({**DONE, "contractFileUris": []}, "more than one file list: contractFileUris, employeeFileUris"),
        ({**DONE, "employeeFileUris": "https://files.example.invalid/"}, "not a list of links"),
        ({**DONE, "employeeFileUris": [None]}, "not a list of links"),
        ({**DONE, "changeTimestampBefore": 1706742000}, "changeTimestampBefore is not a string"),
    ],
)
def test_an_answer_of_another_shape_is_an_error_that_says_so(body: object, message: str) -> None:
    with pytest.raises(VismaContentError, match=message):
        parsed(body)


@pytest.mark.parametrize("key", ["usersFileUris", "contractUdfHistoryFileUris", "payrollLinesFileUris"])
def test_the_file_list_is_the_one_key_ending_in_file_uris(key: str) -> None:
    assert parsed({"status": "Completed", key: ["https://f.example.invalid/x"]}).file_uris == (
        "https://f.example.invalid/x",
    )


@pytest.mark.parametrize("body", [{}, {"jobId": None}, {"jobId": "../x"}, {"jobId": ""}, [], None, "x"])
def test_an_answer_without_a_job_id_is_an_error(body: object) -> None:
    with pytest.raises(VismaContentError, match="no job id"):
        parse_job_id(body, dataset="employees")


# When to poll again


def test_waits_grow_by_half_from_two_seconds_to_sixty(clock: Clock) -> None:
    ours = poller(clock)
    waits = [ours.on_job(parsed(RUNNING, 202)).wait for _ in range(12)]
    assert waits[:4] == [2.0, 3.0, 4.5, 6.75]
    assert waits[-3:] == [60.0, 60.0, 60.0]


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_jitter_shortens_a_wait_by_a_fifth_at_most_and_never_below_the_interval(
    clock: Clock, chance: float
) -> None:
    ours, plain = poller(clock, chance=chance), poller(clock)
    for _ in range(12):
        wait, full = ours.on_job(parsed(RUNNING, 202)).wait, plain.on_job(parsed(RUNNING, 202)).wait
        assert max(2.0, 0.8 * full) <= wait <= full


@pytest.mark.parametrize(("asked", "waited"), [(300.0, 300.0), (7.0, 7.0), (0.0, 2.0), (1.0, 2.0)])
def test_retry_after_wins_but_never_below_the_interval(clock: Clock, asked: float, waited: float) -> None:
    running = parse_job(RUNNING, dataset="employees", job_id=JOB_ID, http_status=202, retry_after=asked)
    assert poller(clock).on_job(running).wait == waited
    throttled = VismaThrottledError("slow down", retry_after=asked)
    assert poller(clock).on_error(throttled).wait == waited


def test_only_a_new_state_is_worth_a_line_in_the_log(clock: Clock) -> None:
    ours = poller(clock)
    decisions = [
        ours.on_job(parsed(RUNNING, 202)),
        ours.on_job(parsed(RUNNING, 202)),
        ours.on_error(UNREACHED),
        ours.on_error(UNREACHED),
        ours.on_job(parsed(RUNNING, 202)),
        ours.on_job(parsed(DONE)),
    ]
    assert [decision.changed for decision in decisions] == [True, False, True, False, True, True]


# When to give up


@pytest.mark.parametrize(
    ("status", "outcome"), [("Completed", PollOutcome.COMPLETED), ("Failed", PollOutcome.FAILED)]
)
def test_a_job_that_ended_ends_the_waiting_even_after_the_deadline(
    clock: Clock, status: str, outcome: PollOutcome
) -> None:
    late = poller(clock, deadline=clock.now - 100)
    assert late.on_job(parsed({**DONE, "status": status})).outcome is outcome


def test_a_running_job_is_given_up_at_the_deadline(clock: Clock) -> None:
    ours = poller(clock, deadline=clock.now + 5)
    assert ours.on_job(parsed(RUNNING, 202)).wait == 2.0
    clock.now += 2
    assert ours.on_job(parsed(RUNNING, 202)).wait == 3.0
    clock.now += 3
    decision = ours.on_job(parsed(RUNNING, 202))
    assert decision.outcome is PollOutcome.TIMEOUT
    assert "1970-01-01T00:16:45+00:00" in decision.message
    assert "cannot cancel" in decision.message


def test_the_last_look_is_at_the_deadline(clock: Clock) -> None:
    ours = poller(clock, deadline=clock.now + 33, poll_interval=30)
    assert ours.on_job(parsed(RUNNING, 202)).wait == 30
    ours = poller(clock, deadline=clock.now + 33, poll_interval=2)
    for _ in range(9):
        decision = ours.on_job(parsed(RUNNING, 202))
    assert decision.wait == 33


def test_a_wait_beyond_the_deadline_that_the_service_asked_for_ends_it_now(clock: Clock) -> None:
    decision = poller(clock, deadline=clock.now + 30).on_error(VismaThrottledError("", retry_after=31))
    assert decision.outcome is PollOutcome.TIMEOUT


def test_errors_past_the_deadline_are_a_timeout(clock: Clock) -> None:
    assert poller(clock, deadline=clock.now).on_error(UNREACHED).outcome is PollOutcome.TIMEOUT


def test_five_failures_in_a_row_give_up_and_four_do_not(clock: Clock) -> None:
    ours = poller(clock)
    decisions = [ours.on_error(UNREACHED) for _ in range(5)]
    assert [decision.outcome for decision in decisions] == [None] * 4 + [PollOutcome.GAVE_UP]
    assert "5 failures in a row" in decisions[-1].message
    assert "a retry re-attaches" in decisions[-1].message


def test_an_answer_in_between_begins_the_count_anew(clock: Clock) -> None:
    ours = poller(clock)
    for _ in range(3):
        for _ in range(4):
            assert ours.on_error(UNREACHED).outcome is None
        assert ours.on_job(parsed(RUNNING, 202)).outcome is None


def test_a_service_that_says_when_to_come_back_has_not_failed(clock: Clock) -> None:
    ours = poller(clock)
    told = VismaThrottledError("", retry_after=1.0)
    assert [ours.on_error(told).outcome for _ in range(20)] == [None] * 20


def test_throttling_that_says_nothing_counts_as_a_failure(clock: Clock) -> None:
    ours = poller(clock)
    decisions = [ours.on_error(VismaThrottledError("")) for _ in range(5)]
    assert decisions[-1].outcome is PollOutcome.GAVE_UP


def test_a_refused_token_is_forgiven_once(clock: Clock) -> None:
    refused = VismaAuthenticationError("no", code="HTTP 401", advice="Check that tenant t has the scope s.")
    ours = poller(clock)
    first, second = ours.on_error(refused), ours.on_error(refused)
    assert (first.outcome, first.wait) == (None, 2.0)
    assert second.outcome is PollOutcome.REFUSED
    assert "tenant t" in second.message


def test_a_token_refused_again_much_later_is_forgiven_again(clock: Clock) -> None:
    refused = VismaAuthenticationError("no", code="HTTP 401")
    ours = poller(clock)
    for _ in range(3):
        assert ours.on_error(refused).outcome is None
        assert ours.on_job(parsed(RUNNING, 202)).outcome is None


@pytest.mark.parametrize(
    "error",
    [
        VismaPermissionError("no", code="HTTP 403"),
        VismaAuthenticationError("no token was issued", code="invalid_client"),
        VismaContentError("the job has the unknown status 'Levitating'"),
    ],
)
def test_what_a_retry_cannot_help_ends_the_waiting_at_once(clock: Clock, error: VismaError) -> None:
    assert poller(clock).on_error(error).outcome is PollOutcome.REFUSED


def test_a_job_not_found_yet_is_looked_for_again(clock: Clock) -> None:
    ours = poller(clock)
    decisions = [ours.on_error(VismaNotFoundError("no", code="HTTP 404")) for _ in range(5)]
    assert [decision.outcome for decision in decisions] == [None] * 4 + [PollOutcome.GAVE_UP]


# What the event means to the task


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (PollOutcome.FAILED, VismaJobFailedError),
        (PollOutcome.TIMEOUT, VismaJobDeadlineError),
        (PollOutcome.GAVE_UP, VismaUnavailableError),
        (PollOutcome.REFUSED, VismaPermanentError),
    ],
)
def test_each_bad_end_is_its_own_error(clock: Clock, outcome: PollOutcome, kind: type[VismaError]) -> None:
    event = poller(clock).event(PollDecision(outcome=outcome, message="what happened"))
    error = outcome_error(event, conn_id="visma_hrm_default")
    assert type(error) is kind
    assert "what happened" in str(error)
    assert "visma_hrm_default" in str(error)


def test_an_event_holds_four_plain_strings(clock: Clock) -> None:
    event = poller(clock).event(PollDecision(outcome=PollOutcome.COMPLETED, message="m"))
    assert event == {"status": "completed", "dataset": "employees", "job_id": JOB_ID, "message": "m"}
    assert {type(value) for value in event.values()} == {str}
    assert outcome_error(event, conn_id="c") is None


@pytest.mark.parametrize("event", [None, {}, {"status": "done"}, {"status": None}, {"status": 3}])
def test_an_event_with_an_unknown_status_is_an_error(event: dict[str, object] | None) -> None:
    with pytest.raises(VismaContentError, match="unknown status"):
        outcome_error(event, conn_id="c")


# When to re-attach


@pytest.mark.parametrize(
    ("status", "attachment"),
    [
        ("InProgress", Attachment.REATTACH),
        ("Completed", Attachment.FINISHED),
        ("Failed", Attachment.SUBMIT),
    ],
)
def test_a_stored_job_of_the_same_request_is_used_unless_it_failed(
    status: str, attachment: Attachment
) -> None:
    stored = {"job_id": JOB_ID, "fingerprint": "f"}
    job = parsed({**DONE, "status": status})
    decided, found = decide_attachment(stored, fingerprint="f", read_job=lambda job_id: job)
    assert decided is attachment
    assert found is (None if attachment is Attachment.SUBMIT else job)


@pytest.mark.parametrize("stored", [None, {}, {"job_id": JOB_ID}, {"job_id": JOB_ID, "fingerprint": "g"}])
def test_a_job_of_another_request_is_not_even_read(stored: dict[str, str] | None) -> None:
    def read_job(job_id: str) -> ExportJob:
        raise AssertionError("read")

    assert decide_attachment(stored, fingerprint="f", read_job=read_job) == (Attachment.SUBMIT, None)


def test_a_job_that_is_gone_is_submitted_anew() -> None:
    def read_job(job_id: str) -> ExportJob:
        raise VismaNotFoundError("gone")

    stored = {"job_id": JOB_ID, "fingerprint": "f"}
    assert decide_attachment(stored, fingerprint="f", read_job=read_job) == (Attachment.SUBMIT, None)


def test_a_job_that_cannot_be_read_now_is_not_submitted_twice() -> None:
    def read_job(job_id: str) -> ExportJob:
        raise UNREACHED

    with pytest.raises(VismaUnavailableError):
        decide_attachment({"job_id": JOB_ID, "fingerprint": "f"}, fingerprint="f", read_job=read_job)
