"""TLS: what is demanded of a system's certificate, and what to say when it falls short."""

from __future__ import annotations

import re
import socket
import ssl
from datetime import UTC, datetime

from kwiksync_ops.connectors.http.address import AddressGuard, Origin
from kwiksync_ops.errors import ConfigurationError, ConnectionLostError, KwikSyncError, SystemUnavailableError

EXPIRED = 10
UNKNOWN_ISSUERS = frozenset({2, 18, 19, 20, 21})
WRONG_HOST = frozenset({62, 64})

_VALIDITY = re.compile(rb"\x30[\x1e-\x22](?:\x17\x0d(\d{12})|\x18\x0f(\d{14}))Z(?:\x17\x0d(\d{12})|\x18\x0f(\d{14}))Z")


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """TLS 1.2 or later, certificate and host name verified."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as exc:
        raise ConfigurationError(
            f"The CA file {ca_file} can't be used: {exc.strerror or exc}.",
            remedy="Give the path of a PEM file with the certificate authority that signed the system's certificate.",
        ) from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def tls_failure(error: BaseException, *, what: str, origin: Origin, guard: AddressGuard) -> SystemUnavailableError:
    """What went wrong in the handshake, in words that name the certificate's fault and its remedy."""
    reason = next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLError)), None)
    if not isinstance(reason, ssl.SSLCertVerificationError):
        return _handshake_failure(reason, what, origin)
    if reason.verify_code == EXPIRED:
        return SystemUnavailableError(
            f"{what}: the certificate of {origin} {_expiry(origin, guard)}.",
            remedy="The system's owner renews the certificate; verification can't be switched off.",
        )
    if reason.verify_code in UNKNOWN_ISSUERS:
        return SystemUnavailableError(
            f"{what}: the certificate of {origin} is signed by an authority that is not trusted "
            f"({reason.verify_message}).",
            remedy="Set the connection's ca_file to the PEM file of that authority, if it is the company's own.",
        )
    if reason.verify_code in WRONG_HOST:
        return SystemUnavailableError(
            f"{what}: the certificate does not belong to {origin} ({reason.verify_message}).",
            remedy="Use the host name that the certificate was issued for.",
        )
    return SystemUnavailableError(
        f"{what}: the certificate of {origin} is not valid ({reason.verify_message}).",
        remedy="The system's owner has to replace the certificate.",
    )


def _handshake_failure(reason: ssl.SSLError | None, what: str, origin: Origin) -> SystemUnavailableError:
    if isinstance(reason, ssl.SSLEOFError):
        return ConnectionLostError(f"{what}: {origin} closed the connection.", remedy="It is tried again.")
    name = reason.reason if reason is not None and reason.reason else "the connection broke"
    if name in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return SystemUnavailableError(
            f"{what}: {origin} does not speak TLS on this port ({name}).",
            remedy="Check the port; KWikSync does not fall back to plain http.",
        )
    return SystemUnavailableError(
        f"{what}: the TLS handshake with {origin} failed ({name}).", remedy="The system must offer TLS 1.2 or later."
    )


def _expiry(origin: Origin, guard: AddressGuard) -> str:
    """When the certificate expired. It is fetched once more, without trust and without sending anything, to read it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        address = guard.addresses(origin)[0]
        with (
            socket.create_connection((address, origin.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=origin.host) as secured,
        ):
            expired = not_after(secured.getpeercert(binary_form=True) or b"")
    except (OSError, KwikSyncError):
        expired = None
    return f"expired on {expired:%Y-%m-%d %H:%M} UTC" if expired else "has expired"


def not_after(der: bytes) -> datetime | None:
    """The end of a certificate's validity: the second of the two times that stand together in its DER (RFC 5280)."""
    found = _VALIDITY.search(der)
    if found is None:
        return None
    short, long = found[3], found[4]
    text = long.decode() if long else ("20" if short < b"50" else "19") + short.decode()
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _causes(error: BaseException) -> list[BaseException]:
    """The error, what it wraps and what it came from, each once."""
    found: list[BaseException] = []
    open_errors: list[object] = [error]
    while open_errors:
        current = open_errors.pop(0)
        if isinstance(current, BaseException) and current not in found:
            found.append(current)
            open_errors += [*current.args, getattr(current, "reason", None), current.__cause__, current.__context__]
    return found
