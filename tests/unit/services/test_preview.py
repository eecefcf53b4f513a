from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from kwiksync_ops.mapping.documents import mapping_of
from kwiksync_ops.services.preview import Preview, preview, preview_frame
from kwiksync_ops.system_spec.spec import CursorSpec, TableSpec

MAPPING = mapping_of(
    "erp",
    {
        "source_table": "tickets",
        "target_table": "tickets",
        "fields": [
            {"source_field": "id", "target_field": "external_id", "transform": "direct"},
            {
                "source_field": "dates.opened",
                "target_field": "opened_at",
                "transform": "date_format",
                "config": {"source_format": "D/M/YYYY HH:mm"},
            },
            {
                "target_field": "assigned_to",
                "transform": "concatenate",
                "config": {"fields": ["given", "family"], "separator": " "},
                "validation": {"required": True, "max_length": 12},
            },
            {
                "source_field": "project",
                "target_field": "project",
                "transform": "lookup",
                "config": {"lookup_table": "projects", "match_field": "external_id", "return_field": "sys_id"},
            },
            {"source_field": "x", "target_field": "category", "transform": "direct", "active": False},
        ],
    },
)
TABLE = TableSpec("tickets", "/tickets", "id", CursorSpec("changed"))
GOOD = {
    "id": "T1",
    "dates": {"opened": "1/2/2026 08:30"},
    "given": "Ada",
    "family": "Byron",
    "project": "P1",
    "changed": "2026-02-01T09:00:00Z",
}
BAD = {**GOOD, "id": "T2", "dates": {"opened": "31/2/2026 08:30"}, "family": None, "given": None, "changed": "soon"}


class OneProject:
    def find(self, table: str, match_field: str, return_field: str, values: Collection[str]) -> Mapping[str, str]:
        return {"P1": "a" * 32} if "P1" in values else {}


def shown(*records: Any) -> Preview:
    return preview(MAPPING, TABLE, records, OneProject())


def test_a_record_is_shown_before_and_after() -> None:
    (record,) = shown(GOOD).records
    assert record.before == GOOD
    assert record.after == {
        "external_id": "T1",
        "opened_at": datetime(2026, 2, 1, 8, 30, tzinfo=UTC),
        "assigned_to": "Ada Byron",
        "project": "a" * 32,
    }
    assert record.rejects == ()


def test_a_rejected_record_shows_all_its_faults_and_hides_no_other() -> None:
    found = shown(BAD, GOOD, "rubbish")
    assert [record.after is None for record in found.records] == [True, False, True]
    assert found.rejected == 2
    assert [reject.field for reject in found.records[0].rejects] == ["opened_at", "assigned_to", "changed"]


def test_two_records_with_one_key_are_both_shown() -> None:
    assert shown(GOOD, GOOD).rejected == 0


def test_the_report_has_a_row_for_each_record_and_rule() -> None:
    frame = preview_frame(shown(GOOD, BAD, "rubbish"))
    assert list(frame["record"].unique()) == ["T1", "T2", "record 3"]
    good = frame[frame["record"] == "T1"].set_index("target_field")
    assert list(good.index) == ["external_id", "opened_at", "assigned_to", "project"]
    assert good.loc["opened_at", "before"] == "1/2/2026 08:30"
    assert good.loc["assigned_to", "source_fields"] == ("given", "family")
    assert good.loc["assigned_to", "before"] == {"given": "Ada", "family": "Byron"}
    assert good.loc["external_id", "source_fields"] == ("id",)
    assert good["code"].isna().all()


def test_the_report_places_each_fault_at_its_field() -> None:
    frame = preview_frame(shown(BAD))
    faults = frame[frame["code"].notna()].set_index("target_field")
    assert dict(faults["code"]) == {"opened_at": "ERR_004", "assigned_to": "ERR_006", "changed": "ERR_008"}
    assert frame["after"].isna().all()


def test_a_report_of_nothing_has_its_columns() -> None:
    frame = preview_frame(shown())
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns)[:2] == ["record", "target_field"]
    assert frame.empty
