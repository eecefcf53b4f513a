"""The systems that the files declare, by name."""

from __future__ import annotations

from collections.abc import Collection
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
        raise unknown_system(name, systems)
    if isinstance(found, BrokenSystem):
        raise found.error
    return found


def unknown_system(name: str, known: Collection[str]) -> ConfigurationError:
    """Without the folder of the files: any caller of the REST API reads it."""
    return ConfigurationError(
        f"No file declares {name!r}.{did_you_mean(name, known)} There are: {', '.join(known) or 'none'}.",
        remedy=f"Use one of these names, or set the system up: kwiksync connect KIND --name {name}.",
    )


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
