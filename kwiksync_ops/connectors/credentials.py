"""Who we are to a system, and where it is."""

from __future__ import annotations

from dataclasses import dataclass

from kwiksync_ops.redaction import Redactor


@dataclass(frozen=True, repr=False)
class Credentials:
    """What an Airflow connection holds.

    Attributes:
        token: bearer token or API key; without one the password serves.
        ca_file: PEM file of the certificate authority to trust, alone; None trusts what the machine trusts.
        allow_hosts: names, addresses or networks (`10.1.0.0/16`) that may lie in a private network.
    """

    base_url: str
    login: str | None = None
    password: str | None = None
    token: str | None = None
    customer_key: str | None = None
    ca_file: str | None = None
    allow_hosts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Credentials(base_url={Redactor(self.secrets).url(self.base_url)!r}, …)"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must not be seen, Basic authentication's joined form among it."""
        joined = f"{self.login or ''}:{self.password}" if self.password else None
        return tuple(secret for secret in (joined, self.password, self.token, self.customer_key) if secret)
