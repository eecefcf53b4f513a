"""CSV: every cell as it stands, row by row. A broken row is rejected alone, whatever its quotes swallow."""

from __future__ import annotations

import codecs
import csv
import io
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice, repeat
from typing import BinaryIO

from kwiksync_ops.batch import Reject, SourceRecord
from kwiksync_ops.connectors.files.chunk import Chunk, header_of, rejected, text_fault
from kwiksync_ops.connectors.files.options import FileLimits, FilesOptions
from kwiksync_ops.errors import ValidationError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NO_LIMITS = FileLimits(max_string=sys.maxsize)
_ROW_STRINGS = 4
"""A row may be so many times as long as its longest value."""


def text_of(file: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """The content as text, lines as they end. A byte order mark says more than the options."""
    start = file.read(4)
    mark, told = next(((mark, name) for mark, name in _MARKS if start.startswith(mark)), (b"", encoding))
    file.seek(len(mark))
    is_wide = codecs.lookup(told).name.startswith(("utf-16", "utf-32"))
    return io.TextIOWrapper(file, told, "strict" if is_wide else "surrogateescape", newline="")


def read_csv(file: BinaryIO, options: FilesOptions, key: str, *, skip: int, size: int) -> Iterator[Chunk]:
    """The rows after the first `skip`, `size` a chunk.

    Raises:
        ValidationError: the file is not to be read as the options say.
    """
    text = text_of(file, options.encoding)
    try:
        yield from _CsvRead(text, options, key).chunks(skip, size)
    except UnicodeError as exc:
        raise ValidationError(f"it is no {options.encoding} text: {exc}.") from exc
    finally:
        text.detach()


class _Lines:
    """Lines of a text, each kept until the row that it belongs to is whole."""

    def __init__(self, text: io.TextIOWrapper, limits: FileLimits) -> None:
        self._max_chars = limits.max_string * _ROW_STRINGS
        self._lines = iter(partial(text.readline, self._max_chars), "")
        self._again: deque[str] = deque()
        self._chars = 0
        self.row: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.row.append(line)
        if len(self.row) > 1 or len(line) == self._max_chars:
            self._check(line)
        return line

    def take(self, count: int) -> list[str]:
        """The next lines at once; `again` gives them back."""
        ready = [self._again.popleft() for _ in range(min(count, len(self._again)))]
        return [*ready, *islice(self._lines, count - len(ready))]

    def again(self, lines: list[str]) -> None:
        self._again.extendleft(reversed(lines))

    def give_back(self) -> str:
        """The row is broken: all but its first line are lines again."""
        first, *rest = self.row
        self.again(rest)
        self.row = []
        if len(first) == self._max_chars and not first.endswith(("\n", "\r")):
            self._skip_line()
        return first

    def _check(self, line: str) -> None:
        if sum(map(len, self.row)) >= self._max_chars:
            raise csv.Error(f"the row does not end within {self._max_chars:,} characters")

    def _skip_line(self) -> None:
        while (more := self._again.popleft() if self._again else next(self._lines, "")) and not more.endswith("\n"):
            pass


class _CsvRead:
    def __init__(self, text: io.TextIOWrapper, options: FilesOptions, key: str) -> None:
        self._options = options
        self._lines = _Lines(text, options.limits)
        self._key = key
        csv.field_size_limit(max(csv.field_size_limit(), options.limits.max_string * _ROW_STRINGS))
        self._rows = self._reader(self._lines)
        self._nulls = frozenset(options.null_values)
        self._names: tuple[str, ...] = ()

    def chunks(self, skip: int, size: int) -> Iterator[Chunk]:
        self._read_header()
        number = 0
        while number < skip and self._next_row() is not None:
            number += 1
        while (chunk := self._chunk(number, size)).rows:
            number += chunk.rows
            yield chunk

    def _read_header(self) -> None:
        cells: list[str] | str | None = []
        for _ in range(self._options.csv.header_row):
            cells = self._next_row(blank=True)
        if isinstance(cells, str) or cells is None:
            if not self._options.csv.names:
                raise ValidationError("it has no header row that can be read.")
            cells = []
        self._names = header_of(cells, self._options.csv.names, self._key)
        if len(self._names) > self._options.limits.max_fields:
            raise ValidationError(f"it has {len(self._names)} columns; the limit is {self._options.limits.max_fields}.")

    def _chunk(self, before: int, size: int) -> Chunk:
        """All rows at once where each is a line and sound, else one by one."""
        lines = self._lines.take(size)
        records = self._sound_records(lines)
        if records is not None:
            return Chunk(len(records), records, range(before + 1, before + len(records) + 1))
        self._lines.again(lines)
        return self._one_by_one(before, size)

    def _sound_records(self, lines: list[str]) -> list[SourceRecord] | None:
        """The records of lines that are a row each. None where one may not be, or may be at fault."""
        limits = self._options.limits
        if max(map(len, lines), default=0) > limits.max_string or text_fault("".join(lines), _NO_LIMITS):
            return None
        try:
            rows = list(self._reader(lines))
        except csv.Error:
            return None
        if len(rows) != len(lines) or set(map(len, rows)) - {len(self._names)}:
            return None
        columns = [self._with_nulls(column) for column in zip(*rows, strict=True)]
        return list(map(dict, map(zip, repeat(self._names), zip(*columns, strict=True))))

    def _with_nulls(self, column: tuple[str, ...]) -> Sequence[str | None]:
        nulls = self._nulls
        if not any(null in column for null in nulls):
            return column
        return [None if cell in nulls else cell for cell in column]

    def _one_by_one(self, before: int, size: int) -> Chunk:
        records: list[SourceRecord] = []
        numbers: list[int] = []
        rejects: list[Reject] = []
        rows = 0
        while rows < size and (row := self._next_row()) is not None:
            rows += 1
            found = self._record(row, before + rows)
            if isinstance(found, Reject):
                rejects.append(found)
            else:
                records.append(found)
                numbers.append(before + rows)
        return Chunk(rows, records, numbers, rejects)

    def _next_row(self, *, blank: bool = False) -> list[str] | str | None:
        """The cells of the next row that is not blank; what is wrong with it; None at the end."""
        lines = self._lines
        while True:
            lines.row = []
            try:
                row = next(self._rows)
            except StopIteration:
                return None
            except csv.Error as exc:
                lines.row = [lines.give_back()]
                self._rows = self._reader(self._lines)
                return str(exc)
            if row or blank:
                return row

    def _record(self, row: list[str] | str, number: int) -> SourceRecord | Reject:
        lines, names = self._lines.row, self._names
        if isinstance(row, str):
            return rejected(f"Row {number} is broken: {row}.", payload=lines[0])
        if len(row) != len(names):
            message = f"Row {number} has {len(row)} cells; the header has {len(names)}."
            return rejected(message, payload="".join(lines))
        if any(map(self._is_suspect, lines)) and (fault := self._fault(row)):
            name, why = fault
            key = row[names.index(self._key)]
            return rejected(f"Row {number}: {name} {why}.", field=name, key=key, payload="".join(lines))
        nulls = self._nulls
        if nulls.isdisjoint(row):
            return dict(zip(names, row, strict=True))
        return {name: None if cell in nulls else cell for name, cell in zip(names, row, strict=True)}

    def _is_suspect(self, line: str) -> bool:
        return text_fault(line, self._options.limits) is not None

    def _fault(self, row: list[str]) -> tuple[str, str] | None:
        faults = ((name, text_fault(cell, self._options.limits)) for name, cell in zip(self._names, row, strict=True))
        return next(((name, why) for name, why in faults if why), None)

    def _reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        csv_options = self._options.csv
        return csv.reader(
            lines,
            delimiter=csv_options.delimiter,
            quotechar=csv_options.quote or None,
            quoting=csv.QUOTE_MINIMAL if csv_options.quote else csv.QUOTE_NONE,
            escapechar=csv_options.escape,
            strict=True,
        )
