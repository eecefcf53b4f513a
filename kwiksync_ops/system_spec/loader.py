"""include/systems/*.yaml read into `SystemSpec`, with every fault of a file at once. It runs while DAGs are parsed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from kwiksync_ops.declared.content import content_faults
from kwiksync_ops.declared.fault import DeclaredFile, Fault, KeyPath, did_you_mean, file_error
from kwiksync_ops.declared.reader import read_declared_file
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.system_spec.spec import (
    ConflictSpec,
    CursorSpec,
    DeletesSpec,
    Limits,
    SyncWindow,
    SystemSpec,
    TableSpec,
)
from kwiksync_ops.vocabulary import RECORD_TABLES, Direction

SYSTEM_SCHEMA = "system_spec/system.schema.json"

_LOAD_ORDER = list(RECORD_TABLES)


@dataclass(frozen=True)
class BrokenSystem:
    """A system whose file can't be used; `error` says why. The other systems are not touched by it."""

    system: str
    path: Path
    error: ConfigurationError


def load_systems(include: Path, *, with_mappings: bool = True) -> list[SystemSpec | BrokenSystem]:
    """Every system of `include/systems`, by name; `with_mappings` as for `load_system`.

    Raises:
        ConfigurationError: there is no such folder.
    """
    folder = include / "systems"
    if not folder.is_dir():
        raise ConfigurationError(
            f"There is no folder {folder}.",
            remedy="Make it, or let KWIKSYNC_INCLUDE name the folder that holds systems/ and mappings/.",
        )
    paths = sorted(path for path in folder.iterdir() if path.suffix in {".yaml", ".yml"})
    stems = Counter(path.stem for path in paths)
    mappings_root = include / "mappings" if with_mappings else None
    return [_load_one(path, mappings_root, is_double=stems[path.stem] > 1) for path in paths]


def load_system(path: Path, mappings_root: Path | None) -> SystemSpec:
    """One system's file. Mapping files are looked for below `mappings_root`, if one is given, and not read.

    Raises:
        ConfigurationError: with all faults of the file.
    """
    file = read_declared_file(path)
    content = content_faults(file, SYSTEM_SCHEMA, secret_names=True)
    faults = [*content, *_meaning_faults(file, mappings_root)]
    if faults:
        raise file_error(path, faults)
    return _system(file)


def _load_one(path: Path, mappings_root: Path | None, *, is_double: bool) -> SystemSpec | BrokenSystem:
    try:
        if is_double:
            problem = f"{path.stem}.yaml and {path.stem}.yml stand side by side. Remove one."
            raise file_error(path, [Fault(path, (), problem)])
        return load_system(path, mappings_root)
    except ConfigurationError as exc:
        return BrokenSystem(path.stem, path, exc)


def _meaning_faults(file: DeclaredFile, mappings_root: Path | None) -> Iterator[Fault]:
    """What a schema can't say. Values of a wrong type are passed over: the schema has named them."""
    yield from _name_faults(file)
    yield from _schedule_faults(file)
    yield from _window_faults(file)
    yield from _timezone_faults(file, ("timezone",))
    seen: dict[str, int] = {}
    for index in range(len(_list(file.value, "tables"))):
        at: KeyPath = ("tables", index)
        yield from _timezone_faults(file, (*at, "cursor", "timezone"))
        yield from _double_table_faults(file, at, seen)
        if mappings_root:
            yield from _all_mapping_faults(file, at, mappings_root)


def _name_faults(file: DeclaredFile) -> Iterator[Fault]:
    name = _text(file.value, ("system",))
    if name is not None and name != file.path.stem:
        yield file.fault(("system",), f"{name!r} is not the file's name. Write {file.path.stem!r}, or rename the file.")


def _schedule_faults(file: DeclaredFile) -> Iterator[Fault]:
    schedule = _text(file.value, ("schedule",))
    if schedule is None:
        return
    # Airflow reads schedules with the same library.
    from croniter import CroniterError, croniter  # type: ignore[import-untyped]  # it ships no types

    try:
        croniter.expand(schedule)
        is_cron = len(schedule.split()) == 5 or schedule.startswith("@")
        reason = "" if is_cron else " It needs five fields: minute, hour, day, month, weekday."
    except CroniterError as exc:
        reason = f" {exc}."
    if reason:
        problem = f"{schedule!r} is not a cron expression, such as '0 2 * * *'.{reason}"
        yield file.fault(("schedule",), problem)


def _window_faults(file: DeclaredFile) -> Iterator[Fault]:
    start, end = (_text(file.value, ("sync_window", name)) for name in ("start", "end"))
    if start is not None and start == end:
        problem = "ends when it starts, so that no sync could ever run. Remove it for a sync at any time."
        yield file.fault(("sync_window",), problem)


