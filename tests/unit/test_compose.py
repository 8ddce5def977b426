"""docker-compose.yaml against the compose specification, and against what we promise of it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yaml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
ONE_SHOT = {"init", "sandbox-connections"}
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|KEY|AUTH$|_URL$|_CONN$|RESULT_BACKEND$")
REFERENCE = re.compile(r"\$\{([A-Z_]+):\?[^}]+\}")


def conforms(compose_file: Path) -> bool:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", compose_file],
        capture_output=True,
        check=False,
    )
    return checked.returncode == 0


def environment(service: str) -> dict[str, str]:
    return SERVICES[service].get("environment", {})


def test_the_file_conforms_to_the_compose_specification() -> None:
    assert conforms(COMPOSE_FILE)


def test_a_misspelt_key_would_be_noticed(tmp_path: Path) -> None:
    misspelt = tmp_path / "docker-compose.yaml"
    misspelt.write_text(COMPOSE_FILE.read_text().replace("healthcheck:", "health_check:", 1))

    assert not conforms(misspelt)


@pytest.mark.parametrize("service", SERVICES)
def test_a_secret_is_taken_from_outside_and_required(service: str) -> None:
    for name, value in environment(service).items():
        if REFERENCE.search(value) is None and SECRET_NAME.search(name):
            # what may stand here in clear text: an address without credentials
            assert re.fullmatch(r"https?://[a-z-]+:\d+/\S*", value), name


def test_no_value_has_a_default_and_no_url_a_password_in_clear_text() -> None:
    text = COMPOSE_FILE.read_text()

    assert set(re.findall(r"(?<!\$)\$\{[^}]*\}", text)) == {
        found.group() for found in REFERENCE.finditer(text)
    }
    assert re.findall(r"://[^\s:/]*:(?!\$\{)[^\s@/]+@", text) == []


def test_the_example_names_each_required_value_and_gives_none() -> None:
    required = set(REFERENCE.findall(COMPOSE_FILE.read_text()))
    lines = (ROOT / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    assert set(example) == required
    assert set(example.values()) == {""}


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - ONE_SHOT))
def test_a_service_that_keeps_running_has_a_health_check(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"]


def test_workers_begin_once_the_api_server_has_answered_where_tasks_call_it() -> None:
    tasks_call = urlsplit(environment("worker")["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"])
    asked = [urlsplit(word) for word in SERVICES["api-server"]["healthcheck"]["test"]]

    assert tasks_call.path + "health" in [address.path for address in asked]
    assert SERVICES["worker"]["depends_on"]["api-server"] == {"condition": "service_healthy"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_port_is_published_on_loopback_alone(service: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))


def test_the_sandbox_starts_only_when_asked_for() -> None:
    optional = {name for name, service in SERVICES.items() if service.get("profiles")}

    assert optional == {"sandbox", "sandbox-connections"}
    assert {SERVICES[name]["profiles"][0] for name in optional} == {"sandbox"}


def test_the_image_has_the_airflow_that_the_tests_ran_with() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert f"FROM apache/airflow:{version('apache-airflow')}-python3.11" in dockerfile


def test_the_build_context_holds_all_that_the_image_installs() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert kept == {"airflow_provider_visma", "dags", "sandbox", "pyproject.toml", "README.md", "LICENSE"}
