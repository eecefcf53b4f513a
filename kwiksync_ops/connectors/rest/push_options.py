"""The `push:` options of the REST connector as values; what each one means stands in options.schema.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from kwiksync_ops.connectors.http.json_path import Path, parse_path
from kwiksync_ops.connectors.target import Repeat
from kwiksync_ops.vocabulary import Action

DELIVERY_NAMES = ("fields", "key", "record_id", "idempotency_key", "etag")


@dataclass(frozen=True)
class Endpoint:
    """A call for one delivery; `body` is a template of `DELIVERY_NAMES`, without one the fields are the body."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True)
class BulkOptions:
    """A call that holds many records. A field that is empty is not sent, a path that is empty not looked at."""

    path: str
    method: str = "POST"
    body: Any = None
    records: int = 1000
    actions: tuple[str, ...] = ("create", "update", "delete")
    records_path: str = ""
    fields_field: str = ""
    action_field: str = ""
    key_field: str = ""
    id_field: str = ""
    idempotency_field: str = ""
    etag_field: str = ""
    results_path: Path = ()
    index_path: Path | None = None
    id_path: Path | None = None
    status_path: Path = ("status",)
    key_path: Path | None = None
    etag_path: Path | None = None
    error_path: Path | None = None


@dataclass(frozen=True)
class FindOptions:
    """How to find a record whose id at the system is not known: by our own id, which was sent in `field`."""

    path: str
    field: str
    param: str = ""
    method: str = "GET"
    body: Any = None
    records_path: Path = ()


@dataclass(frozen=True)
class ReadOptions:
    path: str
    method: str = "GET"
    body: Any = None
    record_path: Path = ()


@dataclass(frozen=True)
class ConfirmOptions:
    by: str = "answer"
    path: str = ""
    job_path: Path = ("id",)
    state_path: Path = ("state",)
    done: tuple[str, ...] = ("done",)
    failed: tuple[str, ...] = ("failed",)
    error_path: Path | None = None


@dataclass(frozen=True)
class PushOptions:
    create: Endpoint | None = None
    update: Endpoint | None = None
    delete: Endpoint | None = None
    bulk: BulkOptions | None = None
    changes_only: bool | None = None
    key_path: Path | None = None
    etag: str = ""
    idempotency_header: str = ""
    repeat: Repeat = Repeat.NEVER
    correlation_field: str = ""
    find: FindOptions | None = None
    read: ReadOptions | None = None
    confirm: ConfirmOptions = field(default_factory=ConfirmOptions)

    def endpoint(self, action: Action) -> Endpoint | None:
        return {Action.CREATE: self.create, Action.UPDATE: self.update, Action.DELETE: self.delete}[action]

    def is_bulk(self, action: Action) -> bool:
        return self.bulk is not None and action in self.bulk.actions


_SECTIONS: Mapping[str, Any] = {
    "create": Endpoint,
    "update": Endpoint,
    "delete": Endpoint,
    "bulk": BulkOptions,
    "find": FindOptions,
    "read": ReadOptions,
    "confirm": ConfirmOptions,
}


def parse_push(options: Mapping[str, Any]) -> PushOptions:
    """Options that the schema has accepted."""
    values = {
        name: _section(name, value) if name in _SECTIONS else _value(name, value) for name, value in options.items()
    }
    return PushOptions(**values)


def _section(name: str, value: Mapping[str, Any]) -> Any:
    kind = _SECTIONS[name]
    paths = {each.name for each in fields(kind) if "Path" in str(each.type)}
    given = dict(value)
    if "body" in given and any(each.name == "method" for each in fields(kind)):
        given.setdefault("method", "POST")
    return kind(**{key: parse_path(item) if key in paths else _value(key, item) for key, item in given.items()})


def _value(name: str, value: Any) -> Any:
    if name == "key_path":
        return parse_path(value)
    if name == "body":
        return value
    if name == "repeat":
        return Repeat(value)
    return tuple(value) if isinstance(value, list) else value
