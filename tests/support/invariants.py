"""The five invariants that close every fault: what a hub must be after a run, by the word of an oracle.

I1 the hub equals the oracle; I2 no two rows share (source_system, external_id); I3 the checkpoint is not past the last
committed row; I4 read = created + updated + unchanged + rejected, each counted once; I5 the audit chain verifies and
each failure has one error row with its code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage import audit, history
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import (
    AUDIT,
    BATCH,
    CHECKPOINT,
    ERROR_LOG,
    RECORD_HISTORY,
    RECORD_LINK,
    RECORDS,
    SYNC_LOG,
)
from kwiksync_ops.vocabulary import Action
from tests.support.lean_system import AUDIT_KEYS, LeanApi

ASSETS = RECORDS["assets"]
FIGURES = ("processed", "created", "updated", "unchanged", "failed")


def is_poison(record: Mapping[str, Any]) -> bool:
    """The oracle's own idea of what the mapping must reject: a quantity that is no number."""
    return not isinstance(record["quantity"], int)


@dataclass
class Oracle:
    """What one system's records must be in the hub. It looks at the source after each completed run."""

    system: str
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)

    def expected(self, api: LeanApi) -> tuple[set[str], set[str], set[str]]:
        """Keys that a run must create, update, and reject, were it to read everything."""
        sound = {key: record for key, record in api.records.items() if not is_poison(record)}
        created = sound.keys() - self.taken.keys()
        updated = {
            key for key, record in sound.items() if key in self.taken and _values(record) != _values(self.taken[key])
        }
        return created, updated, api.records.keys() - sound.keys()

    def take(self, api: LeanApi) -> None:
        self.taken |= {key: dict(record) for key, record in api.records.items() if not is_poison(record)}


def _values(record: Mapping[str, Any]) -> tuple[Any, Any]:
    return record["name"], record["quantity"]


def assert_run_is_whole(hub: Hub, oracle: Oracle, api: LeanApi, run_id: str, *, is_full: bool) -> None:
    """All five invariants, after a run that completed; then the oracle moves on."""
    created, updated, rejected = oracle.expected(api)
    oracle.take(api)
    with hub.read() as connection:
        assert _hub_values(connection, oracle.system) == {key: _values(row) for key, row in oracle.taken.items()}
        assert_nothing_doubled(connection, oracle.system)
        assert_checkpoint_is_behind(connection, oracle.system, api)
        log = _log_row(connection, run_id)
        assert log["processed"] == log["created"] + log["updated"] + log["unchanged"] + log["failed"]
        assert {name: log[name] for name in FIGURES} == _batch_sums(connection, run_id)
        assert (log["created"], log["updated"]) == (len(created), len(updated))
        assert _history(connection, run_id) == Counter(
            {action: len(keys) for action, keys in (("create", created), ("update", updated)) if keys}
        )
        errors = _errors(connection, run_id)
        assert max(errors.values(), default=1) == 1
        assert len(errors) == log["failed"]
        if is_full:
            assert log["processed"] == len(api.records)
            assert errors.keys() == {(key, "ERR_008") for key in rejected}
        assert log["status"] == ("partial" if log["failed"] else "success")
        assert audit.verify(connection, AUDIT_KEYS) is None
        assert _audited_batches(connection, run_id) == _changing_batches(connection, run_id)


def assert_nothing_doubled(connection: sa.Connection, system: str) -> None:
    rows = connection.execute(sa.select(ASSETS.c.external_id, ASSETS.c.sys_id).where(ASSETS.c.source_system == system))
    records = [tuple(row) for row in rows]
    assert len({key for key, _ in records}) == len(records)
    links = connection.execute(
        sa.select(RECORD_LINK.c.external_id, RECORD_LINK.c.sys_id).where(RECORD_LINK.c.system == system)
    )
    assert sorted(records) == sorted(tuple(row) for row in links)


def assert_checkpoint_is_behind(connection: sa.Connection, system: str, api: LeanApi) -> None:
    """Every sound record up to the checkpoint is in the hub, in that version or a later one."""
    mark = connection.execute(
        sa.select(CHECKPOINT.c.watermark_at, CHECKPOINT.c.watermark_id).where(CHECKPOINT.c.system == system)
    ).first()
    if mark is None or mark.watermark_at is None:
        return
    rows = connection.execute(
        sa.select(RECORD_LINK.c.external_id, RECORD_LINK.c.version).where(RECORD_LINK.c.system == system)
    )
    held = {row.external_id: row.version for row in rows}
    for key, record in api.records.items():
        at = _width(record["updated_at"])
        is_before = (at, key) <= (mark.watermark_at, mark.watermark_id or "\U0010ffff")
        if is_before and not is_poison(record):
            assert held.get(key, "") >= at, f"{key} at {at} is not in the hub, whose checkpoint is at {tuple(mark)}"


def _width(moment: str) -> str:
    """ISO text of the hub's width, whose versions have microseconds."""
    return moment.replace("Z", ".000000+00:00")


def _hub_values(connection: sa.Connection, system: str) -> dict[str, tuple[Any, Any]]:
    rows = connection.execute(ASSETS.select().where(ASSETS.c.source_system == system)).mappings()
    return {row["external_id"]: _values(row) for row in rows}


def _log_row(connection: sa.Connection, run_id: str) -> Mapping[str, Any]:
    return connection.execute(SYNC_LOG.select().where(SYNC_LOG.c.run_id == run_id)).mappings().one()


def _batch_sums(connection: sa.Connection, run_id: str) -> dict[str, int]:
    sums = [sa.func.coalesce(sa.func.sum(BATCH.c[name]), 0) for name in FIGURES]
    row = connection.execute(sa.select(*sums).where(BATCH.c.run_id == run_id)).one()
    return dict(zip(FIGURES, map(int, row), strict=True))


def _history(connection: sa.Connection, run_id: str) -> Counter[str]:
    """How many records the run did what to."""
    rows = connection.execute(sa.select(RECORD_HISTORY.c.action).where(RECORD_HISTORY.c.run_id == run_id))
    counts = Counter(row.action for row in rows if row.action != Action.CREATE)
    created = history.created_in(connection, run_id, "assets")
    return counts + Counter(create=len(created))


def _errors(connection: sa.Connection, run_id: str) -> Counter[tuple[str, str]]:
    rows = connection.execute(sa.select(ERROR_LOG.c.external_id, ERROR_LOG.c.code).where(ERROR_LOG.c.run_id == run_id))
    return Counter((row.external_id, row.code) for row in rows)


def _audited_batches(connection: sa.Connection, run_id: str) -> int:
    mine = (AUDIT.c.run_id == run_id, AUDIT.c.action == "batch.load")
    return connection.execute(sa.select(sa.func.count()).select_from(AUDIT).where(*mine)).scalar_one()


def _changing_batches(connection: sa.Connection, run_id: str) -> int:
    changing = (BATCH.c.run_id == run_id, BATCH.c.created + BATCH.c.updated > 0)
    return connection.execute(sa.select(sa.func.count()).select_from(BATCH).where(*changing)).scalar_one()
