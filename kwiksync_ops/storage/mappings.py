"""Versions of field mappings: sets of `field_mapping` rows that never change, and which of them is active."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage import configuration
from kwiksync_ops.storage.locks import serialize
from kwiksync_ops.storage.models import FIELD_MAPPING
from kwiksync_ops.vocabulary import Direction

FieldDocument = Mapping[str, Any]
"""A rule in the form of its file: source_field, target_field, transform, config, validation, null_values, default, …"""

_PREFIX = "mapping."
_ACTIVE = re.compile(r"mapping\.(\w+)\.(\w+)\.(\w+)\.version")


@dataclass(frozen=True, order=True)
class MappingKey:
    """What a mapping belongs to; `table` is the short name of the record table."""

    system: str
    direction: str
    table: str

    def __str__(self) -> str:
        return f"{self.system}.{self.direction}.{self.table}"

    @property
    def is_outbound(self) -> bool:
        return self.direction == Direction.OUTBOUND

    @property
    def setting(self) -> str:
        """The app setting that holds the active version."""
        return f"{_PREFIX}{self}.version"


@dataclass(frozen=True)
class MappingVersion:
    """One version. `fields` are complete rules in their order; `other_table` is the system's side of the mapping."""

    key: MappingKey
    version: int
    other_table: str
    fields: tuple[FieldDocument, ...]
    created_on: datetime
    created_by: str


@dataclass(frozen=True)
class VersionEntry:
    """A version in the list of all."""

    version: int
    rules: int
    created_on: datetime
    created_by: str
    is_active: bool


@dataclass(frozen=True)
class ActiveEntry:
    """The active version of a mapping in the list of all; `changed_on` and `changed_by` tell of its activation."""

    key: MappingKey
    version: int
    rules: int
    changed_on: datetime
    changed_by: str


def lock(connection: sa.Connection, key: MappingKey) -> None:
    """Let no other transaction make or activate a version of this mapping until this one ends."""
    serialize(connection, key.setting)


def list_active(connection: sa.Connection) -> dict[MappingKey, int]:
    """The active version of every mapping."""
    settings = configuration.list_settings(connection, _PREFIX)
    found = ((_ACTIVE.fullmatch(setting.key), setting.value) for setting in settings)
    return {MappingKey(*match.groups()): version for match, version in found if match}


def list_active_entries(connection: sa.Connection) -> list[ActiveEntry]:
    """The active version of every mapping, by system, direction and table."""
    columns = FIELD_MAPPING.c
    of = (columns.system, columns.direction, columns.source_table, columns.target_table, columns.version)
    counted = connection.execute(sa.select(*of, sa.func.count()).group_by(*of))
    rules = {
        (MappingKey(system, way, source if way == Direction.OUTBOUND else target), version): number
        for system, way, source, target, version, number in counted
    }
    settings = {setting.key: setting for setting in configuration.list_settings(connection, _PREFIX)}
    active = sorted(list_active(connection).items())
    return [
        ActiveEntry(key, version, rules.get((key, version), 0), setting.updated_on, setting.updated_by)
        for key, version in active
        for setting in (settings[key.setting],)
    ]


def active_version(connection: sa.Connection, key: MappingKey) -> int | None:
    setting = configuration.read_setting(connection, key.setting)
    return setting.value if setting else None


def read_version(connection: sa.Connection, key: MappingKey, version: int | None = None) -> MappingVersion | None:
    """A version, or the active one; None where there is no such."""
    wanted = active_version(connection, key) if version is None else version
    found = sa.select(FIELD_MAPPING).where(_belongs_to(key), FIELD_MAPPING.c.version == wanted)
    rows = connection.execute(found.order_by(FIELD_MAPPING.c.order)).all()
    if not rows:
        return None
    first = rows[0]
    return MappingVersion(
        key=key,
        version=first.version,
        other_table=first.target_table if key.is_outbound else first.source_table,
        fields=tuple(_document(row) for row in rows),
        created_on=first.sys_created_on,
        created_by=first.sys_created_by,
    )


def list_versions(connection: sa.Connection, key: MappingKey) -> list[VersionEntry]:
    """All versions, the newest first."""
    active = active_version(connection, key)
    columns = FIELD_MAPPING.c
    counted = sa.select(
        columns.version,
        sa.func.count().label("rules"),
        sa.func.min(columns.sys_created_on).label("created_on"),
        sa.func.min(columns.sys_created_by).label("created_by"),
    )
    rows = connection.execute(
        counted.where(_belongs_to(key)).group_by(columns.version).order_by(columns.version.desc())
    )
    return [VersionEntry(row.version, row.rules, row.created_on, row.created_by, row.version == active) for row in rows]


def add_version(
    connection: sa.Connection,
    key: MappingKey,
    other_table: str,
    fields: Iterable[FieldDocument],
    *,
    who: str,
    now: datetime,
) -> int:
    """A new version after the last one; it is not active yet. Call `lock` before."""
    last = connection.execute(sa.select(sa.func.max(FIELD_MAPPING.c.version)).where(_belongs_to(key))).scalar()
    version = (last or 0) + 1
    shared = {
        "system": key.system,
        "direction": key.direction,
        "target_table": other_table if key.is_outbound else key.table,
        "source_table": key.table if key.is_outbound else other_table,
        "version": version,
        "sys_created_on": now,
        "sys_created_by": who,
    }
    rows = [{**shared, **_columns(field, order)} for order, field in enumerate(fields)]
    connection.execute(FIELD_MAPPING.insert(), rows)
    return version


def activate(connection: sa.Connection, key: MappingKey, version: int, *, who: str, now: datetime) -> bool:
    """Let syncs that start from now on use this version; False where they do already."""
    return configuration.write_setting(
        connection,
        key.setting,
        version,
        who=who,
        now=now,
        description=f"Active version of the {key.direction} mapping of {key.table} of {key.system}",
    )


def _belongs_to(key: MappingKey) -> sa.ColumnElement[bool]:
    columns = FIELD_MAPPING.c
    own_table = columns.source_table if key.is_outbound else columns.target_table
    return sa.and_(columns.system == key.system, columns.direction == key.direction, own_table == key.table)


def _columns(field: FieldDocument, order: int) -> dict[str, Any]:
    return {
        "sys_id": uuid.uuid4().hex,
        "source_field": field.get("source_field", ""),
        "target_field": field["target_field"],
        "transform_type": field["transform"],
        "transform_config": json.dumps(field.get("config", {})),
        "validation": json.dumps(field.get("validation", {})),
        "null_values": json.dumps(field.get("null_values", [])),
        "default_value": json.dumps(field.get("default")),
        "order": order,
        "active": field.get("active", True),
    }


def _document(row: sa.Row[Any]) -> FieldDocument:
    return {
        "source_field": row.source_field,
        "target_field": row.target_field,
        "transform": row.transform_type,
        "config": json.loads(row.transform_config),
        "validation": json.loads(row.validation),
        "null_values": json.loads(row.null_values),
        "default": json.loads(row.default_value),
        "active": row.active,
    }
