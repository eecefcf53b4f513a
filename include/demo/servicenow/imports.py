"""Import sets: staging rows, and the transform maps that make records of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from servicenow.access import User
from servicenow.messages import ApiError
from servicenow.records import Records, Row
from servicenow.schema import REFERENCE, Schema
from servicenow.settings import Settings
from servicenow.values import as_text
from servicenow.writing import Writer

SET_TABLE, ROW_TABLE, MULTI_TABLE = "sys_import_set", "sys_import_set_row", "sys_multi_import_set"
PENDING, INSERTED, UPDATED, IGNORED, FAILED = "pending", "inserted", "updated", "ignored", "error"
LOADED, PROCESSED = "loaded", "processed"


@dataclass(frozen=True)
class TransformMap:
    """Makes records of `target` out of staging rows: `fields` are target fields by staging field.

    Rows whose `coalesce` fields, of the target, match a record change it; without such fields each row makes a new one.
    A field in `lookups` is a reference that is found by that field of the record it refers to.
    """

    name: str
    target: str
    fields: Mapping[str, str]
    coalesce: tuple[str, ...] = ()
    lookups: Mapping[str, str] = field(default_factory=dict)
    ignores: Callable[[Row], bool] = lambda row: False


@dataclass(frozen=True)
class Staging:
    """How a staging table takes records: its maps, and what `insertMultiple` does with it."""

    table: str
    maps: tuple[TransformMap, ...]
    is_synchronous: bool = False
    has_column_names: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a map made of a row."""

    status: str
    target: str = ""
    sys_id: str = ""
    message: str = ""


@dataclass
class _Run:
    """An asynchronous import whose rows are still to be transformed."""

    import_set: Row
    user: User
    staging: Staging
    rows: list[Row]


