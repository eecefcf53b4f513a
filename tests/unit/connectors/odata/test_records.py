from __future__ import annotations

from typing import Any

import pytest

from kwiksync_ops.connectors.odata.keys import KeyReader
from kwiksync_ops.connectors.odata.metadata import parse_metadata
from kwiksync_ops.connectors.odata.records import CutRecordError, RecordCleaner
from tests.unit.connectors.odata.test_metadata import V2, V4


def cleaner(metadata: bytes, name: str, key: str) -> RecordCleaner:
    service = parse_metadata(metadata)
    return RecordCleaner(service, service.sets[name], KeyReader(service.sets[name], service.version, key))


def test_a_record_of_version_2_loses_its_wrapping_at_every_depth() -> None:
    record = {
        "__metadata": {"uri": "x", "etag": 'W/"1"'},
        "Order": "/Date(0)/",
        "ChangedAt": "/Date(1768478400000+0000)/",
        "Address": {"__metadata": {"type": "ORDERS.Address"}, "At": "/Date(1768478400000)/"},
        "to_Item": {"results": [{"__metadata": {}, "Item": 1, "to_Order": {"__deferred": {"uri": "x"}}}]},
        "to_Partner": {"__deferred": {"uri": "x"}},
        "Tags": {"__metadata": {"type": "Collection(Edm.String)"}, "results": ["a", "b"]},
    }
    assert cleaner(V2, "Orders", "Order").clean(record) == {
        "Order": "/Date(0)/",
        "ChangedAt": "2026-01-15T12:00:00Z",
        "Address": {"At": "2026-01-15T12:00:00"},
        "to_Item": [{"Item": 1}],
        "Tags": ["a", "b"],
    }


def test_a_record_of_version_4_loses_its_annotations_at_every_depth() -> None:
    record = {
        "@odata.etag": 'W/"1"',
        "accountid": "0a",
        "accountid@OData.Community.Display.V1.FormattedValue": "A",
        "tags@odata.type": "#Collection(String)",
        "tags": ["/Date(0)/", None],
        "parent": {"@odata.etag": "x", "accountid": "0b"},
        "children": [{"@odata.id": "x", "accountid": "0c"}],
    }
    assert cleaner(V4, "accounts", "accountid").clean(record) == {
        "accountid": "0a",
        "tags": ["/Date(0)/", None],
        "parent": {"accountid": "0b"},
        "children": [{"accountid": "0c"}],
    }


def test_a_record_gets_its_key_of_several_properties() -> None:
    assert cleaner(V2, "Items", "@key").clean({"Order": "A", "Item": 1})["@key"] == "Order='A',Item=1"


@pytest.mark.parametrize(
    ("metadata", "name", "record"),
    [
        (V2, "Orders", {"Order": "1", "to_Item": {"results": [], "__next": "more"}}),
        (V4, "accounts", {"accountid": "1", "children": [], "children@odata.nextLink": "more"}),
        (V4, "accounts", {"accountid": "1", "children": [], "children@nextLink": "more"}),
        (V4, "accounts", {"accountid": "1", "parent": {"children": [], "children@odata.nextLink": "more"}}),
    ],
)
def test_a_record_of_which_the_system_sent_a_part_is_told_from_a_whole_one(
    metadata: bytes, name: str, record: dict[str, Any]
) -> None:
    with pytest.raises(CutRecordError, match="a link to more"):
        cleaner(metadata, name, "Order").clean(record)
