from __future__ import annotations

import io
from typing import Any

import pytest

from kwiksync_ops.connectors.files.chunk import Chunk
from kwiksync_ops.connectors.files.csv_reader import read_csv
from kwiksync_ops.connectors.files.options import parse_options
from kwiksync_ops.errors import ValidationError


def chunks(content: bytes | str, *, skip: int = 0, size: int = 100, **options: Any) -> list[Chunk]:
    data = content.encode() if isinstance(content, str) else content
    return list(read_csv(io.BytesIO(data), parse_options(options), "id", skip=skip, size=size))


def records(content: bytes | str, **options: Any) -> list[Any]:
    found = chunks(content, **options)
    assert [reject for chunk in found for reject in chunk.rejects] == []
    return [record for chunk in found for record in chunk.records]


def rejects(content: bytes | str, **options: Any) -> list[tuple[str | None, str]]:
    return [(each.external_id, each.message) for chunk in chunks(content, **options) for each in chunk.rejects]


def test_cells_stand_as_they_are() -> None:
    content = 'id,a,b\n007,1.50,  padded \n-0,1e5,"say ""hi"", then\nleave"\n'
    assert records(content) == [
        {"id": "007", "a": "1.50", "b": "  padded "},
        {"id": "-0", "a": "1e5", "b": 'say "hi", then\nleave'},
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_any_way_and_the_last_need_not(end: str) -> None:
    assert records(f"id,a{end}1,x{end}{end}2,y") == [{"id": "1", "a": "x"}, {"id": "2", "a": "y"}]


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-8"),
        ("utf-32", "cp1252"),
        ("utf-16-le", "utf-16-le"),
        ("cp1252", "cp1252"),
        ("latin-1", "iso-8859-1"),
        ("shift-jis", "shift_jis"),
    ],
)
def test_encodings_and_byte_order_marks_are_read(encoding: str, told: str) -> None:
    text = "日本" if "jis" in encoding else "Grüße"
    assert records(f"id,name\n1,{text}\n".encode(encoding), encoding=told) == [{"id": "1", "name": text}]


def test_empty_cells_are_null_and_others_can_be_too() -> None:
    assert records("id,a,b\n1,,NULL\n") == [{"id": "1", "a": None, "b": "NULL"}]
    assert records("id,a,b\n1,,NULL\n", null_values=["NULL"]) == [{"id": "1", "a": "", "b": None}]


def test_delimiter_quote_and_escape_are_options() -> None:
    csv = {"delimiter": ";", "quote": "'", "escape": "\\"}
    assert records("id;a\n1;'x;y'\n2;z\\;\n", csv=csv) == [{"id": "1", "a": "x;y"}, {"id": "2", "a": "z;"}]
    assert records('id|a\n1|"x\n', csv={"delimiter": "|", "quote": ""}) == [{"id": "1", "a": '"x'}]


def test_names_come_from_any_row_or_from_the_options() -> None:
    assert records("Report of today\n\nid, a ,\n1,x,y\n", csv={"header_row": 3}) == [
        {"id": "1", "a": "x", "column_3": "y"}
    ]
    assert records("1,x\n", csv={"header_row": 0, "names": ["id", "a"]}) == [{"id": "1", "a": "x"}]
    assert records("ID,A\n1,x\n", csv={"names": ["id", "a"]}) == [{"id": "1", "a": "x"}]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "no header row"),
        ("id,a,a\n", "two of its columns have the name 'a'"),
        ("number,a\n1,x\n", "no column 'id'; it has number, a. See delimiter"),
        ("id;a\n1;x\n", "no column 'id'; it has id;a"),
        ("id,a\n".encode("utf-16-le"), "no column 'id'"),
        (b"\xff\xfe" + "id,a\n1,x\n".encode("utf-16-le") + b"\x00", "no utf-8 text"),
    ],
)
def test_a_file_that_is_not_what_the_options_say_is_bad_as_a_whole(content: bytes | str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        chunks(content)


def test_broken_rows_are_put_aside_alone() -> None:
    content = b'id,a\n1,ok\n2\n3,x,y\n4,"open\n5,ok\n6,"a"b\n7,\xff\n8,a\0b\n9,ok\n'
    found = chunks(content)
    assert [record["id"] for record in found[0].records] == ["1", "5", "9"]
    assert found[0].numbers == [1, 5, 9]
    assert [(each.external_id, each.message) for each in found[0].rejects] == [
        (None, "Row 2 has 1 cells; the header has 2."),
        (None, "Row 3 has 3 cells; the header has 2."),
        (None, "Row 4 is broken: ',' expected after '\"'."),
        (None, "Row 6 is broken: ',' expected after '\"'."),
        ("7", "Row 7: a holds bytes that are no text in the encoding of the file."),
        ("8", "Row 8: a holds a NUL character."),
    ]
    assert {each.code for each in found[0].rejects} == {"ERR_008"}
    assert found[0].rejects[4].payload == "7,\\udcff\n"


def test_a_quote_that_never_closes_costs_one_row() -> None:
    rows = "".join(f"{number},x\n" for number in range(500))
    found = chunks(f'id,a\nbad,"open\n{rows}', size=1000)
    assert len(found[0].records) == 500
    assert [each.payload for each in found[0].rejects] == ['bad,"open\n']


def test_a_row_beyond_the_limit_is_put_aside_and_the_next_is_read() -> None:
    limits = {"max_string": 100}
    long = "x" * 5_000
    assert rejects(f"id,a\n1,{long}\n2,ok\n", limits=limits)[0][1].startswith("Row 1 is broken: the row does not end")
    found = chunks(f"id,a\n1,{long}\n2,{'y' * 150}\n3,ok\n", limits=limits)
    assert [record["id"] for record in found[0].records] == ["3"]
    assert found[0].rejects[1].message == "Row 2: a is longer than 100 characters."


def test_rows_are_skipped_and_cut_into_chunks_as_they_are_counted() -> None:
    content = "id\n" + "".join(f"{number}\n" if number % 5 else "x,y\n" for number in range(1, 24))
    whole = chunks(content, size=7)
    assert [chunk.rows for chunk in whole] == [7, 7, 7, 2]
    assert chunks(content, skip=14, size=7) == whole[2:]
    assert chunks(content, skip=99, size=7) == []
