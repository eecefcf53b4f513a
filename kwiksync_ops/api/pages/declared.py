"""The systems that the files declare, read again only where a file has changed: pages ask for them all the time."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from kwiksync_ops.api.context import Context
from kwiksync_ops.services.declared_mappings import DeclaredMappings, read_declared_mappings
from kwiksync_ops.system_spec.loader import BrokenSystem, load_systems
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import Direction

Stamp = tuple[tuple[str, int, int], ...]


def all_systems(context: Context) -> tuple[SystemSpec | BrokenSystem, ...]:
    """Every system, also those whose file is faulty."""
    include = context.settings.include
    return _read(include, _stamp(include / "systems"))


def declared_mappings(context: Context) -> DeclaredMappings:
    """What the files say that the mappings are."""
    include = context.settings.include
    folders = (include / "systems", *_folders(include / "mappings"))
    return _read_mappings(include, tuple(stamp for folder in folders for stamp in _stamp(folder)))


def systems_of(context: Context) -> list[SystemSpec]:
    return [system for system in all_systems(context) if isinstance(system, SystemSpec)]


def directions_of(system: SystemSpec) -> list[Direction]:
    return [way for way in (Direction.INBOUND, Direction.OUTBOUND) if system.direction in (way, "both")]


def dag_id_of(system: SystemSpec, direction: Direction) -> str:
    return f"kwiksync_{system.system}_{direction}"


def _stamp(folder: Path) -> Stamp:
    """Tells whether a file came, went or was written."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return ()
    return tuple((entry.name, entry.stat().st_mtime_ns, entry.stat().st_size) for entry in entries)


def _folders(folder: Path) -> list[Path]:
    return [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]


@lru_cache(maxsize=4)
def _read_mappings(include: Path, _stamp: Stamp) -> DeclaredMappings:
    return read_declared_mappings(include, ())


@lru_cache(maxsize=4)
def _read(include: Path, _stamp: Stamp) -> tuple[SystemSpec | BrokenSystem, ...]:
    return tuple(load_systems(include, with_mappings=False))
