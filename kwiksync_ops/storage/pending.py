"""What was edited in the hub of a record since a system last agreed to it, where the record is gone at the system."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage.bulk import among
from kwiksync_ops.storage.models import RECORD_HISTORY
from kwiksync_ops.vocabulary import Action


@dataclass(frozen=True)
class HubEdit:
    """The fields that others than the system changed, with the first old and the last new value; `at`: the last."""

    changes: dict[str, list[Any]]
    at: datetime


def pending_edits(connection: sa.Connection, table: str, agreed: Mapping[str, int], system: str) -> dict[str, HubEdit]:
    """Edits by sys_id; `agreed` tells of each record up to which modification the system knows it."""
    if not agreed:
        return {}
    history = RECORD_HISTORY.c
    rows = connection.execute(
        sa.select(history.sys_id, history.sys_mod_count, history.changes, history.sys_created_on)
        .where(
            history.table_name == table,
            history.action == Action.UPDATE.value,
            sa.or_(history.system.is_(None), history.system != system),
            among(connection, history.sys_id, list(agreed)),
        )
        .order_by(history.id)
    )
    edits: dict[str, HubEdit] = {}
    for sys_id, mod_count, changes, at in rows.all():
        if mod_count is not None and mod_count > agreed[sys_id]:
            before = edits[sys_id].changes if sys_id in edits else {}
            edits[sys_id] = HubEdit(before | _joined(before, json.loads(changes)), at)
    return edits


def _joined(before: Mapping[str, list[Any]], changes: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: [before.get(name, [old])[0], new] for name, (old, new) in changes.items()}
