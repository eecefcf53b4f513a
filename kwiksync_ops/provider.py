"""What Airflow's provider manager learns of KWikSync: its connection type, with the form that the UI shows for it."""

from __future__ import annotations

from typing import Any

CONNECTION_TYPE = "kwiksync"
HOOK_CLASS = "kwiksync_ops.operators.hooks.KwikSyncHook"


def provider_info() -> dict[str, Any]:
    """The value of the entry point group `apache_airflow_provider`."""
    return {
        "package-name": "kwiksync-ops",
        "name": "KWikSync",
        "description": "Keeps business records in step between ServiceNow and other systems.",
        "integrations": [{"integration-name": "KWikSync", "tags": ["service"]}],
        "operators": [{"integration-name": "KWikSync", "python-modules": ["kwiksync_ops.operators"]}],
        "hooks": [{"integration-name": "KWikSync", "python-modules": ["kwiksync_ops.operators.hooks"]}],
        "connection-types": [_connection_type()],
    }


def _connection_type() -> dict[str, Any]:
    return {
        "connection-type": CONNECTION_TYPE,
        "hook-class-name": HOOK_CLASS,
        "hook-name": "KWikSync system",
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "port", "extra"],
            "relabeling": {"host": "Base URL", "login": "User name", "password": "Password or token"},
            "placeholders": {
                "host": "https://erp.example.com/api",
                "login": "empty for a token or an API key",
                "password": "kept encrypted by Airflow",
            },
        },
        "conn-fields": {
            "ca_file": {
                "label": "CA file",
                "description": "PEM file, on the workers, of the certificate authority to trust alone. "
                "Empty: what the workers trust.",
                "schema": {"type": ["string", "null"]},
            },
            "allow_hosts": {
                "label": "Allowed private hosts",
                "description": "Names, addresses or networks (10.1.0.0/16), one a line, that may lie in a private "
                "network. All other private and loopback addresses are refused.",
                "schema": {"type": ["array", "null"], "items": {"type": "string"}},
            },
        },
    }
