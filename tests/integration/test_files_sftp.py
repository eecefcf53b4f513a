"""Files of an SFTP server: its key is known or nothing is said to it, and nothing outside of the folder is touched."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Target
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionTimeoutError,
    InsecureTransportError,
    SystemUnavailableError,
)
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action
from tests.support.sftp_server import LOGIN, PASSWORD, RunningSftpServer

PUSH = {"push": {"file": "assets_{digest}.csv", "columns": ["id", "name"]}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningSftpServer]:
    (tmp_path / "in").mkdir()
    running = RunningSftpServer(tmp_path)
    yield running
    running.close()


def credentials(server: RunningSftpServer, **changes: Any) -> Credentials:
    known: dict[str, Any] = {
        "login": LOGIN,
        "password": PASSWORD,
        "allow_hosts": ("127.0.0.1",),
        "extra": {"host_keys": f"# known\n\n{server.host_keys}"},
    }
    return Credentials(server.url("/in"), **{**known, **changes})


def opened(server: RunningSftpServer, **changes: Any) -> Source:
    return open_source("files", credentials(server, **changes), PUSH, Unlimited(), ManualClock())


def records(source: Source, **changes: Any) -> list[Any]:
    return [record for page in source.read(ReadRequest("assets_*.csv", "id", **changes)) for record in page.records]


def test_files_are_read_and_every_call_is_counted(server: RunningSftpServer, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "in" / f"assets_{number}.csv").write_text(f"id,name\nR{number},Grüße\n")
    limiter = Unlimited()
    with closing(open_source("files", credentials(server), {}, limiter, ManualClock())) as source:
        pages = list(source.read(ReadRequest("assets_*.csv", "id")))
        assert "2 files" in source.check()
    assert [record["id"] for page in pages for record in page.records] == ["R1", "R2"]
    assert pages[0].records[0]["name"] == "Grüße"
    assert sum(page.calls for page in pages) == limiter.calls - 1 > 0


def test_a_file_that_grows_between_two_looks_is_left_alone(server: RunningSftpServer, tmp_path: Path) -> None:
    done, growing = (tmp_path / "in" / f"assets_{name}.csv" for name in ("done", "growing"))
    done.write_text("id,name\nR1,x\n")
    growing.write_text("id,name\n")

    class Growing(ManualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            growing.write_text("id,name\nR2,half")

    clock = Growing()
    with closing(open_source("files", credentials(server), {}, Unlimited(), clock)) as source:
        assert [record["id"] for record in records(source)] == ["R1"]
    assert clock.slept == [2.0]


@pytest.mark.parametrize("spoilt", ["another key", "no key of this host"])
def test_a_server_whose_key_is_not_known_is_told_nothing(
    server: RunningSftpServer, spoilt: str, capfd: pytest.CaptureFixture[str]
) -> None:
    other = paramiko.ECDSAKey.generate()
    line = f"[127.0.0.1]:{server.port} {other.get_name()} {other.get_base64()}"
    if spoilt == "no key of this host":
        line = line.replace("127.0.0.1", "files.example.com")
    with closing(opened(server, extra={"host_keys": line})) as source, pytest.raises(InsecureTransportError) as told:
        source.check()
    assert "host key" in told.value.message
    assert PASSWORD not in str(told.value)


def test_without_host_keys_no_connection_is_made(server: RunningSftpServer) -> None:
    with pytest.raises(ConfigurationError, match="has no host keys"):
        opened(server, extra={})
    with closing(opened(server, extra={"host_keys": "not a line"})) as source, pytest.raises(ConfigurationError):
        source.check()


def test_a_wrong_password_fails_at_once(server: RunningSftpServer) -> None:
    with closing(opened(server, password="wrong")) as source, pytest.raises(AuthenticationError) as told:
        source.check()
    assert "wrong" not in str(told.value)


def test_a_key_with_a_passphrase_lets_us_in(tmp_path: Path) -> None:
    key = paramiko.RSAKey.generate(2048)
    text = io.StringIO()
    key.write_private_key(text, password="a-passphrase")
    server = RunningSftpServer(tmp_path, frozenset({key.get_base64()}))
    own = replace(
        credentials(server),
        base_url=server.url(),
        password=None,
        extra={"host_keys": server.host_keys, "private_key": text.getvalue(), "passphrase": "a-passphrase"},
    )
    with closing(open_source("files", own, {}, Unlimited(), ManualClock())) as source:
        assert "can be read" in source.check()
    server.close()


def test_a_server_in_a_private_network_must_be_allowed(server: RunningSftpServer) -> None:
    with closing(opened(server, allow_hosts=())) as source, pytest.raises(InsecureTransportError, match="allow_hosts"):
        source.check()


def test_a_lost_connection_is_made_anew(server: RunningSftpServer, tmp_path: Path) -> None:
    (tmp_path / "in" / "assets_1.csv").write_text("id,name\nR1,x\n")
    with closing(opened(server)) as source:
        source.check()
        server.drop()
        try:
            found = records(source)
        except SystemUnavailableError:
            found = records(source)
    assert [record["id"] for record in found] == ["R1"]


def test_a_server_that_is_silent_is_not_waited_for_without_end(server: RunningSftpServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"sftp://127.0.0.1:{silent.getsockname()[1]}/in"
        own = replace(credentials(server), base_url=url)
        options = {"timeouts": {"read_s": 0.5}}
        source = open_source("files", own, options, Unlimited(), ManualClock())
        with closing(source), pytest.raises((ConnectionTimeoutError, SystemUnavailableError)) as told:
            source.check()
    assert PASSWORD not in str(told.value)


def test_a_connection_that_breaks_in_a_file_leaves_the_pages_before_it(
    server: RunningSftpServer, tmp_path: Path
) -> None:
    rows = "".join(f"R{number},{'x' * 1000}\n" for number in range(50))
    (tmp_path / "in" / "assets_1.csv").write_text(f"id,name\n{rows}")
    with closing(opened(server)) as source:
        reading = source.read(ReadRequest("assets_*.csv", "id", page_records=10))
        pages = [next(reading)]
        server.drop()
        try:
            pages += reading
        except SystemUnavailableError:
            pages += source.read(ReadRequest("assets_*.csv", "id", page_records=10, resume=pages[-1].resume))
    assert [record["id"] for page in pages for record in page.records] == [f"R{number}" for number in range(50)]
    assert pages[-1].is_last


def test_links_and_paths_that_lead_out_are_not_followed(server: RunningSftpServer, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("id,name\nS,secret\n")
    (tmp_path / "in" / "assets_link.csv").symlink_to(tmp_path / "secret.csv")
    with closing(opened(server)) as source:
        assert records(source) == []
        with pytest.raises(ConfigurationError, match="leads out"):
            list(source.read(ReadRequest("../*.csv", "id")))


def test_a_file_is_written_whole_under_its_name_and_once(server: RunningSftpServer, tmp_path: Path) -> None:
    target: Target = open_target("files", credentials(server), PUSH, Unlimited(), ManualClock())
    delivery = Delivery("d1", Action.CREATE, None, {"name": "Grüße"}, "key-1", record_id="f" * 32)
    with closing(target):
        for _ in range(2):
            receipt = target.push(PushRequest("assets_*.csv", "id"), [delivery])[0]
            assert (receipt.outcome, receipt.key) == (Outcome.CONFIRMED, "f" * 32)
    written = list((tmp_path / "in" / "out").iterdir())
    assert [path.read_text() for path in written] == [f"id,name\n{'f' * 32},Grüße\n"]


def test_a_bad_file_is_moved_on_the_server(server: RunningSftpServer, tmp_path: Path) -> None:
    (tmp_path / "in" / "assets_1.csv").write_text("number\n1\n")
    with closing(opened(server)) as source:
        pages = list(source.read(ReadRequest("assets_*.csv", "id", known_files=lambda names: {})))
    assert [len(page.rejects) for page in pages] == [1]
    aside = {path.name for path in (tmp_path / "in" / "rejected").iterdir()}
    assert aside == {"assets_1.csv", "assets_1.csv.reason.json"}
