"""The systems that the files declare, by name."""

from __future__ import annotations

from pathlib import Path

from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.system_spec.loader import BrokenSystem, load_systems
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec


def find_system(include: Path, name: str) -> SystemSpec:
    """A declared system.

    Raises:
        ConfigurationError: no file declares it, or its file is faulty.
    """
    systems = {system.system: system for system in load_systems(include)}
    found = systems.get(name)
    if found is None:
        hint = did_you_mean(name, systems) or f" There are: {', '.join(systems) or 'none'}."
        raise ConfigurationError(
            f"No file in {include / 'systems'} declares {name!r}.{hint}",
            remedy=f"Use one of these names, or set the system up: kwiksync connect KIND --name {name}.",
        )
    if isinstance(found, BrokenSystem):
        raise found.error
    return found


def find_table(system: SystemSpec, name: str) -> TableSpec:
    """A table of a system.

    Raises:
        ConfigurationError: the system has no such table.
    """
    found = system.table(name)
    if found is None:
        names = [table.table for table in system.tables]
        raise ConfigurationError(
            f"{system.system} has no table {name!r}.{did_you_mean(name, names)}",
            remedy=f"Use one of: {', '.join(names)}.",
        )
    return found
