"""The mappings that the files declare, each with all that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from kwiksync_ops.connectors import registry
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.files import read_mapping
from kwiksync_ops.mapping.moments import compile_moments
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.services.systems import unknown_system
from kwiksync_ops.storage.mappings import MappingKey
from kwiksync_ops.system_spec.loader import BrokenSystem, load_systems
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec
from kwiksync_ops.vocabulary import Direction


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
            raise unknown_system(name, names)
    chosen = [system for system in loaded if not systems or system.system in systems]
    sound = [system for system in chosen if isinstance(system, SystemSpec)]
    found = {
        key: _declared_mapping(include, spec, table, key.direction)
        for spec in sound
        for table in spec.tables
        for key in mapping_keys(spec, table)
    }
    broken = tuple(system for system in chosen if isinstance(system, BrokenSystem))
    return DeclaredMappings(found, broken, frozenset(system.system for system in chosen), is_all=not systems)


def mapping_keys(spec: SystemSpec, table: TableSpec) -> list[MappingKey]:
    """The mappings that a table needs: of the way in, and of the way out where the file says how to write it."""
    ways = [Direction.INBOUND] if spec.direction != Direction.OUTBOUND else []
    if spec.direction != Direction.INBOUND and table.push:
        ways.append(Direction.OUTBOUND)
    return [MappingKey(spec.system, way, table.table) for way in ways]


def _declared_mapping(
    include: Path, spec: SystemSpec, table: TableSpec, direction: str
) -> TableMapping | tuple[str, ...]:
    path = include / "mappings" / (table.outbound_mapping if direction == Direction.OUTBOUND else table.mapping)
    faults = [*_option_faults(spec, table), *_cursor_faults(spec, table)]
    try:
        mapping = read_mapping(path, spec.system, direction)
    except ConfigurationError as exc:
        return (*faults, *exc.faults)
    if mapping.table != table.table:
        key = "source_table" if direction == Direction.OUTBOUND else "target_table"
        problem = f"is for {mapping.table}, and {spec.path} names it for {table.table}."
        faults.append(f"{path}: {key}: {problem} Correct the one or the other.")
    return tuple(faults) or mapping


def _option_faults(spec: SystemSpec, table: TableSpec) -> Iterator[str]:
    of_system = registry.option_faults(spec.kind, spec.options)
    yield from (f"{spec.path}: {fault}" for fault in of_system)
    if not of_system:
        yield from (f"{spec.path}: {table.table}: {f}" for f in registry.option_faults(spec.kind, table.options))


def _cursor_faults(spec: SystemSpec, table: TableSpec) -> Iterator[str]:
    if table.cursor is None:
        return
    try:
        compile_moments(table.cursor.format, table.cursor.timezone)
    except ValueError as exc:
        yield f"{spec.path}: {table.table}: cursor.format: {exc}."
