"""include/mappings/<system>/<table>.json: read with every fault at once, and written without losing a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kwiksync_ops.declared.content import content_faults
from kwiksync_ops.declared.fault import DeclaredFile, Fault, file_error
from kwiksync_ops.declared.reader import read_declared_file
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.compiler import mapping_faults
from kwiksync_ops.mapping.documents import is_same, mapping_document, mapping_of
from kwiksync_ops.mapping.file_faults import rule_faults
from kwiksync_ops.mapping.outbound import outbound_faults
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.vocabulary import Direction

MAPPING_SCHEMA = "mapping/mapping.schema.json"
OUTBOUND_SCHEMA = "mapping/outbound.schema.json"


def read_mapping(path: Path, system: str, direction: str = Direction.INBOUND) -> TableMapping:
    """A mapping file; its rules in their order.

    Raises:
        ConfigurationError: with all faults of the file.
    """
    return _mapping(read_declared_file(path), system, direction)


def check_mapping(document: dict[str, Any], name: str, system: str, direction: str) -> TableMapping:
    """A mapping that did not come from a file; `name` is what its faults say. Raises as `read_mapping`."""
    return _mapping(DeclaredFile(Path(name), document, {}), system, direction)


def _mapping(file: DeclaredFile, system: str, direction: str) -> TableMapping:
    if faults := faults_of(file, direction):
        raise file_error(file.path, faults)
    return mapping_of(system, file.value, direction=direction)


def schema_of(direction: str) -> str:
    """The JSON Schema of mappings of a direction, by its path in the package."""
    return OUTBOUND_SCHEMA if direction == Direction.OUTBOUND else MAPPING_SCHEMA


def faults_of(file: DeclaredFile, direction: str) -> list[Fault]:
    """All that is wrong with it as a mapping, each with its place."""
    content = content_faults(file, schema_of(direction), secret_names=False)
    find = outbound_faults if direction == Direction.OUTBOUND else mapping_faults
    return [*content, *rule_faults(file, content, find)]


def write_mapping(path: Path, mapping: TableMapping) -> bool:
    """Write the file, unless it says the same already: then it keeps its form. True where it was written."""
    old, schema = _present(path, mapping.system, mapping.direction)
    if old is not None and is_same(old, mapping):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_text(mapping_text(mapping, schema), encoding="utf-8")
    unfinished.replace(path)
    return True


def mapping_text(mapping: TableMapping, schema: str | None = None) -> str:
    """The file of a mapping; equal mappings have equal text. `schema` is what `$schema` says."""
    document = mapping_document(mapping)
    head = {"$schema": schema} if schema else {}
    return json.dumps({**head, **document}, indent=2, ensure_ascii=False) + "\n"


def _present(path: Path, system: str, direction: str) -> tuple[TableMapping | None, str | None]:
    """What the file says now, and its `$schema`; nothing where it is faulty or away."""
    try:
        return read_mapping(path, system, direction), read_declared_file(path).value.get("$schema")
    except ConfigurationError:
        return None, None
