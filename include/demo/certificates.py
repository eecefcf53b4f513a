"""Certificates of an authority of our own, for servers on this machine: `python include/demo/certificates.py DIR`.

The authority signs one certificate for localhost, and its private key is then forgotten. Nothing is put into any trust
store: who calls such a server names the authority's file.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

NAMES = ("localhost", "127.0.0.1", "::1")
LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=7)


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority that a client trusts, the server's certificate with its chain, and its private key."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(
    directory: Path, *, now: datetime | None = None, lifetime: timedelta = LIFETIME, is_expired: bool = False
) -> Certificates:
    """The certificates in the directory: those that are there while they are valid, otherwise new ones.

    Args:
        is_expired: make a certificate that ran out a day ago, to see how a client takes it.
    """
    now = now or datetime.now(UTC)
    found = Certificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    if not is_expired and _is_valid(found, now):
        return found
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    _issue(found, now - timedelta(days=1) if is_expired else now + lifetime)
    return found


def _is_valid(found: Certificates, now: datetime) -> bool:
    if not all(path.is_file() for path in (found.authority, found.certificate, found.key)):
        return False
    return _expires_at(found.certificate) > now + RENEW_BEFORE


def _expires_at(certificate: Path) -> datetime:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _issue(target: Certificates, expires_at: datetime) -> None:
    import trustme

    authority = trustme.CA(organization_name="KWikSync sample ERP")
    server = authority.issue_cert(*NAMES, not_after=expires_at)
    _write(target.authority, authority.cert_pem.bytes(), 0o644)
    _write(target.certificate, b"".join(blob.bytes() for blob in server.cert_chain_pems), 0o644)
    _write(target.key, server.private_key_pem.bytes(), 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    """The file appears whole and with its mode: a key is at no moment readable for others."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    fresh.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--expired", action="store_true", help="a server certificate that ran out a day ago")
    arguments = parser.parse_args()
    made = make_certificates(arguments.directory, is_expired=arguments.expired)
    print(json.dumps({"authority": str(made.authority), "certificate": str(made.certificate), "key": str(made.key)}))


if __name__ == "__main__":
    main()
