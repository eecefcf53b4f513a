from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest

from kwiksync_ops.connectors.files.options import FilesOptions, parse_options
from kwiksync_ops.connectors.files.writers import Writer, writer_of

COLUMNS = ["id", "a"]


def writer(file: str, options: dict[str, Any] | None = None, **push: Any) -> Writer:
    parsed: FilesOptions = parse_options(
        {**(options or {}), "push": {"file": f"{{digest}}.{file}", "columns": COLUMNS, **push}}
    )
    assert parsed.push is not None
    return writer_of(parsed, parsed.push)


def cells(value: Any, **push: Any) -> str:
    content = writer("csv", **push).content([("1", value)])
    return list(csv.reader(io.StringIO(content.decode(), newline="")))[1][1]


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-", "+49 (0) 170"])
def test_text_that_a_spreadsheet_would_run_is_escaped(text: str) -> None:
    assert cells(text) == f"'{text}"
    assert cells(text, formulas="keep") == text


@pytest.mark.parametrize("value", ["-5", "+1.50", -7, Decimal("-1.50"), "x=1", "a-b"])
def test_numbers_and_other_text_stay_what_they_are(value: Any) -> None:
    assert cells(value) == str(value)


def test_csv_has_values_in_their_plain_form_and_lines_as_the_standard_says() -> None:
    rows = [("1", Decimal("1E+3")), ("2", True), ("3", None), ("4", 'a "b", c\nd'), ("5", "Grüße")]
    written = writer("csv", {"csv": {"delimiter": ";"}, "encoding": "cp1252"}).content(rows)
    assert written == 'id;a\r\n1;1000\r\n2;true\r\n3;\r\n4;"a ""b"", c\nd"\r\n5;Grüße\r\n'.encode("cp1252")


@pytest.mark.parametrize(
    ("file", "options", "push", "value"),
    [
        ("csv", {"encoding": "cp1252"}, {}, "日本"),
        ("csv", {}, {}, "a\0b"),
        ("csv", {}, {}, {"nested": 1}),
        ("json", {}, {}, "\ud800"),
        ("parquet", {}, {"types": {"a": "integer"}}, "1.5"),
        ("parquet", {}, {"types": {"a": "integer"}}, 2**63),
        ("parquet", {}, {"types": {"a": "decimal"}}, "1.0000000001"),
        ("parquet", {}, {"types": {"a": "decimal"}}, "many"),
        ("parquet", {}, {"types": {"a": "boolean"}}, "yes"),
        ("parquet", {}, {"types": {"a": "date"}}, "15.1.2026"),
        ("parquet", {}, {"types": {"a": "timestamp"}}, "soon"),
        ("xlsx", {}, {}, "a\x01b"),
        ("xlsx", {}, {}, "x" * 40_000),
    ],
)
def test_what_a_format_can_not_hold_is_told(file: str, options: Any, push: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        writer(file, options, **push).check("a", value)


def test_json_keeps_numbers_exact() -> None:
    rows = [("1", Decimal("1.10")), ("2", None)]
    assert writer("jsonl").content(rows) == b'{"id":"1","a":1.10}\n{"id":"2","a":null}\n'
    assert writer("json").content(rows) == b'[{"id":"1","a":1.10},{"id":"2","a":null}]\n'


def test_parquet_columns_have_the_same_types_in_every_file() -> None:
    typed = writer("parquet", types={"a": "decimal"})
    schemas = {
        str(pq.read_schema(io.BytesIO(typed.content(rows))))
        for rows in ([("1", "1.5")], [("1", None)], [], [("1", Decimal(10) ** 20)])
    }
    assert len(schemas) == 1
    assert "a: decimal128(38, 9)" in schemas.pop()


def test_cells_of_a_workbook_are_text_where_they_could_be_formulas_or_lose_digits() -> None:
    rows = [("1", "=1+1"), ("2", Decimal("1.5")), ("3", Decimal("1.2345678901234567")), ("4", None), ("5", True)]
    sheet = openpyxl.load_workbook(io.BytesIO(writer("xlsx").content(rows))).active
    found = [(row[1].value, row[1].data_type) for row in sheet.iter_rows(min_row=2)]
    assert found == [("=1+1", "s"), (1.5, "n"), ("1.2345678901234567", "s"), (None, "n"), (True, "b")]
