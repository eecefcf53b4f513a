from __future__ import annotations

import socket

import pytest

from kwiksync_ops.connectors.http.address import AddressGuard, Origin, guard_for, origin_of, same_origin_url
from kwiksync_ops.errors import ConfigurationError, InsecureTransportError, SystemUnavailableError

ERP = Origin("https", "erp.example", 443)


def guard(*addresses: str, allow: tuple[str, ...] = (), insecure_loopback: bool = False) -> AddressGuard:
    allowed = guard_for(allow, insecure_loopback=insecure_loopback)
    return AddressGuard(allowed.names, allowed.networks, insecure_loopback, lambda host, port: list(addresses))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1"])
def test_public_addresses_may_be_called(address: str) -> None:
    assert guard(address).addresses(ERP) == [address]


PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104  # an address that is refused
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1%eth0",
    "fd00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:a00:1::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_and_the_remedy_names_the_host(address: str) -> None:
    with pytest.raises(InsecureTransportError) as caught:
        guard(address).addresses(ERP)
    assert "add erp.example to allow_hosts" in caught.value.remedy


def test_of_several_addresses_only_the_allowed_are_used() -> None:
    assert guard("10.0.0.1", "93.184.216.34").addresses(ERP) == ["93.184.216.34"]


@pytest.mark.parametrize("allow", ["ERP.example", "10.0.0.1", "10.0.0.0/8", "[fd00::1]"])
def test_private_addresses_may_be_allowed_by_name_address_or_network(allow: str) -> None:
    address = "fd00::1" if "fd00" in allow else "10.0.0.1"
    assert guard(address, allow=(allow,)).addresses(ERP) == [address]


def test_allowing_one_host_allows_no_other() -> None:
    with pytest.raises(InsecureTransportError):
        guard("10.0.0.1", allow=("crm.example", "10.0.0.2")).addresses(ERP)


def test_plain_http_reaches_loopback_only() -> None:
    plain = Origin("http", "erp.example", 80)
    asked = guard("127.0.0.1", "10.0.0.1", "93.184.216.34", allow=("erp.example",), insecure_loopback=True)
    assert asked.addresses(plain) == ["127.0.0.1"]
    with pytest.raises(InsecureTransportError, match="not to this machine itself"):
        guard("93.184.216.34", insecure_loopback=True).addresses(plain)


def test_a_name_that_is_not_known_is_told() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(SystemUnavailableError, match=r"erp\.example can't be resolved"):
        AddressGuard(resolve=unknown).addresses(ERP)


@pytest.mark.parametrize("url", ["http://erp.example", "HTTP://erp.example/x", "ftp://erp.example"])
def test_a_base_url_must_be_https(url: str) -> None:
    with pytest.raises(InsecureTransportError) as caught:
        guard().base_origin(url)
    assert caught.value.code == "ERR_016"


@pytest.mark.parametrize("url", ["erp.example", "", "https://", "https://h:99999", "https://[::1", "/api"])
def test_a_base_url_that_is_none_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be used"):
        guard().base_origin(url)


def test_credentials_in_a_base_url_are_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="user information") as caught:
        guard().base_origin("https://user:hunter2@erp.example/api")
    assert "hunter2" not in str(caught.value)


def test_origins_ignore_case_and_default_ports() -> None:
    assert origin_of("https://ERP.example:443/a") == origin_of("HTTPS://erp.example/b")
    assert str(origin_of("https://[::1]:8443/")) == "https://[::1]:8443"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("?page=2", "https://erp.example/api/tickets?page=2"),
        ("/v2/x", "https://erp.example/v2/x"),
        ("https://erp.example:443/y", "https://erp.example:443/y"),
    ],
)
def test_links_within_the_host_are_resolved(link: str, target: str) -> None:
    assert same_origin_url(link, page_url="https://erp.example/api/tickets", what="The link") == target


@pytest.mark.parametrize(
    "link",
    [
        "http://erp.example/x",
        "https://erp.example:444/x",
        "https://erp.example.evil/x",
        "https://erp.example@evil.example/x",
        "https://user@erp.example/x",
        "//evil.example/x",
        "javascript:alert(1)",
        "https://[",
    ],
)
def test_links_elsewhere_are_refused(link: str) -> None:
    with pytest.raises(InsecureTransportError):
        same_origin_url(link, page_url="https://erp.example/api", what="The link")


def test_a_faulty_network_is_a_fault_and_not_a_name() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        guard_for(["10.0.0.0/99"])
