from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from kwiksync_ops.connectors.files.chunk import Chunk
from kwiksync_ops.connectors.files.excel_reader import read_excel
from kwiksync_ops.connectors.files.options import parse_options
from kwiksync_ops.errors import ValidationError


def workbook(**sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def chunks(content: bytes, *, skip: int = 0, size: int = 100, **options: Any) -> list[Chunk]:
    return list(read_excel(io.BytesIO(content), parse_options(options), "id", skip=skip, size=size))


def test_values_are_as_json_has_them_and_times_as_iso_text() -> None:
    row = [
        1001,
        1001.0,
        0.1 + 0.2,
        "007",
        True,
        None,
        date(2026, 1, 15),
        datetime(2026, 1, 15, 8, 30),  # noqa: DTZ001  # a workbook knows no zones
        time(8, 30),
        timedelta(hours=30, minutes=5),
        123456789012345678,
    ]
    (chunk,) = chunks(workbook(S=[["id", *"abcdefghij"], row]))
    assert list(chunk.records[0].values()) == [
        1001,
        1001,
        Decimal("0.3"),
        "007",
        True,
        None,
        "2026-01-15",
        "2026-01-15T08:30:00",
        "08:30:00",
        "30:05:00",
        123456789012346000,
    ]
    assert [type(value) for value in list(chunk.records[0].values())[:3]] == [int, int, Decimal]


def test_midnight_is_a_day_unless_the_cell_shows_a_time() -> None:
    book = openpyxl.Workbook()
    book.active.append(["id", "day", "moment"])
    midnight = datetime(2026, 1, 15)  # noqa: DTZ001  # a workbook knows no zones
    book.active.append([1, midnight, midnight])
    book.active["B2"].number_format = "dd.mm.yyyy"
    book.active["C2"].number_format = "dd.mm.yyyy hh:mm"
    sink = io.BytesIO()
    book.save(sink)
    (chunk,) = chunks(sink.getvalue())
    assert chunk.records == [{"id": 1, "day": "2026-01-15", "moment": "2026-01-15T00:00:00"}]


def test_a_sheet_is_meant_by_name_or_number_and_its_header_may_stand_lower() -> None:
    content = workbook(First=[["id"], [1]], Second=[["Report"], [], ["id", "a"], [2, "x"], [None, None], [3, "y"]])
    assert chunks(content)[0].records == [{"id": 1}]
    for sheet in ("Second", 2):
        (chunk,) = chunks(content, excel={"sheet": sheet, "header_row": 3})
        assert chunk.records == [{"id": 2, "a": "x"}, {"id": 3, "a": "y"}]
    with pytest.raises(ValidationError, match="no sheet 'Third'; it has First, Second"):
        chunks(content, excel={"sheet": "Third"})


def test_rows_with_errors_or_values_beyond_the_header_are_put_aside_alone() -> None:
    rows = [["id", "a"], [1, "#N/A"], [2, "x", "beyond"], [3], [4, "ok"]]
    (chunk,) = chunks(workbook(S=rows))
    assert chunk.records == [{"id": 3, "a": None}, {"id": 4, "a": "ok"}]
    assert [(each.external_id, each.message) for each in chunk.rejects] == [
        ("1", "Row 1: a is the error #N/A."),
        ("2", "Row 2 has values beyond the last column of the header."),
    ]


def test_rows_are_skipped_as_they_are_counted() -> None:
    content = workbook(S=[["id"], *([number] for number in range(10))])
    assert [record["id"] for chunk in chunks(content, skip=7, size=2) for record in chunk.records] == [7, 8, 9]


def spoilt(change: str) -> bytes:
    content = workbook(S=[["id"], [1]])
    if change == "cut":
        return content[: len(content) // 2]
    if change == "text":
        return b"id,name\n1,x\n"
    source, sink = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            data = source.read(part)
            if part.filename == "xl/worksheets/sheet1.xml":
                data = {"empty": b"", "entities": b'<!DOCTYPE x [<!ENTITY a "b">]>' + data}.get(change, data)
                data += b" " * 50_000_000 if change == "bomb" else b""
            target.writestr(part.filename, data)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("cut", "no workbook"),
        ("text", "no workbook"),
        ("empty", "no workbook that can be read"),
        ("entities", "defines entities"),
        ("bomb", "unpacks to more than"),
    ],
)
def test_what_is_no_workbook_is_bad_as_a_whole(change: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        chunks(spoilt(change), limits={"max_unpacked_bytes": 10_000_000})
