from __future__ import annotations

from pathlib import Path

from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.services.declared_mappings import read_declared_mappings
from kwiksync_ops.vocabulary import RECORD_TABLES

INCLUDE = Path(__file__).parents[3] / "include"


def test_the_files_that_ship_have_no_fault() -> None:
    declared = read_declared_mappings(INCLUDE, ())
    assert declared.broken == ()
    assert [found for found in declared.mappings.values() if not isinstance(found, TableMapping)] == []
    assert {key.table for key in declared.mappings} == set(RECORD_TABLES)
