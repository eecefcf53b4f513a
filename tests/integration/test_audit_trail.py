"""The audit trail: whatever is done to any of its rows is found, and the first bad row named."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import trustme
from pyarrow import fs

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.errors import ConfigurationError, ValidationError
from kwiksync_ops.services import settings as app_settings
from kwiksync_ops.services.audit_trail import anchor_trail, export_trail, search_trail, verify_trail
from kwiksync_ops.settings import Settings
from kwiksync_ops.storage import anchors, audit
from kwiksync_ops.storage.audit import AuditFilter
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import AUDIT
from tests.support.s3_server import S3Server

ROWS = 12
CLOCK = SystemClock()
Tamper = Callable[[int], list[sa.Executable]]


@pytest.fixture
def settings(hub: Hub, tmp_path: Path) -> Settings:
    """Of a hub whose trail has twelve rows and is anchored at the eighth."""
    settings = Settings(str(hub.engine.url), tmp_path, f"file://{tmp_path}/stage", home=tmp_path / "my home")
    for number in range(1, ROWS + 1):
        append(hub, number)
        if number == 8:
            anchor_trail(hub, settings, CLOCK)
    return settings


def append(hub: Hub, number: int) -> None:
    hub.write(
        lambda connection: audit.append(
            connection,
            "record.update" if number % 2 else "setting.change",
            f"tickets {number}",
            who="ann" if number % 3 else "ben",
            now=datetime(2026, 1, number, tzinfo=UTC),
            details={"old": "a", "new": number},
        )
    )


def problem(hub: Hub, settings: Settings) -> str | None:
    fault = verify_trail(hub, settings).fault
    return fault.problem if fault else None


def execute(hub: Hub, *statements: sa.Executable) -> None:
    hub.write(lambda connection: [connection.execute(statement) for statement in statements])


def test_an_untouched_trail_is_whole(hub: Hub, settings: Settings) -> None:
    found = verify_trail(hub, settings)
    assert (found.rows, found.fault, found.anchors) == (ROWS, None, 1)
    assert found.anchored is not None
    assert found.anchored.number == 8


@pytest.mark.parametrize("column", [column.name for column in AUDIT.columns if column.name != "number"])
def test_a_change_of_any_column_of_any_row_is_found(hub: Hub, settings: Settings, column: str) -> None:
    for number in range(1, ROWS + 1):
        row = AUDIT.c.number == number
        with hub.read() as connection:
            before = connection.execute(sa.select(AUDIT.c[column]).where(row)).scalar()
        execute(hub, AUDIT.update().where(row).values({column: "0" * 16}))
        told = problem(hub, settings)
        assert told is not None
        assert f"row {number} " in told
        execute(hub, AUDIT.update().where(row).values({column: before}))
    assert problem(hub, settings) is None


def test_a_row_that_was_taken_out_is_found(hub: Hub, settings: Settings) -> None:
    execute(hub, AUDIT.delete().where(AUDIT.c.number == 5))
    assert problem(hub, settings) == "row 5 is missing"


def test_rows_that_changed_places_are_found(hub: Hub, settings: Settings) -> None:
    moves = [(3, 100), (4, 3), (100, 4)]
    execute(hub, *(AUDIT.update().where(AUDIT.c.number == old).values(number=new) for old, new in moves))
    assert problem(hub, settings) == "row 3 was changed"


@pytest.mark.parametrize("left", [0, 3, 7])
def test_a_tail_that_was_cut_off_before_the_anchor_is_found(hub: Hub, settings: Settings, left: int) -> None:
    execute(hub, AUDIT.delete().where(AUDIT.c.number > left))
    told = problem(hub, settings)
    assert told is not None
    assert "the tail was cut off" in told


def test_a_trail_that_was_cut_and_written_on_is_found(hub: Hub, settings: Settings) -> None:
    execute(hub, AUDIT.delete().where(AUDIT.c.number > 4))
    for number in range(20, 28):
        append(hub, number)
    told = problem(hub, settings)
    assert told is not None
    assert "not the one that was anchored" in told


def test_a_forged_anchor_is_found(hub: Hub, settings: Settings) -> None:
    (path,) = (settings.home / "audit-anchors").iterdir()
    anchor = json.loads(path.read_text())
    path.write_text(json.dumps({**anchor, "number": 4}))
    told = problem(hub, settings)
    assert told is not None
    assert "was changed" in told


def test_an_anchor_is_kept_once_and_where_the_setting_says(hub: Hub, settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    app_settings.change_setting(hub, "audit.anchor", f"file://{place}", who="ann", clock=CLOCK)
    for _ in range(2):
        anchor_trail(hub, settings, CLOCK)
    assert len(list((place / "audit-anchors").iterdir())) == 1
    assert problem(hub, settings) is None


@pytest.fixture
def bucket(certificate_authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a new bucket in a store that speaks S3; what opens it stands in the environment."""
    store = S3Server(certificate_authority)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-access-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-access-key")
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    host = store.url.removeprefix("https://")
    owner = fs.S3FileSystem(
        endpoint_override=host, region="us-east-1", tls_ca_file_path=ca_file, allow_bucket_creation=True
    )
    name = f"anchors-{uuid.uuid4().hex}"
    owner.create_dir(name)
    yield f"s3://{name}/kwiksync?region=us-east-1&endpoint_override={host}"
    store.close()


