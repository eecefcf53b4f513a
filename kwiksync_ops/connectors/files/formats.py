"""The readers by format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, Protocol

from kwiksync_ops.connectors.files.chunk import Chunk
from kwiksync_ops.connectors.files.csv_reader import read_csv
from kwiksync_ops.connectors.files.excel_reader import read_excel
from kwiksync_ops.connectors.files.json_reader import read_json, read_json_lines
from kwiksync_ops.connectors.files.options import ENDINGS, CsvOptions, FilesOptions
from kwiksync_ops.connectors.files.parquet_reader import read_parquet
from kwiksync_ops.errors import ValidationError


class Reader(Protocol):
    def __call__(self, file: BinaryIO, options: FilesOptions, key: str, *, skip: int, size: int) -> Iterator[Chunk]: ...


READERS: dict[str, Reader] = {
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_json_lines,
    "parquet": read_parquet,
    "excel": read_excel,
}


def read_chunks(file: BinaryIO, name: str, options: FilesOptions, key: str, *, skip: int, size: int) -> Iterator[Chunk]:
    """The file's rows in chunks, after the first `skip`. Raises ValidationError where it is bad as a whole."""
    format = options.format_of(name)
    if format is None:
        raise ValidationError(
            f"its name does not say what it is: set format, or let it end in one of {', '.join(ENDINGS)}."
        )
    return READERS[format](file, _for_name(options, name), key, skip=skip, size=size)


def _for_name(options: FilesOptions, name: str) -> FilesOptions:
    """Files with the ending .tsv have tabs, where the options do not say another delimiter."""
    is_tabbed = name.lower().removesuffix(".gz").endswith(".tsv") and options.csv.delimiter == CsvOptions.delimiter
    return replace(options, csv=replace(options.csv, delimiter="\t")) if is_tabbed else options
