"""One connection of each driver: to the addresses that were checked, encrypted, with values that lose nothing."""

from __future__ import annotations

import os
import socket
import sqlite3
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

import msgspec

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.certificates import tls_context
from kwiksync_ops.connectors.sql.address import Address, Route
from kwiksync_ops.connectors.sql.options import SqlTimeouts
from kwiksync_ops.errors import ConfigurationError

APPLICATION = "kwiksync"

_json = msgspec.json.Decoder(float_hook=Decimal).decode
_freetds = Lock()
_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


@dataclass(frozen=True)
class Wanted:
    """What kind of connection: who we are, how long we wait, whether we may write."""

    credentials: Credentials
    timeouts: SqlTimeouts
    writes: bool


def connect(address: Address, route: Route, wanted: Wanted) -> Any:
    """A DBAPI connection. Raises what the driver raises."""
    return _CONNECT[address.backend](address, route, wanted)


def _connect_sqlite(address: Address, _: Route, wanted: Wanted) -> sqlite3.Connection:
    if not Path(address.file).is_file():
        raise ConfigurationError(
            f"There is no file {address.file}.", remedy="A SQLite database must be on the workers, at this path."
        )
    mode = "rw" if wanted.writes else "ro"
    connection = sqlite3.connect(
        f"file:{quote(address.file)}?mode={mode}",
        uri=True,
        timeout=wanted.timeouts.lock_s,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    return connection


def _connect_postgresql(address: Address, route: Route, wanted: Wanted) -> Any:
    import psycopg

    who = wanted.credentials
    where: dict[str, Any] = {"host": address.socket or ",".join([address.host] * len(route.addresses))}
    if route.addresses:
        where["hostaddr"] = ",".join(route.addresses)
    tls: dict[str, Any] = (
        {"sslmode": "verify-full", "sslrootcert": who.ca_file or _machine_authorities()} if route.tls else {}
    )
    connection = psycopg.connect(
        **where,
        **(tls or {"sslmode": "disable"}),
        port=address.port,
        dbname=address.database,
        user=who.login,
        password=who.password,
        passfile=f"{os.devnull}/none",
        gssencmode="disable",
        connect_timeout=max(2, round(wanted.timeouts.connect_s)),
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        client_encoding="utf8",
        application_name=APPLICATION,
        prepare_threshold=None,
    )
    _read_as_text(connection)
    return connection


def _read_as_text(connection: Any) -> None:
    """Values as PostgreSQL writes them where Python's types hold less: infinity, years over 9999, intervals, floats."""
    from psycopg.types.json import JsonLoader, set_json_loads
    from psycopg.types.numeric import NumericLoader
    from psycopg.types.string import TextLoader

    kept = {"bool", "int2", "int4", "int8", "oid", "numeric", "bytea"}
    others = {"float4": NumericLoader, "float8": NumericLoader, "json": JsonLoader, "jsonb": JsonLoader}
    for known in connection.adapters.types:
        if known.name not in kept:
            connection.adapters.register_loader(known.oid, others.get(known.name, TextLoader))
    set_json_loads(_json, connection)


@cache
def _machine_authorities() -> str:
    """The file of what this machine trusts; libpq knows no folders."""
    known = (ssl.get_default_verify_paths().cafile, *_CA_BUNDLES)
    return next((path for path in known if path and Path(path).is_file()), "system")


def _connect_mysql(address: Address, route: Route, wanted: Wanted) -> Any:
    import pymysql  # type: ignore[import-untyped]  # it ships no types

    who, timeouts = wanted.credentials, wanted.timeouts
    commands = ["time_zone = '+00:00'", "net_write_timeout = 3600", f"innodb_lock_wait_timeout = {timeouts.lock_s:.0f}"]
    connection = pymysql.connect(
        host=address.host or "localhost",
        unix_socket=address.socket or None,
        port=address.port,
        user=who.login or "",
        password=who.password or "",
        database=address.database,
        charset="utf8mb4",
        connect_timeout=timeouts.connect_s,
        read_timeout=timeouts.statement_s,
        write_timeout=timeouts.statement_s,
        init_command=f"SET {', '.join(f'SESSION {each}' for each in commands)}",
        ssl=tls_context(who.ca_file) if route.tls else None,
        ssl_disabled=not route.tls,
        local_infile=False,
        conv=_mysql_values(),
        defer_connect=True,
        program_name=APPLICATION,
    )
    connection.connect(_first_socket(address, route, timeouts.connect_s) if route.addresses else None)
    return connection


def _first_socket(address: Address, route: Route, timeout_s: float) -> socket.socket:
    """To the first of the checked addresses that answers. Raises the last one's OSError."""
    for number, each in enumerate(route.addresses, start=1):
        try:
            opened = socket.create_connection((each, address.port), timeout_s)
        except OSError as exc:
            if number == len(route.addresses):
                raise _no_connection(exc) from exc
            continue
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return opened
    raise AssertionError("unreachable")  # pragma: no cover


def _no_connection(cause: OSError) -> Any:
    from pymysql.constants.CR import CR_CONN_HOST_ERROR  # type: ignore[import-untyped]  # it ships no types
    from pymysql.err import OperationalError  # type: ignore[import-untyped]  # it ships no types

    return OperationalError(CR_CONN_HOST_ERROR, f"Can't connect: {cause}")


@cache
def _mysql_values() -> dict[Any, Any]:
    """Times as the server writes them, since it knows some that Python does not: 0000-00-00, 838:59:59."""
    from pymysql.constants import FIELD_TYPE  # type: ignore[import-untyped]  # it ships no types
    from pymysql.converters import conversions  # type: ignore[import-untyped]  # it ships no types

    values = dict(conversions)
    for kind in (FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.TIME):
        values.pop(kind, None)
    values |= {FIELD_TYPE.FLOAT: Decimal, FIELD_TYPE.DOUBLE: Decimal, FIELD_TYPE.JSON: _json}
    values[FIELD_TYPE.BIT] = lambda bits: int.from_bytes(bits, "big")
    return values


def _connect_mssql(address: Address, route: Route, wanted: Wanted) -> Any:
    import pymssql

    who, timeouts = wanted.credentials, wanted.timeouts
    with _freetds_settings(who.ca_file if route.tls else None, tls=route.tls):
        return pymssql.connect(
            server=address.host,
            port=str(address.port),
            user=who.login,
            password=who.password,
            database=address.database,
            timeout=round(timeouts.statement_s),
            login_timeout=round(timeouts.connect_s),
            appname=APPLICATION,
            encryption="require" if route.tls else "off",
            read_only=not wanted.writes,
            tds_version="7.4",
            use_datetime2=True,
            conn_properties=[
                "SET ANSI_NULLS ON",
                "SET QUOTED_IDENTIFIER ON",
                f"SET LOCK_TIMEOUT {timeouts.lock_s * 1000:.0f}",
            ],
        )


@contextmanager
def _freetds_settings(ca_file: str | None, *, tls: bool) -> Iterator[None]:
    """FreeTDS is told by a file alone which authority to trust, and to look at the host's name."""
    lines = ["[global]", "tds version = 7.4", "client charset = UTF-8"]
    if tls:
        lines += ["encryption = require", f"ca file = {ca_file or 'system'}", "check certificate hostname = yes"]
    with _freetds, tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        before = os.environ.get("FREETDSCONF")
        os.environ["FREETDSCONF"] = file.name
        try:
            yield
        finally:
            if before is None:
                del os.environ["FREETDSCONF"]
            else:
                os.environ["FREETDSCONF"] = before


_CONNECT: dict[str, Callable[[Address, Route, Wanted], Any]] = {
    "sqlite": _connect_sqlite,
    "postgresql": _connect_postgresql,
    "mysql": _connect_mysql,
    "mariadb": _connect_mysql,
    "mssql": _connect_mssql,
}
