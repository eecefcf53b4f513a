"""Staged pages: what one task of a run hands to the next, as Parquet files under a URL.

A page is written under another name and moved, so that a file that is there is whole. `s3://…` and `file://…` alike.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from kwiksync_ops.batch import FileMark, MappedBatch, Page, Reject
from kwiksync_ops.errors import HubError
from kwiksync_ops.storage.batches import Batch
from kwiksync_ops.storage.checkpoints import Watermark
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.vocabulary import RECORD_TABLES, ColumnType

T = TypeVar("T")

RAW = "raw"
MAPPED = "mapped"
_META = b"kwiksync"


@dataclass(frozen=True)
class StagedPage:
    """A page of a read with what the run needs to go on after it.

    Attributes:
        known: records that were dropped, since the hub has them in this version.
        highest: the newest change time of the page, known records among them, as a watermark.
    """

    page: Page
    known: int = 0
    highest: Watermark | None = None


class Stage:
    """The staged pages of one table of one run, by number from 1."""

    def __init__(self, url: str, run_id: str, table: str) -> None:
        self._files, run_folder = _open(url, run_id)
        self.url = url
        self._folder = f"{run_folder}/{table}"
        self._table = table

    def write_page(self, staged: StagedPage, kind: str = RAW) -> None:
        page = staged.page
        meta = {
            "is_last": page.is_last,
            "resume": page.resume,
            "calls": page.calls,
            "known": staged.known,
            "server_time": page.server_time.isoformat() if page.server_time else None,
            "rejects": [asdict(reject) for reject in page.rejects],
            "files": [asdict(file) for file in page.files],
            "highest": asdict(staged.highest) if staged.highest else None,
        }
        payloads = [msgspec.json.encode(_tagged(record)) for record in page.records]
        self._write(kind, page.number, pa.Table.from_arrays([_binary(payloads)], names=["payload"]), meta)

    def read_page(self, number: int, kind: str = RAW) -> StagedPage:
        table, meta = self._read(kind, number)
        records = [_untagged(msgspec.json.decode(payload)) for payload in table["payload"].to_pylist()]
        moment = meta["server_time"]
        page = Page(
            number,
            records,
            meta["is_last"],
            meta["resume"],
            meta["calls"],
            datetime.fromisoformat(moment) if moment else None,
            [Reject(**reject) for reject in meta["rejects"]],
            _files(meta),
        )
        return StagedPage(page, meta["known"], _watermark(meta["highest"]))

    def write_batch(self, batch: Batch) -> None:
        mapped = batch.mapped
        columns = list(zip(*mapped.rows, strict=True)) or [()] * len(mapped.columns)
        arrays = {
            name: pa.array(values, _arrow_type(self._table, name))
            for name, values in zip(mapped.columns, columns, strict=True)
        }
        arrays["_version"] = pa.array(mapped.versions, pa.string())
        arrays["_fingerprint"] = pa.array(mapped.fingerprints or [None] * len(mapped.rows), pa.binary())
        meta = {
            "read": mapped.read,
            "superseded": mapped.superseded,
            "errors": [asdict(error) for error in batch.errors],
            "watermark": asdict(batch.watermark) if batch.watermark else None,
            "resume": batch.resume,
            "files": [asdict(file) for file in batch.files],
        }
        self._write(MAPPED, batch.number, pa.table(arrays), meta)

    def read_batch(self, number: int) -> Batch:
        table, meta = self._read(MAPPED, number)
        versions, fingerprints = table["_version"].to_pylist(), table["_fingerprint"].to_pylist()
        names = tuple(table.column_names[:-2])
        columns = [table[name].to_pylist() for name in names]
        rows = list(zip(*columns, strict=True))
        mapped = MappedBatch(
            self._table, names, rows, versions, [], meta["read"], meta["superseded"], fingerprints=fingerprints
        )
        errors = [ErrorEntry(**error) for error in meta["errors"]]
        return Batch(number, mapped, errors, _watermark(meta["watermark"]), meta["resume"], _files(meta))

    def numbers(self, kind: str) -> list[int]:
        """The numbers of the files of a kind, in order."""
        selector = fs.FileSelector(f"{self._folder}/{kind}", allow_not_found=True)
        found = self._guarded(lambda: self._files.get_file_info(selector))
        names = [info.base_name for info in found if info.base_name.endswith(".parquet")]
        return sorted(int(name.removesuffix(".parquet")) for name in names)

    def _write(self, kind: str, number: int, table: pa.Table, meta: dict[str, Any]) -> None:
        path = f"{self._folder}/{kind}/{number:09d}.parquet"
        whole = table.replace_schema_metadata({_META: json.dumps(meta, default=str).encode()})

        def write() -> None:
            self._files.create_dir(f"{self._folder}/{kind}", recursive=True)
            pq.write_table(whole, f"{path}.part", filesystem=self._files, compression="zstd")
            self._files.move(f"{path}.part", path)

        self._guarded(write)

    def _read(self, kind: str, number: int) -> tuple[pa.Table, dict[str, Any]]:
        path = f"{self._folder}/{kind}/{number:09d}.parquet"
        table = self._guarded(lambda: self._read_whole(path))
        return table, json.loads(table.schema.metadata[_META])

    def _read_whole(self, path: str) -> pa.Table:
        """Not by `pq.read_table`, which imports pandas by way of `pyarrow.dataset`."""
        with self._files.open_input_file(path) as file, pq.ParquetFile(file) as parquet:
            return parquet.read()

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except OSError as exc:
            raise _stage_error(self.url, exc) from exc


def _binary(values: Sequence[bytes]) -> pa.Array:
    """As an Arrow array, without `pa.array`: its first call imports pandas, half a second of each task's CPU."""
    offsets = array("q", accumulate(map(len, values), initial=0))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.large_binary(), len(values), buffers)


