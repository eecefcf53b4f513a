"""The `files:` options of a system and its tables: checked all at once, then as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from kwiksync_ops.connectors.http.address import guard_for
from kwiksync_ops.connectors.http.json_path import Path as JsonPath
from kwiksync_ops.connectors.http.json_path import parse_path
from kwiksync_ops.declared.fault import DeclaredFile, Fault
from kwiksync_ops.declared.schema import schema_faults
from kwiksync_ops.declared.secrets import secret_faults
from kwiksync_ops.errors import ConfigurationError

SCHEMA = "connectors/files/options.schema.json"
ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
}
"""Formats by the ending of a file's name."""


@dataclass(frozen=True)
class CsvOptions:
    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None
    header_row: int = 1
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExcelOptions:
    sheet: str | int = 1
    header_row: int = 1
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileLimits:
    max_file_bytes: int = 2 * 1024**3
    max_unpacked_bytes: int = 4 * 1024**3
    max_string: int = 1024 * 1024
    max_fields: int = 1_000
    max_depth: int = 20


@dataclass(frozen=True)
class FileTimeouts:
    connect_s: float = 5.0
    read_s: float = 30.0


@dataclass(frozen=True)
class PushOptions:
    file: str
    columns: tuple[str, ...]
    folder: str = "out"
    types: Mapping[str, str] = field(default_factory=dict)
    records: int = 1000
    action_column: str = ""
    gzip: bool = False
    null_text: str = ""
    formulas: str = "escape"


@dataclass(frozen=True)
class FilesOptions:
    """What each one means stands in options.schema.json."""

    format: str = "auto"
    encoding: str = "utf-8"
    csv: CsvOptions = field(default_factory=CsvOptions)
    excel: ExcelOptions = field(default_factory=ExcelOptions)
    records_path: JsonPath = ()
    null_values: tuple[str, ...] = ("",)
    file_name_field: str = ""
    file_time_field: str = ""
    row_number_field: str = ""
    order: str = "name"
    ignore: tuple[str, ...] = ("*.part", "*.tmp", "*.filepart", "*.crdownload", "~$*")
    settle_s: float = 2.0
    min_age_s: float = 0.0
    done_marker: str = ""
    recheck: str = "metadata"
    rejected_folder: str = "rejected"
    limits: FileLimits = field(default_factory=FileLimits)
    timeouts: FileTimeouts = field(default_factory=FileTimeouts)
    allow_hosts: tuple[str, ...] = ()
    allow_insecure_loopback: bool = False
    push: PushOptions | None = None

    def format_of(self, name: str) -> str | None:
        """The format of a file of this name; None where its ending says nothing."""
        if self.format != "auto":
            return self.format
        return ENDINGS.get(PurePosixPath(name.lower().removesuffix(".gz")).suffix)


_SECTIONS: Mapping[str, Any] = {
    "csv": CsvOptions,
    "excel": ExcelOptions,
    "limits": FileLimits,
    "timeouts": FileTimeouts,
    "push": PushOptions,
}


def merge_options(system: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """A table's options over its system's; the sections are merged key by key."""
    sections = {name: {**system.get(name, {}), **table[name]} for name in _SECTIONS if name in table}
    return {**system, **table, **sections}


def parse_options(options: Mapping[str, Any]) -> FilesOptions:
    """The options as values, with defaults.

    Raises:
        ConfigurationError: with every fault, a line each.
    """
    faults = option_faults(options)
    if faults:
        raise ConfigurationError(
            "The files options are not valid:", faults=faults, remedy="Correct them in the system's YAML file."
        )
    return FilesOptions(**{name: _value(name, value) for name, value in options.items()})


def option_faults(options: Mapping[str, Any]) -> tuple[str, ...]:
    """All that is wrong, one line each, with the path of the option; empty when the options are valid."""
    file = DeclaredFile(Path("files"), dict(options), {})
    faults = schema_faults(file, SCHEMA) or secret_faults(file, by_name=True) or list(_semantic_faults(file))
    return tuple(str(fault) for fault in faults)


def path_fault(path: str) -> str | None:
    """Why a path does not lead below the connection's folder, if so."""
    if path.startswith("/") or "\\" in path or "\0" in path:
        return f"{path!r} is not a path below the connection's folder."
    if ".." in path.split("/"):
        return f"{path!r} leads out of the connection's folder: .. is not allowed."
    return None


def _value(name: str, value: Any) -> Any:
    if name == "records_path":
        return parse_path(value)
    if name in _SECTIONS:
        return _SECTIONS[name](**{key: _value(key, item) for key, item in value.items()})
    return tuple(value) if isinstance(value, list) else value


def _semantic_faults(file: DeclaredFile) -> Iterator[Fault]:
    """What a schema can't say."""
    options = file.value
    if not _is_encoding(options.get("encoding", "utf-8")):
        yield file.fault(("encoding",), f"there is no encoding {options['encoding']!r}, such as utf-8 or cp1252.")
    for section in ("csv", "excel"):
        if options.get(section, {}).get("header_row") == 0 and "names" not in options[section]:
            yield file.fault((section,), "says that there is no header: set names.")
    push = options.get("push", {})
    for at, folder in (
        (("rejected_folder",), options.get("rejected_folder")),
        (("push", "folder"), push.get("folder")),
    ):
        if folder and (problem := path_fault(folder)):
            yield file.fault(at, problem)
    yield from _push_faults(file, push)
    try:
        guard_for(options.get("allow_hosts", ()))
    except ValueError as exc:
        yield file.fault(("allow_hosts",), f"{exc}.")


def _push_faults(file: DeclaredFile, push: Mapping[str, Any]) -> Iterator[Fault]:
    name = push.get("file", "")
    if name and name.startswith("."):
        yield file.fault(("push", "file"), "begins with a dot: such files are hidden, and never read by others.")
    ending = PurePosixPath(name.lower().removesuffix(".gz")).suffix
    if name and ending not in ENDINGS:
        yield file.fault(("push", "file"), f"has the ending {ending!r}; use one of {', '.join(ENDINGS)}.")
    columns = push.get("columns", ())
    wanted = {push["action_column"]} if "action_column" in push else set()
    for missing in sorted((wanted | set(push.get("types", ()))) - set(columns)):
        yield file.fault(("push", "columns"), f"has no {missing!r}.")


def _is_encoding(name: str) -> bool:
    try:
        "".encode(name)
    except (LookupError, ValueError):
        return False
    return True
