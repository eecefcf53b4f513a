"""What a driver raised, as the error that says what to do about it."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import Any

from kwiksync_ops.connectors.sql.address import Address
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionLostError,
    ConnectionTimeoutError,
    InsecureTransportError,
    KwikSyncError,
    SystemUnavailableError,
)
from kwiksync_ops.redaction import Redactor

MAX_SAID = 300

Kind = type[KwikSyncError]

_MYSQL: dict[int, Kind] = {
    **dict.fromkeys((1044, 1045, 1142, 1143, 1227, 1370, 1698, 3118), AuthenticationError),
    **dict.fromkeys((1046, 1049, 1054, 1060, 1064, 1103, 1109, 1146, 1149, 1221, 1222), ConfigurationError),
    **dict.fromkeys((1317, 1969, 3024), ConnectionTimeoutError),
    **dict.fromkeys((2006, 2013, 2014, 2055, 1053, 1152, 1184), ConnectionLostError),
}
_MSSQL: dict[int, Kind] = {
    **dict.fromkeys((229, 230, 262, 297, 300, 916, 18452, 18456, 18470, 18486, 18487, 18488), AuthenticationError),
    **dict.fromkeys((102, 105, 156, 207, 208, 209, 4060, 4104, 8155, 8156), ConfigurationError),
    **dict.fromkeys((1222, 20003), ConnectionTimeoutError),
    **dict.fromkeys((20004, 20006, 20047, 233, 10053, 10054), ConnectionLostError),
}
_POSTGRESQL: tuple[tuple[str, Kind], ...] = (
    ("28", AuthenticationError),
    ("42501", AuthenticationError),
    ("42", ConfigurationError),
    ("3D", ConfigurationError),
    ("3F", ConfigurationError),
    ("57014", ConnectionTimeoutError),
    ("55P03", ConnectionTimeoutError),
    ("08", ConnectionLostError),
    ("57P", ConnectionLostError),
    ("25P03", ConnectionLostError),
)
_PASSING = frozenset({1021, 1040, 1041, 1114, 1205, 1213, 1180, 1222})
"""Deadlocks, full disks and the like, of MySQL and SQL Server."""

_TEXTS: tuple[tuple[str, Kind], ...] = (
    (
        r"authentication failed|no password supplied|no pg_hba\.conf entry|role \".*\" does not exist",
        AuthenticationError,
    ),
    (r"does not support SSL|SSL is required but the server|server doesn't support", InsecureTransportError),
    (r"no such (table|column|function)|syntax error|readonly database|unable to open", ConfigurationError),
    (r"database \".*\" does not exist|not authorized", ConfigurationError),
    (r"timeout expired|timed out|interrupted", ConnectionTimeoutError),
    (
        r"server closed the connection|connection (was |is )?(lost|closed|reset)|terminating connection",
        ConnectionLostError,
    ),
)
_REMEDIES: dict[Kind, str] = {
    AuthenticationError: "Check login and password of the connection, and what that user may do in the database.",
    ConfigurationError: "Check the connection's URL, the table's source and its sql options against the database.",
    ConnectionTimeoutError: "An index on change time and key makes reads fast; timeouts stand in the sql options.",
    ConnectionLostError: "It is tried again, from where it was.",
    InsecureTransportError: "The database must offer TLS 1.2 or later; only one on this machine itself may be without.",
    SystemUnavailableError: "It is tried again; ask the database's owner if it lasts.",
}


@dataclass(frozen=True)
class Failures:
    """Turns a driver's errors into ours, without secrets."""

    address: Address
    redactor: Redactor

    def of(self, error: BaseException, what: str) -> KwikSyncError:
        cause = driver_error(error)
        if isinstance(cause, KwikSyncError):
            return cause
        certificate = _certificate_fault(cause)
        kind = SystemUnavailableError if certificate else kind_of(cause, self.address.backend)
        remedy = (
            "Set the connection's ca_file to the authority that signed the database's certificate, and use the host "
            "name that it was issued for; verification can't be switched off."
            if certificate
            else _REMEDIES[kind]
        )
        return kind(f"{what}: {self.redactor.text(certificate) or self.said(cause)}", remedy=remedy)

    def said(self, error: BaseException) -> str:
        """What the driver says, on one line, without values and secrets."""
        text = self.redactor.text(told(driver_error(error)))
        return " ".join(text.split())[:MAX_SAID].rstrip(".") + "."


def kind_of(cause: BaseException, backend: str) -> Kind:
    """Which error a driver's error is."""
    number = cause.args[0] if cause.args else None
    state: str | None = getattr(cause, "sqlstate", None)
    if state:
        return next((kind for start, kind in _POSTGRESQL if state.startswith(start)), SystemUnavailableError)
    if isinstance(number, int):
        table = _MSSQL if backend == "mssql" else _MYSQL
        if number in table and not (number == 2013 and "timed out" in str(cause)):
            return table[number]
    text = told(cause)
    return next((kind for words, kind in _TEXTS if re.search(words, text, re.IGNORECASE)), SystemUnavailableError)


def concerns_all(error: BaseException, backend: str) -> bool:
    """Whether it is no fault of one record: the database is away, busy or full, or does not let us."""
    cause = driver_error(error)
    number = cause.args[0] if cause.args else None
    state: str = getattr(cause, "sqlstate", None) or ""
    if state.startswith(("40", "53", "55P03", "57", "58")) or number in _PASSING:
        return True
    if backend == "sqlite" and re.search(r"locked|busy|full|disk I/O", str(cause)):
        return True
    return kind_of(cause, backend) in (AuthenticationError, ConnectionLostError, ConnectionTimeoutError)


def is_duplicate(cause: BaseException) -> bool:
    """Whether a row met another one of the same unique key."""
    error = driver_error(cause)
    number = error.args[0] if error.args else None
    return (
        getattr(error, "sqlstate", None) == "23505"
        or number in (1062, 1169, 2601, 2627)
        or "UNIQUE constraint failed" in str(error)
    )


def told(error: BaseException) -> str:
    """A driver's own words, without the detail line, in which PostgreSQL shows values."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    words = [part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part) for part in error.args]
    return str(primary or " ".join(words) or type(error).__name__)


def driver_error(error: BaseException) -> BaseException:
    """SQLAlchemy's errors show statements and values; the driver's own do not."""
    origin: Any = getattr(error, "orig", None)
    return origin if isinstance(origin, BaseException) else error


def _certificate_fault(error: BaseException) -> str:
    original = getattr(error, "original_exception", None)
    if isinstance(original, ssl.SSLCertVerificationError):
        return f"its certificate is not valid here ({original.verify_message})."
    text = str(error)
    if re.search(r"certificate verify failed|server certificate for|certificate.*(does not match|expired)", text):
        return "its certificate is not valid here " + f"({' '.join(text.split())[:MAX_SAID]})."
    return ""