class Imports:
    """The staging tables of an instance, and the imports that are under way."""

    def __init__(self, schema: Schema, records: Records, writer: Writer, settings: Settings) -> None:
        self._schema, self._records, self._writer, self._settings = schema, records, writer, settings
        self._stagings: dict[str, Staging] = {}
        self._runs: list[_Run] = []

    def add(self, staging: Staging) -> None:
        self._stagings[staging.table] = staging

    def staging(self, table: str) -> Staging:
        if table not in self._schema or ROW_TABLE not in self._schema.lineage(table):
            raise ApiError(400, f"Invalid staging table {table}", "The table does not extend Import Set Row")
        return self._stagings.get(table, Staging(table, ()))

    def load_one(self, user: User, staging: Staging, given: Mapping[str, Any]) -> Row:
        """The staging row of one record, transformed."""
        import_set = self._new_set(user, staging, "")
        row = self._stage(user, staging, import_set, 0, given)
        self.transform(user, staging, row)
        self._records.update(SET_TABLE, import_set, {"state": PROCESSED})
        return row

    def load(self, user: User, staging: Staging, records: Sequence[Mapping[str, Any]], multi_set: str) -> Row:
        """The import set of many records: transformed at once, or whenever the instance comes to it."""
        multi_id = multi_set or self._records.insert(MULTI_TABLE, {"state": LOADED}, user.name)["sys_id"]
        import_set = self._new_set(user, staging, multi_id)
        names = {} if staging.has_column_names else self._names_by_label(staging.table)
        rows = [
            self._stage(user, staging, import_set, number, _renamed(record, names) if names else record)
            for number, record in enumerate(records)
        ]
        run = _Run(import_set, user, staging, rows)
        if staging.is_synchronous:
            self._advance(run, len(rows))
        else:
            self._runs.append(run)
        return import_set

    def look_at(self, table: str) -> None:
        """Time goes by for asynchronous imports whenever somebody looks whether they are done."""
        for run in tuple(self._runs):
            if self._settings.runs_imports and table in (run.staging.table, ROW_TABLE, SET_TABLE, MULTI_TABLE):
                self._advance(run, self._settings.rows_per_import_poll or len(run.rows))

    def run(self) -> None:
        """Transform everything that is loaded."""
        for run in tuple(self._runs):
            self._advance(run, len(run.rows))

    def _advance(self, run: _Run, count: int) -> None:
        for row in run.rows[:count]:
            self.transform(run.user, run.staging, row)
        run.rows = run.rows[count:]
        if not run.rows:
            self._records.update(SET_TABLE, run.import_set, {"state": PROCESSED})
            self._runs = [other for other in self._runs if other is not run]

    def _new_set(self, user: User, staging: Staging, multi_id: str) -> Row:
        fields = {"table_name": staging.table, "state": LOADED, "multi_import_set": multi_id}
        return self._records.insert(SET_TABLE, fields, user.name)

    def _stage(self, user: User, staging: Staging, import_set: Row, number: int, given: Mapping[str, Any]) -> Row:
        fields = self._writer.fields(user, staging.table, given)
        place = {"sys_import_set": import_set["sys_id"], "sys_import_row": str(number), "sys_import_state": PENDING}
        return self._records.insert(staging.table, {**fields, **place}, user.name)

    def _names_by_label(self, table: str) -> dict[str, str]:
        return {column.title: name for name, column in self._schema.columns(table).items()}

    def transform(self, user: User, staging: Staging, row: Row) -> None:
        """Apply every map to the row; the row keeps what the last one did."""
        for transform_map in staging.maps:
            self._note(staging, row, transform_map, self._apply(user, transform_map, row))
        if not staging.maps:
            missing = Outcome(FAILED, message="No transform entry or scripts are defined")
            self._note(staging, row, None, missing)

    def _note(self, staging: Staging, row: Row, transform_map: TransformMap | None, outcome: Outcome) -> None:
        fields = {
            "sys_import_state": outcome.status,
            "sys_import_state_comment": outcome.message,
            "sys_target_table": outcome.target,
            "sys_target_sys_id": outcome.sys_id,
            "sys_transform_map": transform_map.name if transform_map else "",
        }
        self._records.update(staging.table, row, fields)

    def _apply(self, user: User, transform_map: TransformMap, row: Row) -> Outcome:
        if transform_map.ignores(row):
            return Outcome(IGNORED, transform_map.target, message="Row transform ignored by onBefore script")
        try:
            return self._write(user, transform_map, self._mapped(transform_map, row))
        except ApiError as exc:
            return Outcome(FAILED, transform_map.target, message=exc.detail or exc.message)

    def _mapped(self, transform_map: TransformMap, row: Row) -> Row:
        fields = {}
        for source, target in transform_map.fields.items():
            if row[source] or self._settings.copies_empty_fields:
                fields[target] = self._referred(transform_map, target, row[source])
        return fields

    def _referred(self, transform_map: TransformMap, target: str, value: str) -> str:
        """References are found by the map's field, by `sys_id` or by name; others are taken as they are."""
        column = self._schema.columns(transform_map.target)[target]
        if column.type != REFERENCE or not value or self._records.find(column.reference, value):
            return value
        if target in transform_map.lookups:
            found = self._records.find_by(column.reference, transform_map.lookups[target], value)
            return found["sys_id"] if found else ""
        return self._writer.sys_id_of(column.reference, value)

    def _write(self, user: User, transform_map: TransformMap, fields: Row) -> Outcome:
        found = self._match(transform_map, fields)
        target = transform_map.target
        if found is None:
            return Outcome(INSERTED, target, self._writer.insert(user, target, fields)["sys_id"])
        if self._writer.update(user, target, found, fields):
            return Outcome(UPDATED, target, found["sys_id"])
        return Outcome(IGNORED, target, found["sys_id"], "No field values changed")

    def _match(self, transform_map: TransformMap, fields: Row) -> Row | None:
        """The record whose coalesce fields are those of the row; an empty one matches nothing."""
        wanted = {name: fields.get(name, "") for name in transform_map.coalesce}
        if not wanted or not all(wanted.values()):
            return None
        rows = self._records.all(transform_map.target)
        return next((row for row in rows if all(row[name] == value for name, value in wanted.items())), None)


def _renamed(record: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    return {names[label]: as_text(value) for label, value in record.items() if label in names}
