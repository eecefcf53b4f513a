"""The `servicenow:` options of an instance and its tables: checked all at once, then as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kwiksync_ops.connectors.http.address import guard_for
from kwiksync_ops.connectors.http.authentication import Scheme
from kwiksync_ops.connectors.http.json_records import RecordLimits
from kwiksync_ops.connectors.http.timeouts import Timeouts
from kwiksync_ops.connectors.servicenow.encoded_query import query_faults
from kwiksync_ops.declared.fault import DeclaredFile, Fault
from kwiksync_ops.declared.schema import schema_faults
from kwiksync_ops.declared.secrets import secret_faults
from kwiksync_ops.errors import ConfigurationError

SCHEMA = "connectors/servicenow/options.schema.json"
Way = Literal["batch", "record", "import_set"]

_TIMEOUTS = Timeouts(read_s=50.0)
"""An instance works at a batch for 30 s, and a sync holds its lease for 60 s without a sign."""


@dataclass(frozen=True)
class ReferenceOptions:
    """By which field of which table a reference's record is found."""

    table: str
    field: str


@dataclass(frozen=True)
class ImportSetOptions:
    table: str
    coalesce: bool = True
    target_field: str = "correlation_id"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PushOptions:
    by: Way = "batch"
    records: int = 1000
    actions: tuple[str, ...] = ("create", "update", "delete")
    correlation_field: str = "correlation_id"
    journal_fields: tuple[str, ...] = ("work_notes", "comments")
    references: Mapping[str, ReferenceOptions] = field(default_factory=dict)
    import_set: ImportSetOptions | None = None


@dataclass(frozen=True)
class ServiceNowOptions:
    """What each one means stands in options.schema.json."""

    auth: Scheme | None = None
    query: str = ""
    fields: tuple[str, ...] = ()
    page_size: int | None = None
    lag_s: int = 1
    push: PushOptions | None = None
    timeouts: Timeouts = _TIMEOUTS
    retry_after_cap_s: float = 120.0
    limits: RecordLimits = field(default_factory=RecordLimits)
    allow_hosts: tuple[str, ...] = ()
    allow_insecure_loopback: bool = False


def parse_options(options: Mapping[str, Any]) -> ServiceNowOptions:
    """The options as values, with defaults.

    Raises:
        ConfigurationError: with every fault, a line each.
    """
    faults = option_faults(options)
    if faults:
        raise ConfigurationError(
            "The servicenow options are not valid:", faults=faults, remedy="Correct them in the system's YAML file."
        )
    return ServiceNowOptions(**{name: _value(name, value) for name, value in options.items()})


def option_faults(options: Mapping[str, Any]) -> tuple[str, ...]:
    """All that is wrong, one line each, with the path of the option; empty when the options are valid."""
    file = DeclaredFile(Path("servicenow"), dict(options), {})
    faults = schema_faults(file, SCHEMA) or secret_faults(file, by_name=True) or list(_semantic_faults(file))
    return tuple(str(fault) for fault in faults)


def _value(name: str, value: Any) -> Any:
    match name:
        case "push":
            return PushOptions(**{key: _push_value(key, item) for key, item in value.items()})
        case "timeouts":
            return replace(_TIMEOUTS, **value)
        case "limits":
            return RecordLimits(**value)
        case "page_size" | "lag_s":
            return int(value)  # to a schema 1000.0 is a whole number
        case _:
            return tuple(value) if isinstance(value, list) else value


def _push_value(name: str, value: Any) -> Any:
    match name:
        case "references":
            return {key: ReferenceOptions(**item) for key, item in value.items()}
        case "import_set":
            return ImportSetOptions(**value)
        case "records":
            return int(value)
        case _:
            return tuple(value) if isinstance(value, list) else value


def _semantic_faults(file: DeclaredFile) -> Iterator[Fault]:
    """What a schema can't say."""
    options = file.value
    for problem in query_faults(options["query"]) if "query" in options else ():
        yield file.fault(("query",), problem)
    yield from _push_faults(file)
    try:
        guard_for(options.get("allow_hosts", ()))
    except ValueError as exc:
        yield file.fault(("allow_hosts",), f"{exc}.")


def _push_faults(file: DeclaredFile) -> Iterator[Fault]:
    push = file.value.get("push", {})
    by_import, staging = push.get("by") == "import_set", push.get("import_set")
    if by_import and staging is None:
        yield file.fault(("push", "import_set"), "says which staging table takes the records; set import_set.table.")
    if by_import and push.get("correlation_field") == "":
        yield file.fault(
            ("push", "correlation_field"), "tells the staging rows apart; name the staging column that holds our id."
        )
    if staging is not None and not by_import:
        yield file.fault(("push", "import_set"), "is of no use without by: import_set.")
    labels = (staging or {}).get("labels")
    own = push.get("correlation_field", PushOptions.correlation_field)
    if labels and own not in labels:
        yield file.fault(("push", "import_set", "labels"), f"has no label of {own}, the correlation_field.")
