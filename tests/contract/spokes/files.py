"""Files: each format in a local folder; CSV in S3 and on an SFTP server too."""

from __future__ import annotations

import csv
import gzip
import io
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import trustme
from pyarrow import fs

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.connectors.target import PushRequest, Target
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from tests.contract.spoke import Ability, Fault, Row
from tests.support.s3_server import S3Server
from tests.support.sftp_server import LOGIN, PASSWORD, RunningSftpServer

VARIANTS = ("csv", "csv.gz", "json", "jsonl", "parquet", "xlsx", "s3", "sftp")
_NO_HTTP = frozenset({Ability.HTTP})
LACKS = dict.fromkeys(VARIANTS, _NO_HTTP) | {"xlsx": _NO_HTTP | {Ability.NULLS}}
_COLUMNS = ("id", "name", "note", "amount", "changed")
_NULL = "\\N"
_WRITTEN = datetime(2026, 1, 15, 12, tzinfo=UTC)


class Outside(Protocol):
    """The folder as somebody else sees it."""

    def put(self, name: str, content: bytes) -> None:
        """Make or replace a file, whole."""
        ...

    def outbound(self) -> list[bytes]:
        """What lies in `out`, in the order of its names."""
        ...

    def clear(self) -> None:
        """Nothing lies in `out` any more."""
        ...


class FilesSpoke:
    """Somebody else writes the one file of rows as a whole, and applies the files that we write."""

    def __init__(self, outside: Outside, credentials: Credentials, ending: str) -> None:
        self.clock = ManualClock()
        self.call_records = 10
        self._outside = outside
        self._ending = ending
        self._rows: dict[str, Row] = {}
        self._options = {
            "null_values": [_NULL],
            "push": {
                "file": f"rows_{{time}}_{{digest}}.{ending}",
                "columns": ["action", *_COLUMNS],
                "action_column": "action",
                "records": 10,
                "null_text": _NULL,
                "gzip": ending.endswith(".gz"),
            },
        }
        self._credentials = credentials

    def fill(self, rows: Sequence[Row]) -> None:
        self._rows = {row["id"]: row for row in rows}
        self._outside.clear()
        self._save()

    def change(self, key: str, **fields: Any) -> None:
        self._rows[key] = Row(**{**self._rows[key], **fields})
        self._save()

    def rows(self) -> dict[str, Row]:
        found = dict(self._rows)
        for content in self._outside.outbound():
            for record in _LOAD[self._ending](content):
                if record["action"] == "delete":
                    found.pop(record["id"], None)
                else:
                    found[record["id"]] = self.row_of({**record, "changed": _WRITTEN.isoformat()})
        return found

    def fail(self, fault: Fault, *, after_calls: int = 0) -> None:
        raise NotImplementedError("It speaks no HTTP.")

    def row_of(self, record: Any) -> Row:
        changed = datetime.fromisoformat(record["changed"])
        return Row(
            id=record["id"],
            name=record["name"],
            note=record["note"],
            amount=int(record["amount"]),
            changed=changed if changed.tzinfo else changed.replace(tzinfo=UTC),
        )

    def payload_of(self, row: Row) -> dict[str, Any]:
        return {"name": row["name"], "note": row["note"], "amount": row["amount"]}

    def unfit_payload(self) -> dict[str, Any]:
        return {"name": "unfit", "note": "", "amount": 1, "no such column": "x"}

    def source(self) -> Source:
        return open_source("files", self._credentials, self._options, Unlimited(), self.clock)

    def target(self) -> Target:
        return open_target("files", self._credentials, self._options, Unlimited(), self.clock)

    def request(self, **changes: Any) -> ReadRequest:
        return ReadRequest(f"rows*.{self._ending}", "id", **{"cursor_field": "changed", "page_records": 10, **changes})

    def push_request(self) -> PushRequest:
        """A moment later, so that the files' names tell their order."""
        self.clock.advance(0.001)
        return PushRequest(f"rows*.{self._ending}", "id")

    def _save(self) -> None:
        records = [{**row, "changed": row["changed"].isoformat()} for row in self._rows.values()]
        self._outside.put(f"rows.{self._ending}", _SAVE[self._ending](records))


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, content: bytes) -> None:
        part = self._folder / "rows.part"
        part.write_bytes(content)
        part.replace(self._folder / name)

    def outbound(self) -> list[bytes]:
        return [file.read_bytes() for file in sorted((self._folder / "out").glob("*"))]

    def clear(self) -> None:
        for file in (self._folder / "out").glob("*"):
            file.unlink()


