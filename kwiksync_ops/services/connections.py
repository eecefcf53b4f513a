"""Who we are to a system, where no Airflow task says it: its connection from the environment or from Airflow itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kwiksync_ops.connectors.credentials import EXTRAS, Credentials
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services.keys import customer_key
from kwiksync_ops.settings import Settings
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.system_spec.spec import SystemSpec

AIRFLOW_TIMEOUT_S = 60


@dataclass(frozen=True, repr=False)
class SystemConnection:
    """An Airflow connection, as far as KWikSync reads it. `origin` says where it was found."""

    host: str
    login: str | None = None
    password: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""


def credentials(
    settings: Settings, hub: Hub, system: SystemSpec, environ: Mapping[str, str] = os.environ
) -> Credentials:
    """What a system is called with outside Airflow: its connection, and the Customer Key of the hub.

    Raises:
        ConfigurationError: there is no such connection, or it is not complete.
    """
    found = find_connection(system.connection_id, environ)
    key = customer_key(hub, settings.secret_keys, system.system)
    return credentials_of(found.host, found.login, found.password, found.extra, key)


def credentials_of(
    host: str | None, login: str | None, password: str | None, extra: Mapping[str, Any], customer_key: str | None
) -> Credentials:
    """From the fields of a connection of one of KWikSync's types.

    Raises:
        ConfigurationError: the connection has no base URL.
    """
    if not (host or "").strip():
        raise ConfigurationError(
            "The system's connection has no base URL.",
            remedy="Write it into the connection's field Base URL (host), such as https://erp.example.com/api.",
        )
    return Credentials(
        base_url=str(host).strip(),
        login=login or None,
        password=password or None,
        customer_key=customer_key,
        ca_file=str(extra.get("ca_file") or "").strip() or None,
        allow_hosts=_hosts(extra.get("allow_hosts")),
        extra={name: str(extra[name]) for name in EXTRAS if extra.get(name)},
    )


def find_connection(connection_id: str, environ: Mapping[str, str] = os.environ) -> SystemConnection:
    """The connection of this id: `AIRFLOW_CONN_<ID>` if it is set, else what Airflow knows.

    Raises:
        ConfigurationError: there is none, or the variable does not hold one.
    """
    name = variable_of(connection_id)
    if text := environ.get(name, "").strip():
        return connection_of(text, name)
    return _airflow_connection(connection_id, environ)


def variable_of(connection_id: str) -> str:
    """The environment variable that Airflow reads a connection from."""
    return f"AIRFLOW_CONN_{connection_id.upper()}"


def connection_of(text: str, origin: str) -> SystemConnection:
    """A connection as Airflow writes it: JSON, or a URI.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        return _of_json(json.loads(text), origin) if text.startswith("{") else _of_uri(text, origin)
    except ValueError as exc:
        raise ConfigurationError(
            f"{origin} does not hold a connection in one of Airflow's forms.",
            remedy='Write JSON, {"conn_type": "kwiksync", "host": "https://…", "password": "…"}, or a URI.',
        ) from exc


def _of_json(document: Any, origin: str) -> SystemConnection:
    extra = document.get("extra") or {}
    return SystemConnection(
        host=str(document.get("host") or ""),
        login=document.get("login"),
        password=document.get("password"),
        extra=_extra(extra),
        origin=origin,
    )


def _of_uri(text: str, origin: str) -> SystemConnection:
    """`kwiksync://login:password@host/?extra=…`; the host is a percent-encoded URL, or follows a scheme of its own."""
    scheme, found, rest = text.partition("://")
    if not found or not re.fullmatch(r"[\w-]+", scheme):
        raise ValueError("no connection URI")
    protocol, has_protocol, after = rest.partition("://")
    parts = urlsplit(f"//{after if has_protocol else rest}")
    host = unquote(re.sub(r".*@|:\d*$", "", parts.netloc))
    port = f":{parts.port}" if parts.port else ""
    path = unquote(parts.path.strip("/"))
    base = f"{protocol}://{host}{port}" if has_protocol else f"{host}{port}"
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return SystemConnection(
        host=f"{base}/{path}" if path else base,
        login=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        extra=_extra(query.get("__extra__", query)),
        origin=origin,
    )


def _extra(value: Any) -> Mapping[str, Any]:
    extra = json.loads(value) if isinstance(value, str) else value
    if not isinstance(extra, Mapping):
        raise ValueError("extra is not an object")  # noqa: TRY004  # all that is wrong with the text is one error
    return extra


def _hosts(value: Any) -> tuple[str, ...]:
    """A list, or a text with one a line or with commas between."""
    names = re.split(r"[\s,]+", value) if isinstance(value, str) else value or ()
    return tuple(str(name).strip() for name in names if str(name).strip())


def _airflow_connection(connection_id: str, environ: Mapping[str, str]) -> SystemConnection:
    done = _ask_airflow(connection_id, environ)
    listed = next((line for line in reversed(done.stdout.splitlines()) if line.startswith("[")), "")
    if done.returncode or not listed:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-1:])
        raise _missing(connection_id, "" if "not found" in (done.stdout + done.stderr) else f" It said: {said}")
    row = json.loads(listed)[0]
    return _of_json(row | {"extra": row.get("extra_dejson")}, "airflow connections get")


def _ask_airflow(connection_id: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = (str(Path(sys.executable).with_name("airflow")), "connections", "get", connection_id)
    try:
        return subprocess.run(  # noqa: S603  # this installation's own command
            [*command, "-o", "json"],
            capture_output=True,
            text=True,
            timeout=AIRFLOW_TIMEOUT_S,
            env={**environ, "NO_COLOR": "1"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        reason = f"no answer in {AIRFLOW_TIMEOUT_S} s" if isinstance(exc, subprocess.TimeoutExpired) else exc.strerror
        raise _missing(connection_id, f" Airflow could not be asked: {reason}.") from exc


def _missing(connection_id: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"There is no Airflow connection {connection_id!r}, and {variable_of(connection_id)} is not set.{why}",
        remedy=f"Make it in the Airflow UI (Admin, Connections; a type that begins with KWikSync), or by: "
        f"airflow connections add {connection_id} --conn-type kwiksync --conn-host https://…",
        connection_id=connection_id,
    )
