"""A connection's URL, and where it may lead."""

from __future__ import annotations

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.sql.address import Address, Route, parse_address, route_to
from kwiksync_ops.connectors.sql.database import Database
from kwiksync_ops.errors import ConfigurationError, InsecureTransportError
from kwiksync_ops.rate_limit import Unlimited


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql+psycopg://db.example.com/erp", Address("postgresql", "erp", "db.example.com", 5432)),
        ("postgresql://db.example.com:6432/erp", Address("postgresql", "erp", "db.example.com", 6432)),
        ("mysql://db/erp", Address("mysql", "erp", "db", 3306)),
        ("mariadb+pymysql://db/erp", Address("mariadb", "erp", "db", 3306)),
        ("mssql+pymssql://db/erp", Address("mssql", "erp", "db", 1433)),
        ("sqlite:////data/erp.db", Address("sqlite", "/data/erp.db")),
        ("postgresql:///erp?host=/run/postgresql", Address("postgresql", "erp", "", 5432, "/run/postgresql")),
        ("mysql:///erp?unix_socket=/run/s", Address("mysql", "erp", "", 3306, "/run/s")),
        ("postgresql://[fd00::1]/erp", Address("postgresql", "erp", "fd00::1", 5432)),
    ],
)
def test_a_url_is_an_address(url: str, address: Address) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://db.example.com/erp", "no driver for 'https'"),
        ("postgres://db/erp", "Did you mean 'postgresql'"),
        ("postgresql+psycopg2://db/erp", "Did you mean 'postgresql+psycopg'"),
        ("mysql+mysqldb://db/erp", "no driver"),
        ("postgresql://me@db/erp", "user name"),
        ("postgresql://me:canary-word@db/erp", "user name"),
        ("postgresql://db/erp?sslmode=disable", "sslmode"),
        ("postgresql://db/erp?password=canary-word", "password"),
        ("mssql://db/erp?host=/x", "host"),
        ("postgresql://db", "no database"),
        ("postgresql:///erp", "no host"),
        ("postgresql://db/erp?host=/run/x", "no host"),
        ("postgresql:///erp?host=10.0.0.1", "no host"),
        ("sqlite://", "four slashes"),
        ("sqlite:///erp.db", "four slashes"),
        ("sqlite:////erp.db?mode=rw", "four slashes"),
        ("db.example.com", "not a SQLAlchemy URL"),
    ],
)
def test_a_url_that_is_none_of_ours_is_refused(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_address(url)
    assert told in str(caught.value)
    assert "canary-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "allowed", "has_ca_file", "route"),
    [
        ("8.8.8.8", (), False, Route(("8.8.8.8",), tls=True)),
        ("10.1.2.3", ("10.1.0.0/16",), False, Route(("10.1.2.3",), tls=True)),
        ("10.1.2.3", ("10.1.2.3",), True, Route(("10.1.2.3",), tls=True)),
        ("127.0.0.1", ("127.0.0.0/8",), False, Route(("127.0.0.1",), tls=False)),
        ("127.0.0.1", ("127.0.0.1",), True, Route(("127.0.0.1",), tls=True)),
        ("::1", ("::1",), False, Route(("::1",), tls=False)),
    ],
)
def test_only_this_machine_itself_may_be_without_tls(
    host: str, allowed: tuple[str, ...], has_ca_file: bool, route: Route
) -> None:
    assert route_to(Address("postgresql", "erp", host, 5432), allowed, has_ca_file=has_ca_file) == route


@pytest.mark.parametrize("host", ["10.1.2.3", "127.0.0.1", "169.254.169.254", "::1", "fd00::1"])
def test_a_private_address_needs_to_be_allowed(host: str) -> None:
    with pytest.raises(InsecureTransportError, match="allow_hosts"):
        route_to(Address("mssql", "erp", host, 1433), ("192.168.0.0/16",), has_ca_file=True)


def test_a_socket_is_this_machine_itself() -> None:
    address = Address("postgresql", "erp", "", 5432, "/run/postgresql")
    with pytest.raises(InsecureTransportError, match="localhost"):
        route_to(address, ("10.0.0.0/8",), has_ca_file=False)
    assert route_to(address, ("localhost",), has_ca_file=False) == Route()
    assert route_to(address, ("127.0.0.0/8",), has_ca_file=False) == Route()


def test_an_address_shows_no_more_than_where_it_is() -> None:
    assert str(parse_address("postgresql://db/erp")) == "postgresql://db:5432/erp"
    assert str(parse_address("sqlite:////data/erp.db")) == "sqlite:////data/erp.db"


def test_faulty_networks_of_a_connection_are_told() -> None:
    credentials = Credentials("postgresql://db/erp", allow_hosts=("10.0.0.0/99",))
    with pytest.raises(ConfigurationError, match="allow_hosts"):
        Database(credentials, {}, Unlimited())


def test_a_table_opens_no_address_that_its_system_does_not() -> None:
    database = Database(Credentials("postgresql://db/erp"), {}, Unlimited())
    with pytest.raises(ConfigurationError, match="allow_hosts"):
        database.options("t", {"allow_hosts": ["localhost"]})
