from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
import trustme

from kwiksync_ops.connectors.http.certificates import not_after, tls_context


@pytest.mark.parametrize("year", [2026, 2049, 2050, 2199])
def test_the_end_of_a_certificate_is_read_from_its_bytes(certificate_authority: trustme.CA, year: int) -> None:
    end = datetime(year, 3, 1, 12, 30, 15, tzinfo=UTC)
    leaf = certificate_authority.issue_cert("erp.example", not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=end)
    der = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    assert not_after(der) == end


def test_bytes_that_are_no_certificate_have_no_end() -> None:
    assert not_after(b"") is None


def test_tls_is_verified_and_recent() -> None:
    context = tls_context(None)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
