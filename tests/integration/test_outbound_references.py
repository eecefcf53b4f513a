"""Records that point to others which the system does not have yet, over real HTTPS."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services import configuration
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.system_spec.loader import load_system
from tests.conftest import StartServer
from tests.support.two_way_system import TwoWay, two_way


@pytest.fixture
def system(hub: Hub, https_server: StartServer, ca_file: str, tmp_path: Path) -> TwoWay:
    """Assets that are sent with the system's own id of their location; locations are sent too."""
    started = two_way(hub, https_server(), ca_file, tmp_path)
    include = tmp_path / "include"
    config = include / "systems" / "crm.yaml"
    declared = json.loads(config.read_text())
    declared["tables"].append({**declared["tables"][0], "table": "locations"})
    config.write_text(json.dumps(declared))
    mappings = include / "mappings" / "crm"
    place = {
        "source_field": "location",
        "target_field": "place",
        "transform": "lookup",
        "config": {
            "lookup_table": "x_kwr_kwiksync_locations",
            "match_field": "sys_id",
            "return_field": "external_id",
        },
    }
    _map(mappings / "assets.outbound.json", "assets", [_direct("name", "name"), place])
    _map(mappings / "locations.outbound.json", "locations", [_direct("name", "name")])
    _map(mappings / "locations.json", "locations", [_direct("id", "external_id"), _direct("name", "name")])
    configuration.apply(hub, include, who="tester", clock=SystemClock())
    return replace(started, spec=load_system(config, include / "mappings"))


def _direct(source: str, target: str) -> dict[str, Any]:
    return {"source_field": source, "target_field": target, "transform": "direct"}


def _map(path: Path, table: str, rules: Sequence[dict[str, Any]]) -> None:
    path.write_text(json.dumps({"source_table": table, "target_table": table, "fields": rules}))


def test_a_record_whose_reference_was_unknown_is_sent_once_the_system_has_it(system: TwoWay) -> None:
    places, assets = (
        replace(system, spec=replace(system.spec, tables=(table,)))
        for table in sorted(system.spec.tables, key=lambda table: table.table, reverse=True)
    )
    places.create("b" * 32, name="Yard")
    assets.create("a" * 32, location="b" * 32)
    assert (assets.push(run_id="too-early").failed, assets.states()) == (1, {"refused": 1})
    assert [error["code"] for error in system.errors()] == ["ERR_004"]
    assert assets.push(run_id="still-too-early").failed == 0
    assert places.push(run_id="places").created == 1
    assert assets.push(run_id="now").created == 1
    (place_id,) = (key for key, values in system.api.records.items() if values["name"] == "Yard")
    assert [values["place"] for values in system.api.records.values() if "place" in values] == [place_id]
    assert [error["resolution"] for error in system.errors()] == ["resolved"]