ANCHOR_AND_VERIFY = """
import json, sys
from pathlib import Path
from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services.audit_trail import anchor_trail, verify_trail
from kwiksync_ops.settings import Settings
from kwiksync_ops.storage.hub import open_hub

url, home, is_to_anchor = sys.argv[1:]
hub = open_hub(url, ("test-audit-key",))
settings = Settings(url, Path(home), "", home=Path(home))
if is_to_anchor == "True":
    anchor_trail(hub, settings, SystemClock())
found = verify_trail(hub, settings)
print(json.dumps([found.anchors, found.fault and found.fault.problem]))
"""


def in_its_own_process(hub: Hub, home: Path, *, is_to_anchor: bool) -> list[Any]:
    """How many anchors there are, and what is wrong; its libraries read SSL_CERT_FILE when they are loaded."""
    url = hub.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", ANCHOR_AND_VERIFY, url, str(home), str(is_to_anchor)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    found: list[Any] = json.loads(done.stdout)
    return found


def test_anchors_in_a_bucket_show_that_the_tail_was_cut_off(
    hub: Hub, settings: Settings, bucket: str, tmp_path: Path
) -> None:
    app_settings.change_setting(hub, "audit.anchor", bucket, who="ann", clock=CLOCK)
    assert in_its_own_process(hub, tmp_path, is_to_anchor=True) == [1, None]
    assert in_its_own_process(hub, tmp_path, is_to_anchor=True) == [1, None]
    execute(hub, AUDIT.delete().where(AUDIT.c.number > ROWS))
    number, told = in_its_own_process(hub, tmp_path, is_to_anchor=False)
    assert number == 1
    assert "the tail was cut off" in told


def test_a_place_that_can_t_be_used_is_told(hub: Hub, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    app_settings.change_setting(hub, "audit.anchor", f"file://{tmp_path}/file", who="ann", clock=CLOCK)
    with pytest.raises(ConfigurationError, match=r"audit trail|anchor"):
        anchor_trail(hub, settings, CLOCK)


@pytest.mark.parametrize(
    "place",
    [
        *("hdfs://host/a", "gs://bucket/a", "/srv/a", "a", "file://a", "s3://key:word@bucket"),
        *("s3://bucket?scheme=http", "s3://bucket/a?region=eu-west-1&sch%65me=http"),
        *("s3://bucket?tls_verify_certificates=false", "s3://bucket?endpoint_override=http://host"),
    ],
)
def test_a_place_that_is_no_folder_and_no_bucket_is_refused(hub: Hub, settings: Settings, place: str) -> None:
    with pytest.raises(ValidationError, match=r"file:///folder or s3://bucket") as refused:
        app_settings.change_setting(hub, "audit.anchor", place, who="ann", clock=CLOCK)
    assert refused.value.remedy
    with pytest.raises(ConfigurationError, match="no folder and no bucket"):
        anchors.read_all(place)


@pytest.mark.parametrize("place", ["", "file:///srv/my anchors", "s3://bucket", "s3://bucket/a?region=eu-west-1"])
def test_a_folder_and_a_bucket_are_places(hub: Hub, settings: Settings, place: str) -> None:
    assert app_settings.change_setting(hub, "audit.anchor", place, who="ann", clock=CLOCK).value == place


def test_the_trail_is_searched_and_exported_and_that_is_a_row_too(hub: Hub, settings: Settings) -> None:
    by_ben = search_trail(hub, AuditFilter(who="ben", action="record"), limit=10)
    assert [row["object"] for row in by_ben] == ["tickets 9", "tickets 3"]
    assert by_ben[0]["details"] == {"old": "a", "new": 9}
    exported = list(export_trail(hub, AuditFilter(since=datetime(2026, 1, 11, tzinfo=UTC)), who="ann", clock=CLOCK))
    assert [row["object"] for row in exported] == ["tickets 11", "tickets 12", "audit trail"]
    assert exported[-1]["action"] == "audit.export"
    assert problem(hub, settings) is None