def remove_run(url: str, run_id: str) -> None:
    """Remove what a whole run staged; nothing happens where that was done before."""
    files, folder = _open(url, run_id)
    try:
        if files.get_file_info([folder])[0].type == fs.FileType.Directory:
            files.delete_dir(folder)
    except OSError as exc:
        raise _stage_error(url, exc) from exc


def _open(url: str, run_id: str) -> tuple[fs.FileSystem, str]:
    try:
        files, root = fs.FileSystem.from_uri(url)
    except (pa.ArrowInvalid, OSError) as exc:
        raise _stage_error(url, exc) from exc
    return files, f"{root.rstrip('/')}/{_safe(run_id)}"


def _stage_error(url: str, exc: Exception) -> HubError:
    return HubError(
        f"The staged pages under {url} can't be read or written: {exc}.",
        remedy="See that KWIKSYNC_STAGE_URL names a place with room that all workers reach.",
    )


def _watermark(value: dict[str, str] | None) -> Watermark | None:
    return Watermark(**value) if value else None


def _files(meta: dict[str, Any]) -> tuple[FileMark, ...]:
    return tuple(FileMark(**file) for file in meta.get("files", ()))


def _safe(run_id: str) -> str:
    """A run id as a folder name: Airflow's hold colons and plus signs."""
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in run_id)


def _arrow_type(table: str, name: str) -> pa.DataType:
    column = RECORD_TABLES[table].column(name)
    match column.type if column else ColumnType.STRING:
        case ColumnType.INTEGER:
            return pa.int64()
        case ColumnType.DECIMAL:
            return pa.decimal128(18, column.scale or 0 if column else 0)
        case ColumnType.DATE:
            return pa.date32()
        case ColumnType.DATETIME:
            return pa.timestamp("us", tz="UTC")
        case ColumnType.BOOLEAN:
            return pa.bool_()
        case _:
            return pa.string()


def _tagged(value: Any) -> Any:
    """JSON that brings back what it was given: decimals and big integers go as {"$decimal": "1.10"}."""
    match value:
        case Decimal():
            return {"$decimal": str(value)}
        case int() if not isinstance(value, bool) and value.bit_length() > 63:
            return {"$integer": str(value)}
        case dict():
            tagged = {key: _tagged(item) for key, item in value.items()}
            return {"$object": tagged} if len(value) == 1 and next(iter(value)) in _UNTAG else tagged
        case list():
            return [_tagged(item) for item in value]
        case _:
            return value


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((tag, tagged),) = value.items()
        if tag in _UNTAG:
            return _UNTAG[tag](tagged)
    return _untagged_items(value)


def _untagged_items(value: dict[str, Any]) -> dict[str, Any]:
    return {key: _untagged(item) if isinstance(item, (dict, list)) else item for key, item in value.items()}


_UNTAG: dict[str, Callable[[Any], Any]] = {"$decimal": Decimal, "$integer": int, "$object": _untagged_items}
