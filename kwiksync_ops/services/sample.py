"""Records to try a mapping on: from a file, or a few that the system sends now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from kwiksync_ops.batch import SourceRecord
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.storage import record_search
from kwiksync_ops.storage.api_calls import HubCallLimiter
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec


def file_sample(path: Path, limit: int) -> list[SourceRecord]:
    """The first records of a file: a JSON list, one record, a record a line, or an object that holds a list of them.

    Raises:
        ConfigurationError: it can't be read, or holds no record.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise _no_sample(path, getattr(exc, "strerror", None) or "it is not UTF-8 text") from exc
    records = [record for record in _records(path, text) if isinstance(record, dict)]
    if not records:
        raise _no_sample(path, "it holds no record")
    return records[:limit]


def live_sample(
    hub: Hub, system: SystemSpec, table: TableSpec, credentials: Credentials, limit: int, clock: Clock
) -> list[SourceRecord]:
    """The first records that the system sends of a table, by one call."""
    cursor = table.cursor
    request = ReadRequest(
        source=table.source,
        key=table.key,
        cursor_field=cursor.field if cursor else None,
        cursor_format=cursor.format if cursor else "iso",
        cursor_timezone=cursor.timezone if cursor else "UTC",
        page_records=limit,
        options=table.options,
    )
    limiter = HubCallLimiter(hub, system.system, system.limits.calls_per_minute, clock)
    with (
        closing(open_source(system.kind, credentials, system.options, limiter, clock)) as source,
        closing(source.read(request)) as pages,  # type: ignore[type-var]  # connectors give generators
    ):
        page = next(pages, None)
    return page.records[:limit] if page else []


def hub_sample(hub: Hub, table: TableSpec, limit: int) -> list[Mapping[str, Any]]:
    """The records of a table that changed last in the hub.

    Raises:
        ConfigurationError: the table is empty.
    """
    with hub.read() as connection:
        records = list(record_search.search(connection, table.table, limit=limit))
    if not records:
        raise ConfigurationError(
            f"The hub has no record of {table.table} to show.", remedy=f"Sync {table.table} into the hub first."
        )
    return records


def _records(path: Path, text: str) -> Iterable[Any]:
    try:
        value = json.loads(text, parse_float=Decimal)
    except ValueError as exc:
        if "\n" not in text.strip():
            raise _no_sample(path, f"it is not JSON ({exc})") from exc
        return _lines(path, text)
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list) and item and isinstance(item[0], dict)]
        return lists[0] if len(lists) == 1 else [value]
    return value if isinstance(value, list) else []


def _lines(path: Path, text: str) -> Iterable[Any]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield json.loads(line, parse_float=Decimal)
            except ValueError as exc:
                raise _no_sample(path, f"line {number} is not JSON ({exc})") from exc


def _no_sample(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The sample {path} can't be used: {why}.",
        remedy="Give a file with a JSON list of records, as the system sends them, or leave --sample out to ask it.",
    )
