"""Parquet: values as JSON has them, exact; dates and times as ISO text."""

from __future__ import annotations

import math
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import repeat
from typing import Any, BinaryIO

from kwiksync_ops.batch import Reject, SourceRecord
from kwiksync_ops.connectors.files.chunk import Chunk, header_of, rejected, text_fault
from kwiksync_ops.connectors.files.options import FileLimits, FilesOptions
from kwiksync_ops.connectors.time_format import EPOCH
from kwiksync_ops.errors import ValidationError

_NO_LIMITS = FileLimits(max_string=sys.maxsize)
_READ_AHEAD_BYTES = 1024 * 1024


def read_parquet(file: BinaryIO, options: FilesOptions, key: str, *, skip: int, size: int) -> Iterator[Chunk]:
    """The rows after the first `skip`.

    Raises:
        ValidationError: it is no Parquet file, or unpacks to more than the limit.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file, buffer_size=_READ_AHEAD_BYTES) as parquet:
            _check_size(parquet.metadata, options)
            header_of(parquet.schema_arrow.names, (), key)
            before = 0
            for group in range(parquet.num_row_groups):  # one reader for all would keep what it read
                rows = parquet.metadata.row_group(group).num_rows
                if before + rows > skip:
                    yield from _group_chunks(parquet, group, before, options, key, skip=skip, size=size)
                before += rows
    except (pa.ArrowException, OSError) as exc:
        raise ValidationError(f"it is no Parquet file that can be read: {exc}.") from exc


def _group_chunks(
    parquet: Any, group: int, before: int, options: FilesOptions, key: str, *, skip: int, size: int
) -> Iterator[Chunk]:
    for batch in parquet.iter_batches(batch_size=size, row_groups=[group], use_threads=False):
        wanted = batch.slice(min(max(0, skip - before), batch.num_rows))
        before += batch.num_rows
        if wanted.num_rows:
            yield _chunk(wanted, before - wanted.num_rows, options, key)


def _check_size(metadata: Any, options: FilesOptions) -> None:
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    if sum(group.total_byte_size for group in groups) > options.limits.max_unpacked_bytes:
        raise ValidationError(f"it unpacks to more than {options.limits.max_unpacked_bytes:,} bytes.")


def _chunk(batch: Any, before: int, options: FilesOptions, key: str) -> Chunk:
    names = batch.schema.names
    columns = [_column(batch.column(index)) for index in range(len(names))]
    if all(_is_sound(column, options) for column in columns):
        whole = list(map(dict, map(zip, repeat(names), zip(*columns, strict=True))))
        return Chunk(len(whole), whole, range(before + 1, before + len(whole) + 1))
    return _one_by_one(names, columns, before, options, key)


def _is_sound(column: list[Any], options: FilesOptions) -> bool:
    """Whether a column shows at little cost that every value of it is fit for a hub."""
    kinds = set(map(type, column)) - {type(None), bool, Decimal}
    if kinds == {str}:
        texts = [text for text in column if text is not None]
        return max(map(len, texts)) <= options.limits.max_string and text_fault("".join(texts), _NO_LIMITS) is None
    return not kinds or (kinds == {int} and not any(_fault(value, options) for value in column))


def _one_by_one(names: list[str], columns: list[list[Any]], before: int, options: FilesOptions, key: str) -> Chunk:
    records: list[SourceRecord] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    for number, row in enumerate(zip(*columns, strict=True), start=before + 1):
        record = dict(zip(names, row, strict=True))
        fault = next(((name, why) for name, value in record.items() if (why := _fault(value, options))), None)
        if fault is None:
            records.append(record)
            numbers.append(number)
        else:
            name, why = fault
            rejects.append(rejected(f"Row {number}: {name} {why}.", field=name, key=record.get(key)))
    return Chunk(len(records) + len(rejects), records, numbers, rejects)


def _fault(value: Any, options: FilesOptions) -> str | None:
    if isinstance(value, str):
        return text_fault(value, options.limits)
    if isinstance(value, float):
        return f"is {value}, which is no number"
    if type(value) is int and not -(2**63) <= value < 2**63:
        return "does not fit into 64 bits"
    if isinstance(value, dict):
        return next((why for item in value.values() if (why := _fault(item, options))), None)
    if isinstance(value, list):
        return next((why for item in value if (why := _fault(item, options))), None)
    return None


def _column(column: Any) -> list[Any]:
    """The values of a column; those in their own JSON form are not looked at one by one."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _column(column.dictionary_decode())
    if pa.types.is_timestamp(kind):  # their Python form would import pandas
        micros = column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64()).to_pylist()
        return [None if micro is None else _moment_text(micro, has_zone=kind.tz is not None) for micro in micros]
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        values = [_undecoded(column[index]) for index in range(len(column))]
    is_plain = pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind)
    return values if is_plain else [_plain(value) for value in values]


def _moment_text(micros: int, *, has_zone: bool) -> str:
    moment = EPOCH + timedelta(microseconds=micros)
    return (moment if has_zone else moment.replace(tzinfo=None)).isoformat()


def _undecoded(scalar: Any) -> str | None:
    """A text as it is in the file, which is no UTF-8: its bytes as surrogates, so that the row is rejected."""
    content = scalar.as_buffer()
    return None if content is None else content.to_pybytes().decode("utf-8", "surrogateescape")


def _plain(value: Any) -> Any:
    convert = _CONVERT.get(type(value))
    return convert(value) if convert else value


def _of_float(value: float) -> Decimal | float:
    """The shortest number that is this one; what is no number stays what it is, and is rejected."""
    return Decimal(repr(value)) if math.isfinite(value) else value


def _of_pairs(value: list[Any]) -> Any:
    return [_plain(item) for item in value]


_CONVERT: dict[type, Callable[[Any], Any]] = {
    float: _of_float,
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: lambda value: Decimal(value // timedelta(microseconds=1)).scaleb(-6),
    bytes: lambda value: b64encode(value).decode(),
    list: _of_pairs,
    tuple: _of_pairs,
    dict: lambda value: {name: _plain(item) for name, item in value.items()},
}
