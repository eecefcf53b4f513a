from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import pytest

from kwiksync_ops.connectors.files.chunk import Chunk
from kwiksync_ops.connectors.files.json_reader import read_json, read_json_lines
from kwiksync_ops.connectors.files.options import parse_options
from kwiksync_ops.errors import ValidationError


def json_chunks(content: bytes | str, *, skip: int = 0, size: int = 100, **options: Any) -> list[Chunk]:
    data = content.encode() if isinstance(content, str) else content
    return list(read_json(io.BytesIO(data), parse_options(options), "id", skip=skip, size=size))


def line_chunks(content: bytes | str, *, skip: int = 0, size: int = 100, **options: Any) -> list[Chunk]:
    data = content.encode() if isinstance(content, str) else content
    return list(read_json_lines(io.BytesIO(data), parse_options(options), "id", skip=skip, size=size))


def test_numbers_are_exact_and_values_as_json_has_them() -> None:
    text = '[{"id": 1, "a": 0.1, "b": null, "c": [true, {"d": "]}"}]}, {"id": 12345678901234567.25}]'
    (chunk,) = json_chunks(text)
    assert chunk.records == [
        {"id": 1, "a": Decimal("0.1"), "b": None, "c": [True, {"d": "]}"}]},
        {"id": Decimal("12345678901234567.25")},
    ]


@pytest.mark.parametrize(
    "text", ["[]", " [ ] ", '{"a": {"b": []}}', '{"x": [1, "]"], "a": {"y": {}, "b": [], "z": 1}}']
)
def test_no_records_are_none(text: str) -> None:
    path = "a.b" if "{" in text else ""
    assert json_chunks(text, records_path=path) == []


def test_records_stand_at_a_path_whatever_is_around_them() -> None:
    text = (
        '{"meta": {"data": [{"id": "no"}], "n": [[1], {"q": "\\"}"}]},'
        ' "data": {"items": [{"id": "a"}, {"id": "b"}], "n": 2}}'
    )
    (chunk,) = json_chunks(text, records_path="data.items")
    assert [record["id"] for record in chunk.records] == ["a", "b"]


def test_a_large_document_is_read_piece_by_piece() -> None:
    rows = [{"id": f"R{number}", "text": 'a "quoted" {text}' * 20, "nested": {"n": [number]}} for number in range(3000)]
    found = json_chunks(json.dumps({"data": rows, "count": 3000}), records_path="data", size=1000)
    assert [record for chunk in found for record in chunk.records] == rows
    assert json_chunks(json.dumps(rows), skip=2000, size=1000) == found[2:]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no array of records at the top"),
        ('{"id": 1}', "no array of records at the top"),
        ('[{"id": 1}', "cut off"),
        ('[{"id": 1}, {"id"', "cut off"),
        ('[{"id": 1}] trailing', "more behind its end"),
        ('[{"id": 1} {"id": 2}]', "it is no JSON"),
        ("<html>", "no array of records"),
    ],
)
def test_a_document_that_is_none_is_bad_as_a_whole(text: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        json_chunks(text)


def test_a_document_without_the_path_is_bad_as_a_whole() -> None:
    with pytest.raises(ValidationError, match=r"nothing at 'data\.items'"):
        json_chunks('{"data": {"rows": []}}', records_path="data.items")
    with pytest.raises(ValidationError, match="cut off"):
        json_chunks('{"data": [{"id": 1}]', records_path="data")


SICK = [
    '{"id": "twice", "id": "twice"}',
    '{"id": "nan", "a": NaN}',
    '{"id": "nul", "a": "\\u0000"}',
    '{"id": "big", "a": 1e400}',
    '{"id": "deep", "a": ' + "[" * 5000 + "]" * 5000 + "}",
    '{"id": "comma",}',
    '"no object"',
]


@pytest.mark.parametrize("sick", SICK)
def test_a_sick_record_is_put_aside_alone(sick: str) -> None:
    good = ['{"id": "a"}', '{"id": "b"}']
    for found in (json_chunks(f"[{good[0]}, {sick}, {good[1]}]"), line_chunks(f"{good[0]}\n{sick}\n\n{good[1]}\n")):
        (chunk,) = found
        assert [record["id"] for record in chunk.records] == ["a", "b"]
        assert (list(chunk.numbers), chunk.rows, len(chunk.rejects)) == ([1, 3], 3, 1)
        assert chunk.rejects[0].code == "ERR_008"


def test_a_line_that_holds_two_records_is_broken() -> None:
    (chunk,) = line_chunks('{"id": 1}, {"id": 2}\n{"id": 3}\n{"id": 4\n')
    assert [record["id"] for record in chunk.records] == [3]
    assert [reject.message[:18] for reject in chunk.rejects] == ["Record 1 is broken", "Record 3 is broken"]


def test_lines_in_other_encodings_are_read() -> None:
    text = '{"id": "ü"}\n{"id": "b"}\n'
    for encoding, told in (("utf-16", "utf-8"), ("utf-8-sig", "utf-8"), ("cp1252", "cp1252")):
        (chunk,) = line_chunks(text.encode(encoding), encoding=told)
        assert [record["id"] for record in chunk.records] == ["ü", "b"]
    (chunk,) = line_chunks(b'{"id": "\xff"}\n{"id": "b"}\n')
    assert ([record["id"] for record in chunk.records], len(chunk.rejects)) == (["b"], 1)


def test_lines_are_skipped_as_they_are_counted() -> None:
    content = "".join(f'{{"id": {number}}}\n\n' for number in range(10))
    assert [record["id"] for chunk in line_chunks(content, skip=7, size=2) for record in chunk.records] == [7, 8, 9]
