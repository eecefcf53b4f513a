"""Setting up from nothing: the hub, its secret key, Customer Keys, and the doctor who looks at it all."""

from __future__ import annotations

import stat
from collections.abc import Callable

import pytest

from kwiksync_ops.storage.models import AUDIT, CUSTOMER_KEY
from tests.integration.cli.conftest import Cli, Connect, assert_fits
from tests.support.inbound import rows_of
from tests.support.sample_erp import CUSTOMER_KEY as ERP_KEY

Give = Callable[[str], None]
CANARY = "c4nary-s3cret-0123456789"


def checks_of(cli: Cli, *words: str) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in cli("doctor", "--json", *words).json["checks"]}


def test_the_first_upgrade_makes_hub_and_key_and_the_second_changes_nothing(cli: Cli) -> None:
    first = cli.ok("db", "upgrade", "--json").json
    assert first["from"] is None
    assert first["secret_keys_file"] == str(cli.home / "secret_keys")
    assert stat.S_IMODE((cli.home / "secret_keys").stat().st_mode) == 0o600
    second = cli.ok("db", "upgrade", "--json").json
    assert second == {"from": first["to"], "to": first["to"], "secret_keys_file": None}


def test_a_shared_hub_without_secret_keys_is_not_made(
    cli: Cli, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KWIKSYNC_HUB_URL", postgresql)
    answer = cli("db", "upgrade")
    assert answer.code == 1
    assert "Set KWIKSYNC_SECRET_KEYS" in answer.error
    assert not (cli.home / "secret_keys").exists()


def test_a_home_that_can_not_be_written_to_is_named(cli: Cli) -> None:
    cli.home.write_text("a file where a folder should be")
    answer = cli("db", "upgrade")
    assert answer.code == 1
    assert "secret keys" in answer.error
    assert "KWIKSYNC_HOME" in answer.error


def test_a_customer_key_is_stored_encrypted_and_never_shown(applied: Cli, give: Give) -> None:
    give(CANARY + "\n")
    said = applied.ok("keys", "set", "erp")
    listed = applied.ok("keys", "list")
    as_json = applied.ok("keys", "list", "--json")
    (key,) = as_json.json["keys"]
    assert (key["system"], key["is_active"]) == ("erp", True)
    assert CANARY not in "".join((said.out, said.err, listed.out, as_json.out))
    hub = applied.open_hub()
    (row,) = rows_of(hub, CUSTOMER_KEY)
    audit = [entry for entry in rows_of(hub, AUDIT) if entry["action"] == "customer_key.set"]
    hub.close()
    assert len(audit) == 1
    assert CANARY not in str(row) + str(audit)
    assert all(CANARY.encode() not in path.read_bytes() for path in applied.home.iterdir() if path.is_file())


def test_a_second_key_takes_the_place_of_the_first(applied: Cli, give: Give) -> None:
    for secret in ("first-key", "second-key"):
        give(secret)
        applied.ok("keys", "set", "erp")
    keys = applied.ok("keys", "list", "--json").json["keys"]
    assert sorted(key["is_active"] for key in keys) == [False, True]


@pytest.mark.parametrize(
    ("secret", "problem"), [("", "is empty"), ("two\nlines", "header"), ("käy", "header"), (" k", "header")]
)
def test_a_key_that_can_not_be_sent_is_not_stored(applied: Cli, give: Give, secret: str, problem: str) -> None:
    give(secret + "\n")
    answer = applied("keys", "set", "erp")
    assert answer.code == 1
    assert "ERR_001" in answer.error
    assert problem in answer.error
    assert applied.ok("keys", "list", "--json").json == {"keys": [], "issued": []}


def test_a_key_is_not_taken_from_the_command_line(applied: Cli) -> None:
    assert applied("keys", "set", "erp", CANARY).code == 2


def test_a_key_for_a_system_that_is_not_declared_names_the_near_one(applied: Cli, give: Give) -> None:
    give(CANARY)
    answer = applied("keys", "set", "epr")
    assert answer.code == 1
    assert "Did you mean 'erp'?" in answer.error


def test_the_doctor_finds_a_sound_installation_well(connected: Cli) -> None:
    answer = connected.ok("doctor")
    assert "all is well" in answer.out
    assert_fits(answer.out)
    checks = checks_of(connected)
    assert {check["verdict"] for check in checks.values()} == {"ok"}
    assert "answered 200" in checks["erp answers"]["detail"]


def test_the_doctor_names_a_remedy_for_each_thing_that_is_missing(cli: Cli) -> None:
    answer = cli("doctor", "--offline", "--json")
    assert answer.code == 1
    checks = {check["name"]: check for check in answer.json["checks"]}
    assert not answer.json["ok"]
    for name in ("Secret keys", "Hub schema", "erp connection"):
        assert checks[name]["verdict"] == "failed"
        assert checks[name]["remedy"]
    assert checks["Mappings"]["verdict"] == "skipped"
    assert "airflow connections add kwiksync_erp" in checks["erp connection"]["remedy"]


def test_the_doctor_warns_of_mappings_that_are_not_applied(cli: Cli, connect: Connect) -> None:
    cli.ok("db", "upgrade")
    connect()
    assert cli("doctor", "--offline").code == 3
    checks = checks_of(cli, "--offline")
    assert checks["Mappings"]["verdict"] == "warning"
    assert checks["erp answers"]["verdict"] == "skipped"


def test_the_doctor_lists_every_fault_of_the_files(applied: Cli, connect: Connect) -> None:
    connect()
    path = applied.include / "systems" / "erp.yaml"
    path.write_text(path.read_text().replace("schedule:", "shedule:").replace("Europe/Berlin", "Europe/Berln"))
    files = checks_of(applied, "--offline")["Files"]
    assert files["verdict"] == "failed"
    assert "shedule" in files["detail"]
    assert "Europe/Berln" in files["detail"]


def test_the_doctor_tells_a_wrong_key_from_a_wrong_token_and_an_unknown_authority(
    connected: Cli, connect: Connect, give: Give
) -> None:
    connect(password="wrong-token-0123456789")
    assert "ERR_003" in checks_of(connected)["erp answers"]["detail"]
    connect(extra={"ca_file": ""})
    assert "not trusted" in checks_of(connected)["erp answers"]["detail"]
    connect()
    give("wrong-customer-key")
    connected.ok("keys", "set", "erp")
    assert "ERR_001" in checks_of(connected)["erp answers"]["detail"]


def test_the_doctor_finds_an_audit_row_that_was_changed(applied: Cli, connect: Connect) -> None:
    connect()
    hub = applied.open_hub()
    hub.write(lambda connection: connection.execute(AUDIT.update().where(AUDIT.c.number == 2).values(who="nobody")))
    hub.close()
    audit = checks_of(applied, "--offline")["Audit trail"]
    assert (audit["verdict"], audit["detail"]) == ("failed", "row 2 was changed")


def test_the_doctor_warns_of_a_key_file_that_others_can_read(applied: Cli, connect: Connect) -> None:
    connect()
    (applied.home / "secret_keys").chmod(0o644)
    keys = checks_of(applied, "--offline")["Secret keys"]
    assert keys["verdict"] == "warning"
    assert keys["remedy"].startswith("chmod 600")


def test_a_secret_key_that_was_lost_is_told_by_whom_it_is_needed(applied: Cli, give: Give, connect: Connect) -> None:
    give(ERP_KEY)
    applied.ok("keys", "set", "erp")
    (applied.home / "secret_keys").unlink()
    applied.ok("db", "upgrade")
    connect()
    checks = checks_of(applied, "--offline")
    assert "not configured" in checks["Customer Keys"]["detail"]
    assert "not configured" in checks["Audit trail"]["detail"]
