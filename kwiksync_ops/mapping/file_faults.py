"""What a mapping file's schema can't say: what the compiler finds in its rules, placed in the file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from kwiksync_ops.declared.fault import DeclaredFile, Fault, KeyPath
from kwiksync_ops.mapping.documents import mapping_of
from kwiksync_ops.mapping.rule_config import MappingFault
from kwiksync_ops.mapping.rules import TableMapping

FindFaults = Callable[[TableMapping], list[MappingFault]]


def rule_faults(file: DeclaredFile, known: Collection[Fault], find: FindFaults) -> list[Fault]:
    """The faults of the rules that the schema accepts, as the compiler finds them; `known` are the others."""
    document = file.value
    faulty = {fault.key[1] if fault.key[:1] == ("fields",) and len(fault.key) > 1 else None for fault in known}
    if not isinstance(document, dict) or None in faulty:
        return []
    places = [index for index in range(len(document["fields"])) if index not in faulty]
    doubles = list(_double_target_faults(file, places))
    keys = {fault.key for fault in doubles}
    compiled = _compiler_faults(file, places, find, is_whole=not faulty)
    return [*doubles, *(fault for fault in compiled if fault.key not in keys)]


def _double_target_faults(file: DeclaredFile, places: list[int]) -> Iterator[Fault]:
    """A version has one row a target field, active or not."""
    seen: dict[str, int] = {}
    for index in places:
        key: KeyPath = ("fields", index, "target_field")
        target = file.value["fields"][index]["target_field"]
        if target in seen:
            problem = f"{target} is filled twice, first in line {seen[target]}. Remove one; an inactive one counts too."
            yield file.fault(key, problem)
        seen.setdefault(target, file.lines.get(key, 0))


def _compiler_faults(file: DeclaredFile, places: list[int], find: FindFaults, *, is_whole: bool) -> Iterator[Fault]:
    fields: list[dict[str, Any]] = file.value["fields"]
    mapping = mapping_of("", {**file.value, "fields": [{**fields[index], "order": 0} for index in places]})
    for fault in find(mapping):
        if fault.rule is not None:
            yield file.fault(("fields", places[fault.rule], *fault.key.split(".")), fault.problem)
        elif is_whole:
            yield file.fault(("fields",), fault.problem)
