"""One write to the ERP: checked against the record as it is and the values it may have, done once for each key."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from erp_fields import FORMS, FieldFault
from erp_history import Record, Version
from erp_state import Erp

CREATE, UPDATE, DELETE = "create", "update", "delete"
CREATED, OK, NO_CONTENT, NOT_FOUND, STALE, UNPROCESSABLE = 201, 200, 204, 404, 412, 422
KEPT_KEYS = 100_000


@dataclass(frozen=True)
class Write:
    """`id` is None for a new record; `if_match` is the ETag of the record that the write is based on."""

    action: str
    table: str
    id: str | None
    fields: Record = field(default_factory=dict)
    key: str = ""
    if_match: str = ""

    def fingerprint(self) -> str:
        return json.dumps([self.action, self.table, self.id, self.fields], sort_keys=True)


@dataclass(frozen=True)
class Written:
    """What became of a write. `version` is the record afterwards, `fault` why nothing was done."""

    status: int
    id: str | None = None
    version: Version | None = None
    fault: FieldFault | None = None


def etag(version: Version) -> str:
    return f'"{hashlib.sha256(version.body).hexdigest()[:20]}"'


class Writer:
    """Writes to an ERP, and remembers the keys of what it did: the newest KEPT_KEYS of them."""

    def __init__(self, erp: Erp) -> None:
        self._erp = erp
        self._done: OrderedDict[str, tuple[str, Written]] = OrderedDict()

    def write(self, write: Write, who: str) -> Written:
        """A key that was done before gets the answer of then; one of a write that was refused may be used again."""
        if write.key in self._done:
            fingerprint, written = self._done[write.key]
            return written if fingerprint == write.fingerprint() else _refused("key", "was used for another write")
        written = self._write(write, who)
        if write.key and written.fault is None:
            self._done[write.key] = (write.fingerprint(), written)
            while len(self._done) > KEPT_KEYS:
                self._done.popitem(last=False)
        return written

    def _write(self, write: Write, who: str) -> Written:
        if write.action == CREATE:
            return self._create(write, who)
        version = self._erp.find(write.table, write.id) if write.id else None
        if version is None:
            return _refused("id", f"{write.table} has no {write.id!r}", NOT_FOUND)
        if write.if_match not in ("", "*", etag(version)):
            return _refused("if_match", f"{write.id} has changed, its ETag is {etag(version)}", STALE)
        return self._delete(version, write.table) if write.action == DELETE else self._update(version, write, who)

    def _create(self, write: Write, who: str) -> Written:
        if write.id is not None:
            return _refused("id", "is given by the ERP; leave it out of a new record")
        for fault in (*self._faults(write), *FORMS[write.table].missing(write.fields)):
            return Written(UNPROCESSABLE, fault=fault)
        version = self._erp.create(write.table, write.fields, who)
        return Written(CREATED, version.id, version)

    def _update(self, version: Version, write: Write, who: str) -> Written:
        for fault in self._faults(write):
            return Written(UNPROCESSABLE, version.id, fault=fault)
        changed = self._erp.change(write.table, version.id, write.fields, who)
        return Written(OK, changed.id, changed)

    def _delete(self, version: Version, table: str) -> Written:
        self._erp.delete(table, version.id)
        return Written(NO_CONTENT, version.id)

    def _faults(self, write: Write) -> Iterator[FieldFault]:
        return FORMS[write.table].faults(write.fields, lambda table, key: self._erp.find(table, key) is not None)


def _refused(name: str, message: str, status: int = UNPROCESSABLE) -> Written:
    return Written(status, fault=FieldFault(name, message))


CODES = {NOT_FOUND: "NOT_FOUND", STALE: "STALE", UNPROCESSABLE: "INVALID_VALUE"}


def fault_json(written: Written) -> dict[str, Any]:
    fault = written.fault or FieldFault("", "")
    error = {"field": fault.field, "message": fault.message}
    return {"code": CODES[written.status], "message": f"{fault.field} {fault.message}", "error": error}


def result_json(index: int, written: Written) -> dict[str, Any]:
    """A write of a bulk call: its place in the call, its status, and the record or the error."""
    result: dict[str, Any] = {"index": index, "id": written.id, "status": written.status}
    if written.version:
        result |= {"etag": etag(written.version), "record": json.loads(written.version.body)}
    if written.fault:
        result["error"] = fault_json(written)["error"] | {"code": CODES[written.status]}
    return result
