"""What lies in a folder: patterns that name its files, and how they are written, by a look into the newest of each."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.discovery import FieldInfo, ObjectInfo, Sample, Sending, first_page
from kwiksync_ops.connectors.files import copies
from kwiksync_ops.connectors.files.csv_reader import text_of
from kwiksync_ops.connectors.files.listing import Pattern, candidates
from kwiksync_ops.connectors.files.opening import open_place
from kwiksync_ops.connectors.files.options import FilesOptions, merge_options, parse_options
from kwiksync_ops.connectors.files.place import FileInfo
from kwiksync_ops.connectors.files.source import FilesSource
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.rate_limit import CallLimiter

_LOOK_BYTES = 256 * 1024
_LOOK_ROWS = 30
_TEXTS = frozenset({"csv", "json", "jsonl"})
_DELIMITERS = (",", ";", "\t", "|")
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NO_KEY = "id"
"""Any name: JSON can be read without knowing who its records are."""


_ACTION = "action"
_WRITTEN_AS = {"csv": ".csv", "json": ".json", "jsonl": ".jsonl", "parquet": ".parquet", "excel": ".xlsx"}


class FilesDiscovery:
    """The files of one folder. Nothing is moved, and nothing is remembered as read."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._options = options
        self._own = parse_options(options)
        self._place = open_place(credentials, self._own, limiter)
        self._source = FilesSource(credentials, options, limiter, clock)
        self._clock = clock

    def check(self) -> str:
        return self._source.check()

    def objects(self, catalogue: str = "") -> Sequence[ObjectInfo]:
        """A pattern for all files whose names differ by digits alone: `tickets_*.csv`. `catalogue` names a folder."""
        files = [file for file in self._place.files(catalogue.strip("/"), deep=True) if self._is_wanted(file)]
        groups: dict[str, list[FileInfo]] = {}
        for file in files:
            groups.setdefault(_pattern(file.name), []).append(file)
        return [ObjectInfo(pattern, _label(groups[pattern])) for pattern in sorted(groups)]

    def fields(self, name: str, options: Mapping[str, Any]) -> Sequence[FieldInfo]:
        return []

    def options(self, name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The encoding, the delimiter and the path of the records, where they are not those of the defaults."""
        known = merge_options(self._options, given)
        options, newest = parse_options(known), self._newest(name, parse_options(known))
        with copies.opened(self._place, newest, options.limits) as copy:
            start = copy.file.read(_LOOK_BYTES)
        found: dict[str, Any] = {}
        format = options.format_of(newest.name)
        if format in _TEXTS and "encoding" not in known and (encoding := _encoding(start)):
            found["encoding"] = encoding
        match format:
            case "csv" if "delimiter" not in known.get("csv", {}):
                delimiter = _delimiter(start, found.get("encoding", options.encoding))
                is_default = delimiter == ("\t" if ".tsv" in newest.name.lower() else ",")
                found |= {} if is_default else {"csv": {**known.get("csv", {}), "delimiter": delimiter}}
            case "json" if "records_path" not in known:
                found |= self._records_path(newest, options)
        return {**found, **given, **({"csv": found["csv"]} if "csv" in found else {})}

    def sample(self, name: str, records: int, options: Mapping[str, Any]) -> Sample:
        parsed = parse_options(merge_options(self._options, options))
        key = self._any_column(self._newest(name, parsed), parsed)
        request = ReadRequest(name, key, page_records=records, options={**options, "settle_s": 0})
        return first_page(self._source, request)

    def push(self, name: str, sending: Sending, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Files of the same format in the folder `out`, with what is to be done in a column of its own."""
        parsed = parse_options(merge_options(self._options, options))
        newest = self._newest(name, parsed).name
        stem, _, _ = name.rpartition("/")[2].partition(".")
        plain = re.sub(r"[^0-9A-Za-z]+", "_", stem).strip("_") or "records"
        is_zipped = newest.lower().endswith(".gz")
        ending = _WRITTEN_AS.get(parsed.format_of(newest) or "", ".csv") + (".gz" if is_zipped else "")
        columns = [_ACTION, sending.key, *(each for each in sending.fields if each != sending.key)]
        return {
            "file": f"{plain}_{{time}}_{{digest}}{ending}",
            "columns": columns,
            "action_column": _ACTION,
            **({"gzip": True} if is_zipped else {}),
        }

    def close(self) -> None:
        self._source.close()
        self._place.close()

    def _is_wanted(self, file: FileInfo) -> bool:
        own = self._own
        folders = [folder for folder in (own.rejected_folder, own.push.folder if own.push else "") if folder]
        is_aside = any(file.name.startswith(f"{folder.strip('/')}/") for folder in folders)
        return not is_aside and own.format_of(file.name) is not None

    def _newest(self, name: str, options: FilesOptions) -> FileInfo:
        pattern = Pattern(name)
        found = candidates(pattern.listed(self._place), pattern, options, self._clock)
        if not found:
            raise ConfigurationError(
                f"No file of {self._place.url} is meant by {name!r}.",
                remedy="Name a file or a pattern below the connection's folder, such as tickets_*.csv.",
            )
        return max(found, key=lambda file: (file.modified, file.name))

    def _any_column(self, file: FileInfo, options: FilesOptions) -> str:
        """A name that is in the file's header, which a read asks for."""
        with copies.opened(self._place, file, options.limits) as copy:
            match options.format_of(file.name):
                case "csv":
                    return _first_cell(copy.file, options, is_tabbed=".tsv" in file.name.lower())
                case "excel":
                    return _first_excel_cell(copy.file, options)
                case "parquet":
                    from pyarrow.parquet import ParquetFile

                    return str(ParquetFile(copy.file).schema_arrow.names[0])
        return _NO_KEY

    def _records_path(self, file: FileInfo, options: FilesOptions) -> dict[str, Any]:
        """Where the list of records stands, if it is not the document itself and there is but one."""
        with copies.opened(self._place, file, options.limits) as copy:
            try:
                document = json.loads(copy.file.read())
            except ValueError:
                return {}
        paths = [] if isinstance(document, list) else list(_lists(document))
        return {"records_path": paths[0]} if len(paths) == 1 else {}


def _pattern(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    stem, dot, endings = last.partition(".")
    return f"{folder}{slash}{re.sub(r'[0-9][0-9T:_-]*(?<=[0-9])', '*', stem)}{dot}{endings}"


def _label(files: Sequence[FileInfo]) -> str:
    newest = max(file.modified for file in files)
    return f"{len(files)} file{'s' if len(files) > 1 else ''}, the newest of {newest:%Y-%m-%d}"


def _encoding(start: bytes) -> str | None:
    """What the bytes are written in; None for UTF-8, and where a mark in the file says it."""
    if start.startswith(_MARKS):
        return None
    nulls = [place % 2 for place, byte in enumerate(start[:200]) if byte == 0]
    if nulls:
        return "utf-16-le" if sum(nulls) * 2 > len(nulls) else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "cp1252"
    return None


def _delimiter(start: bytes, encoding: str) -> str:
    """The sign that cuts the first rows into the most cells, the same number in each."""
    lines = text_of(io.BytesIO(start), encoding).read().splitlines()[:_LOOK_ROWS]
    whole = lines[:-1] if len(lines) == _LOOK_ROWS or len(lines) > 2 else lines
    counts = {sign: [len(row) for row in csv.reader(whole, delimiter=sign) if row] for sign in _DELIMITERS}
    even = {sign: cells[0] for sign, cells in counts.items() if cells and len(set(cells)) == 1}
    best = max(even, key=lambda sign: even[sign], default=",")
    return best if even.get(best, 0) > 1 else ","


def _first_cell(file: BinaryIO, options: FilesOptions, *, is_tabbed: bool) -> str:
    if options.csv.names:
        return options.csv.names[0]
    delimiter = "\t" if is_tabbed and options.csv.delimiter == "," else options.csv.delimiter
    text = text_of(file, options.encoding)
    rows = csv.reader(text, delimiter=delimiter)
    cells: list[str] = []
    for _ in range(options.csv.header_row):
        cells = next(rows, [])
    text.detach()
    return (cells[0].strip() if cells else "") or "column_1"


def _first_excel_cell(file: BinaryIO, options: FilesOptions) -> str:
    from openpyxl import load_workbook  # type: ignore[import-untyped]  # it ships no types

    excel = options.excel
    if excel.names:
        return excel.names[0]
    book = load_workbook(file, read_only=True)
    try:
        sheet = book[excel.sheet] if isinstance(excel.sheet, str) else book.worksheets[excel.sheet - 1]
        row = next(sheet.iter_rows(min_row=excel.header_row, max_row=excel.header_row, values_only=True), ())
    finally:
        book.close()
    return str(row[0]).strip() if row and row[0] is not None else "column_1"


def _lists(document: Any, path: str = "") -> Sequence[str]:
    """The paths of lists of records."""
    found: list[str] = []
    for name, value in document.items() if isinstance(document, dict) else ():
        own = f"{path}.{name}".lstrip(".")
        if isinstance(value, list) and value and isinstance(value[0], dict):
            found.append(own)
        elif isinstance(value, dict):
            found.extend(_lists(value, own))
    return found


open_discovery = FilesDiscovery
