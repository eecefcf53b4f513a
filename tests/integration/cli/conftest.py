"""The command line in a home of its own: run in this process, its answer, its words and its exit code kept apart."""

from __future__ import annotations

import io
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


@pytest.fixture(scope="session")
def applied_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: a hub at this version's schema, with the mappings applied."""
    home = tmp_path_factory.mktemp("applied")
    _run(home, "db upgrade", "apply")
    return home


@pytest.fixture(scope="session")
def connected_home(applied_home: Path, running_erp: SampleErp, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: the Customer Key of the sample ERP beside it."""
    home = tmp_path_factory.mktemp("connected")
    shutil.copytree(applied_home, home, dirs_exist_ok=True)
    _run(home, "keys set erp", stdin=CUSTOMER_KEY + "\n")
    return home


@pytest.fixture(scope="session")
def synced_home(connected_home: Path, running_erp: SampleErp, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: the locations of the ERP beside it, three of them rejected."""
    home = tmp_path_factory.mktemp("synced")
    shutil.copytree(connected_home, home, dirs_exist_ok=True)
    running_erp.move_clock(now=START)
    _run(home, "sync erp -t locations", connection=connection_of(running_erp))
    return home


def _run(home: Path, *commands: str, stdin: str = "", connection: str = "") -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KWIKSYNC_HOME", str(home))
        patched.setenv("KWIKSYNC_INCLUDE", str(INCLUDE))
        patched.setenv("AIRFLOW_CONN_KWIKSYNC_ERP", connection)
        patched.setattr("sys.stdin", io.StringIO(stdin))
        for command in commands:
            assert main(command.split()) in (0, 3), command


def connection_of(erp: SampleErp, **changes: Any) -> str:
    """The ERP's connection as Airflow's environment variable holds it; `changes` spoil it."""
    extra = {"ca_file": erp.ca_file} | changes.pop("extra", {})
    document = {"conn_type": "kwiksync", "host": erp.url, "password": TOKEN, "extra": extra}
    return json.dumps(document | changes)


@pytest.fixture
def applied(cli: Cli, applied_home: Path) -> Cli:
    shutil.copytree(applied_home, cli.home)
    return cli


@pytest.fixture(scope="session")
def running_erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleErp]:
    with running_sample_erp(tmp_path_factory.mktemp("erp")) as erp:
        yield erp


Connect = Callable[..., None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, running_erp: SampleErp) -> Connect:
    """Names the ERP by Airflow's environment variable; `changes` spoil the connection."""

    return lambda **changes: monkeypatch.setenv("AIRFLOW_CONN_KWIKSYNC_ERP", connection_of(running_erp, **changes))


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts text into stdin, as a pipe does."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.fixture
def connected(cli: Cli, connected_home: Path, connect: Connect, running_erp: SampleErp) -> Cli:
    """The sample ERP, its connection and its Customer Key, ready to be synced."""
    running_erp.move_clock(now=START)
    shutil.copytree(connected_home, cli.home)
    connect()
    return cli


@pytest.fixture
def synced(cli: Cli, synced_home: Path, connect: Connect, running_erp: SampleErp) -> Cli:
    running_erp.move_clock(now=START)
    shutil.copytree(synced_home, cli.home)
    connect()
    return cli


def assert_fits(text: str, width: int = 80, ignore: Sequence[str] = ()) -> None:
    """No line is longer than the terminal."""
    long = [line for line in text.splitlines() if len(line.rstrip()) > width and not line.startswith(tuple(ignore))]
    assert not long, long
