"""Which links may be followed, and to which address."""

from __future__ import annotations

import pytest

from airflow_provider_visma.exceptions import VismaUnavailableError
from airflow_provider_visma.protocols.links import LinkRefusedError, LinkRules, resolve_host

PUBLIC = "93.184.215.14"
RULES = LinkRules(hosts=("api.example.com", ".files.example.net"))


def check(link: str, *, rules: LinkRules = RULES, addresses: tuple[str, ...] = (PUBLIC,)) -> object:
    return rules.check(link, resolve=lambda host, port: addresses)


@pytest.mark.parametrize(
    ("link", "host", "target"),
    [
        ("https://api.example.com/exports/1.csv?sig=x%2By", "api.example.com", "/exports/1.csv?sig=x%2By"),
        ("https://API.Example.COM./1.csv", "api.example.com", "/1.csv"),
        ("https://a.files.example.net:443/?sig=x#part", "a.files.example.net", "/?sig=x"),
        ("https://a.b.files.example.net", "a.b.files.example.net", "/"),
    ],
)
def test_a_link_to_an_expected_host_leads_to_its_checked_address(link: str, host: str, target: str) -> None:
    destination = RULES.check(link, resolve=lambda host, port: [PUBLIC])
    assert (destination.host, destination.port, destination.target) == (host, 443, target)
    assert destination.addresses == (PUBLIC,)


@pytest.mark.parametrize(
    "link",
    [
        "http://api.example.com/1.csv",
        "ftp://api.example.com/1.csv",
        "file:///etc/passwd",
        "//api.example.com/1.csv",
        "/1.csv",
        "",
        "https://api.example.com:8443/1.csv",
        "https://api.example.com:80/1.csv",
        "https://api.example.com:0/1.csv",
        "https://api.example.com:99999/1.csv",
        "https://api.example.com:x/1.csv",
        "https://user:password@api.example.com/1.csv",
        "https://user@api.example.com/1.csv",
        "https://@api.example.com/1.csv",
        "https://api.example.com@evil.example.org/1.csv",
        "https://evil.example.org/1.csv",
        "https://evil-api.example.com/1.csv",
        "https://api.example.com.evil.example.org/1.csv",
        "https://files.example.net/1.csv",
        "https://evilfiles.example.net/1.csv",
        "https://localhost/1.csv",
        "https://localhost.localdomain/1.csv",
        "https://127.0.0.1/1.csv",
        "https://[::1]/1.csv",
        "https://2130706433/1.csv",
        "https://0x7f000001/1.csv",
        "https://0177.0.0.1/1.csv",
        "https://169.254.169.254/latest/meta-data/iam",
        "https://[::ffff:169.254.169.254]/",
        "https://metadata.google.internal/computeMetadata/v1/",
        "https:///1.csv",
        "https://api.example.com\\@evil.example.org/1.csv",
        "https://api.example.com\t.evil.example.org/",
        "https://api.example.com/1.csv\r\nHost: evil.example.org",
        "https://api.example.com/1 .csv",
        "https://аpi.example.com/1.csv",
        "https://[api.example.com/1.csv",
        "https://api.example.com/" + "x" * 20_000,
    ],
)
def test_any_other_link_is_refused_before_a_name_is_looked_up(link: str) -> None:
    with pytest.raises(LinkRefusedError):
        RULES.check(link, resolve=lambda host, port: pytest.fail(f"{host} was looked up"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:5601:5601",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::7f00:1",
    ],
)
def test_an_expected_host_with_an_address_inside_is_refused(address: str) -> None:
    for addresses in ((address,), (PUBLIC, address)):
        with pytest.raises(LinkRefusedError, match="inside this network"):
            check("https://api.example.com/1.csv", addresses=addresses)


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_a_public_address_is_accepted(address: str) -> None:
    check("https://api.example.com/1.csv", addresses=(address,))


def test_a_test_server_may_be_insecure_but_never_a_metadata_service() -> None:
    rules = LinkRules(hosts=("localhost",), allow_insecure=True)
    destination = rules.check("http://localhost:8766/1.csv", resolve=lambda host, port: ["127.0.0.1"])
    assert (destination.scheme, destination.port) == ("http", 8766)
    for address in ("169.254.169.254", "fe80::1", "168.63.129.16"):
        with pytest.raises(LinkRefusedError):
            check("http://localhost/1.csv", rules=rules, addresses=(address,))
    with pytest.raises(LinkRefusedError):
        check("http://evil.example.org/1.csv", rules=rules)


@pytest.mark.parametrize("hosts", [(), ("",), (".",)])
def test_without_an_expected_host_every_link_is_refused(hosts: tuple[str, ...]) -> None:
    with pytest.raises(LinkRefusedError):
        check("https://api.example.com/1.csv", rules=LinkRules(hosts=hosts))


def test_a_refusal_names_the_host_and_nothing_of_the_link_behind_it() -> None:
    with pytest.raises(LinkRefusedError) as caught:
        check("https://evil.example.org/canary-path?sig=canary-signature")
    assert "evil.example.org" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_host_without_an_address_is_unavailable() -> None:
    with pytest.raises(VismaUnavailableError, match="no address"):
        resolve_host("no-such-host.invalid", 443)


def test_a_host_is_resolved_to_plain_addresses() -> None:
    assert "127.0.0.1" in resolve_host("127.0.0.1", 443)
