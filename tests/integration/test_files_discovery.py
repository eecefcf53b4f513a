"""Files that nobody described: what names them, and how they are written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.discovery import Discovery
from kwiksync_ops.connectors.registry import open_discovery
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock

ROWS = [["key", "name", "city"], *([f"K{at}", f"Büro {at}", "München"] for at in range(20))]
RECORDS = [dict(zip(ROWS[0], row, strict=True)) for row in ROWS[1:]]


def text(sign: str = ",", end: str = "\n") -> str:
    return end.join(sign.join(row) for row in ROWS) + end


@pytest.fixture
def discovery(tmp_path: Path) -> Iterator[Discovery]:
    opened = open_discovery("files", Credentials(tmp_path.as_uri()), {}, Unlimited(), ManualClock())
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", text().encode(), {}),
        ("a.csv", text(end="\r\n").encode("utf-8-sig"), {}),
        ("a.csv", text(";").encode("cp1252"), {"encoding": "cp1252", "csv": {"delimiter": ";"}}),
        ("a.csv", text("\t").encode("utf-16"), {"csv": {"delimiter": "\t"}}),
        ("a.csv", text("|").encode("utf-16-le"), {"encoding": "utf-16-le", "csv": {"delimiter": "|"}}),
        ("a.tsv", text("\t").encode(), {}),
        ("a.txt", text(";").encode(), {"csv": {"delimiter": ";"}}),
        ("a.csv.gz", gzip.compress(text(";").encode()), {"csv": {"delimiter": ";"}}),
        ("a.json", json.dumps(RECORDS).encode(), {}),
        ("a.json", json.dumps({"meta": {}, "export": {"rows": RECORDS}}).encode(), {"records_path": "export.rows"}),
        ("a.jsonl", "\n".join(map(json.dumps, RECORDS)).encode(), {}),
    ],
)
def test_what_is_found_out_about_a_file_reads_all_of_it(
    discovery: Discovery, tmp_path: Path, name: str, content: bytes, options: dict[str, Any]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert discovery.options(name, {}) == options
    sample = discovery.sample(name, 100, options)
    assert sample.records == RECORDS
    assert sample.is_complete


def test_excel_and_parquet_are_read_by_their_own_header(discovery: Discovery, tmp_path: Path) -> None:
    import pyarrow as pa
    from openpyxl import Workbook
    from pyarrow.parquet import write_table

    book = Workbook()
    assert book.active is not None
    for row in ROWS:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    write_table(pa.Table.from_pylist(RECORDS), tmp_path / "a.parquet")
    for name in ("a.xlsx", "a.parquet"):
        assert discovery.options(name, {}) == {}
        assert discovery.sample(name, 100, {}).records == RECORDS


def test_files_that_differ_by_digits_alone_are_one_object(discovery: Discovery, tmp_path: Path) -> None:
    for name in (
        "t_2026-01-02.csv",
        "t_2026-01-03.csv",
        "sites.csv",
        "v2/orders-00017.json",
        "notes.md",
        "rejected/t_1.csv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a,b\n1,2\n")
    found = {info.name: info.label for info in discovery.objects()}
    assert list(found) == ["sites.csv", "t_*.csv", "v2/orders-*.json"]
    assert found["t_*.csv"].startswith("2 files")


def test_what_is_given_is_kept(discovery: Discovery, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(text(";").encode())
    given = {"encoding": "latin-1", "csv": {"header_row": 1, "quote": ""}}
    assert discovery.options("a.csv", given) == {
        "encoding": "latin-1",
        "csv": {"header_row": 1, "quote": "", "delimiter": ";"},
    }


def test_looking_moves_nothing(discovery: Discovery, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{broken")
    sample = discovery.sample("a.json", 10, discovery.options("a.json", {}))
    assert sample.records == []
    assert "a.json can't be read" in sample.problem
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_pattern_that_means_no_file_is_named(discovery: Discovery) -> None:
    with pytest.raises(ConfigurationError, match="No file of"):
        discovery.options("nothing_*.csv", {})
