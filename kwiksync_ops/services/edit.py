"""Records changed by a person in the hub: checked, with history and audit, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kwiksync_ops.clock import Clock
from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import ConfigurationError, ConflictError, ValidationError
from kwiksync_ops.mapping.coercion import compile_coercion
from kwiksync_ops.mapping.faults import Fault
from kwiksync_ops.services.records import find_record_table
from kwiksync_ops.storage import audit, edits, tombstones
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.vocabulary import Column, ColumnType, RecordTable

_OWN_BASE = ("active",)


def edit_record(
    hub: Hub,
    table: str,
    sys_id: str,
    values: Mapping[str, Any],
    *,
    who: str,
    clock: Clock,
    expected_mod_count: int | None = None,
) -> dict[str, tuple[Any, Any]]:
    """Change fields of a record; what changed, old and new.

    Args:
        values: by column, as text or as values of the column's type; None and empty text are "no value".
        expected_mod_count: the `sys_mod_count` that the person saw.

    Raises:
        ConfigurationError: there is no such table, field or record.
        ValidationError: a value is not one of its column; nothing was changed.
        ConflictError: the record was changed since the person looked.
    """
    found = find_record_table(table)
    typed = _typed(found, values)
    return hub.write(
        lambda connection: _edit(
            connection, found, sys_id, typed, who=who, clock=clock, expected_mod_count=expected_mod_count
        )
    )


def edit_within(
    connection: Connection, table: str, sys_id: str, values: Mapping[str, Any], *, who: str, clock: Clock
) -> dict[str, tuple[Any, Any]]:
    """As `edit_record`, in the caller's transaction."""
    found = find_record_table(table)
    return _edit(connection, found, sys_id, _typed(found, values), who=who, clock=clock)


def _edit(
    connection: Connection,
    table: RecordTable,
    sys_id: str,
    typed: Mapping[str, Any],
    *,
    who: str,
    clock: Clock,
    expected_mod_count: int | None = None,
) -> dict[str, tuple[Any, Any]]:
    row = edits.read(connection, table.name, sys_id)
    if row is None or row["sys_deleted_on"] is not None:
        raise _missing(table, sys_id, is_deleted=row is not None)
    if expected_mod_count is not None and row["sys_mod_count"] != expected_mod_count:
        raise ConflictError(
            f"{table.name} {sys_id} was changed by {row['sys_updated_by']} since you looked.",
            remedy="Look at it again, then repeat your edit.",
        )
    _check_references(connection, table, typed)
    changes = edits.update(connection, table.name, row, typed, who=who, now=clock.now())
    if changes:
        _audit(connection, "record.update", table, sys_id, {"changes": changes}, who, clock)
    return changes


def create_record(hub: Hub, table: str, values: Mapping[str, Any], *, who: str, clock: Clock) -> str:
    """Make a record in the hub; its sys_id. Raises as `edit_record`."""
    return hub.write(lambda connection: create_within(connection, table, values, who=who, clock=clock))


def create_within(connection: Connection, table: str, values: Mapping[str, Any], *, who: str, clock: Clock) -> str:
    """As `create_record`, in the caller's transaction."""
    found = find_record_table(table)
    typed = _typed(found, values)
    if not any(value is not None for value in typed.values()):
        raise ConfigurationError(f"A record of {found.name} without a value is none.", remedy="Give a field: name=Dam.")
    _check_references(connection, found, typed)
    sys_id = edits.create(connection, found.name, typed, who=who, now=clock.now())
    _audit(connection, "record.create", found, sys_id, {"values": typed}, who, clock)
    return sys_id


def delete_records(hub: Hub, table: str, sys_ids: Sequence[str], *, who: str, clock: Clock) -> int:
    """Delete records: they stay as tombstones, so that their deletion can be sent, and undone.

    Raises:
        ConfigurationError: one of them does not exist; nothing was deleted.
    """
    found = find_record_table(table)

    def work(connection: Connection) -> int:
        old = edits.old_values(connection, found.name, sys_ids)
        for sys_id in sys_ids:
            if sys_id not in old:
                raise _missing(found, sys_id)
        number = tombstones.bury(
            connection, found.name, sys_ids, system=None, run_id=edits.BY_HAND, who=who, now=clock.now()
        )
        for sys_id in sys_ids:
            _audit(connection, "record.delete", found, sys_id, {"old": old[sys_id]}, who, clock)
        return number

    return hub.write(work)


def _typed(table: RecordTable, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as their columns hold them; all that is wrong with them is told at once."""
    names = [*(column.name for column in table.columns), *_OWN_BASE]
    for name in values:
        if name not in names:
            raise ConfigurationError(
                f"{table.name} has no field {name!r} that can be edited.{did_you_mean(name, names)}",
                remedy=f"Use one of: {', '.join(names)}.",
            )
    typed = {name: _value(table.column(name), value) for name, value in values.items()}
    faults = [f"{name} {value.reason}" for name, value in typed.items() if isinstance(value, Fault)]
    if faults:
        raise ValidationError("; ".join(faults), remedy="Nothing was changed; correct what is named.", fields=faults)
    return typed


def _value(column: Column | None, value: Any) -> Any:
    return None if column is None or value in (None, "") else compile_coercion(column).convert(value)


def _check_references(connection: Connection, table: RecordTable, values: Mapping[str, Any]) -> None:
    """Raises ValidationError, which names all records that are referred to and do not exist."""
    faults = [
        f"{column.name} refers to a record of {column.references}, and there is none with the sys_id {value!r}"
        for column in table.columns
        if column.type == ColumnType.REFERENCE and column.references and (value := values.get(column.name)) is not None
        if not edits.exists(connection, column.references, value)
    ]
    if faults:
        raise ValidationError(
            "; ".join(faults), remedy="Nothing was changed; take a sys_id from the table that is named.", fields=faults
        )


def _missing(table: RecordTable, sys_id: str, *, is_deleted: bool = False) -> ConfigurationError:
    what = (
        f"The record {sys_id} of {table.name} is deleted." if is_deleted else f"{table.name} has no record {sys_id!r}."
    )
    return ConfigurationError(what, remedy=f"Take a sys_id from kwiksync records {table.name}.")


def _audit(
    connection: Connection,
    action: str,
    table: RecordTable,
    sys_id: str,
    details: Mapping[str, Any],
    who: str,
    clock: Clock,
) -> None:
    audit.append(connection, action, f"{table.name} {sys_id}", who=who, now=clock.now(), details=details)
