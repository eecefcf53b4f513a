"""The `sql:` options of a system and its tables: checked all at once, then as values. It runs while DAGs are parsed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kwiksync_ops.connectors.http.address import guard_for
from kwiksync_ops.declared.fault import DeclaredFile, Fault
from kwiksync_ops.declared.schema import schema_faults
from kwiksync_ops.declared.secrets import secret_faults
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.vocabulary import Action

SCHEMA = "connectors/sql/options.schema.json"

BytesForm = Literal["base64", "hex"]

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/", re.DOTALL)
_NAMED = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)")


@dataclass(frozen=True)
class SqlTimeouts:
    connect_s: float = 10
    statement_s: float = 300
    lock_s: float = 10


@dataclass(frozen=True)
class PushOptions:
    actions: tuple[Action, ...] = tuple(Action)
    existing: Literal["update", "refuse"] = "update"
    correlation_column: str = ""
    version_column: str = ""
    confirm: Literal["read", "rows"] = "read"
    records: int = 1000


@dataclass(frozen=True)
class SqlOptions:
    """What each one means stands in options.schema.json."""

    query: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    streaming: bool | None = None
    bytes: BytesForm = "base64"
    timezone: str = "UTC"
    timeouts: SqlTimeouts = field(default_factory=SqlTimeouts)
    allow_hosts: tuple[str, ...] = ()
    push: PushOptions | None = None


def merge_options(system: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """A table's options over its system's; `push` and `timeouts` are merged key by key."""
    merged = dict(system)
    for name, value in table.items():
        inherited = merged.get(name)
        is_section = isinstance(value, Mapping) and isinstance(inherited, Mapping) and name != "params"
        merged[name] = {**inherited, **value} if is_section else value  # type: ignore[dict-item]  # both are mappings
    return merged


def parse_options(options: Mapping[str, Any]) -> SqlOptions:
    """The options as values, with defaults.

    Raises:
        ConfigurationError: with every fault, a line each.
    """
    if faults := option_faults(options):
        raise ConfigurationError(
            "The sql options are not valid:", faults=faults, remedy="Correct them in the system's YAML file."
        )
    return SqlOptions(**{name: _value(name, value) for name, value in options.items()})


def option_faults(options: Mapping[str, Any]) -> tuple[str, ...]:
    """All that is wrong, one line each, with the path of the option; empty when the options are valid."""
    file = DeclaredFile(Path("sql"), dict(options), {})
    faults = schema_faults(file, SCHEMA) or secret_faults(file, by_name=True) or list(_semantic_faults(file))
    return tuple(str(fault) for fault in faults)


def named_params(query: str) -> frozenset[str]:
    """The :names of a query, not those within quotes and comments."""
    return frozenset(_NAMED.findall(bare_text(query)))


def bare_text(query: str) -> str:
    """The query with what stands in quotes and comments blanked, so that places stay as they are."""
    return _QUOTED.sub(lambda match: " " * len(match[0]), query)


def _value(name: str, value: Any) -> Any:
    match name:
        case "timeouts":
            return SqlTimeouts(**value)
        case "push":
            return PushOptions(**{key: _push_value(key, item) for key, item in value.items()})
    return tuple(value) if isinstance(value, list) else value


def _push_value(name: str, value: Any) -> Any:
    return tuple(map(Action, value)) if name == "actions" else value


def _semantic_faults(file: DeclaredFile) -> Iterator[Fault]:
    """What a schema can't say."""
    options = file.value
    if "timezone" in options and not _is_zone(options["timezone"]):
        yield file.fault(("timezone",), f"there is no time zone {options['timezone']!r}, such as Europe/Berlin.")
    if "query" in options:
        yield from _query_faults(file, options["query"], options.get("params", {}))
        if "push" in options:
            yield file.fault(("push",), "writes into a table, and a query is read: leave one of the two out.")
    elif "params" in options:
        yield file.fault(("params",), "are values of a query, and there is none.")
    try:
        guard_for(options.get("allow_hosts", ()))
    except ValueError as exc:
        yield file.fault(("allow_hosts",), f"{exc}.")


def _query_faults(file: DeclaredFile, query: str, params: Mapping[str, Any]) -> Iterator[Fault]:
    bare = bare_text(query)
    if not re.match(r"\s*(select|with|values)\b", bare, re.IGNORECASE):
        yield file.fault(("query",), "is not a query: it begins with neither SELECT nor WITH.")
    if ";" in bare:
        yield file.fault(("query",), "holds a ; though it is to be one statement, read as a subquery.")
    if not _is_balanced(bare):
        yield file.fault(("query",), "has brackets that do not match; it is read as a subquery.")
    named = named_params(query)
    for name in sorted(named - params.keys()):
        yield file.fault(("query",), f"names :{name}, and params does not say what it is.")
    for name in sorted(params.keys() - named):
        yield file.fault(("params", name), f"is not used by the query; write :{name} there.")


def _is_balanced(text: str) -> bool:
    depth = 0
    for sign in text:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth < 0:
            return False
    return depth == 0


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
