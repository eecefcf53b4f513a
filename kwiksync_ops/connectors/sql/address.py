"""Where a database is: its SQLAlchemy URL checked, and the addresses that may be connected to."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import PurePosixPath

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from kwiksync_ops.connectors.http.address import AddressGuard, Origin, guard_for
from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import ConfigurationError, InsecureTransportError
from kwiksync_ops.redaction import Redactor

DRIVERS = {
    "postgresql": "psycopg",
    "mysql": "pymysql",
    "mariadb": "pymysql",
    "sqlite": "pysqlite",
    "mssql": "pymssql",
}
"""The driver of each backend: what a connection's URL begins with, with or without it."""

_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433}
_SOCKETS = {"postgresql": "host", "mysql": "unix_socket", "mariadb": "unix_socket"}
_EXAMPLE = "Write it as postgresql+psycopg://db.example.com/erp, without user and password."


@dataclass(frozen=True)
class Address:
    """A database; `socket` is a Unix socket's path (its folder, for PostgreSQL), `file` that of a SQLite database."""

    backend: str
    database: str
    host: str = ""
    port: int = 0
    socket: str = ""

    @property
    def file(self) -> str:
        return self.database if self.backend == "sqlite" else ""

    @property
    def origin(self) -> Origin:
        return Origin(self.backend, self.host, self.port)

    @property
    def dialect_url(self) -> sa.URL:
        """What SQLAlchemy needs to know of it: nothing that could be secret."""
        return sa.URL.create(f"{self.backend}+{DRIVERS[self.backend]}")

    def __str__(self) -> str:
        if self.file:
            return f"sqlite:///{self.file}"
        return f"{self.backend}://{self.host or self.socket}:{self.port}/{self.database}"


@dataclass(frozen=True)
class Route:
    """The very addresses to connect to, in order; none for a file or a socket. `tls`: encrypted and verified."""

    addresses: tuple[str, ...] = ()
    tls: bool = False


def parse_address(url: str) -> Address:
    """The address in a connection's host field.

    Raises:
        ConfigurationError: it is none, names another kind of database, or holds what belongs elsewhere.
    """
    try:
        parsed = sa.make_url(url.strip())
    except (ArgumentError, ValueError) as exc:
        raise ConfigurationError(f"{Redactor().url(url)!r} is not a SQLAlchemy URL.", remedy=_EXAMPLE) from exc
    backend, _, driver = parsed.drivername.partition("+")
    if backend not in DRIVERS or driver not in ("", DRIVERS[backend]):
        known = [f"{name}+{each}" for name, each in DRIVERS.items()]
        hint = did_you_mean(parsed.drivername, [*known, *DRIVERS])
        raise ConfigurationError(
            f"There is no driver for {parsed.drivername!r}.{hint}", remedy=f"Use one of: {', '.join(known)}."
        )
    if parsed.username is not None or parsed.password is not None:
        raise ConfigurationError(
            "The URL carries a user name or a password, which would be seen.",
            remedy="Use the connection's fields for login and password.",
        )
    return _sqlite(parsed) if backend == "sqlite" else _server(parsed, backend)


def _sqlite(url: sa.URL) -> Address:
    path = url.database or ""
    if url.query or url.host or not PurePosixPath(path).is_absolute():
        raise ConfigurationError(
            f"{url!s} does not name a SQLite file by its whole path.",
            remedy="Write it with four slashes: sqlite:////data/erp.db; the file lies on the workers.",
        )
    return Address("sqlite", path)


def _server(url: sa.URL, backend: str) -> Address:
    option = _SOCKETS.get(backend, "")
    if others := sorted(url.query.keys() - {option}):
        raise ConfigurationError(
            f"The URL has {', '.join(others)} behind its question mark; none of that is taken.",
            remedy="TLS is always verified; time-outs and streaming stand in the sql options of the system's file.",
        )
    if not url.database:
        raise ConfigurationError(f"{url!s} names no database.", remedy=_EXAMPLE)
    socket = url.query.get(option, "")
    if not isinstance(socket, str) or bool(socket) == bool(url.host) or (socket and not socket.startswith("/")):
        raise ConfigurationError(f"{url!s} names no host.", remedy=_EXAMPLE)
    return Address(backend, url.database, url.host or "", url.port or _PORTS[backend], socket)


def route_to(address: Address, allow_hosts: tuple[str, ...], *, has_ca_file: bool) -> Route:
    """How the database may be reached: encrypted, unless it is this machine itself and that is allowed by name.

    Raises:
        InsecureTransportError: it lies in a private network, or is this machine, and was not allowed.
        SystemUnavailableError: the name is not known.
    """
    guard = guard_for(allow_hosts)
    if address.file:
        return Route()
    if address.socket:
        _check_socket(address, guard)
        return Route()
    found = tuple(guard.addresses(address.origin))
    is_loopback = all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in found)
    return Route(found, tls=has_ca_file or not is_loopback)


def _check_socket(address: Address, guard: AddressGuard) -> None:
    loopback = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
    is_allowed = "localhost" in guard.names or any(ip in network for network in guard.networks for ip in loopback)
    if not is_allowed:
        raise InsecureTransportError(
            f"{address} is a socket of this machine itself.", remedy="If that is meant, add localhost to allow_hosts."
        )
