"""The schema that the migrations make."""

from __future__ import annotations

import sqlalchemy as sa

from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import metadata


def test_texts_of_keys_and_indexes_compare_by_bytes(hub: Hub) -> None:
    """Else an order differs between the databases, and an index costs what a language's order costs."""
    with hub.read() as connection:
        inspector = sa.inspect(connection)
        found = {
            (table.name, column["name"]): column["type"].collation  # type: ignore[attr-defined]  # a text
            for table in metadata.tables.values()
            for column in inspector.get_columns(table.name)
            if column["name"] in _keys(inspector, table.name) and isinstance(column["type"], sa.String)
        }
    assert ("x_kwr_kwiksync_record_link", "external_id") in found
    assert {key: collation for key, collation in found.items() if collation != (None if hub.is_sqlite else "C")} == {}


def _keys(inspector: sa.Inspector, table: str) -> set[str]:
    indexed = {name for index in inspector.get_indexes(table) for name in index["column_names"] if name}
    return indexed | {*inspector.get_pk_constraint(table)["constrained_columns"]}
