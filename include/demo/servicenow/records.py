"""The instance's records: made, changed and deleted as its own forms and scripts would do it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Mapping

from servicenow.clock import Clock
from servicenow.schema import BOOLEAN, JOURNAL, Column, Schema, Table

Row = dict[str, str]
SYSTEM = "system"
FIRST_NUMBER = 10_001
JOURNAL_TABLE, AUDIT_TABLE = "sys_journal_field", "sys_audit_delete"


def new_sys_id() -> str:
    return uuid.uuid4().hex


class Records:
    """Rows by table and `sys_id`; a row has every column of its table. What is written here is written as given."""

    def __init__(self, schema: Schema, clock: Clock) -> None:
        self._schema, self._clock = schema, clock
        self._rows: dict[str, dict[str, Row]] = {}
        self._numbers: dict[str, Iterator[int]] = {}

    def add_table(self, table: Table) -> None:
        self._schema.add(table)
        self._rows.setdefault(table.name, {})

    def all(self, table: str) -> list[Row]:
        """The rows of a table and of those that extend it."""
        return [row for name in self._schema.family(table) for row in self._rows[name].values()]

    def find(self, table: str, sys_id: str) -> Row | None:
        for name in self._schema.family(table) if table in self._schema else ():
            if sys_id in self._rows[name]:
                return self._rows[name][sys_id]
        return None

    def find_by(self, table: str, field: str, value: str) -> Row | None:
        return next((row for row in self.all(table) if row.get(field, "") == value), None)

    def class_of(self, row: Row, table: str) -> str:
        """The table that a row of this one or of its children really is in."""
        return next(name for name in self._schema.family(table) if row["sys_id"] in self._rows[name])

    def insert(self, table: str, fields: Mapping[str, str], by: str = SYSTEM) -> Row:
        """A new row; defaults and system fields are filled in where `fields` leaves them open."""
        columns = self._schema.columns(table)
        row = {name: "" if column.type == JOURNAL else _initial(column) for name, column in columns.items()}
        now = self._clock.text()
        row |= {name: value for name, value in self._stamps(table, now, by).items() if name in columns}
        row |= {name: value for name, value in fields.items() if columns[name].type != JOURNAL}
        row["number"] = row.get("number") or self._next_number(table)
        row = {name: value for name, value in row.items() if name in columns}
        self._rows[table][row["sys_id"]] = row
        self._keep_journal(table, row, fields, by)
        return row

    def _stamps(self, table: str, now: str, by: str) -> Row:
        return {
            "sys_id": new_sys_id(),
            **dict.fromkeys(("sys_created_on", "sys_updated_on"), now),
            **dict.fromkeys(("sys_created_by", "sys_updated_by"), by),
            "sys_mod_count": "0",
            "sys_class_name": table,
            "sys_domain": "global",
            "sys_domain_path": "/",
        }

    def update(self, table: str, row: Row, fields: Mapping[str, str], by: str = SYSTEM) -> bool:
        """Whether anything changed; where nothing does, the row keeps its time of change."""
        columns = self._schema.columns(table)
        notes = {name for name, value in fields.items() if columns[name].type == JOURNAL and value}
        changed = {name: value for name, value in fields.items() if name not in notes and row[name] != value}
        changed = {name: value for name, value in changed.items() if columns[name].type != JOURNAL}
        if not changed and not notes:
            return False
        count = str(int(row.get("sys_mod_count") or 0) + 1)
        stamps = {"sys_updated_on": self._clock.text(), "sys_updated_by": by, "sys_mod_count": count}
        row.update({name: value for name, value in stamps.items() if name in columns})
        row.update(changed)
        self._keep_journal(table, row, fields, by)
        return True

    def delete(self, table: str, row: Row, by: str = SYSTEM) -> None:
        name = self.class_of(row, table)
        del self._rows[name][row["sys_id"]]
        if self._schema.table(name).is_audited and AUDIT_TABLE in self._schema:
            display = self._schema.display_column(name)
            shown = row[display.name] if display else ""
            self.insert(AUDIT_TABLE, {"tablename": name, "documentkey": row["sys_id"], "display_value": shown}, by)

    def _keep_journal(self, table: str, row: Row, fields: Mapping[str, str], by: str) -> None:
        columns = self._schema.columns(table)
        for name, value in fields.items():
            if columns[name].type == JOURNAL and value:
                entry = {"name": table, "element": name, "element_id": row["sys_id"], "value": value}
                self.insert(JOURNAL_TABLE, entry, by)

    def journal(self, sys_id: str, field: str) -> list[Row]:
        """The entries of a journal field, the newest first."""
        entries = [row for row in self.all(JOURNAL_TABLE) if (row["element_id"], row["element"]) == (sys_id, field)]
        return entries[::-1]

    def _next_number(self, table: str) -> str:
        name = next((name for name in self._schema.lineage(table) if self._schema.table(name).number_prefix), "")
        if not name:
            return ""
        numbers = self._numbers.setdefault(name, itertools.count(FIRST_NUMBER))
        return f"{self._schema.table(name).number_prefix}{next(numbers):07d}"


def _initial(column: Column) -> str:
    return column.default or ("false" if column.type == BOOLEAN else "")
