"""Names of tables."""

from __future__ import annotations

import pytest

from kwiksync_ops.connectors.sql.relation import table_name
from kwiksync_ops.errors import ConfigurationError


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("orders", (None, "orders")),
        ("sales.orders", ("sales", "orders")),
        ("sales.Order Details", ("sales", "Order Details")),
        ('"my schema"."a.b"', ("my schema", "a.b")),
        ('"say ""hi"""', (None, 'say "hi"')),
        ("erp.dbo.[select]", ("erp.dbo", "select")),
        ("größe-1", (None, "größe-1")),
        ("o'brien; drop", (None, "o'brien; drop")),
    ],
)
def test_a_source_is_schema_and_name(source: str, expected: tuple[str | None, str]) -> None:
    assert table_name(source) == expected


@pytest.mark.parametrize("source", ["", ".", "a.", ".a", 'a"b', '"a', "a..b"])
def test_what_is_no_name_is_refused(source: str) -> None:
    with pytest.raises(ConfigurationError, match="not the name of a table"):
        table_name(source)