def _timezone_faults(file: DeclaredFile, key: KeyPath) -> Iterator[Fault]:
    name = _text(file.value, key)
    if not name or _is_timezone(name):
        return
    zones = available_timezones()
    cities = {zone.rpartition("/")[2]: zone for zone in sorted(zones)}
    hint = did_you_mean(name, zones) or did_you_mean(cities.get(name.title(), ""), zones)
    yield file.fault(key, f"{name!r} is not an IANA time zone, such as 'Europe/Berlin'.{hint}")


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _double_table_faults(file: DeclaredFile, at: KeyPath, seen: dict[str, int]) -> Iterator[Fault]:
    table = _text(file.value, (*at, "table"))
    if table in seen:
        yield file.fault((*at, "table"), f"{table!r} is declared twice, first in line {seen[table]}. Remove one.")
    elif table is not None:
        seen[table] = file.lines.get((*at, "table"), 0)


def _all_mapping_faults(file: DeclaredFile, at: KeyPath, mappings_root: Path) -> Iterator[Fault]:
    """A file for each way that the table goes: in, and out where the system's file says how to write it."""
    direction = _text(file.value, ("direction",))
    if direction != Direction.OUTBOUND:
        yield from _mapping_faults(file, at, mappings_root, "mapping", ".json")
    kind = _text(file.value, ("kind",)) or ""
    is_pushed = any("push" in options for options in (_dict(file.value, kind), _dict(_at(file.value, at), kind)))
    if direction in (Direction.OUTBOUND, "both") and is_pushed:
        yield from _mapping_faults(file, at, mappings_root, "outbound_mapping", ".outbound.json")


def _mapping_faults(file: DeclaredFile, at: KeyPath, mappings_root: Path, key: str, ending: str) -> Iterator[Fault]:
    table = _text(file.value, (*at, "table"))
    declared = _text(file.value, (*at, key))
    if declared is None and table not in RECORD_TABLES:
        return
    name = declared or f"{file.path.stem}/{table}{ending}"
    path = mappings_root / name
    if ".." not in Path(name).parts and not path.is_file():
        present = [found.relative_to(mappings_root).as_posix() for found in mappings_root.rglob("*.json")]
        remedy = did_you_mean(name, present) or " Write it, or name another file here."
        yield file.fault((*at, key), f"there is no mapping file {path}.{remedy}")


def _text(value: Any, key: KeyPath) -> str | None:
    found = _at(value, key)
    return found if isinstance(found, str) else None


def _at(value: Any, key: KeyPath) -> Any:
    for part in key:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
        else:
            return None
    return value


def _dict(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _list(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _system(file: DeclaredFile) -> SystemSpec:
    value: Mapping[str, Any] = file.value
    kind = value["kind"]
    defaults, conflict = value.get(kind, {}), value.get("conflict", {})
    tables = (_table(value["system"], kind, defaults, conflict, table) for table in value["tables"])
    window = value.get("sync_window")
    return SystemSpec(
        system=value["system"],
        kind=kind,
        connection_id=value["connection"],
        direction=value["direction"],
        tables=tuple(sorted(tables, key=lambda table: _LOAD_ORDER.index(table.table))),
        description=value.get("description", ""),
        schedule=value.get("schedule"),
        timezone=value.get("timezone", "UTC"),
        sync_window=SyncWindow(*(time.fromisoformat(window[name]) for name in ("start", "end"))) if window else None,
        limits=_limits(value.get("limits", {})),
        options=value.get(kind, {}),
        path=file.path,
    )


def _limits(value: Mapping[str, Any]) -> Limits:
    # To a schema 1000.0 is a whole number.
    return Limits(**{name: number if name == "error_budget" else int(number) for name, number in value.items()})


def _table(
    system: str, kind: str, defaults: Mapping[str, Any], conflict: Mapping[str, Any], value: Mapping[str, Any]
) -> TableSpec:
    options = merge_options(defaults, value.get(kind, {}))
    return TableSpec(
        table=value["table"],
        source=value["source"],
        key=value["key"],
        cursor=CursorSpec(**value["cursor"]) if "cursor" in value else None,
        mapping=value.get("mapping", f"{system}/{value['table']}.json"),
        options=options,
        outbound_mapping=value.get("outbound_mapping", f"{system}/{value['table']}.outbound.json"),
        push=options.get("push", {}),
        conflict=_conflict({**conflict, **value.get("conflict", {})}),
        deletes=_deletes(value.get("deletes", {}), options, kind),
    )


def _conflict(value: Mapping[str, Any]) -> ConflictSpec:
    return ConflictSpec(value.get("policy", ConflictSpec.policy), value.get("fields", {}))


def _deletes(value: Mapping[str, Any], options: Mapping[str, Any], kind: str) -> DeletesSpec:
    """The feed of deletions is read like a table: the table's options, and its own over them."""
    own = {name: setting for name, setting in value.items() if name not in (kind, "cursor")}
    cursor = CursorSpec(**value["cursor"]) if "cursor" in value else None
    return DeletesSpec(**own, cursor=cursor, options=merge_options(options, value.get(kind, {})))


def merge_options(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A table's own options over those of its system: key by key, and within a key that holds keys itself.

    One that names another `type`, as pagination does, replaces that of the system.
    """
    return {**defaults, **{name: _merge_option(defaults.get(name), option) for name, option in own.items()}}


def _merge_option(default: Any, own: Any) -> Any:
    both_hold_keys = isinstance(default, Mapping) and isinstance(own, Mapping)
    if not both_hold_keys or own.get("type", default.get("type")) != default.get("type"):
        return own
    return {**default, **own}
