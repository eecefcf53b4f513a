"""Customer Keys that we issue: shown once, known by a hash alone, rotated without a gap, ended at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services import keys
from kwiksync_ops.services.issued_keys import issue_key, list_issued_keys, revoke_keys, rotate_key, verify_key
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import AUDIT, CUSTOMER_KEY, ISSUED_KEY
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vault import Vault
from kwiksync_ops.vocabulary import Role

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 15, 2, tzinfo=UTC))


def issue(hub: Hub, clock: ManualClock, name: str = "Acme") -> str:
    return issue_key(hub, (OLD,), name, Role.USER, who="ann", clock=clock)[1]


def verified(hub: Hub, clock: ManualClock, text: str, secret_keys: tuple[str, ...] = (OLD,)) -> str | None:
    found = verify_key(hub, secret_keys, text, clock=clock)
    return found.name if found else None


def test_a_key_is_known_by_a_keyed_hash_and_written_nowhere(hub: Hub, clock: ManualClock) -> None:
    text = issue(hub, clock)
    assert verified(hub, clock, text) == "Acme"
    secret = text.removeprefix("kwk_").partition("_")[2]
    assert len(secret) == 43
    with hub.read() as connection:
        stored = [*connection.execute(ISSUED_KEY.select()).all(), *connection.execute(AUDIT.select()).all()]
    assert secret not in repr(stored)
    assert secret not in repr(list_issued_keys(hub))


@pytest.mark.parametrize("spoil", ["", "kwk_", "x", "\x00", "é"])
def test_what_is_not_our_key_is_refused(hub: Hub, clock: ManualClock, spoil: str) -> None:
    text = issue(hub, clock)
    assert verified(hub, clock, spoil) is None
    assert verified(hub, clock, text + spoil + "x") is None
    assert verified(hub, clock, text[:-1] + ("A" if text[-1] != "A" else "B")) is None
    assert verified(hub, clock, text, (NEW,)) is None


def test_both_keys_work_until_the_grace_is_over(hub: Hub, clock: ManualClock) -> None:
    old = issue(hub, clock)
    _, new = rotate_key(hub, (OLD,), "Acme", grace=timedelta(hours=2), who="ann", clock=clock)
    assert verified(hub, clock, old) == verified(hub, clock, new) == "Acme"
    clock.sleep(2 * 3600)
    assert (verified(hub, clock, old), verified(hub, clock, new)) == (None, "Acme")


def test_a_second_rotation_does_not_lengthen_the_grace_of_the_first(hub: Hub, clock: ManualClock) -> None:
    first = issue(hub, clock)
    rotate_key(hub, (OLD,), "Acme", grace=timedelta(hours=1), who="ann", clock=clock)
    rotate_key(hub, (OLD,), "Acme", grace=timedelta(hours=9), who="ann", clock=clock)
    clock.sleep(3600)
    assert verified(hub, clock, first) is None


def test_a_revoked_key_and_all_its_successors_end_at_once(hub: Hub, clock: ManualClock) -> None:
    old = issue(hub, clock)
    _, new = rotate_key(hub, (OLD,), "Acme", who="ann", clock=clock)
    assert revoke_keys(hub, "Acme", who="ann", clock=clock) == 2
    assert verified(hub, clock, old) is verified(hub, clock, new) is None
    with pytest.raises(ConfigurationError, match="no valid"):
        rotate_key(hub, (OLD,), "Acme", who="ann", clock=clock)
    assert verified(hub, clock, issue(hub, clock)) == "Acme"


def test_rotations_at_once_leave_one_key_that_lasts(hub: Hub, clock: ManualClock) -> None:
    issue(hub, clock)
    gate = threading.Barrier(4)

    def rotate(_number: int) -> None:
        gate.wait()
        rotate_key(hub, (OLD,), "Acme", grace=timedelta(hours=1), who="ann", clock=clock)

    for _ in range(5):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(rotate, range(4)))
    assert sum(key.expires is None for key in list_issued_keys(hub)) == 1


def test_a_customer_has_one_key_and_a_proper_name(hub: Hub, clock: ManualClock) -> None:
    issue(hub, clock)
    with pytest.raises(ConfigurationError, match="already"):
        issue(hub, clock)
    for name in ("", " Acme", "a" * 81, "Acme\n", "<b>"):
        with pytest.raises(ConfigurationError, match="can't name"):
            issue(hub, clock, name)
    with pytest.raises(ConfigurationError, match="no secret key"):
        issue_key(hub, (), "Other", Role.USER, who="ann", clock=clock)


def test_a_hash_moves_on_to_the_newest_secret_key_when_its_key_is_presented(hub: Hub, clock: ManualClock) -> None:
    text = issue(hub, clock)
    assert verified(hub, clock, text, (NEW, OLD)) == "Acme"
    assert verified(hub, clock, text, (NEW,)) == "Acme"


def test_sent_keys_are_encrypted_anew_and_readable_at_every_moment(hub: Hub, clock: ManualClock) -> None:
    for system in ("erp", "crm"):
        keys.set_customer_key(hub, Vault((OLD,)), system, f"secret of {system}", who="ann", clock=clock)
    assert keys.rewrap(hub, Vault((NEW, OLD))) == 2
    assert keys.rewrap(hub, Vault((NEW, OLD))) == 0
    assert keys.customer_key(hub, (NEW,), "erp") == "secret of erp"
    assert keys.customer_key(hub, (NEW, OLD), "crm") == "secret of crm"


def test_a_token_that_was_moved_to_another_row_is_not_rewrapped_into_its_secret(hub: Hub, clock: ManualClock) -> None:
    for system in ("erp", "crm"):
        keys.set_customer_key(hub, Vault((OLD,)), system, f"secret of {system}", who="ann", clock=clock)
    with hub.read() as connection:
        (token,) = connection.execute(CUSTOMER_KEY.select().where(CUSTOMER_KEY.c.system == "erp")).mappings()
    moved = CUSTOMER_KEY.update().where(CUSTOMER_KEY.c.system == "crm").values(token=token["token"])
    hub.write(lambda connection: connection.execute(moved))
    with pytest.raises(ConfigurationError, match="not its own"):
        keys.rewrap(hub, Vault((NEW, OLD)))
