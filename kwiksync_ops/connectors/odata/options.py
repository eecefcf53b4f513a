"""The `odata:` options of a system and its tables: checked all at once, then as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kwiksync_ops.connectors.http.address import guard_for
from kwiksync_ops.connectors.http.authentication import Scheme
from kwiksync_ops.connectors.http.json_records import RecordLimits
from kwiksync_ops.connectors.http.oauth_grant import AuthStyle
from kwiksync_ops.connectors.http.timeouts import Timeouts
from kwiksync_ops.connectors.target import Repeat
from kwiksync_ops.declared.fault import DeclaredFile
from kwiksync_ops.declared.schema import schema_faults
from kwiksync_ops.declared.secrets import secret_faults
from kwiksync_ops.errors import ConfigurationError

SCHEMA = "connectors/odata/options.schema.json"


@dataclass(frozen=True)
class OAuthOptions:
    token_url: str = ""
    auth_style: AuthStyle = "basic"
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PaginationOptions:
    type: Literal["next_link", "keyset"] = "next_link"
    page_size: int | None = None
    two_queries: bool = False


@dataclass(frozen=True)
class BatchOptions:
    records: int = 100
    format: Literal["multipart", "json"] = "multipart"


@dataclass(frozen=True)
class PushOptions:
    actions: tuple[str, ...] = ("create", "update", "delete")
    update: Literal["PATCH", "MERGE", "PUT"] | None = None
    batch: BatchOptions | None = None
    if_match: bool = True
    repeat: Repeat = Repeat.LOOK
    correlation_field: str = ""
    confirm: Literal["answer", "read"] = "answer"


@dataclass(frozen=True)
class ODataOptions:
    """What each one means stands in options.schema.json."""

    auth: Scheme | None = None
    oauth: OAuthOptions = field(default_factory=OAuthOptions)
    customer_key_header: str = "X-Customer-Key"
    customer_key_required: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    filter: str = ""
    select: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()
    orderby: str = ""
    count: bool = False
    pagination: PaginationOptions = field(default_factory=PaginationOptions)
    fixed_keys: Mapping[str, Any] = field(default_factory=dict)
    decimals: Literal["string", "number"] = "string"
    push: PushOptions | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry_after_cap_s: float = 120.0
    limits: RecordLimits = field(default_factory=RecordLimits)
    allow_hosts: tuple[str, ...] = ()
    allow_insecure_loopback: bool = False


_SECTIONS: Mapping[str, Any] = {
    "oauth": OAuthOptions,
    "pagination": PaginationOptions,
    "batch": BatchOptions,
    "push": PushOptions,
    "timeouts": Timeouts,
    "limits": RecordLimits,
}


def parse_options(options: Mapping[str, Any]) -> ODataOptions:
    """The options as values, with defaults.

    Raises:
        ConfigurationError: with every fault, a line each.
    """
    faults = option_faults(options)
    if faults:
        raise ConfigurationError(
            "The odata options are not valid:", faults=faults, remedy="Correct them in the system's YAML file."
        )
    return ODataOptions(**{name: _value(name, value) for name, value in options.items()})


def option_faults(options: Mapping[str, Any]) -> tuple[str, ...]:
    """All that is wrong, one line each, with the path of the option; empty when the options are valid."""
    file = DeclaredFile(Path("odata"), dict(options), {})
    faults = schema_faults(file, SCHEMA) or secret_faults(file, by_name=True)
    if not faults:
        try:
            guard_for(options.get("allow_hosts", ()))
        except ValueError as exc:
            faults = [file.fault(("allow_hosts",), f"{exc}.")]
    return tuple(str(fault) for fault in faults)


def _value(name: str, value: Any) -> Any:
    if name in _SECTIONS:
        return _SECTIONS[name](**{key: _value(key, item) for key, item in value.items()})
    if name == "repeat":
        return Repeat(value)
    return tuple(value) if isinstance(value, list) else value
