"""Tables and their columns, as the instance's dictionary describes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

STRING, INTEGER, DECIMAL, BOOLEAN = "string", "integer", "decimal", "boolean"
DATE, DATE_TIME, REFERENCE, JOURNAL, LIST, GUID = (
    "glide_date",
    "glide_date_time",
    "reference",
    "journal_input",
    "glide_list",
    "GUID",
)
NUMBERS = (INTEGER, DECIMAL)
GUID_LENGTH = 32


@dataclass(frozen=True)
class Column:
    """A column; `label` is made of the name if it is left out. `choices` are labels by value.

    `is_display` marks the one whose value stands for the record where others refer to it.
    """

    name: str
    type: str = STRING
    label: str = ""
    max_length: int = 40
    reference: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    default: str = ""
    is_read_only: bool = False
    is_mandatory: bool = False
    is_unique: bool = False
    is_display: bool = False

    @cached_property
    def title(self) -> str:
        return self.label or self.name.removeprefix("u_").replace("_", " ").capitalize()


def reference(name: str, table: str, *, label: str = "") -> Column:
    return Column(name, REFERENCE, label, GUID_LENGTH, table)


UPDATED = (
    Column("sys_updated_on", DATE_TIME, "Updated", is_read_only=True),
    Column("sys_updated_by", STRING, "Updated by", is_read_only=True),
    Column("sys_mod_count", INTEGER, "Updates", is_read_only=True),
)
CREATED = (
    Column("sys_created_on", DATE_TIME, "Created", is_read_only=True),
    Column("sys_created_by", STRING, "Created by", is_read_only=True),
)
SYS_ID = Column("sys_id", GUID, "Sys ID", GUID_LENGTH, is_read_only=True, is_unique=True)
TAGS = Column("sys_tags", STRING, "Tags", is_read_only=True)
CLASS_NAME = Column("sys_class_name", STRING, "Class", 80, is_read_only=True)


@dataclass(frozen=True)
class Table:
    """A table; `parent` is the one that it extends, `stamps` the system columns that it has beside `sys_id`.

    Records of an audited table leave a trace when they are deleted.
    """

    name: str
    columns: tuple[Column, ...] = ()
    label: str = ""
    parent: str = ""
    number_prefix: str = ""
    is_extensible: bool = False
    is_audited: bool = False
    stamps: tuple[Column, ...] = (*CREATED, *UPDATED)

    @property
    def title(self) -> str:
        return self.label or self.name.removeprefix("u_").replace("_", " ").capitalize()


class Schema:
    """The tables by name. A table has its parents' columns before its own."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._columns: dict[str, dict[str, Column]] = {}

    def add(self, table: Table) -> None:
        inherited = self.columns(table.parent) if table.parent else self._system_columns(table)
        self._tables[table.name] = table
        self._columns[table.name] = {**inherited, **{column.name: column for column in table.columns}}

    @staticmethod
    def _system_columns(table: Table) -> dict[str, Column]:
        class_name = (CLASS_NAME,) if table.is_extensible else ()
        return {column.name: column for column in (SYS_ID, *table.stamps, *class_name, TAGS)}

    def __contains__(self, name: str) -> bool:
        return name in self._tables

    def __iter__(self) -> Iterator[Table]:
        return iter(tuple(self._tables.values()))

    def table(self, name: str) -> Table:
        return self._tables[name]

    def columns(self, name: str) -> Mapping[str, Column]:
        return self._columns[name]

    def family(self, name: str) -> tuple[str, ...]:
        """The table and all that extend it."""
        children = [table.name for table in self._tables.values() if table.parent == name]
        return (name, *(member for child in children for member in self.family(child)))

    def lineage(self, name: str) -> tuple[str, ...]:
        """The table and what it extends, the nearest first."""
        parent = self._tables[name].parent
        return (name, *(self.lineage(parent) if parent else ()))

    def walk(self, table: str, path: str) -> tuple[Column, ...]:
        """The columns that a dotted path goes through; empty when it leads nowhere."""
        columns: list[Column] = []
        for name in path.split("."):
            column = self._columns.get(table, {}).get(name)
            if column is None:
                return ()
            columns.append(column)
            table = column.reference
        return tuple(columns)

    def display_column(self, table: str) -> Column | None:
        columns = self._columns.get(table, {})
        chosen = next((column for column in columns.values() if column.is_display), None)
        return chosen or columns.get("name") or columns.get("number") or columns.get("sys_created_on")
