from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from airflow.cli import cli_parser

from airflow_provider_visma import orbit_sign_in
from airflow_provider_visma.provider_info import get_provider_info
from tests.airflow_variables import stored_values
from tests.orbit_browser import browse
from visma_sandbox.client import SandboxProcess
from visma_sandbox.connections import connections

CONN_ID = "teamleader_orbit_default"
ELSEWHERE = "https://client.example.com/orbit/callback"
Typed = Callable[[Callable[[str], str]], list[str]]


def run(*arguments: str) -> None:
    """Run ``airflow`` with these arguments."""
    arguments_of = cli_parser.get_parser().parse_args(list(arguments))
    arguments_of.func(arguments_of)


@pytest.fixture
def connection(sandbox: SandboxProcess, variables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {**connections(sandbox.url)[CONN_ID], "extra": {"redirect_uri": ELSEWHERE}}
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Have a person type what they make of the address that they are shown."""
    shown: list[str] = []

    def type_in(answer: Callable[[str], str]) -> list[str]:
        def read(prompt: str) -> str:
            shown.append(capsys.readouterr().out)
            address = re.search(r"^http\S+$", shown[0], re.MULTILINE)
            assert address is not None
            return answer(address[0])

        monkeypatch.setattr("builtins.input", read)
        return shown

    return type_in


def with_state(address: str, answer: str) -> str:
    """Return where a browser ends, with another *answer* than the service's."""
    state = dict(parse_qsl(urlsplit(address).query))["state"]
    return f"{ELSEWHERE}?{urlencode({'state': state})}&{answer}"


def give_up(address: str) -> str:
    """Type Ctrl+D."""
    raise EOFError


def test_airflow_knows_the_command() -> None:
    assert get_provider_info()["cli"] == ["airflow_provider_visma.cli.visma_commands"]
    arguments = cli_parser.get_parser().parse_args(["visma", "orbit-login", "a-connection"])
    assert arguments.conn_id == "a-connection"


@pytest.mark.usefixtures("connection")
def test_it_shows_where_to_sign_in_and_where_that_ends_and_completes_with_the_pasted_address(
    typed: Typed, capsys: pytest.CaptureFixture[str], sandbox: SandboxProcess
) -> None:
    shown = typed(browse)
    run("visma", "orbit-login", CONN_ID)
    assert f"{sandbox.url}/orbit/oauth2/authorize?" in shown[0]
    assert f"begins with {ELSEWHERE}" in shown[0]
    assert capsys.readouterr().out.endswith(f"Signed in. The connection {CONN_ID} can be used.\n")
    assert [key for key in stored_values() if "sign_in" in key] == []
    assert orbit_sign_in.read_settings(CONN_ID).token_source().get_token().value


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (give_up, "no address was given"),
        (lambda address: "", "the address holds no state"),
        (lambda address: f"{ELSEWHERE}?state=forged&code=canary", "state_forged"),
        (partial(browse, decision="deny"), "access was denied"),
        (partial(with_state, answer="code=canary"), "used before, has expired"),
    ],
)
def test_it_says_in_one_line_why_nobody_is_signed_in(
    typed: Typed, answer: Callable[[str], str], said: str
) -> None:
    typed(answer)
    with pytest.raises(SystemExit, match=said) as caught:
        run("visma", "orbit-login", CONN_ID)
    assert str(caught.value).startswith("Not signed in")
    assert "canary" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("variables")
def test_a_connection_that_does_not_exist_is_named_before_anything_is_asked() -> None:
    with pytest.raises(SystemExit, match=r"\(connection unknown\): there is no connection of the type"):
        run("visma", "orbit-login", "unknown")
