"""What drivers raise, as our errors."""

from __future__ import annotations

import sqlite3
import ssl
from typing import Any

import psycopg
import psycopg.errors as postgresql
import pymssql
import pymysql
import pytest
from sqlalchemy.exc import OperationalError

from kwiksync_ops.connectors.sql.address import Address
from kwiksync_ops.connectors.sql.failures import Failures, concerns_all, is_duplicate
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionLostError,
    ConnectionTimeoutError,
    InsecureTransportError,
    SystemUnavailableError,
)
from kwiksync_ops.redaction import Redactor

CANARY = "canary-4f1d8c9b7a6e"


def failures(backend: str = "postgresql") -> Failures:
    return Failures(Address(backend, "erp", "db", 1), Redactor([CANARY]))


@pytest.mark.parametrize(
    ("backend", "error", "expected"),
    [
        ("postgresql", postgresql.InvalidPassword(), AuthenticationError),
        ("postgresql", postgresql.InsufficientPrivilege(), AuthenticationError),
        ("postgresql", postgresql.UndefinedColumn(), ConfigurationError),
        ("postgresql", postgresql.QueryCanceled(), ConnectionTimeoutError),
        ("postgresql", postgresql.LockNotAvailable(), ConnectionTimeoutError),
        ("postgresql", postgresql.AdminShutdown(), ConnectionLostError),
        ("postgresql", postgresql.TooManyConnections(), SystemUnavailableError),
        ("postgresql", psycopg.OperationalError('password authentication failed for user "x"'), AuthenticationError),
        (
            "postgresql",
            psycopg.OperationalError("server does not support SSL, but SSL was required"),
            InsecureTransportError,
        ),
        ("postgresql", psycopg.OperationalError("SSL error: certificate verify failed"), SystemUnavailableError),
        ("postgresql", psycopg.OperationalError("server closed the connection unexpectedly"), ConnectionLostError),
        ("postgresql", psycopg.OperationalError("connection refused"), SystemUnavailableError),
        ("mysql", pymysql.err.OperationalError(1045, "Access denied"), AuthenticationError),
        ("mysql", pymysql.err.ProgrammingError(1146, "Table doesn't exist"), ConfigurationError),
        ("mysql", pymysql.err.OperationalError(2013, "Lost connection (timed out)"), ConnectionTimeoutError),
        ("mysql", pymysql.err.OperationalError(2013, "Lost connection"), ConnectionLostError),
        ("mysql", pymysql.err.OperationalError(2003, "Can't connect"), SystemUnavailableError),
        ("mysql", pymysql.err.OperationalError(2026, "SSL is required but the server doesn't"), InsecureTransportError),
        ("mssql", pymssql.OperationalError(18456, b"Login failed for user"), AuthenticationError),
        ("mssql", pymssql.ProgrammingError(208, b"Invalid object name"), ConfigurationError),
        ("mssql", pymssql.OperationalError(20003, b"timed out"), ConnectionTimeoutError),
        ("mssql", pymssql.OperationalError(20047, b"DBPROCESS is dead"), ConnectionLostError),
        ("sqlite", sqlite3.OperationalError("no such column: x"), ConfigurationError),
        ("sqlite", sqlite3.OperationalError("database is locked"), SystemUnavailableError),
        ("sqlite", sqlite3.DatabaseError("file is not a database"), SystemUnavailableError),
        ("sqlite", OSError("disk"), SystemUnavailableError),
    ],
)
def test_an_error_says_its_recovery(backend: str, error: BaseException, expected: type[Exception]) -> None:
    found = failures(backend).of(error, "Reading t")
    assert type(found) is expected
    assert found.message.startswith("Reading t: ")
    assert found.remedy


def test_an_untrusted_certificate_names_ca_file() -> None:
    error = pymysql.err.OperationalError(2003, "Can't connect")
    cause = ssl.SSLCertVerificationError()
    cause.verify_message = "self-signed certificate"
    error.original_exception = cause
    found = failures("mysql").of(error, "Connecting")
    assert "self-signed certificate" in found.message
    assert "ca_file" in found.remedy


def test_neither_statements_nor_values_nor_secrets_are_shown() -> None:
    cause = psycopg.OperationalError(f"no route for {CANARY}")
    wrapped = OperationalError("SELECT secret_column", {"p": "a-value"}, cause)
    shown = str(failures().of(wrapped, "Reading t"))
    assert CANARY not in shown
    assert "secret_column" not in shown
    assert "a-value" not in shown


@pytest.mark.parametrize(
    "error",
    [
        postgresql.UniqueViolation(),
        pymysql.err.IntegrityError(1062, "Duplicate entry"),
        pymssql.IntegrityError(2627, b"Violation of PRIMARY KEY"),
        sqlite3.IntegrityError("UNIQUE constraint failed: t.id"),
    ],
)
def test_a_duplicate_is_told_from_other_refusals(error: Any) -> None:
    assert is_duplicate(error)
    assert not is_duplicate(postgresql.CheckViolation())


@pytest.mark.parametrize(
    ("backend", "error"),
    [
        ("postgresql", postgresql.DeadlockDetected()),
        ("postgresql", postgresql.SerializationFailure()),
        ("postgresql", postgresql.DiskFull()),
        ("postgresql", postgresql.QueryCanceled()),
        ("postgresql", postgresql.InsufficientPrivilege()),
        ("mysql", pymysql.err.OperationalError(1213, "Deadlock")),
        ("mssql", pymssql.OperationalError(1205, b"deadlock")),
        ("sqlite", sqlite3.OperationalError("database is locked")),
    ],
)
def test_what_no_record_is_to_blame_for_concerns_all(backend: str, error: Any) -> None:
    assert concerns_all(error, backend)


@pytest.mark.parametrize(
    ("backend", "error"),
    [
        ("postgresql", postgresql.CheckViolation()),
        ("postgresql", postgresql.InvalidTextRepresentation()),
        ("postgresql", postgresql.RaiseException()),
        ("mysql", pymysql.err.DataError(1406, "Data too long")),
        ("mssql", pymssql.OperationalError(8152, b"String would be truncated")),
        ("sqlite", sqlite3.IntegrityError("CHECK constraint failed")),
    ],
)
def test_what_a_record_is_to_blame_for_does_not(backend: str, error: Any) -> None:
    assert not concerns_all(error, backend)
