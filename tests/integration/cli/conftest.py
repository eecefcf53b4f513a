"""The command line in a home of its own: run in this process, its answer, its words and its exit code kept apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.cli.app import main
from kwiksync_ops.storage.hub import Hub, open_hub
from tests.support.sample_erp import CUSTOMER_KEY, TOKEN, SampleErp, running_sample_erp

INCLUDE = Path(__file__).parents[3] / "include"
START = "2016-03-24T18:30"


@dataclass(frozen=True)
class Answer:
    """What a command wrote, and what it exited with. `error` is the panel on stderr as one line."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        return " ".join(self.err.replace("│", " ").split())


class Cli:
    def __init__(self, home: Path, include: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.include = include
        self._capture = capture

    def __call__(self, *words: str) -> Answer:
        self._capture.readouterr()
        code = main(words)
        out, err = self._capture.readouterr()
        return Answer(code, out, err)

    def ok(self, *words: str) -> Answer:
        answer = self(*words)
        assert answer.code == 0, answer.err
        return answer

    def open_hub(self) -> Hub:
        keys = (self.home / "secret_keys").read_text().split()
        return open_hub(f"sqlite:///{self.home}/hub.db", tuple(keys))


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Commands on an empty home, with a copy of the repository's systems and mappings, on a terminal of 80 columns."""
    include, home = tmp_path / "include", tmp_path / "home"
    for name in ("systems", "mappings"):
        shutil.copytree(INCLUDE / name, include / name)
    for name in ("KWIKSYNC_HUB_URL", "KWIKSYNC_STAGE_URL", "KWIKSYNC_SECRET_KEYS", "AIRFLOW_CONN_KWIKSYNC_ERP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KWIKSYNC_HOME", str(home))
    monkeypatch.setenv("KWIKSYNC_INCLUDE", str(include))
    monkeypatch.setenv("COLUMNS", "80")
    return Cli(home, include, capsys)


@pytest.fixture
def applied(cli: Cli) -> Cli:
    """A hub at this version's schema, with the mappings applied."""
    cli.ok("db", "upgrade")
    cli.ok("apply")
    return cli


@pytest.fixture(scope="session")
def running_erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleErp]:
    with running_sample_erp(tmp_path_factory.mktemp("erp")) as erp:
        yield erp


Connect = Callable[..., None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, running_erp: SampleErp) -> Connect:
    """Names the ERP by Airflow's environment variable; `changes` spoil the connection."""

    def set_connection(**changes: Any) -> None:
        extra = {"ca_file": running_erp.ca_file} | changes.pop("extra", {})
        document = {"conn_type": "kwiksync", "host": running_erp.url, "password": TOKEN, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_KWIKSYNC_ERP", json.dumps(document | changes))

    return set_connection


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts text into stdin, as a pipe does."""
    import io

    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.fixture
def connected(applied: Cli, connect: Connect, give: Callable[[str], None], running_erp: SampleErp) -> Cli:
    """The sample ERP, its connection and its Customer Key, ready to be synced."""
    running_erp.move_clock(now=START)
    connect()
    give(CUSTOMER_KEY + "\n")
    applied.ok("keys", "set", "erp")
    return applied


def assert_fits(text: str, width: int = 80, ignore: Sequence[str] = ()) -> None:
    """No line is longer than the terminal."""
    long = [line for line in text.splitlines() if len(line.rstrip()) > width and not line.startswith(tuple(ignore))]
    assert not long, long
