"""What callers write: cut to what they may set, checked by the instance's rules, and then done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from servicenow.access import WRITE, AccessControls, User
from servicenow.messages import ApiError
from servicenow.records import Records, Row, new_sys_id
from servicenow.schema import DATE_TIME, GUID_LENGTH, JOURNAL, REFERENCE, Column, Schema
from servicenow.settings import Settings
from servicenow.values import as_text, is_moment, stored, to_utc

INSERT, UPDATE, DELETE = "insert", "update", "delete"
Predicate = Callable[[Row], bool]


@dataclass(frozen=True)
class BusinessRule:
    """Aborts writes to a table: those of `actions` after which the row would fulfil `aborts`."""

    name: str
    table: str
    aborts: Predicate
    actions: tuple[str, ...] = (INSERT, UPDATE)
    sys_id: str = field(default_factory=new_sys_id)

    def error(self, table: str) -> ApiError:
        detail = (
            f"Operation against file '{table}' was aborted by Business Rule '{self.name}^{self.sys_id}'. "
            f"Business Rule Stack:{self.name}"
        )
        return ApiError(403, "Operation Failed", detail)


class Writer:
    """Writes for a user; what the user may not set is left out without a word, as an instance does."""

    def __init__(
        self, schema: Schema, records: Records, controls: AccessControls, settings: Settings, rules: list[BusinessRule]
    ) -> None:
        self._schema, self._records, self._controls = schema, records, controls
        self._settings, self._rules = settings, rules

    def insert(self, user: User, table: str, given: Mapping[str, Any], *, display_zone: str = "") -> Row:
        """A new row. `display_zone` is the user's time zone where the values are display values."""
        self._check_table(user, table, "Insert")
        fields = self.fields(user, table, given, display_zone)
        sys_id = as_text(given.get("sys_id"))
        if self._settings.accepts_new_sys_id and len(sys_id) == GUID_LENGTH:
            fields["sys_id"] = sys_id
        self._check_rules(table, INSERT, fields)
        self._check_unique(table, fields, "")
        return self._records.insert(table, fields, user.name)

    def update(self, user: User, table: str, row: Row, given: Mapping[str, Any], *, display_zone: str = "") -> bool:
        """Whether anything changed."""
        real = self._records.class_of(row, table)
        self._check_row(user, real, row, "Update")
        fields = self.fields(user, real, given, display_zone)
        self._check_rules(real, UPDATE, {**row, **fields})
        self._check_unique(real, fields, row["sys_id"])
        return self._records.update(real, row, fields, user.name)

    def delete(self, user: User, table: str, row: Row) -> None:
        real = self._records.class_of(row, table)
        self._check_row(user, real, row, "Delete")
        self._check_rules(real, DELETE, row)
        self._records.delete(real, row, user.name)

    def fields(self, user: User, table: str, given: Mapping[str, Any], display_zone: str = "") -> Row:
        """What of a body is written: known columns that may be set, as the instance stores them."""
        columns = self._schema.columns(table)
        settable = {name: columns[name] for name in given if name in columns and not columns[name].is_read_only}
        return {
            name: self._stored(column, as_text(given[name]), display_zone)
            for name, column in settable.items()
            if self._controls.may_use_field(user, table, name, WRITE)
        }

    def _stored(self, column: Column, text: str, display_zone: str) -> str:
        if column.type == JOURNAL:
            return text
        if display_zone and text:
            text = self._value_of(column, text, display_zone)
        return stored(column, text)

    def _value_of(self, column: Column, text: str, zone: str) -> str:
        """The value behind a display value; a name that is unknown leaves a reference empty."""
        if column.type == REFERENCE and not self._records.find(column.reference, text):
            return self.sys_id_of(column.reference, text)
        if column.type == DATE_TIME:
            return to_utc(text, zone) if is_moment(text) else text
        return next((value for value, label in column.choices.items() if label == text), text)

    def sys_id_of(self, table: str, display_value: str) -> str:
        display = self._schema.display_column(table)
        found = self._records.find_by(table, display.name, display_value) if display else None
        return found["sys_id"] if found else ""

    def _check_table(self, user: User, table: str, action: str) -> None:
        if not self._controls.may_use_table(user, table, WRITE):
            raise ApiError(403, "Operation Failed", f"ACL Exception {action} Failed due to security constraints")

    def _check_row(self, user: User, table: str, row: Row, action: str) -> None:
        self._check_table(user, table, action)
        if not self._controls.may_use_row(user, table, row, WRITE):
            raise ApiError(403, "Operation Failed", f"ACL Exception {action} Failed due to security constraints")

    def _check_rules(self, table: str, action: str, row: Row) -> None:
        lineage = self._schema.lineage(table)
        whole = {**dict.fromkeys(self._schema.columns(table), ""), **row}
        for rule in self._rules:
            if rule.table in lineage and action in rule.actions and rule.aborts(whole):
                raise rule.error(table)
        for name, column in self._schema.columns(table).items():
            if column.is_mandatory and action != DELETE and not whole[name]:
                raise ApiError(403, "Operation Failed", f"Data Policy Exception: {column.title} is mandatory")

    def _check_unique(self, table: str, fields: Row, sys_id: str) -> None:
        for name, value in fields.items():
            if not self._schema.columns(table)[name].is_unique or not value:
                continue
            other = self._records.find(table, value) if name == "sys_id" else self._records.find_by(table, name, value)
            if other and other["sys_id"] != sys_id:
                raise ApiError(403, "Operation Failed", f"Error during insert of {table} ({value})")
