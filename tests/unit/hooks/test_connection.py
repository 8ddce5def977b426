from __future__ import annotations

import json
import ssl
import traceback
from pathlib import Path
from typing import Any

import pytest
import requests
from airflow.sdk import Connection

from airflow_provider_visma.exceptions import VismaConnectionConfigError
from airflow_provider_visma.hooks._connection import ConnectionSettings

EXTRA = {
    "tenant_id": "canary-tenant",
    "domain": "canary-domain",
    "scopes": "canary-scope",
    "client_secret": "canary-secret",
    "refresh_token": "canary-token",
    "timeout": 5,
}


def settings(
    *, default_host: str | None = None, extra: dict[str, Any] | None = None, **fields: Any
) -> ConnectionSettings:
    fields = {
        "host": "https://api.example.com",
        "login": "canary-login",
        "password": "canary-password",
        **fields,
    }
    connection = Connection(conn_id="c", conn_type="visma_hrm", extra=json.dumps(extra or {}), **fields)
    return ConnectionSettings.read(connection, system="Visma.net HRM", default_host=default_host)


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"host": "https://api.example.com/"}, "https://api.example.com"),
        ({"host": " api.example.com "}, "https://api.example.com"),
        ({"host": "api.example.com", "schema": "http"}, "http://api.example.com"),
        ({"host": "api.example.com", "port": 8443}, "https://api.example.com:8443"),
        ({"host": "https://api.example.com/scim/v2/"}, "https://api.example.com/scim/v2"),
        ({"host": "https://api.example.com/scim", "port": 8443}, "https://api.example.com:8443/scim"),
        ({"host": "https://api.example.com:8443", "port": 8443}, "https://api.example.com:8443"),
        ({"host": None, "default_host": "https://default.example.com"}, "https://default.example.com"),
    ],
)
def test_an_address_is_read_as_people_write_it(fields: dict[str, Any], address: str) -> None:
    assert settings(**fields).base_url == address


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "ftp://api.example.com",
        "https://",
        "https://u:p@api.example.com",
        "https://:u:p@api.example.com",
        "https://api.example.com:u:p",
        "https://[u:p",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(host: str | None) -> None:
    with pytest.raises(VismaConnectionConfigError, match="not an address") as caught:
        settings(host=host)
    assert "u:p" not in str(caught.value)


def test_neither_password_nor_extras_are_printed() -> None:
    shown = repr(settings(extra=EXTRA))
    assert "canary-password" not in shown
    assert "canary-secret" not in shown
    assert "canary-token" not in shown


def test_everything_missing_is_named_at_once() -> None:
    with pytest.raises(VismaConnectionConfigError, match="lacks API token, e-mail"):
        settings().required(API_token="", **{"e-mail": None, "domain": "filled in"})


@pytest.mark.parametrize(("value", "number"), [(None, 7), ("", 7), (3, 3), ("3", 3)])
def test_a_number_has_a_default_and_may_be_text(value: Any, number: int) -> None:
    assert settings(extra={"max_concurrency": value}).positive_int("max_concurrency", 7) == number


@pytest.mark.parametrize("value", [0, -1, "many", [1], "2.5"])
def test_a_number_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(VismaConnectionConfigError, match="max_concurrency"):
        settings(extra={"max_concurrency": value}).positive_int("max_concurrency", 7)


def test_the_time_out_of_the_connection_bounds_the_reading() -> None:
    assert settings(extra={"timeout": "5"}).limits.read == 5
    assert settings().limits.read == 120


# The way out: TLS and proxy


@pytest.mark.parametrize(
    "extra", [{}, {"verify": None}, {"verify": ""}, {"verify": "true"}, {"verify": True}]
)
def test_certificates_are_verified_by_default(extra: dict[str, Any]) -> None:
    assert settings(extra=extra).verify.verify_mode is ssl.CERT_REQUIRED
    assert settings(extra=extra).requests_session().verify is True


@pytest.mark.parametrize("extra", [{"verify": False}, {"verify": "False"}, {"verify_ssl": "false"}])
def test_verification_can_be_switched_off_for_tests(extra: dict[str, Any]) -> None:
    assert settings(extra=extra).verify.verify_mode is ssl.CERT_NONE
    assert settings(extra=extra).requests_session().verify is False


def test_a_ca_bundle_reaches_every_client(tmp_path: Path) -> None:
    import certifi

    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes())
    trusting = settings(extra={"verify": str(bundle)})
    assert trusting.requests_session().verify == str(bundle)
    assert trusting.verify is settings(extra={"verify": str(bundle)}).verify
    assert trusting.verify.get_ca_certs()


class _Recorder(requests.adapters.BaseAdapter):
    """Answers nothing and keeps what it was told about TLS."""

    def __init__(self) -> None:
        super().__init__()
        self.verify: Any = None

    def send(self, request: Any, *args: Any, verify: Any = None, **kwargs: Any) -> requests.Response:
        self.verify = verify
        raise requests.ConnectionError

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("verify", "seen"), [("false", False), ("/own.pem", "/own.pem")])
def test_the_connections_own_word_on_tls_wins_over_the_environment(
    verify: str, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/of/the/machine.pem")
    session = settings(extra={"verify": verify}).requests_session()
    recorder = _Recorder()
    session.mount("https://", recorder)
    with pytest.raises(requests.ConnectionError):
        session.post("https://api.example.com")
    assert recorder.verify == seen


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_an_unusable_ca_bundle_is_an_error_of_the_connection(tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(VismaConnectionConfigError, match="CA bundle"):
        _ = settings(extra={"verify": str(bundle)}).verify


@pytest.mark.parametrize(
    "extra",
    [
        {"proxy": "http://proxy.example.com:3128"},
        {"proxies": {"https": "http://proxy.example.com:3128"}},
        {"proxies": "http://proxy.example.com:3128"},
        {"proxy": " proxy.example.com:3128"},
    ],
)
def test_a_proxy_reaches_every_client(extra: dict[str, Any]) -> None:
    proxied = settings(extra=extra)
    assert proxied.proxy == "http://proxy.example.com:3128"
    assert proxied.requests_session().proxies["https"] == "http://proxy.example.com:3128"


@pytest.mark.parametrize(
    "proxy",
    [
        "u:canary@",
        "socks5://u:canary@proxy.example.com",
        "http://u:canary@[x",
        "http://u:canary@proxy.example.com:port",
    ],
)
def test_what_is_no_proxy_is_refused_without_repeating_it(proxy: str) -> None:
    for extra in ({"proxy": proxy}, {"proxies": {"https": proxy}}):
        with pytest.raises(VismaConnectionConfigError, match="proxy is not an address") as caught:
            _ = settings(extra=extra).proxy
        assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_a_proxy_of_the_other_scheme_is_not_used() -> None:
    assert settings(extra={"proxies": {"http": "http://proxy.example.com"}}).proxy is None


def test_the_environments_proxy_is_used_where_the_connection_names_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://of-the-machine.example.com:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example.com")
    assert settings().proxy == "http://of-the-machine.example.com:3128"
    assert settings(host="https://inside.example.com").proxy is None
    assert settings(extra={"proxy": "http://own.example.com"}).proxy == "http://own.example.com"


def test_no_extra_and_no_credential_becomes_a_header() -> None:
    session = settings(extra=EXTRA).requests_session()
    assert "canary" not in repr(dict(session.headers))
    assert set(session.headers) == {"User-Agent", "Accept-Encoding", "Accept", "Connection"}
    assert session.auth is None
