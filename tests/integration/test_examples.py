"""The examples of systems that people have: each loads as it is, with its mappings, and says what it is for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.services.declared_mappings import DeclaredMappings, read_declared_mappings
from kwiksync_ops.system_spec.loader import load_system

INCLUDE = Path(__file__).parents[2] / "include"
EXAMPLES = sorted((INCLUDE / "systems" / "examples").glob("*.yaml"))


def declared(example: Path, tmp_path: Path) -> DeclaredMappings:
    """What the files of an example say once they are copied to where systems are looked for."""
    (tmp_path / "systems").mkdir()
    shutil.copy(example, tmp_path / "systems")
    shutil.copytree(INCLUDE / "mappings", tmp_path / "mappings")
    return read_declared_mappings(tmp_path, ())


@pytest.mark.parametrize("example", [pytest.param(path, id=path.stem) for path in EXAMPLES])
def test_an_example_loads_with_its_mappings(example: Path, tmp_path: Path) -> None:
    found = declared(example, tmp_path)
    assert [str(system.error) for system in found.broken] == []
    assert {key: faults for key, faults in found.mappings.items() if not isinstance(faults, TableMapping)} == {}
    assert found.mappings
    assert load_system(example, INCLUDE / "mappings").description


def test_there_are_examples() -> None:
    assert EXAMPLES


def test_an_example_with_a_fault_is_told(tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt" / EXAMPLES[0].name
    spoilt.parent.mkdir()
    spoilt.write_text(EXAMPLES[0].read_text("utf-8").replace("source:", "sauce:", 1), "utf-8")
    assert declared(spoilt, tmp_path).broken