class _Bucket:
    def __init__(self, store: fs.S3FileSystem, name: str) -> None:
        self._store = store
        self._name = name
        store.create_dir(name)

    def put(self, name: str, content: bytes) -> None:
        with self._store.open_output_stream(f"{self._name}/{name}") as file:
            file.write(content)

    def outbound(self) -> list[bytes]:
        contents = []
        for info in sorted(self._written(), key=lambda info: info.path):
            with self._store.open_input_stream(info.path) as file:
                contents.append(file.read())
        return contents

    def clear(self) -> None:
        for info in self._written():
            self._store.delete_file(info.path)

    def _written(self) -> list[fs.FileInfo]:
        found = self._store.get_file_info(fs.FileSelector(f"{self._name}/out", allow_not_found=True))
        return [info for info in found if info.is_file]


def _csv(records: Sequence[Any]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    writer.writerows({name: _NULL if value is None else value for name, value in each.items()} for each in records)
    return text.getvalue().encode()


def _from_csv(content: bytes) -> list[Any]:
    rows = csv.DictReader(io.StringIO(content.decode(), newline=""))
    return [{name: None if value == _NULL else value for name, value in row.items()} for row in rows]


def _parquet(records: Sequence[Any]) -> bytes:
    sink = io.BytesIO()
    schema = pa.schema([(name, pa.int64() if name == "amount" else pa.string()) for name in _COLUMNS])
    pq.write_table(pa.Table.from_pylist(list(records), schema), sink)
    return sink.getvalue()


def _xlsx(records: Sequence[Any]) -> bytes:
    book = openpyxl.Workbook()
    for row in (_COLUMNS, *([each[name] for name in _COLUMNS] for each in records)):
        book.active.append(list(row))
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def _from_xlsx(content: bytes) -> list[Any]:
    header, *rows = openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


_SAVE: dict[str, Callable[[Sequence[Any]], bytes]] = {
    "csv": _csv,
    "csv.gz": lambda records: gzip.compress(_csv(records)),
    "json": lambda records: json.dumps(list(records)).encode(),
    "jsonl": lambda records: "".join(f"{json.dumps(each)}\n" for each in records).encode(),
    "parquet": _parquet,
    "xlsx": _xlsx,
}
_LOAD: dict[str, Callable[[bytes], list[Any]]] = {
    "csv": _from_csv,
    "csv.gz": lambda content: _from_csv(gzip.decompress(content)),
    "json": lambda content: json.loads(content, parse_float=Decimal),
    "jsonl": lambda content: [json.loads(line) for line in content.splitlines()],
    "parquet": lambda content: pq.read_table(io.BytesIO(content)).to_pylist(),
    "xlsx": _from_xlsx,
}


@cache
def _s3() -> tuple[S3Server, trustme.CA]:
    """One for all tests, each with a bucket of its own."""
    authority = trustme.CA()
    return S3Server(authority), authority


def _open_s3(folder: Path) -> FilesSpoke:
    server, authority = _s3()
    ca_file, bucket = str(folder / "ca.pem"), f"b{uuid.uuid4().hex}"
    authority.cert_pem.write_to_path(ca_file)
    keys: Mapping[str, str] = {"login": "an-access-key", "password": "a-secret-access-key"}
    store = fs.S3FileSystem(
        access_key=keys["login"],
        secret_key=keys["password"],
        endpoint_override=server.url.removeprefix("https://"),
        region="us-east-1",
        tls_ca_file_path=ca_file,
        allow_bucket_creation=True,
    )
    extra = {"endpoint_url": server.url, "region": "us-east-1"}
    credentials = Credentials(f"s3://{bucket}", **keys, ca_file=ca_file, allow_hosts=("127.0.0.1",), extra=extra)
    return FilesSpoke(_Bucket(store, bucket), credentials, "csv")


@contextmanager
def _open_sftp(folder: Path) -> Iterator[FilesSpoke]:
    with closing(RunningSftpServer(folder)) as server:
        extra = {"host_keys": server.host_keys}
        credentials = Credentials(server.url(), LOGIN, PASSWORD, allow_hosts=("127.0.0.1",), extra=extra)
        yield FilesSpoke(_Folder(folder), credentials, "csv")


@contextmanager
def open_spoke(variant: str, tmp_path: Path) -> Iterator[FilesSpoke]:
    match variant:
        case "s3":
            yield _open_s3(tmp_path)
        case "sftp":
            with _open_sftp(tmp_path) as spoke:
                yield spoke
        case ending:
            yield FilesSpoke(_Folder(tmp_path), Credentials(tmp_path.as_uri()), ending)
