"""Excel workbooks: a sheet's rows with values as JSON has them; dates and times as ISO text."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError

from kwiksync_ops.batch import Reject, SourceRecord
from kwiksync_ops.connectors.files.chunk import Chunk, header_of, rejected, text_fault
from kwiksync_ops.connectors.files.options import FileLimits, FilesOptions
from kwiksync_ops.errors import ValidationError

_SIGNIFICANT_DIGITS = 15
"""So many digits Excel keeps and shows of a number, which the file has as a binary fraction."""

_XML_START = 1024


def read_excel(file: BinaryIO, options: FilesOptions, key: str, *, skip: int, size: int) -> Iterator[Chunk]:
    """The rows after the header that are not empty, from the one after the first `skip`.

    Raises:
        ValidationError: it is no workbook, has no such sheet, or is a decompression bomb.
    """
    from openpyxl import load_workbook  # type: ignore[import-untyped]  # it ships no types
    from openpyxl.utils.exceptions import InvalidFileException  # type: ignore[import-untyped]  # as above

    _check_archive(file, options.limits)
    try:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        try:
            yield from _SheetRead(_sheet(book, options.excel.sheet), options, key).chunks(skip, size)
        finally:
            book.close()
    except (InvalidFileException, ParseError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as exc:
        raise ValidationError(f"it is no workbook that can be read: {exc}.") from exc


def _check_archive(file: BinaryIO, limits: FileLimits) -> None:
    """What it unpacks to, and that no part of it defines entities, before any of it is parsed."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if sum(part.file_size for part in parts) > limits.max_unpacked_bytes:
                raise ValidationError(f"it unpacks to more than {limits.max_unpacked_bytes:,} bytes.")
            for part in parts:
                if part.filename.lower().endswith((".xml", ".rels")):
                    with archive.open(part) as opened:
                        if b"<!DOCTYPE" in opened.read(_XML_START).replace(b"\0", b""):
                            raise ValidationError("it defines entities of its own, as no workbook does.")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as exc:
        raise ValidationError(f"it is no workbook (.xlsx): {exc}.") from exc
    file.seek(0)


def _sheet(book: Any, wanted: str | int) -> Any:
    sheets = book.worksheets
    names = [sheet.title for sheet in sheets]
    if isinstance(wanted, str) and wanted in names:
        return sheets[names.index(wanted)]
    if isinstance(wanted, int) and wanted <= len(names):
        return sheets[wanted - 1]
    raise ValidationError(f"it has no sheet {wanted!r}; it has {', '.join(names)}.")


class _SheetRead:
    def __init__(self, sheet: Any, options: FilesOptions, key: str) -> None:
        self._options = options
        self._key = key
        sheet.reset_dimensions()
        self._rows: Iterator[tuple[Any, ...]] = sheet.iter_rows()

    def chunks(self, skip: int, size: int) -> Iterator[Chunk]:
        excel = self._options.excel
        header: tuple[Any, ...] = ()
        for _ in range(excel.header_row):
            header = next(self._rows, ())
        cells = [cell.value for cell in header]
        while cells and cells[-1] is None:
            cells.pop()
        names = header_of(cells, excel.names, self._key)
        filled = (row for row in self._rows if any(cell.value is not None for cell in row))
        number = sum(1 for _ in islice(filled, skip))
        while rows := list(islice(filled, size)):
            yield self._chunk(rows, names, number)
            number += len(rows)

    def _chunk(self, rows: list[tuple[Any, ...]], names: tuple[str, ...], before: int) -> Chunk:
        records: list[SourceRecord] = []
        numbers: list[int] = []
        rejects: list[Reject] = []
        for number, row in enumerate(rows, start=before + 1):
            found = self._record(row, names, number)
            if isinstance(found, Reject):
                rejects.append(found)
            else:
                records.append(found)
                numbers.append(number)
        return Chunk(len(rows), records, numbers, rejects)

    def _record(self, row: tuple[Any, ...], names: tuple[str, ...], number: int) -> SourceRecord | Reject:
        values = [_value(cell.value, cell) for cell in row]
        shown = {name: value for name, value in zip(names, values, strict=False)}  # noqa: C416  # not strict: ragged
        key = shown.get(self._key)
        if any(value is not None for value in values[len(names) :]):
            return rejected(f"Row {number} has values beyond the last column of the header.", key=key, payload=shown)
        for name, cell, value in zip(names, row, values, strict=False):
            if getattr(cell, "data_type", "") == "e":
                return rejected(f"Row {number}: {name} is the error {value}.", field=name, key=key, payload=shown)
            if isinstance(value, str) and (why := text_fault(value, self._options.limits)):
                return rejected(f"Row {number}: {name} {why}.", field=name, key=key, payload=None)
        return {**dict.fromkeys(names), **shown}


def _value(value: Any, cell: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, datetime):
        is_day = value.time() == time() and not _shows_time(str(cell.number_format))
        return value.date().isoformat() if is_day else value.isoformat()
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
    return str(value)


def _number(value: float) -> int | Decimal:
    number = Decimal(f"{value:.{_SIGNIFICANT_DIGITS}g}")
    return int(number) if number == number.to_integral_value() else number


def _shows_time(number_format: str) -> bool:
    return "h" in number_format.lower()
