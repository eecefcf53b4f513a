"""Secrets at rest: for their owner alone, over a rotation of keys, and never in plain sight."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.settings import Settings, key_id, read_settings
from kwiksync_ops.vault import Vault, ensure_keys

OLD = "b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZCE="
NEW = "bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldyE="
SECRET = "c4nary-s3cret"


def test_the_owner_gets_the_secret_back() -> None:
    token = Vault([OLD]).encrypt("row 1", SECRET)
    assert SECRET not in token
    assert Vault([OLD]).decrypt("row 1", token) == SECRET


def test_a_token_moved_to_another_row_is_refused() -> None:
    token = Vault([OLD]).encrypt("row 1", SECRET)
    with pytest.raises(ConfigurationError, match="row 2 is not its own: it was stored for row 1"):
        Vault([OLD]).decrypt("row 2", token)


def test_every_step_of_a_rotation_decrypts_what_was_stored_before() -> None:
    token = Vault([OLD]).encrypt("row 1", SECRET)
    for keys in ([OLD, NEW], [NEW, OLD]):
        assert Vault(keys).decrypt("row 1", token) == SECRET
    again = Vault([NEW, OLD]).encrypt("row 1", SECRET)
    assert Vault([NEW]).decrypt("row 1", again) == SECRET
    assert Vault([NEW, OLD]).key_id == key_id(NEW)


def test_a_key_that_was_taken_away_too_early_is_named_as_the_cause() -> None:
    token = Vault([OLD]).encrypt("row 1", SECRET)
    with pytest.raises(ConfigurationError, match="not configured") as failure:
        Vault([NEW]).decrypt("row 1", token)
    assert "KWIKSYNC_SECRET_KEYS" in failure.value.remedy


def test_a_changed_token_is_refused() -> None:
    token = Vault([OLD]).encrypt("row 1", SECRET)
    with pytest.raises(ConfigurationError, match="was changed"):
        Vault([OLD]).decrypt("row 1", token[:-4] + "AAA=")


def test_a_bad_key_is_named_by_its_place_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="Secret key 2 is not a Fernet key") as failure:
        Vault([OLD, "not-a-key"])
    assert "not-a-key" not in str(failure.value)


def test_no_repr_shows_a_key() -> None:
    settings = Settings("sqlite:///x", Path("include"), "file:///x", (OLD,))
    assert OLD not in repr(settings) + repr(Vault([OLD]))


def test_an_embedded_hub_gets_a_key_once_for_its_owner_only(tmp_path: Path) -> None:
    environ = {"KWIKSYNC_HOME": str(tmp_path / "home")}
    made = ensure_keys(read_settings(environ))
    assert made == tmp_path / "home" / "secret_keys"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    settings = read_settings(environ)
    assert len(settings.secret_keys) == 1
    assert Vault(settings.secret_keys)
    assert ensure_keys(settings) is None
    assert [path.name for path in made.parent.iterdir()] == ["secret_keys"]


def test_two_that_make_the_key_at_once_end_up_with_one(tmp_path: Path) -> None:
    before = read_settings({"KWIKSYNC_HOME": str(tmp_path)})
    assert ensure_keys(before) is not None
    kept = before.secret_keys_file.read_bytes()
    assert ensure_keys(before) is None
    assert before.secret_keys_file.read_bytes() == kept


def test_a_shared_hub_without_keys_is_refused_with_the_way_to_make_one(tmp_path: Path) -> None:
    environ = {"KWIKSYNC_HOME": str(tmp_path), "KWIKSYNC_HUB_URL": "postgresql+psycopg://hub/kwiksync"}
    with pytest.raises(ConfigurationError, match="no secret key") as failure:
        ensure_keys(read_settings(environ))
    assert "openssl rand" in failure.value.remedy


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret_keys").write_text(OLD + "\n\n" + NEW + "\n")
    assert read_settings({"KWIKSYNC_HOME": str(tmp_path)}).secret_keys == (OLD, NEW)
    environ = {"KWIKSYNC_HOME": str(tmp_path), "KWIKSYNC_SECRET_KEYS": f"{NEW}, "}
    assert read_settings(environ).secret_keys == (NEW,)


def test_a_file_of_keys_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret_keys").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="secret_keys can't be read: it is not text"):
        read_settings({"KWIKSYNC_HOME": str(tmp_path)})
