"""Where a table's rows came from and went to in a run, named as OpenLineage names data sets."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from kwiksync_ops.storage import health, outbox, sync_log
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.vocabulary import RECORD_TABLES, DeliveryState, Direction

_WRITTEN = ("created", "updated", "deleted")
_SCHEMES = {"postgresql": "postgres", "mariadb": "mysql"}
"""What OpenLineage calls them, where connections are written otherwise."""


@dataclass(frozen=True)
class DataSet:
    namespace: str
    name: str


@dataclass(frozen=True)
class Lineage:
    """`rows` were written to `target`."""

    source: DataSet
    target: DataSet
    rows: int


def read_lineage(hub: Hub, run: TableRun, base_url: str, kind: str, source: str) -> Lineage:
    """Of a table of a run, so far; `source` is what the system of the `kind` calls it."""
    with hub.read() as connection:
        ours = DataSet(*health.location(connection, RECORD_TABLES[run.table].sql_name))
        row = sync_log.read_table(connection, run)
        waiting = outbox.count(connection, run.system, run.table, [DeliveryState.SENT])
    theirs = data_set_of(base_url, kind, source)
    written = sum(int(row[name]) for name in _WRITTEN) if row else 0
    if run.direction == Direction.OUTBOUND:
        return Lineage(ours, theirs, written + waiting)
    return Lineage(theirs, ours, written)


def data_set_of(base_url: str, kind: str, source: str) -> DataSet:
    """`https://host` and `api/tickets`, `postgres://host:5432` and `database.schema.table`; never with a login."""
    parts = urlsplit(base_url)
    scheme, place = parts.scheme.partition("+")[0].lower(), parts.netloc.rpartition("@")[2]
    joint = "." if kind == "sql" else "/"
    name = joint.join(filter(None, (parts.path.strip("/"), source.strip("/"))))
    if not place:
        return DataSet(scheme or "file", f"/{name}")
    return DataSet(f"{_SCHEMES.get(scheme, scheme)}://{place}", name)
