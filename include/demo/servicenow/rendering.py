"""Records as the Table API shows them: values, display values, or both, and references with their links."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from servicenow.encoded_query import Asker, Compiler
from servicenow.messages import Request
from servicenow.records import Records, Row
from servicenow.schema import DATE_TIME, JOURNAL, LIST, REFERENCE, Column, Schema
from servicenow.values import to_zone

Shower = Callable[[Row], Any]
DOMAIN_TABLE = "sys_user_group"


@dataclass(frozen=True)
class Form:
    """How a call wants its records; `zone` is the time zone of display values."""

    fields: tuple[str, ...] = ()
    display_value: str = "false"
    excludes_links: bool = False
    base_url: str = ""
    zone: str = "UTC"

    @classmethod
    def of(cls, request: Request, zone: str) -> Form:
        names = tuple(name.strip() for name in request.parameter("sysparm_fields").split(",") if name.strip())
        asked = request.parameter("sysparm_display_value", "false").lower()
        display_value = asked if asked in ("true", "all") else "false"
        return cls(names, display_value, request.flag("sysparm_exclude_reference_link"), request.base_url, zone)


class Renderer:
    """Shows rows of one table in one form; `may_read` says which of the table's own fields may be seen."""

    def __init__(
        self, schema: Schema, records: Records, table: str, form: Form, may_read: Callable[[str], bool]
    ) -> None:
        self._schema, self._records, self._table, self._form = schema, records, table, form
        self._compiler = Compiler(schema, records, table, Asker())
        names = form.fields or tuple(schema.columns(table))
        columns = {name: schema.walk(table, name) for name in names if may_read(name.partition(".")[0])}
        self._showers = {name: self._shower(name, path) for name, path in columns.items() if path}

    def show(self, row: Row) -> dict[str, Any]:
        return {name: shower(row) for name, shower in self._showers.items()}

    def _shower(self, path: str, columns: Sequence[Column]) -> Shower:
        get, column = self._compiler.getter(path), columns[-1]
        if self._form.display_value != "false":
            return lambda row: self._displayed(column, "" if column.type == JOURNAL else get(row), row)
        if self._target(column) and not self._form.excludes_links:
            return lambda row: self._link(column, get(row))
        return (lambda row: "") if column.type == JOURNAL else get

    def _displayed(self, column: Column, value: str, row: Row) -> Any:
        display = self.display(column, value, row)
        is_linked = bool(self._target(column) and value and not self._form.excludes_links)
        link = {"link": self._url(column, value)} if is_linked else {}
        if self._form.display_value == "all":
            return {"display_value": display, "value": value} | link
        return {"display_value": display} | link if link else display

    def _link(self, column: Column, value: str) -> Any:
        return {"link": self._url(column, value), "value": value} if value else ""

    def _url(self, column: Column, value: str) -> str:
        return f"{self._form.base_url}/api/now/table/{self._target(column)}/{value}"

    def _target(self, column: Column) -> str:
        """The domain is a reference by its own rules: an instance links it to the groups."""
        return DOMAIN_TABLE if column.name == "sys_domain" else column.reference if column.type == REFERENCE else ""

    def display(self, column: Column, value: str, row: Row) -> str:
        if column.type == JOURNAL:
            return self._journal(column, row)
        if column.type == REFERENCE:
            return self._name(column, value)
        if column.type == LIST:
            return ", ".join(self._name(column, member) for member in value.split(",") if member)
        if column.type == DATE_TIME and value:
            return to_zone(value, self._form.zone)
        return column.choices.get(value, value)

    def _name(self, column: Column, sys_id: str) -> str:
        target = self._records.find(column.reference, sys_id)
        display = self._schema.display_column(column.reference)
        return target[display.name] if target and display else ""

    def _journal(self, column: Column, row: Row) -> str:
        entries = self._records.journal(row["sys_id"], column.name)
        moments = [to_zone(entry["sys_created_on"], self._form.zone) for entry in entries]
        return "".join(
            f"{moment} - {entry['sys_created_by']} ({column.title})\n{entry['value']}\n\n"
            for moment, entry in zip(moments, entries, strict=True)
        )
