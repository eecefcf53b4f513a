from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kwiksync_ops.connectors.files.chunk import Chunk
from kwiksync_ops.connectors.files.options import parse_options
from kwiksync_ops.connectors.files.parquet_reader import read_parquet
from kwiksync_ops.errors import ValidationError


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=10)
    return sink.getvalue()


def chunks(content: bytes, *, skip: int = 0, size: int = 100, **options: Any) -> list[Chunk]:
    return list(read_parquet(io.BytesIO(content), parse_options(options), "id", skip=skip, size=size))


def test_values_are_exact_and_times_iso_text() -> None:
    moment = datetime(2026, 1, 15, 8, 30, 0, 123456, tzinfo=UTC)
    content = parquet(
        id=[1],
        text=["007"],
        fraction=[0.1],
        decimal=pa.array([Decimal("1.10")], pa.decimal128(10, 2)),
        flag=[True],
        none=pa.array([None], pa.string()),
        day=[date(2026, 1, 15)],
        moment=pa.array([moment], pa.timestamp("us", "UTC")),
        nanos=pa.array([moment], pa.timestamp("ns", "UTC")),
        nested=[[{"a": 0.5, "b": [date(2026, 1, 1)]}]],
        raw=[b"\x00\xff"],
        word=pa.array(["x"]).dictionary_encode(),
    )
    (chunk,) = chunks(content)
    assert chunk.records == [
        {
            "id": 1,
            "text": "007",
            "fraction": Decimal("0.1"),
            "decimal": Decimal("1.10"),
            "flag": True,
            "none": None,
            "day": "2026-01-15",
            "moment": "2026-01-15T08:30:00.123456+00:00",
            "nanos": "2026-01-15T08:30:00.123456+00:00",
            "nested": [{"a": Decimal("0.5"), "b": ["2026-01-01"]}],
            "raw": "AP8=",
            "word": "x",
        }
    ]
    assert str(chunk.records[0]["decimal"]) == "1.10"


def test_rows_that_no_hub_can_keep_are_put_aside_alone() -> None:
    bad_text = pa.Array.from_buffers(
        pa.string(), 4, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0"), pa.py_buffer(b"a\xffb\0")]
    )
    content = parquet(id=["1", "2", "3", "4"], text=bad_text, n=[float("nan"), 1.0, 2.0, 3.0])
    (chunk,) = chunks(content)
    assert [record["id"] for record in chunk.records] == ["3"]
    assert [(each.external_id, each.message) for each in chunk.rejects] == [
        ("1", "Row 1: n is nan, which is no number."),
        ("2", "Row 2: text holds bytes that are no text in the encoding of the file."),
        ("4", "Row 4: text holds a NUL character."),
    ]


def test_rows_are_skipped_as_they_are_counted() -> None:
    content = parquet(id=list(range(35)))
    ids = [record["id"] for chunk in chunks(content, skip=13, size=4) for record in chunk.records]
    assert ids == list(range(13, 35))
    assert list(chunks(content, skip=12, size=4)[0].numbers) == [13, 14]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"id,name\n1,x\n", "no Parquet file"),
        (parquet(id=[1])[:-20], "no Parquet file"),
        (parquet(number=[1]), "no column 'id'"),
        (parquet(id=["x" * 5000]), "unpacks to more than"),
    ],
)
def test_what_is_no_parquet_file_is_bad_as_a_whole(content: bytes, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        chunks(content, limits={"max_unpacked_bytes": 2000})
