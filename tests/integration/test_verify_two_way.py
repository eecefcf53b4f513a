"""Verify beside an outbound sync: what is on its way is told apart from what is wrong, and a repair arrives."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services.reconcile import TableVerification, VerifyRequest, verify_table
from kwiksync_ops.services.table_sync import Run, TableSync, take_lease
from kwiksync_ops.services.undo import plan_undo
from kwiksync_ops.storage import lease
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import RECORDS
from kwiksync_ops.vocabulary import Mode, Repair, Trigger
from tests.conftest import StartServer
from tests.support.two_way_system import TwoWay, two_way

ASSETS = RECORDS["assets"]


@pytest.fixture
def system(hub: Hub, https_server: StartServer, ca_file: str, tmp_path: Path) -> TwoWay:
    started = two_way(hub, https_server(), ca_file, tmp_path)
    started.api.fill(5)
    assert started.pull().created == 5
    return started


def verify(system: TwoWay, run_id: str, repair: Repair | None = None) -> TableVerification:
    run = Run(run_id, system.spec, Trigger.CLI, Mode.VERIFY, "tester")
    sync = TableSync(system.hub, run, system.spec.tables[0], system.clock, take_lease(system.hub, run_id))
    spec = system.spec
    source = open_source(spec.kind, system.credentials, spec.options, system.limiter, system.clock)
    with closing(source):
        found = verify_table(sync, source, VerifyRequest(repair=repair), lambda table, records: None)
    system.hub.write(lambda connection: lease.release(connection, run_id))
    return found


def verdicts(found: TableVerification) -> dict[str, int]:
    return {str(verdict): number for verdict, number in found.after.counts.items() if number}


def test_an_edit_after_a_delivery_that_was_not_read_back_is_an_edit(system: TwoWay) -> None:
    first = system.sys_id("R00000")
    system.edit(first, name="once")
    assert system.push().updated == 1
    system.edit(first, name="twice")
    assert verdicts(verify(system, "check")) == {"equal": 4, "edited": 1}


def test_a_change_at_the_system_beside_an_edit_of_the_hub_is_newer(system: TwoWay) -> None:
    system.edit(system.sys_id("R00000"), name="here")
    system.api.edit("R00000", name="there")
    assert verdicts(verify(system, "check")) == {"equal": 4, "newer": 1}


def test_a_repair_of_the_system_arrives_with_the_next_outbound_sync(system: TwoWay) -> None:
    spoilt = ASSETS.update().where(ASSETS.c.external_id == "R00000").values(name="right in the hub")
    system.hub.write(lambda connection: connection.execute(spoilt))
    assert verdicts(verify(system, "repair", Repair.SYSTEM)) == {"equal": 4, "edited": 1}
    assert system.push().updated == 1
    assert system.api.records["R00000"]["name"] == "right in the hub"
    proven = verify(system, "proof").after
    assert proven.agrees
    assert proven.wrong == proven.pending == 0


def test_a_repair_of_the_system_changed_nothing_that_could_be_undone(system: TwoWay) -> None:
    spoilt = ASSETS.update().where(ASSETS.c.external_id == "R00000").values(name="right in the hub")
    system.hub.write(lambda connection: connection.execute(spoilt))
    verify(system, "repair", Repair.SYSTEM)
    with pytest.raises(ConfigurationError, match="changed no value in the hub"):
        plan_undo(system.hub, "repair", who="tester", clock=system.clock)
