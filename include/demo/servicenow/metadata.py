"""What the instance says of its own tables: `sys_db_object`, `sys_dictionary` and `sys_choice`."""

from __future__ import annotations

from servicenow.records import Records, Row
from servicenow.schema import Column, Schema, Table


def describe(schema: Schema, records: Records, table: Table) -> None:
    """Describe a table anew. Inherited columns are described with the table that they come from, as in an instance."""
    for name in ("sys_dictionary", "sys_choice"):
        for row in [row for row in records.all(name) if row["name"] == table.name]:
            records.delete(name, row)
    _describe_table(records, table)
    inherited = schema.columns(table.parent) if table.parent else {}
    own = {column.name for column in table.columns}
    columns = [column for name, column in schema.columns(table.name).items() if name in own or name not in inherited]
    for column in columns:
        records.insert("sys_dictionary", _entry(table, column))
        for sequence, (value, label) in enumerate(column.choices.items()):
            choice = {"name": table.name, "element": column.name, "value": value, "label": label}
            records.insert("sys_choice", {**choice, "sequence": str(sequence)})


def _describe_table(records: Records, table: Table) -> None:
    parent = records.find_by("sys_db_object", "name", table.parent) if table.parent else None
    fields = {
        "name": table.name,
        "label": table.title,
        "super_class": parent["sys_id"] if parent else "",
        "is_extendable": _flag(table.is_extensible),
    }
    known = records.find_by("sys_db_object", "name", table.name)
    if known:
        records.update("sys_db_object", known, fields)
    else:
        records.insert("sys_db_object", fields)
    collection = {"name": table.name, "internal_type": "collection", "column_label": table.title}
    records.insert("sys_dictionary", collection)


def _entry(table: Table, column: Column) -> Row:
    return {
        "name": table.name,
        "element": column.name,
        "column_label": column.title,
        "internal_type": column.type,
        "max_length": str(column.max_length),
        "reference": column.reference,
        "mandatory": _flag(column.is_mandatory),
        "read_only": _flag(column.is_read_only),
        "unique": _flag(column.is_unique),
        "display": _flag(column.is_display),
        "default_value": column.default,
    }


def _flag(value: bool) -> str:
    return str(value).lower()
