"""What `apply` would change: the mappings that the files declare, against the versions that are active in the hub."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from kwiksync_ops.mapping.documents import is_same, mapping_of
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.services.declared_mappings import DeclaredMappings
from kwiksync_ops.services.mapping_diff import RuleChange, diff_mappings
from kwiksync_ops.storage import mappings
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.mappings import MappingKey, MappingVersion
from kwiksync_ops.system_spec.loader import BrokenSystem


class PlanAction(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAULTY = "faulty"
    UNDECLARED = "undeclared"
    """It is applied, and no file declares it any more. It stays as it is."""


@dataclass(frozen=True)
class TablePlan:
    """What `apply` would do to the mapping of one table. `version` is the active one, None before the first."""

    key: MappingKey
    action: PlanAction
    version: int | None = None
    changes: tuple[RuleChange, ...] = ()
    faults: tuple[str, ...] = ()
    mapping: TableMapping | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Plan:
    tables: tuple[TablePlan, ...]
    broken: tuple[BrokenSystem, ...] = ()

    @property
    def pending(self) -> tuple[TablePlan, ...]:
        """The tables that `apply` would write a version of."""
        return tuple(table for table in self.tables if table.action in (PlanAction.NEW, PlanAction.CHANGED))

    @property
    def faults(self) -> tuple[str, ...]:
        """Every fault once, though several tables may share a faulty file."""
        of_systems = (fault for system in self.broken for fault in system.error.faults)
        of_tables = (fault for table in self.tables for fault in table.faults)
        return tuple(dict.fromkeys((*of_systems, *of_tables)))


def compare(connection: Connection, declared: DeclaredMappings) -> Plan:
    """The plan for what was read, on the hub as it is in this transaction."""
    broken = {system.system for system in declared.broken}
    left = [
        TablePlan(key, PlanAction.UNDECLARED, version)
        for key, version in sorted(mappings.list_active(connection).items())
        if key not in declared.mappings
        and key.system not in broken
        and (declared.is_all or key.system in declared.systems)
    ]
    tables = [_table_plan(connection, key, found) for key, found in declared.mappings.items()]
    return Plan((*tables, *left), declared.broken)


def table_mapping(stored: MappingVersion) -> TableMapping:
    key, other = stored.key, stored.other_table
    source, target = (key.table, other) if key.is_outbound else (other, key.table)
    document = {"source_table": source, "target_table": target, "fields": stored.fields}
    return mapping_of(key.system, document, stored.version, key.direction)


def _table_plan(connection: Connection, key: MappingKey, found: TableMapping | tuple[str, ...]) -> TablePlan:
    stored = mappings.read_version(connection, key)
    version = stored.version if stored else None
    if not isinstance(found, TableMapping):
        return TablePlan(key, PlanAction.FAULTY, version, faults=found)
    old = table_mapping(stored) if stored else None
    if old and is_same(old, found):
        return TablePlan(key, PlanAction.UNCHANGED, version, mapping=found)
    action = PlanAction.CHANGED if stored else PlanAction.NEW
    return TablePlan(key, action, version, diff_mappings(old, found), mapping=found)
