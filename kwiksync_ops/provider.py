"""What Airflow's provider manager learns of KWikSync: its connection types, each with the form that the UI shows."""

from __future__ import annotations

from typing import Any, NamedTuple

HOOKS = "kwiksync_ops.operators.hooks"


def provider_info() -> dict[str, Any]:
    """The value of the entry point group `apache_airflow_provider`."""
    return {
        "package-name": "kwiksync-ops",
        "name": "KWikSync",
        "description": "Keeps business records in step between ServiceNow and other systems.",
        "integrations": [{"integration-name": "KWikSync", "tags": ["service"]}],
        "operators": [{"integration-name": "KWikSync", "python-modules": ["kwiksync_ops.operators"]}],
        "hooks": [{"integration-name": "KWikSync", "python-modules": ["kwiksync_ops.operators.hooks"]}],
        "connection-types": [_connection_type(*declared) for declared in _CONNECTION_TYPES],
    }


def _connection_type(type_: str, hook: str, name: str, form: _Form) -> dict[str, Any]:
    return {
        "connection-type": type_,
        "hook-class-name": f"{HOOKS}.{hook}",
        "hook-name": name,
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "port", "extra"],
            "relabeling": {"host": form.address, "login": "User name", "password": form.password},
            "placeholders": {"host": form.example, "login": form.login, "password": "kept encrypted by Airflow"},
        },
        "conn-fields": {name: _FIELDS[name] for name in (*form.fields, "ca_file", "allow_hosts")},
    }


class _Form(NamedTuple):
    address: str
    example: str
    login: str
    password: str
    fields: tuple[str, ...] = ()


def _field(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


_FIELDS: dict[str, dict[str, Any]] = {
    "ca_file": _field(
        "CA file",
        "PEM file, on the workers, of the certificate authority to trust alone. Empty: what the workers trust.",
    ),
    "allow_hosts": {
        "label": "Allowed private hosts",
        "description": "Names, addresses or networks (10.1.0.0/16), one a line, that may lie in a private "
        "network. All other private and loopback addresses are refused.",
        "schema": {"type": ["array", "null"], "items": {"type": "string"}},
    },
    "grant_type": _field(
        "OAuth 2 grant",
        "How a token is got. Empty: no OAuth.",
        enum=["client_credentials", "password", "refresh_token", None],
    ),
    "token_url": _field("OAuth 2 token URL", "Where a token is asked for; empty: the kind's own, if it has one."),
    "client_id": _field("OAuth 2 client id", "Of the application that was registered for KWikSync."),
    "client_secret": _field("OAuth 2 client secret", "Kept encrypted by Airflow.", format="password"),
    "refresh_token": _field("OAuth 2 refresh token", "For the grant refresh_token.", format="password"),
    "scope": _field("OAuth 2 scope", "Names with spaces between, where the system wants any."),
    "hmac_secret": _field("HMAC secret", "Signs every call, where the system's file says so.", format="password"),
    "private_key": _field("SSH private key", "PEM, for sftp. Empty: the password.", format="password"),
    "passphrase": _field("Passphrase of the SSH key", "Empty: it has none.", format="password"),
    "host_keys": _field("SSH host keys", "Lines as in known_hosts; a server with another key is not talked to."),
    "region": _field("S3 region", "Such as eu-central-1."),
    "endpoint_url": _field("S3 endpoint", "HTTPS URL of a store that is not Amazon's."),
}
_OAUTH = ("grant_type", "token_url", "client_id", "client_secret", "refresh_token", "scope")
_CONNECTION_TYPES = (
    (
        "kwiksync",
        "KwikSyncHook",
        "KWikSync REST system",
        _Form(
            "Base URL",
            "https://erp.example.com/api",
            "empty for a token or an API key",
            "Password or token",
            (*_OAUTH, "hmac_secret"),
        ),
    ),
    (
        "kwiksync_servicenow",
        "ServiceNowHook",
        "KWikSync ServiceNow instance",
        _Form("Instance URL", "https://acme.service-now.com", "of the integration user", "Password", _OAUTH),
    ),
    (
        "kwiksync_odata",
        "ODataHook",
        "KWikSync OData service",
        _Form(
            "Service root",
            "https://s4.example.com/sap/opu/odata4/…/0001",
            "empty for a token",
            "Password or token",
            _OAUTH,
        ),
    ),
    (
        "kwiksync_sql",
        "SqlHook",
        "KWikSync SQL database",
        _Form("SQLAlchemy URL", "postgresql+psycopg://db.example.com/erp", "database user", "Password"),
    ),
    (
        "kwiksync_files",
        "FilesHook",
        "KWikSync files",
        _Form(
            "Folder",
            "file:///data/in, s3://bucket/in or sftp://host/in",
            "S3 access key or SFTP user",
            "S3 secret key or SFTP password",
            ("region", "endpoint_url", "private_key", "passphrase", "host_keys"),
        ),
    ),
)
