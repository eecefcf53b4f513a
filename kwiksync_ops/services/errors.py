"""The Error Log, as a person works through it: search, look at one, set it down as resolved."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from kwiksync_ops import errors
from kwiksync_ops.clock import Clock
from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import ConfigurationError, KwikSyncError
from kwiksync_ops.storage import audit, edits, error_log
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.vocabulary import Resolution, short_name

ErrorRow = Mapping[str, Any]
"""A row of the Error Log; `payload` and `faults` are values, not text."""

MAX_REPLAYED = 100_000
_EXACT = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class ErrorFilter:
    """Which rows; None asks for all. `code` is the product's `ERR_nnn`; `after` the last row of the page before."""

    system: str | None = None
    table: str | None = None
    code: str | None = None
    run_id: str | None = None
    resolution: Resolution | None = Resolution.OPEN
    external_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, str] | None = None


@dataclass(frozen=True)
class Resolved:
    """`closed` were open until now; `already` were not."""

    closed: Sequence[str]
    already: Sequence[str]


def search_errors(hub: Hub, wanted: ErrorFilter, *, limit: int) -> list[ErrorRow]:
    """Rows, newest first.

    Raises:
        ConfigurationError: there is no such code.
    """
    code = check_code(wanted.code) if wanted.code else None
    with hub.read() as connection:
        rows = error_log.search(
            connection,
            system=wanted.system,
            table=short_name(wanted.table) if wanted.table else None,
            code=code,
            run_id=wanted.run_id,
            resolution=wanted.resolution,
            external_id=wanted.external_id,
            since=wanted.since,
            until=wanted.until,
            after=wanted.after,
            limit=limit,
        )
        return [_row(dict(row)) for row in rows]


def count_codes(hub: Hub, run_id: str) -> dict[tuple[str, str], int]:
    """How many errors a run logged, by table and code."""
    with hub.read() as connection:
        return error_log.count_codes(connection, run_id)


def find_errors(hub: Hub, ids: Iterable[str]) -> list[ErrorRow]:
    """Rows by their sys_id, or a beginning of it that belongs to one row only.

    Raises:
        ConfigurationError: one of them is not there, or not one only.
    """
    with hub.read() as connection:
        found = [(wanted, error_log.read(connection, wanted.strip().lower())) for wanted in ids if wanted.strip()]
    missing = [wanted for wanted, row in found if row is None]
    if missing or not found:
        raise ConfigurationError(
            f"The Error Log has no row {', '.join(missing) or 'without an id'}, or several that begin so.",
            remedy="Copy the id from kwiksync errors list, with more of its digits.",
        )
    return list({row["sys_id"]: _row(dict(row)) for _, row in found if row is not None}.values())


def resolve_errors(hub: Hub, rows: Sequence[ErrorRow], *, note: str | None, who: str, clock: Clock) -> Resolved:
    """Set rows down as resolved by hand. Twice changes nothing.

    Of a conflict the hub's value stands then, and the next outbound sync sends it.
    """
    open_ids = [row["sys_id"] for row in rows if row["resolution"] == Resolution.OPEN]
    conflicting = [found for row in rows if (found := _record_in_conflict(row)) and row["sys_id"] in open_ids]
    now = clock.now()

    def write(connection: Connection) -> None:
        if error_log.close(connection, open_ids, Resolution.RESOLVED, who=who, now=now):
            for sys_id, table, record in conflicting:
                note_decision(connection, sys_id, "hub", None)
                edits.touch(connection, table, record, now=now)
            details = {"rows": open_ids, "note": note}
            audit.append(connection, "error.resolve", f"{len(open_ids)} rows", who=who, now=now, details=details)

    if open_ids:
        hub.write(write)
    return Resolved(open_ids, [row["sys_id"] for row in rows if row["sys_id"] not in open_ids])


def check_code(code: str) -> str:
    """`err_4`, `4` and `ERR_004` are one code.

    Raises:
        ConfigurationError: there is no such code.
    """
    digits = code.upper().removeprefix("ERR").strip("_- ")
    full = f"ERR_{digits.zfill(3)}"
    known = sorted({error.code for error in vars(errors).values() if _is_error(error)})
    if full not in known:
        raise ConfigurationError(
            f"There is no error code {code!r}.{did_you_mean(full, known)}", remedy=f"Use one of: {', '.join(known)}."
        )
    return full


def note_decision(connection: Connection, sys_id: str, use: str, value: Any) -> None:
    """Keep with a conflict what was decided: whose value stands, and what the field was given by that."""
    row = error_log.read(connection, sys_id)
    told = _value(row["payload"]) if row else None
    if isinstance(told, dict):
        payload = {**told, "decision": use, "value": value}
        error_log.note_payload(connection, sys_id, _EXACT.encode(payload).decode())


def _record_in_conflict(row: ErrorRow) -> tuple[str, str, str] | None:
    """The row, the table and the sys_id of a record that waits for a decision before it is sent whole."""
    payload = row["payload"]
    is_conflict = row["code"] == errors.ConflictError.code and isinstance(payload, dict)
    return (row["sys_id"], row["table_name"], payload["sys_id"]) if is_conflict and "sys_id" in payload else None


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, KwikSyncError)


def _row(row: Mapping[str, Any]) -> ErrorRow:
    return {**row, "payload": _value(row["payload"]), "faults": _value(row["faults"]) or []}


def _value(text: str | None) -> Any:
    """A payload that was cut off, or is no JSON, stays the text that it is."""
    try:
        return json.loads(text, parse_float=Decimal) if text else None
    except ValueError:
        return text
