"""A mapping while it is written: read with every fault and its place, whatever state it is in. Nothing is stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kwiksync_ops.declared.fault import DeclaredFile, Fault
from kwiksync_ops.declared.reader import parse_declared
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.documents import mapping_of
from kwiksync_ops.mapping.files import faults_of
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.storage.mappings import MappingKey

NAME = Path("mapping.json")


@dataclass(frozen=True)
class Draft:
    """`document` is what the text says, None where it is no JSON; `mapping` is there where nothing is wrong."""

    text: str
    document: Any
    faults: Sequence[Fault]
    mapping: TableMapping | None

    @property
    def rules(self) -> list[Any] | None:
        """The rules as documents, sound or not; None where the document has no list of them."""
        fields = self.document.get("fields") if isinstance(self.document, dict) else None
        return fields if isinstance(fields, list) else None

    def faults_of_rule(self, place: int) -> list[Fault]:
        return [fault for fault in self.faults if fault.key[:2] == ("fields", place)]


def read_draft(text: str, key: MappingKey) -> Draft:
    """What the text says as the mapping of this table."""
    try:
        file = parse_declared(NAME, text)
        json.dumps(file.value, ensure_ascii=False).encode()
    except ConfigurationError as exc:
        return Draft(text, None, cast("Sequence[Fault]", exc.facts["places"]), None)
    except UnicodeEncodeError:
        half = Fault(NAME, (), "holds half a surrogate pair, which is no character. Write the character whole.")
        return Draft(text, None, [half], None)
    faults = sorted(faults_of(file, key.direction), key=lambda fault: (fault.line, fault.column)) or _table(file, key)
    mapping = None if faults else mapping_of(key.system, file.value, direction=key.direction)
    return Draft(text, file.value, faults, mapping)


def draft_of(document: Mapping[str, Any], key: MappingKey) -> Draft:
    return read_draft(json.dumps(document, indent=2, ensure_ascii=False) + "\n", key)


def _table(file: DeclaredFile, key: MappingKey) -> list[Fault]:
    found = mapping_of(key.system, file.value, direction=key.direction).table
    name = "source_table" if key.is_outbound else "target_table"
    problem = f"is {found}, and this is the mapping of {key.table}. Write {key.table}."
    return [] if found == key.table else [file.fault((name,), problem)]
