from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest

from kwiksync_ops.connectors.odata.entity_table import EntityTable
from kwiksync_ops.connectors.odata.keys import KeyReader
from kwiksync_ops.connectors.odata.metadata import parse_metadata
from kwiksync_ops.connectors.odata.options import parse_options
from kwiksync_ops.connectors.odata.query import ODataQuery, PageView
from kwiksync_ops.connectors.odata.records import RecordCleaner
from kwiksync_ops.connectors.source import Position, ReadRequest
from tests.unit.connectors.odata.test_metadata import V2

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
AT = "datetimeoffset'2026-01-15T12:00:00Z'"
KEYSET = {"pagination": {"type": "keyset"}}


def query(options: dict[str, Any], source: str = "Orders", key: str = "Order", **changes: Any) -> ODataQuery:
    service = parse_metadata(V2)
    keys = KeyReader(service.sets[source], "v2", key)
    table = EntityTable(
        "https://host/svc;v=2", service, service.sets[source], keys, RecordCleaner(service, service.sets[source], keys)
    )
    request = ReadRequest(source, key, **{"page_records": 50, **changes})
    return ODataQuery(table, parse_options(options), request)


def asked(url: str) -> dict[str, str]:
    assert "+" not in url
    return dict(part.split("=", 1) for part in unquote(url.partition("?")[2]).split("&"))


def test_the_first_page_asks_for_what_the_options_say() -> None:
    options = {
        **KEYSET,
        "filter": "Order ne 'x' or Order eq 'y'",
        "select": ["Address"],
        "expand": ["to_Item"],
        "params": {"sap-client": 100},
        "count": True,
    }
    first = query(options, cursor_field="ChangedAt", since=Position(NOON), until=NOON)
    url = first.url(first.start or {})
    assert url.startswith("https://host/svc;v=2/Orders?")
    assert asked(url) == {
        "sap-client": "100",
        "$filter": f"(Order ne 'x' or Order eq 'y') and ChangedAt gt {AT} and ChangedAt le {AT}",
        "$orderby": "ChangedAt,Order",
        "$select": "Address,ChangedAt,Order,to_Item",
        "$expand": "to_Item",
        "$inlinecount": "allpages",
        "$top": "50",
    }


@pytest.mark.parametrize(
    ("state", "condition", "order"),
    [
        (
            {"after": "2026-01-15T12:00:00Z", "keys": ["O'1"]},
            f"(ChangedAt gt {AT} or (ChangedAt eq {AT} and Order gt 'O''1'))",
            "ChangedAt,Order",
        ),
        (
            {"after": "2026-01-15T12:00:00Z", "keys": ["1"], "ties": True},
            f"ChangedAt eq {AT} and Order gt '1'",
            "Order",
        ),
        ({"after": "2026-01-15T12:00:00Z"}, f"ChangedAt gt {AT}", "ChangedAt,Order"),
        ({"from": "2026-01-15T12:00:00Z"}, f"ChangedAt ge {AT}", "ChangedAt,Order"),
        (
            {"within": "2026-01-15T12:00:00Z", "keys": ["1"]},
            f"ChangedAt ge {AT} and ChangedAt lt datetimeoffset'2026-01-15T12:00:00.001Z' and Order gt '1'",
            "Order",
        ),
    ],
)
def test_a_position_is_a_filter_and_an_order(state: dict[str, Any], condition: str, order: str) -> None:
    found = asked(query(KEYSET, cursor_field="ChangedAt").url(state))
    assert (found["$filter"], found["$orderby"]) == (condition, order)


def test_the_properties_of_a_key_are_compared_one_after_the_other() -> None:
    found = asked(query(KEYSET, "Items", "@key").url({"after": None, "keys": ["A", 5]}))
    assert found["$filter"] == "((Order gt 'A' or (Order eq 'A' and Item gt 5)))"
    assert found["$orderby"] == "Order,Item"


def test_a_position_that_holds_an_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="no value of type"):
        query(KEYSET, "Items", "@key").url({"after": None, "keys": ["A", "1 or 1 eq 1"]})


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (PageView(0, None, 5, None), "counts 5 more records and sends none"),
        (PageView(5, None, None, None), "no change time and key"),
    ],
)
def test_an_answer_that_can_not_be_right_is_refused(page: PageView, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        query(KEYSET, cursor_field="ChangedAt").following({}, page)


def test_a_cursor_that_is_no_moment_is_written_in_its_own_format() -> None:
    first = query(KEYSET, cursor_field="Order", cursor_format="YYYYMMDDHHmmss", since=Position(NOON))
    assert asked(first.url(first.start or {}))["$filter"] == "Order gt '20260115120000'"
