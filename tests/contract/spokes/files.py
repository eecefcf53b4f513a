"""Files: each format in a local folder; CSV in S3 and on an SFTP server too."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.connectors.target import PushRequest, Target
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from tests.contract.spoke import Ability, Fault, Row

VARIANTS = ("csv", "csv.gz", "json", "jsonl", "parquet", "xlsx")
_NO_HTTP = frozenset({Ability.HTTP})
LACKS = dict.fromkeys(VARIANTS, _NO_HTTP) | {"xlsx": _NO_HTTP | {Ability.NULLS}}
_COLUMNS = ("id", "name", "note", "amount", "changed")
_NULL = "\\N"
_WRITTEN = datetime(2026, 1, 15, 12, tzinfo=UTC)


class FilesSpoke:
    """Somebody else writes the one file of rows as a whole, and applies the files that we write."""

    def __init__(self, folder: Path, ending: str) -> None:
        self.clock = ManualClock()
        self.call_records = 10
        self._folder = folder
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
        self._credentials = Credentials(folder.as_uri())

    def fill(self, rows: Sequence[Row]) -> None:
        self._rows = {row["id"]: row for row in rows}
        for file in (self._folder / "out").glob("*"):
            file.unlink()
        self._save()

    def change(self, key: str, **fields: Any) -> None:
        self._rows[key] = Row(**{**self._rows[key], **fields})
        self._save()

    def rows(self) -> dict[str, Row]:
        """In the order in which the files were written, which a standing clock does not tell."""
        found = dict(self._rows)
        for file in sorted((self._folder / "out").glob("*"), key=lambda file: file.stat().st_mtime_ns):
            for record in _LOAD[self._ending](file.read_bytes()):
                if record["action"] == "delete":
                    found.pop(record["id"], None)
                else:
                    found[record["id"]] = self.row_of({**record, "changed": _WRITTEN.isoformat()})
        return found

    def fail(self, fault: Fault, *, after_calls: int = 0) -> None:
        raise NotImplementedError

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
        return PushRequest(f"rows*.{self._ending}", "id")

    def _save(self) -> None:
        records = [{**row, "changed": row["changed"].isoformat()} for row in self._rows.values()]
        part = self._folder / "rows.part"
        part.write_bytes(_SAVE[self._ending](records))
        part.replace(self._folder / f"rows.{self._ending}")


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


@contextmanager
def open_spoke(variant: str, tmp_path: Path) -> Iterator[FilesSpoke]:
    yield FilesSpoke(tmp_path, variant)
