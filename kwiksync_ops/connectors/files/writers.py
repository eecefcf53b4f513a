"""Rows as the content of one file, in each format: fixed columns, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from kwiksync_ops.connectors.files.options import FilesOptions, PushOptions

Row = Sequence[Any]

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?\d[\d.,]*")
_EXCEL_DIGITS = 15
_DECIMAL_DIGITS, _DECIMAL_SCALE = 38, 9
_JSON = msgspec.json.Encoder(decimal_format="number")
_UNFIT_FOR_EXCEL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True)
class Writer:
    """`check` says of one value why the format can't hold it, by ValueError; `content` makes the file of all rows."""

    check: Callable[[str, Any], None]
    content: Callable[[Sequence[Row]], bytes]


def writer_of(options: FilesOptions, push: PushOptions) -> Writer:
    """The writer of the format that the file's name, or the options, say."""
    kind = options.format_of(push.file) or "csv"
    writers: dict[str, Callable[[FilesOptions, PushOptions], Writer]] = {
        "csv": _csv_writer,
        "json": _json_writer,
        "jsonl": _json_lines_writer,
        "parquet": _parquet_writer,
        "excel": _excel_writer,
    }
    writer = writers[kind](options, push)
    if not push.gzip:
        return writer
    return Writer(writer.check, lambda rows: gzip.compress(writer.content(rows), mtime=0))


def _csv_writer(options: FilesOptions, push: PushOptions) -> Writer:
    def text_of(value: Any) -> str:
        text = push.null_text if value is None else _text(value)
        is_formula = isinstance(value, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text)
        return f"'{text}" if is_formula and push.formulas == "escape" else text

    def check(_name: str, value: Any) -> None:
        _check_flat(value)
        text = text_of(value)
        if "\0" in text:
            raise ValueError("holds a NUL character")
        text.encode(options.encoding)

    def content(rows: Sequence[Row]) -> bytes:
        text = io.StringIO(newline="")
        own = options.csv
        delimiter = "\t" if ".tsv" in push.file.lower() else own.delimiter
        writer = csv.writer(text, delimiter=delimiter, quotechar=own.quote or '"', lineterminator="\r\n")
        writer.writerow(push.columns)
        writer.writerows([text_of(value) for value in row] for row in rows)
        return text.getvalue().encode(options.encoding)

    return Writer(check, content)


def _json_writer(_options: FilesOptions, push: PushOptions) -> Writer:
    return Writer(_check_json, lambda rows: _JSON.encode([_object(push, row) for row in rows]) + b"\n")


def _json_lines_writer(_options: FilesOptions, push: PushOptions) -> Writer:
    return Writer(_check_json, lambda rows: b"".join(_JSON.encode(_object(push, row)) + b"\n" for row in rows))


def _object(push: PushOptions, row: Row) -> dict[str, Any]:
    return dict(zip(push.columns, row, strict=True))


def _check_json(_name: str, value: Any) -> None:
    _JSON.encode(value)


def _parquet_writer(_options: FilesOptions, push: PushOptions) -> Writer:
    def check(name: str, value: Any) -> None:
        _check_flat(value)
        _typed(push.types.get(name), value)

    def content(rows: Sequence[Row]) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {
            None: pa.string(),
            "integer": pa.int64(),
            "decimal": pa.decimal128(_DECIMAL_DIGITS, _DECIMAL_SCALE),
            "boolean": pa.bool_(),
            "date": pa.date32(),
            "timestamp": pa.timestamp("us", tz="UTC"),
        }
        columns = list(zip(*rows, strict=True)) or [()] * len(push.columns)
        arrays = {
            name: pa.array([_typed(push.types.get(name), value) for value in values], kinds[push.types.get(name)])
            for name, values in zip(push.columns, columns, strict=True)
        }
        sink = io.BytesIO()
        pq.write_table(pa.table(arrays), sink, compression="zstd")
        return sink.getvalue()

    return Writer(check, content)


def _typed(kind: str | None, value: Any) -> Any:
    """The value in the type of its column. Raises ValueError where it is none."""
    if value is None:
        return None
    match kind:
        case None:
            text = _text(value)
            text.encode()
            return text
        case "integer":
            return _integer(value)
        case "decimal":
            return _decimal(value)
        case "boolean" if isinstance(value, bool):
            return value
        case "date":
            return date.fromisoformat(_text(value))
        case "timestamp":
            moment = datetime.fromisoformat(_text(value))
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise ValueError("is neither true nor false")


def _integer(value: Any) -> int:
    number = int(_text(value))
    if not -(2**63) <= number < 2**63:
        raise ValueError("does not fit into 64 bits")
    return number


def _decimal(value: Any) -> Decimal:
    try:
        number = Decimal(_text(value))
    except ArithmeticError as exc:
        raise ValueError("is no number") from exc
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > _DECIMAL_SCALE:
        raise ValueError(f"has more than {_DECIMAL_SCALE} digits behind the point, or is no number")
    if number and number.adjusted() >= _DECIMAL_DIGITS - _DECIMAL_SCALE:
        raise ValueError("is too large")
    return number


def _excel_writer(options: FilesOptions, push: PushOptions) -> Writer:
    def check(_name: str, value: Any) -> None:
        _check_flat(value)
        if isinstance(value, str) and (_UNFIT_FOR_EXCEL.search(value) or len(value) > 32_767):
            raise ValueError("holds what no Excel cell does")

    def content(rows: Sequence[Row]) -> bytes:
        from openpyxl import Workbook  # type: ignore[import-untyped]  # it ships no types

        book = Workbook(write_only=True)
        sheet = book.create_sheet(options.excel.sheet if isinstance(options.excel.sheet, str) else "Records")
        for row in (push.columns, *rows):
            sheet.append([_cell(sheet, value) for value in row])
        sink = io.BytesIO()
        book.save(sink)
        return sink.getvalue()

    return Writer(check, content)


def _cell(sheet: Any, value: Any) -> Any:
    """A cell whose text is text, whatever it begins with."""
    from openpyxl.cell import WriteOnlyCell  # type: ignore[import-untyped]  # it ships no types

    is_exact = isinstance(value, (int, Decimal)) and len(re.sub(r"\D", "", _text(value))) <= _EXCEL_DIGITS
    cell = WriteOnlyCell(sheet, value if value is None or is_exact else _text(value))
    if not is_exact and value is not None:
        cell.data_type = "s"
    return cell


def _check_flat(value: Any) -> None:
    if isinstance(value, (dict, list)):
        raise ValueError("is nested, which a column can't hold")  # noqa: TRY004  # all faults of a value are one error


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)
