"""The files of a new system: written all together, or not at all."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kwiksync_ops.connectors import registry
from kwiksync_ops.declared.writer import yaml_text
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.files import mapping_text
from kwiksync_ops.services.declared_mappings import read_declared_mappings
from kwiksync_ops.services.outbound_proposals import OutboundProposal
from kwiksync_ops.services.proposals import TableProposal
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.system_spec.spec import CursorSpec
from kwiksync_ops.vocabulary import CALLS_PER_MINUTE, RECORD_TABLES, Direction

SYSTEM_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_OUTBOUND = ".outbound.json"
CONNECTION_ID = re.compile(r"[A-Za-z0-9_.-]{1,250}")


@dataclass(frozen=True)
class SystemDraft:
    """A system as it is to be written. `options` are those of its kind, for every table.

    `direction` is that of the file: `both` too. `outbound` are those of the tables that are written to.
    """

    system: str
    kind: str
    connection: str
    tables: Sequence[TableProposal] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    schedule: str | None = None
    timezone: str = "UTC"
    calls_per_minute: int = CALLS_PER_MINUTE
    direction: str = Direction.INBOUND.value
    outbound: Sequence[OutboundProposal] = ()


def draft_files(draft: SystemDraft) -> dict[Path, str]:
    """The texts by their paths below the include folder; the system's own file is the last."""
    name = draft.system
    comes_in = [] if draft.direction == Direction.OUTBOUND else draft.tables
    inbound = {_mapping_path(name, t.table): mapping_text(t.mapping(name)) for t in comes_in}
    outbound = {_mapping_path(name, o.table, _OUTBOUND): mapping_text(o.mapping(name)) for o in draft.outbound}
    mappings = dict(sorted({**inbound, **outbound}.items()))
    return {**mappings, Path("systems") / f"{draft.system}.yaml": yaml_text(_document(draft))}


def files_in_the_way(include: Path, system: str, tables: Iterable[str] = RECORD_TABLES) -> list[Path]:
    """What would be overwritten: the system's file, whatever its ending, and its mappings of these tables."""
    systems = [include / "systems" / f"{system}{ending}" for ending in (".yaml", ".yml")]
    mappings = [include / _mapping_path(system, table, ending) for table in tables for ending in (".json", _OUTBOUND)]
    return [path for path in (*systems, *mappings) if path.exists()]


def refuse_bad_settings(draft: SystemDraft) -> None:
    """What can be told before the system is called: its name, schedule and options; its tables are not looked at.

    Raises:
        ConfigurationError: with everything that is wrong.
    """
    stand_in = {"table": next(iter(RECORD_TABLES)), "source": "-", "key": "-"}
    document = {**_head(draft, draft.options), "tables": [stand_in]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{draft.system}.yaml"
        path.write_text(yaml_text(document), encoding="utf-8")
        try:
            load_system(path, None)
            faults = registry.option_faults(draft.kind, draft.options)
        except ConfigurationError as exc:
            faults = tuple(fault.replace(f"{folder}/", "") for fault in exc.faults)
    if faults:
        remedy = "Correct the option of this command that it comes from."
        raise ConfigurationError("The system's settings can't be used:", faults=faults, remedy=remedy)


def write_system(include: Path, draft: SystemDraft, *, replaces: bool = False) -> list[Path]:
    """Write the files, all or none, after they were read back without a fault. Returns their paths.

    Raises:
        ConfigurationError: a file is there already and `replaces` is false, a draft has a fault, or the folder can't
            be written to. Nothing was changed.
    """
    in_the_way = files_in_the_way(include, draft.system, [table.table for table in draft.tables])
    if in_the_way and not replaces:
        raise refused_overwrite(in_the_way)
    texts = draft_files(draft)
    try:
        include.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".kwiksync-", dir=include) as folder:
            staged = Path(folder)
            _write(staged, texts)
            _refuse_faults(staged, draft)
            _move(staged, include, list(texts), [path for path in in_the_way if path.suffix == ".yml"])
    except OSError as exc:
        raise ConfigurationError(
            f"The files can't be written below {include}: {exc.strerror or exc}. Nothing was changed.",
            remedy="Make the folder writable, or let KWIKSYNC_INCLUDE name another one.",
        ) from exc
    return [include / path for path in texts]


def refused_overwrite(paths: Sequence[Path]) -> ConfigurationError:
    return ConfigurationError(
        "There are such files already, and they are kept as they are:",
        faults=tuple(map(str, paths)),
        remedy="Choose another name for the system, or say --replace to write them anew.",
    )


