"""Configuration from files to the hub and back: what would change, make it so, write it out, roll it back."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from kwiksync_ops.clock import Clock
from kwiksync_ops.errors import ConfigurationError, ConflictError
from kwiksync_ops.mapping.documents import is_same, rule_document
from kwiksync_ops.mapping.files import write_mapping
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.services.configuration_plan import Plan, compare, table_mapping
from kwiksync_ops.services.declared_mappings import DeclaredMappings, read_declared_mappings
from kwiksync_ops.services.mapping_diff import RuleChange, diff_mappings
from kwiksync_ops.storage import audit, mappings
from kwiksync_ops.storage.configuration import read_setting
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.mappings import MappingKey, MappingVersion
from kwiksync_ops.system_spec.loader import BrokenSystem, load_systems
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import Direction, short_name


@dataclass(frozen=True)
class Applied:
    """A version that `apply` or `roll_back` made active, and what it changed."""

    key: MappingKey
    version: int
    previous: int | None
    changes: tuple[RuleChange, ...]


@dataclass(frozen=True)
class Exported:
    """A mapping file that `export` looked at; `is_written` is false where it said the same already."""

    key: MappingKey
    path: Path
    version: int
    is_written: bool


def plan(hub: Hub, include: Path, systems: Collection[str] = ()) -> Plan:
    """What `apply` would change, for these systems or for all. Nothing is written.

    Raises:
        ConfigurationError: there is no folder of systems, or no system of such a name.
    """
    declared = read_declared_mappings(include, systems)
    with hub.read() as connection:
        return compare(connection, declared)


def apply(hub: Hub, include: Path, *, who: str, clock: Clock, systems: Collection[str] = ()) -> list[Applied]:
    """Make what the files say the active versions, in one transaction. Twice changes nothing.

    Raises:
        ConfigurationError: with the faults of all files; nothing was applied.
    """
    declared = read_declared_mappings(include, systems)
    return hub.write(lambda connection: _apply(connection, declared, who, clock))


def roll_back(hub: Hub, key: MappingKey, version: int, *, who: str, clock: Clock) -> Applied | None:
    """Make what another version says the active mapping, as a new version; None where the active one says the same.

    Raises:
        ConfigurationError: there is no such version.
    """
    return hub.write(lambda connection: _roll_back(connection, key, version, who, clock))


def change_mapping(
    hub: Hub, key: MappingKey, mapping: TableMapping, *, who: str, clock: Clock, seen: int | None = None
) -> Applied | None:
    """Make a mapping the active version of its table; None where it says what the active one says.

    Args:
        seen: the active version that the change was made from, where nobody may have made another one since.

    Raises:
        ConflictError: somebody has.
    """

    def work(connection: Connection) -> Applied | None:
        mappings.lock(connection, key)
        if seen is not None:
            _refuse_other(connection, key, seen)
        return _replace(connection, key, mapping, "mapping.change", who, clock)

    return hub.write(work)


def export(hub: Hub, include: Path) -> list[Exported]:
    """Write the active versions into the mapping files; one that says the same already keeps its form.

    Raises:
        ConfigurationError: a system's file is broken, so that it does not say where its mappings are; or two
            systems share a file and differ.
    """
    with hub.read() as connection:
        keys = sorted(mappings.list_active(connection))
        active = {key: table_mapping(_required(connection, key)) for key in keys}
    places = _places(include, active)
    _refuse_shared(places, active)
    return [
        Exported(key, places[key], mapping.version, write_mapping(places[key], mapping))
        for key, mapping in active.items()
    ]


def applied_mapping(
    connection: Connection, system: str, table: str, direction: str = Direction.INBOUND, version: int | None = None
) -> TableMapping:
    """The active mapping of a table, or a version of it.

    Raises:
        ConfigurationError: nothing was applied yet, or there is no such version.
    """
    return table_mapping(_required(connection, MappingKey(system, direction, short_name(table)), version))


def _apply(connection: Connection, declared: DeclaredMappings, who: str, clock: Clock) -> list[Applied]:
    for key in sorted(declared.mappings):
        mappings.lock(connection, key)
    planned = compare(connection, declared)
    if planned.faults:
        count = len(planned.faults)
        raise ConfigurationError(
            f"Nothing was applied: the files have {count} fault{'s' if count > 1 else ''}:",
            faults=planned.faults,
            remedy="Correct them, look with kwiksync plan, and apply again; or apply the sound systems by name.",
        )
    pending = ((table.key, table.mapping) for table in planned.pending if table.mapping)
    done = [_replace(connection, key, mapping, "mapping.apply", who, clock) for key, mapping in pending]
    return [applied for applied in done if applied]


def _roll_back(connection: Connection, key: MappingKey, version: int, who: str, clock: Clock) -> Applied | None:
    mappings.lock(connection, key)
    wanted = table_mapping(_required(connection, key, version))
    return _replace(connection, key, wanted, "mapping.roll_back", who, clock, to=version)


def _replace(
    connection: Connection, key: MappingKey, mapping: TableMapping, action: str, who: str, clock: Clock, **told: int
) -> Applied | None:
    active = mappings.read_version(connection, key)
    old = table_mapping(active) if active else None
    if old is not None and is_same(old, mapping):
        return None
    rules = [rule_document(rule) for rule in mapping.rules]
    other = mapping.target_table if key.is_outbound else mapping.source_table
    version = mappings.add_version(connection, key, other, rules, who=who, now=clock.now())
    applied = Applied(key, version, active.version if active else None, diff_mappings(old, mapping))
    _activate(connection, applied, action, who, clock, **told)
    return applied


def _refuse_other(connection: Connection, key: MappingKey, seen: int) -> None:
    setting = read_setting(connection, key.setting)
    if setting is not None and setting.value != seen:
        raise ConflictError(
            f"{setting.updated_by} made version {setting.value} active at {setting.updated_on:%Y-%m-%d %H:%M:%S} UTC, "
            f"after you began from version {seen}. Nothing was saved.",
            remedy="Look at what was changed, and make your change from there.",
            version=setting.value,
        )


def _activate(connection: Connection, applied: Applied, action: str, who: str, clock: Clock, **told: int) -> None:
    now = clock.now()
    mappings.activate(connection, applied.key, applied.version, who=who, now=now)
    details = {
        **told,
        "version": applied.version,
        "previous": applied.previous,
        "changes": [asdict(change) for change in applied.changes],
    }
    audit.append(connection, action, str(applied.key), who=who, now=now, details=details)


def _required(connection: Connection, key: MappingKey, version: int | None = None) -> MappingVersion:
    stored = mappings.read_version(connection, key, version)
    if stored:
        return stored
    what = f"{key.direction} mapping of {key.table} of {key.system}"
    if version is None:
        raise ConfigurationError(f"No {what} was applied yet.", remedy="Run kwiksync apply.")
    there = ", ".join(str(entry.version) for entry in mappings.list_versions(connection, key))
    raise ConfigurationError(f"There is no version {version} of the {what}.", remedy=f"There are: {there or 'none'}.")


def _places(include: Path, keys: Iterable[MappingKey]) -> dict[MappingKey, Path]:
    """The file of each mapping: where its system says, or by default include/mappings/<system>/<table>.json."""
    systems = {system.system: system for system in load_systems(include, with_mappings=False)}
    return {key: include / "mappings" / _place(systems.get(key.system), key) for key in keys}


def _place(system: SystemSpec | BrokenSystem | None, key: MappingKey) -> str:
    if isinstance(system, BrokenSystem):
        raise system.error
    table = system.table(key.table) if system else None
    if key.is_outbound:
        return table.outbound_mapping if table else f"{key.system}/{key.table}.outbound.json"
    return table.mapping if table else f"{key.system}/{key.table}.json"


def _refuse_shared(places: dict[MappingKey, Path], active: dict[MappingKey, TableMapping]) -> None:
    first: dict[Path, MappingKey] = {}
    for key, path in places.items():
        other = first.setdefault(path, key)
        if not is_same(active[key], active[other]):
            raise ConfigurationError(
                f"{path} is the mapping file of {other.system} and of {key.system}, and their mappings differ.",
                remedy=f"Give one of them a file of its own, by mapping: in {key.system}.yaml.",
            )
