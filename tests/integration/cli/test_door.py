"""The door of the command line: help, usage, errors of every kind, as a person and as a script meet them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli, assert_fits

COMMANDS = [
    "plan",
    "preview",
    "apply",
    "export",
    "rollback",
    "sync",
    "status",
    "records",
    "doctor",
    "db upgrade",
    "keys set",
    "keys list",
    "errors list",
    "errors show",
    "errors replay",
    "errors resolve",
]


@pytest.mark.parametrize("command", ["", "errors", "keys", "db", *COMMANDS])
def test_every_command_has_help_that_fits(cli: Cli, command: str) -> None:
    answer = cli.ok(*command.split(), "--help")
    assert "Usage: kwiksync" in answer.out
    assert_fits(answer.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_speaks_json(cli: Cli, command: str) -> None:
    assert "--json" in cli.ok(*command.split(), "--help").out


def test_the_help_tells_the_exit_codes(cli: Cli) -> None:
    text = " ".join(cli.ok("--help").out.split())
    for meaning in (
        "0 done",
        "1 it failed",
        "2 the command was not understood",
        "3 done, and",
        "130 ended with Ctrl-C",
    ):
        assert meaning in text


def test_the_version_is_told(cli: Cli) -> None:
    assert cli.ok("--version").out.startswith("kwiksync ")


@pytest.mark.parametrize(
    "words",
    [("plann",), ("status", "--jsn"), ("records",), ("sync", "erp", "--mode", "fast"), ("records", "x", "-n", "-1")],
)
def test_a_command_that_is_not_understood_exits_with_2(cli: Cli, words: tuple[str, ...]) -> None:
    answer = cli(*words)
    assert answer.code == 2
    assert "Usage: kwiksync" in answer.err
    assert answer.out == ""


@pytest.mark.parametrize(
    "words", [("status",), ("plan",), ("keys", "list"), ("errors", "list"), ("records", "tickets")]
)
def test_a_hub_that_was_never_made_says_how_to_make_it(cli: Cli, words: tuple[str, ...]) -> None:
    answer = cli(*words)
    assert answer.code == 1
    assert "ERR_014" in answer.error
    assert "schema none" in answer.error
    assert "Run kwiksync db upgrade" in answer.error
    assert "Traceback" not in answer.err
    assert_fits(answer.err)


def test_with_json_an_error_is_json_too(cli: Cli) -> None:
    answer = cli("status", "--json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == "ERR_014"
    assert answer.json["error"]["remedy"] == "Run kwiksync db upgrade."


def test_debug_may_stand_anywhere_and_shows_the_traceback(cli: Cli) -> None:
    for words in (("--debug", "status"), ("status", "--debug")):
        answer = cli(*words)
        assert answer.code == 1
        assert "Traceback (most recent call last)" in answer.err


def test_a_hub_that_can_not_be_reached_is_a_hub_error(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KWIKSYNC_HUB_URL", "postgresql+psycopg://nobody:hidden-word@127.0.0.1:9/hub")
    answer = cli("status")
    assert answer.code == 1
    assert "ERR_012" in answer.error
    assert "hidden-word" not in answer.err + answer.out


def test_a_defect_is_err_099_and_its_traceback_is_kept(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.ok("db", "upgrade")
    monkeypatch.delattr("kwiksync_ops.services.status.lease")
    answer = cli("status", "--json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == "ERR_099"
    assert "NameError" in answer.error
    (kept,) = (cli.home / "crashes").iterdir()
    assert "Traceback (most recent call last)" in kept.read_text()
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("url", ["no url at all", "mysql://root:hidden-word@db/hub", "postgresql://hub"])
def test_a_url_that_is_no_hub_names_the_setting(cli: Cli, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("KWIKSYNC_HUB_URL", url)
    answer = cli("status")
    assert answer.code == 1
    assert "ERR_014" in answer.error
    assert "KWIKSYNC_HUB_URL" in answer.error
    assert "hidden-word" not in answer.err


def test_control_signs_in_a_message_do_not_reach_the_terminal(cli: Cli) -> None:
    cli.ok("db", "upgrade")
    answer = cli("records", "tickets", "-w", "\x1b[31mstate=1")
    assert answer.code == 1
    assert "\x1b" not in answer.err.replace("\x1b[0m", "")


def test_help_and_completion_load_no_heavy_library() -> None:
    heavy = "sqlalchemy alembic pandas pyarrow requests cryptography airflow"
    code = f"import sys, kwiksync_ops.cli.app; print(*(set(sys.modules) & set('{heavy}'.split())))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


def kwiksync(cli: Cli, *words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("kwiksync")), *words]


def test_the_installed_command_works_in_a_pipe(applied: Cli) -> None:
    done = subprocess.run(kwiksync(applied, "plan", "--json"), capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["pending"] == 0
    assert done.stderr == "Nothing to apply: the hub has the mappings of the files.\n"


def test_a_pipe_that_closes_early_leaves_no_traceback(applied: Cli) -> None:
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(kwiksync(applied, "plan", "--json"), stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert "ERR_" not in err
