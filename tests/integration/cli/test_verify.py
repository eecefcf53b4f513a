"""`verify` at the terminal, on the sample ERP."""

from __future__ import annotations

from kwiksync_ops.storage.models import RECORDS
from tests.integration.cli.conftest import Cli, assert_fits
from tests.support.inbound import rows_of


def spoil(cli: Cli) -> None:
    """Change one location behind the product's back."""
    hub = cli.open_hub()
    key = rows_of(hub, RECORDS["locations"])[0]["sys_id"]
    records = RECORDS["locations"]
    hub.write(lambda connection: connection.execute(records.update().where(records.c.sys_id == key).values(city="x")))
    hub.close()


def test_sides_that_agree_but_for_rejected_records_exit_with_3(synced: Cli) -> None:
    answer = synced("verify", "erp", "-t", "locations")
    assert answer.code == 3, answer.err
    assert_fits(answer.out)
    assert "Hub and system agree." in answer.out
    assert "record can't be mapped (ERR_006)" in answer.out


def test_a_difference_exits_with_4_and_a_repair_ends_it(synced: Cli) -> None:
    spoil(synced)
    answer = synced("verify", "erp", "-t", "locations", "--json")
    (table,) = answer.json["tables"]
    assert (answer.code, answer.json["agrees"], table["different"], table["fields"]) == (4, False, 1, {"city": 1})
    (example,) = [each for each in table["examples"] if each["verdict"] == "different"]
    assert example["differences"][0]["hub"] == "x"
    shown = synced("verify", "erp", "-t", "locations")
    assert_fits(shown.out)
    assert "do not agree" in shown.out
    repaired = synced("verify", "erp", "-t", "locations", "--repair", "hub")
    assert repaired.code == 3
    assert "1 loaded into the hub" in repaired.out


def test_a_sync_does_not_offer_the_mode_of_a_verification(synced: Cli) -> None:
    assert synced("sync", "erp", "--mode", "verify").code == 2
