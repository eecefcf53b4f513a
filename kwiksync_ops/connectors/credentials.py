"""Who we are to a system, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kwiksync_ops.redaction import Redactor

SECRET_EXTRAS = ("client_secret", "refresh_token", "hmac_secret", "private_key", "passphrase")
EXTRAS = (*SECRET_EXTRAS, "client_id", "token_url", "grant_type", "scope", "region", "endpoint_url", "host_keys")


@dataclass(frozen=True, repr=False)
class Credentials:
    """What an Airflow connection holds.

    Attributes:
        token: bearer token or API key; without one the password serves.
        ca_file: PEM file of the certificate authority to trust, alone; None trusts what the machine trusts.
        allow_hosts: names, addresses or networks (`10.1.0.0/16`) that may lie in a private network.
        extra: the connection's other fields that a connector may ask for, by name; one of `EXTRAS` each.
    """

    base_url: str
    login: str | None = None
    password: str | None = None
    token: str | None = None
    customer_key: str | None = None
    ca_file: str | None = None
    allow_hosts: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Credentials(base_url={Redactor(self.secrets).url(self.base_url)!r}, …)"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must not be seen, Basic authentication's joined form among it."""
        joined = f"{self.login or ''}:{self.password}" if self.password else None
        extras = (self.extra.get(name) for name in SECRET_EXTRAS)
        return tuple(secret for secret in (joined, self.password, self.token, self.customer_key, *extras) if secret)
