"""Old log rows out of the hub, into an archive: by age, and never what somebody still waits for."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
from pyarrow import fs

from kwiksync_ops.clock import Clock
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services.settings import read_settings_of
from kwiksync_ops.settings import Settings
from kwiksync_ops.storage import api_calls, audit, kept_answers, retention
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.retention import ARCHIVABLE, Archivable

ROWS = 5_000


@dataclass(frozen=True)
class Cleaned:
    """`rows` went, or would go, of what is older than `days`."""

    name: str
    days: int
    rows: int


def plan_clean(hub: Hub, clock: Clock) -> list[Cleaned]:
    """What `clean` would take out. Nothing is changed."""
    with hub.read() as connection:
        days = _days(connection)
        return [
            Cleaned(name, days[name], retention.count_old(connection, what, clock.now() - timedelta(days=days[name])))
            for name, what in ARCHIVABLE.items()
        ]


def clean(hub: Hub, settings: Settings, *, who: str, clock: Clock) -> Iterator[Cleaned]:
    """Archive old rows under `<home>/archive` as JSON Lines, then remove them: a file, a transaction, an audit row.

    What was noted for a minute or a day only, of calls to us and to systems, goes first, and into no archive.

    Stopped in between, it has archived a batch that is still there; the next clean writes the same file again.

    Raises:
        ConfigurationError: the archive can't be written to; what it could not hold was not removed.
    """
    hub.write(partial(_forget_calls, clock=clock))
    with hub.read() as connection:
        days = _days(connection)
    for name, what in ARCHIVABLE.items():
        before = clock.now() - timedelta(days=days[name])
        rows = 0
        while page := _read(hub, what, before):
            path = _archive(settings, name, page, what.key.name)
            keys = [row[what.key.name] for row in page]
            rows += hub.write(partial(_remove, what=what, before=before, keys=keys, path=path, who=who, clock=clock))
        yield Cleaned(name, days[name], rows)


def _forget_calls(connection: Connection, clock: Clock) -> None:
    api_calls.forget_counted(connection)
    kept_answers.forget_old(connection, now=clock.now())


def _remove(
    connection: Connection, what: Archivable, before: datetime, keys: list[Any], path: str, who: str, clock: Clock
) -> int:
    removed = retention.remove(connection, what, before, keys)
    details = {"rows": removed, "archive": path}
    audit.append(connection, f"{what.name}.clean", what.name, who=who, now=clock.now(), details=details)
    return removed


def _days(connection: Connection) -> dict[str, int]:
    found: Mapping[str, Any] = read_settings_of(connection, "retention.")
    return {name: int(found[f"{name}_days"]) for name in ARCHIVABLE}


def _read(hub: Hub, what: Archivable, before: datetime) -> list[dict[str, Any]]:
    with hub.read() as connection:
        return retention.read_old(connection, what, before, ROWS)


def _archive(settings: Settings, name: str, rows: list[dict[str, Any]], key: str) -> str:
    """The path of the file, which is named by its rows: written twice, it is the same."""
    root = f"{settings.home}/archive/{name}"
    path = f"{root}/{rows[0][key]}-{rows[-1][key]}.jsonl.gz"
    content = gzip.compress(b"".join(msgspec.json.encode(_plain(row)) + b"\n" for row in rows), mtime=0)
    try:
        files = fs.LocalFileSystem()
        files.create_dir(root, recursive=True)
        with files.open_output_stream(f"{path}.part") as file:
            file.write(content)
        files.move(f"{path}.part", path)
    except (OSError, pa.ArrowException) as exc:
        raise ConfigurationError(
            f"The archive {path} can't be written: {exc}.",
            remedy="See that KWIKSYNC_HOME has room. Nothing was removed.",
        ) from exc
    return path


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}
