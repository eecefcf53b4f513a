"""Staged pages: what comes back is what went in, on a disk and in S3."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs

from kwiksync_ops.batch import MappedBatch, Page, Reject
from kwiksync_ops.errors import HubError
from kwiksync_ops.storage.batches import Batch
from kwiksync_ops.storage.checkpoints import Watermark
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.storage.stage import MAPPED, RAW, Stage, StagedPage, remove_run

RUN = "kwiksync_erp_inbound/manual__2026-01-15T12:00:00+00:00"
RECORD: dict[str, Any] = {
    "id": "A1",
    "amount": Decimal("0.10000000000000000000000000000000000001"),
    "big": 2**80,
    "nested": {"list": [1, None, Decimal("1.50"), {"$decimal": "a field of this name"}], "on": True},
    "text": "snow ❄ \u0000",
}


@pytest.fixture(params=["disk", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "disk":
        yield f"file://{tmp_path}/stage"
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = f"endpoint_override={host}:{port}&scheme=http&region=eu-central-1"
        bucket, _ = fs.FileSystem.from_uri(f"s3://stage?{options}&allow_bucket_creation=true")
        bucket.create_dir("stage")
        yield f"s3://stage/pages?{options}"
    finally:
        server.stop()


def test_a_page_comes_back_exactly(url: str) -> None:
    page = Page(
        1,
        [RECORD],
        is_last=False,
        resume={"page": 2},
        calls=3,
        server_time=datetime(2026, 1, 15, tzinfo=UTC),
        rejects=[Reject("ERR_008", "NaN", payload="raw")],
    )
    staged = StagedPage(page, known=7, highest=Watermark("2026-01-15T00:00:00.000000+00:00", "A1"))
    stage = Stage(url, RUN, "tickets")
    assert stage.numbers(RAW) == []
    stage.write_page(staged)
    assert stage.numbers(RAW) == [1]
    assert stage.read_page(1) == staged


def test_a_batch_comes_back_with_its_types(url: str) -> None:
    columns = ("external_id", "percent_complete", "start_date", "active")
    rows: list[tuple[Any, ...]] = [("P1", Decimal("12.50"), date(2026, 1, 1), True), ("P2", None, None, None)]
    mapped = MappedBatch("projects", columns, rows, ["2026", None], [], 4, 1, fingerprints=[b"x" * 16, None])
    error = ErrorEntry("ERR_006", "missing", external_id="P3", payload="{}", faults=[{"code": "ERR_006"}])
    batch = Batch(3, mapped, [error], Watermark("2026", "P1"), {"page": 4})
    stage = Stage(url, RUN, "projects")
    stage.write_batch(batch)
    assert stage.read_batch(3) == batch


def test_a_batch_of_rejected_records_only_comes_back(url: str) -> None:
    batch = Batch(1, MappedBatch("projects", ("external_id", "name"), [], [], [], 2, fingerprints=[]), [])
    stage = Stage(url, RUN, "projects")
    stage.write_batch(batch)
    assert stage.read_batch(1) == batch


def test_a_run_is_removed_whole_and_no_other(url: str) -> None:
    for run in (RUN, "other"):
        Stage(url, run, "tickets").write_page(StagedPage(Page(1, [], is_last=True, resume={})))
    remove_run(url, RUN)
    remove_run(url, RUN)
    assert Stage(url, RUN, "tickets").numbers(RAW) == []
    assert Stage(url, "other", "tickets").numbers(RAW) == [1]
    assert Stage(url, "other", "tickets").numbers(MAPPED) == []


def test_a_place_that_can_not_be_written_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "stage").write_text("a file where a folder must be")
    with pytest.raises(HubError, match="KWIKSYNC_STAGE_URL"):
        Stage(f"file://{tmp_path}/stage", RUN, "tickets").write_page(StagedPage(Page(1, [], True, {})))


def test_a_url_of_no_known_kind_is_refused() -> None:
    with pytest.raises(HubError, match="ftp"):
        Stage("ftp://somewhere/stage", RUN, "tickets")