def _document(draft: SystemDraft) -> dict[str, Any]:
    shared = _shared_options(draft)
    pushes = {outbound.table: outbound.push for outbound in draft.outbound}
    wanted = [table for table in draft.tables if table.table in pushes or draft.direction != Direction.OUTBOUND]
    tables = [_table_document(draft.kind, shared, table, pushes.get(table.table)) for table in wanted]
    return {**_head(draft, shared), "tables": tables}


def _head(draft: SystemDraft, options: Mapping[str, Any]) -> dict[str, Any]:
    calls = draft.calls_per_minute
    head: dict[str, Any] = {
        "system": draft.system,
        "kind": draft.kind,
        "connection": draft.connection,
        "direction": draft.direction,
        "description": draft.description or None,
        "schedule": draft.schedule,
        "timezone": draft.timezone if draft.timezone != "UTC" else None,
        "limits": {"calls_per_minute": calls} if calls != CALLS_PER_MINUTE else None,
        draft.kind: dict(options) or None,
    }
    return {name: value for name, value in head.items() if value is not None}


def _shared_options(draft: SystemDraft) -> dict[str, Any]:
    """The options given for the system, and those that a read of each of its objects needs alike."""
    first, *others = (table.inspected.options for table in draft.tables)
    alike = {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
    return {**draft.options, **alike}


def _table_document(
    kind: str, shared: Mapping[str, Any], table: TableProposal, push: Mapping[str, Any] | None
) -> dict[str, Any]:
    cursor = table.cursor_spec()
    options = table.inspected.options
    if push:
        options = {**options, "push": push}
    own = {name: value for name, value in options.items() if name not in shared or shared[name] != value}
    return {
        "table": table.table,
        "source": table.inspected.info.name,
        "key": table.table_spec().key,
        **({"cursor": _cursor_document(cursor)} if cursor else {}),
        **({kind: own} if own else {}),
    }


def _cursor_document(cursor: CursorSpec) -> dict[str, str]:
    zone = {"timezone": cursor.timezone} if cursor.timezone != "UTC" else {}
    return {"field": cursor.field, "format": cursor.format, **zone}


def _mapping_path(system: str, table: str, ending: str = ".json") -> Path:
    return Path("mappings") / system / f"{table}{ending}"


def _write(folder: Path, texts: Mapping[Path, str]) -> None:
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def _refuse_faults(staged: Path, draft: SystemDraft) -> None:
    """Read the files as a sync would, before they go where one finds them."""
    declared = read_declared_mappings(staged, [draft.system])
    faults = [fault for broken in declared.broken for fault in broken.error.faults]
    faults += [fault for found in declared.mappings.values() if isinstance(found, tuple) for fault in found]
    if faults:
        shown = tuple(fault.replace(f"{staged}/", "") for fault in faults)
        raise ConfigurationError(
            "What is proposed has faults, and was not written:",
            faults=shown,
            remedy="Change the fields or options that they name.",
        )


def _move(staged: Path, include: Path, paths: Sequence[Path], replaced: Sequence[Path]) -> None:
    """Put the files in their places, one by one; where anything stops this, all is as it was."""
    with _undone_on_failure(staged / "before") as undo:
        for path in replaced:
            undo.set_aside(path)
        for path in paths:
            target = include / path
            undo.make_folder(target.parent)
            undo.set_aside(target)
            (staged / path).replace(target)


class _Undo:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Path] = []
        self._old: dict[Path, Path | None] = {}

    def make_folder(self, folder: Path) -> None:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        self._made.extend(missing)
        folder.mkdir(parents=True, exist_ok=True)

    def set_aside(self, path: Path) -> None:
        """Keep what is there now, to put it back. It is noted first, so that no moment is without a way back."""
        kept = self._folder / str(len(self._old)) if path.exists() else None
        self._old[path] = kept
        if kept:
            self._folder.mkdir(exist_ok=True)
            path.replace(kept)

    def run(self) -> None:
        for path, kept in self._old.items():
            if kept is None:
                path.unlink(missing_ok=True)
            elif kept.exists():
                kept.replace(path)
        for folder in sorted(self._made, key=lambda made: -len(made.parts)):
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def _undone_on_failure(folder: Path) -> Iterator[_Undo]:
    undo = _Undo(folder)
    try:
        yield undo
    except BaseException:
        undo.run()
        raise
