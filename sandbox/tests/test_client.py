"""Starting, steering and stopping a sandbox, from Python and from the command line."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from cryptography import x509

from sandbox.tests.waiting import wait_until
from visma_sandbox.__main__ import main
from visma_sandbox.client import SandboxClient, SandboxError, start_sandbox


def test_a_sandbox_starts_on_free_ports_of_loopback_and_stops_cleanly():
    with start_sandbox(employees=3) as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        assert sandbox.files_url.startswith("http://127.0.0.1:")
        assert sandbox.url != sandbox.files_url
        assert sandbox.counts()["hrm"]["employees"] == 3

    assert sandbox.stop() == 0
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(sandbox.url, timeout=1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_it_at_once_even_with_a_request_hanging_and_leaves_no_file(number, tmp_path):
    command = [sys.executable, "-m", "visma_sandbox", "serve", "--port", "0", "--files-port", "0", "--tls"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with (
        ThreadPoolExecutor(1) as thread,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process,
    ):
        ready = json.loads(process.stdout.readline())
        assert ready["pid"] == process.pid
        try:
            client = SandboxClient(ready["url"], certificate=ready["certificate"])
            client.inject("connect", "token", "hang")
            asking = thread.submit(
                requests.post, f"{client.url}/connect/token", timeout=60, verify=client.certificate
            )
            wait_until(lambda: client.kept_waiting("connect"))

            process.send_signal(number)

            assert process.wait(30) == 0  # the web server would by itself let a request have a minute
            with pytest.raises(requests.exceptions.ConnectionError):
                asking.result()
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []


def test_tls_is_trusted_through_the_certificate_it_names_and_not_otherwise():
    with start_sandbox(employees=1, tls=True) as sandbox:
        url = f"{sandbox.url}/.well-known/openid-configuration"
        assert url.startswith("https://")
        assert requests.get(url, timeout=30, verify=sandbox.certificate).status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(url, timeout=30)
        extras = [connection["extra"] for connection in sandbox.connections().values()]
        assert {extra["verify"] for extra in extras} == {sandbox.certificate}
        assert sandbox.journal("connect")
        _assert_usable_by_openssl(Path(sandbox.certificate))


def _assert_usable_by_openssl(certificate):
    ssl.create_default_context(cafile=certificate)
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


def test_a_port_in_use_is_said_in_one_line(sandbox, capfd):
    port = int(sandbox.url.rpartition(":")[2])

    with pytest.raises(SandboxError, match="status 1"):
        start_sandbox(port=port)

    assert capfd.readouterr().err.startswith("visma-sandbox: cannot listen: ")


def test_the_environment_holds_the_connections_as_airflow_reads_them(sandbox):
    environment = sandbox.environment()

    assert set(environment) == {
        "AIRFLOW_CONN_NMBRS_DEFAULT",
        "AIRFLOW_CONN_SEVERA_DEFAULT",
        "AIRFLOW_CONN_DIALOG_DEFAULT",
        "AIRFLOW_CONN_TEAMLEADER_ORBIT_DEFAULT",
        "AIRFLOW_CONN_TEAMLEADER_ORBIT_REPORTING_DEFAULT",
        "AIRFLOW_CONN_VISMA_HRM_DEFAULT",
    }
    hrm = json.loads(environment["AIRFLOW_CONN_VISMA_HRM_DEFAULT"])
    assert hrm["conn_type"] == "visma_hrm"
    assert hrm["host"] == sandbox.url
    assert hrm["extra"]["connect_url"] == f"{sandbox.url}/connect/token"


def test_the_command_line_prints_the_same_connections(sandbox, capsys):
    addresses = ["--url", sandbox.url, "--files-url", sandbox.files_url]

    assert main(["connections", *addresses]) == 0
    assert json.loads(capsys.readouterr().out) == sandbox.connections()
    assert main(["connections", *addresses, "--environment"]) == 0
    assert json.loads(capsys.readouterr().out) == sandbox.environment()


def test_a_reset_brings_back_the_people_the_switches_and_an_empty_book(sandbox):
    sandbox.settings(hrm_parts=3)
    sandbox.inject("hrm", "*", "hang", count=None)
    sandbox.change_person(nickname="Nieuw")
    assert sandbox.counts()["hrm"]["employees"] == 101

    sandbox.reset()

    assert sandbox.settings()["hrm_parts"] == 1
    assert sandbox.counts()["hrm"]["employees"] == 100
    assert requests.get(f"{sandbox.url}/_control/faults", timeout=30).json()["pending"] == []
    assert sandbox.journal() == []


def test_a_changed_person_is_named_and_an_unknown_one_refused(sandbox):
    assert sandbox.change_person(500006, email_work="nieuw@example.com")["employee_id"] == 500006
    with pytest.raises(SandboxError, match="500007"):
        sandbox.change_person(500007, email_work="nieuw@example.com")
    with pytest.raises(SandboxError, match="shoe_size"):
        sandbox.change_person(500006, shoe_size=43)


@pytest.mark.parametrize(
    ("path", "body"),
    [("faults", "{"), ("faults", "[]"), ("faults", '{"kind": "hang"}'), ("people", '{"x": 1}')],
)
def test_the_control_endpoint_says_what_it_did_not_understand(sandbox, path, body):
    answer = requests.post(f"{sandbox.url}/_control/{path}", data=body, timeout=30)

    assert answer.status_code == 400
    assert answer.text


def test_faults_and_journal_can_be_cleared_without_a_reset(sandbox):
    sandbox.settings(hrm_parts=2)
    sandbox.inject("connect", "*", "hang", count=None)
    sandbox.clear_faults()
    requests.get(f"{sandbox.url}/.well-known/openid-configuration", timeout=30)
    assert len(sandbox.journal()) == 1
    sandbox.clear_journal()

    assert sandbox.journal() == []
    assert sandbox.settings()["hrm_parts"] == 2


def test_a_request_that_no_system_serves_is_journalled(sandbox):
    assert requests.get(f"{sandbox.url}/nowhere?token=canary", timeout=30).status_code == 404

    (entry,) = sandbox.journal("none")
    assert (entry["path"], entry["query"], entry["status"]) == ("/nowhere", {"token": "***"}, 404)


def test_the_readme_names_every_switch_and_every_fault(sandbox):
    text = (Path(__file__).parents[1] / "README.md").read_text()
    kinds = requests.get(f"{sandbox.url}/_control/faults", timeout=30).json()["kinds"]

    assert [name for name in (*sandbox.settings(), *kinds) if f"`{name}`" not in text] == []
