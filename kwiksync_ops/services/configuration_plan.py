"""What `apply` would change: the mappings that the files declare, against the versions that are active in the hub."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa

from kwiksync_ops.connectors import registry
from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.documents import is_same, mapping_of
from kwiksync_ops.mapping.files import read_mapping
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.services.mapping_diff import RuleChange, diff_mappings
from kwiksync_ops.storage import mappings
from kwiksync_ops.storage.mappings import MappingKey, MappingVersion
from kwiksync_ops.system_spec.loader import BrokenSystem, load_systems
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec
from kwiksync_ops.vocabulary import Direction


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


@dataclass(frozen=True)
class DeclaredMappings:
    """What the files say: a mapping, or the faults that stand in its way, for each table of each sound system."""

    mappings: dict[MappingKey, TableMapping | tuple[str, ...]]
    broken: tuple[BrokenSystem, ...]
    systems: frozenset[str]
    is_all: bool


def read_declared_mappings(include: Path, systems: Collection[str]) -> DeclaredMappings:
    """The mappings of these systems, or of all.

    Raises:
        ConfigurationError: there is no folder of systems, or no system of such a name.
    """
    loaded = load_systems(include)
    names = sorted(system.system for system in loaded)
    for name in systems:
        if name not in names:
            hint = did_you_mean(name, names) or f" There are: {', '.join(names)}."
            raise ConfigurationError(f"No file in {include / 'systems'} declares {name!r}.{hint}")
    chosen = [system for system in loaded if not systems or system.system in systems]
    sound = [system for system in chosen if isinstance(system, SystemSpec)]
    found = {_key(spec, table): _declared_mapping(include, spec, table) for spec in sound for table in spec.tables}
    broken = tuple(system for system in chosen if isinstance(system, BrokenSystem))
    return DeclaredMappings(found, broken, frozenset(system.system for system in chosen), is_all=not systems)


def _key(spec: SystemSpec, table: TableSpec) -> MappingKey:
    is_outbound = spec.direction == Direction.OUTBOUND
    return MappingKey(spec.system, Direction.OUTBOUND if is_outbound else Direction.INBOUND, table.table)


def _declared_mapping(include: Path, spec: SystemSpec, table: TableSpec) -> TableMapping | tuple[str, ...]:
    path = include / "mappings" / table.mapping
    faults = [*_option_faults(spec, table)]
    try:
        mapping = read_mapping(path, spec.system)
    except ConfigurationError as exc:
        return (*faults, *exc.faults)
    if mapping.target_table != table.table:
        problem = f"is for {mapping.target_table}, and {spec.path} names it for {table.table}."
        faults.append(f"{path}: target_table: {problem} Correct the one or the other.")
    return tuple(faults) or mapping


def _option_faults(spec: SystemSpec, table: TableSpec) -> Iterator[str]:
    of_system = registry.option_faults(spec.kind, spec.options)
    yield from (f"{spec.path}: {fault}" for fault in of_system)
    if not of_system:
        yield from (f"{spec.path}: {table.table}: {f}" for f in registry.option_faults(spec.kind, table.options))


def compare(connection: sa.Connection, declared: DeclaredMappings) -> Plan:
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
    document = {"source_table": stored.source_table, "target_table": stored.key.table, "fields": stored.fields}
    return mapping_of(stored.key.system, document, stored.version)


def _table_plan(connection: sa.Connection, key: MappingKey, found: TableMapping | tuple[str, ...]) -> TablePlan:
    stored = mappings.read_version(connection, key)
    version = stored.version if stored else None
    if not isinstance(found, TableMapping):
        return TablePlan(key, PlanAction.FAULTY, version, faults=found)
    old = table_mapping(stored) if stored else None
    if old and is_same(old, found):
        return TablePlan(key, PlanAction.UNCHANGED, version, mapping=found)
    action = PlanAction.CHANGED if stored else PlanAction.NEW
    return TablePlan(key, action, version, diff_mappings(old, found), mapping=found)
