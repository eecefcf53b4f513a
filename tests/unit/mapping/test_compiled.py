from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kwiksync_ops.batch import Reject
from kwiksync_ops.mapping.rules import FieldRule, Validation
from kwiksync_ops.vocabulary import TransformType
from tests.support.mappings import KEY_RULE, map_records

NUMBER = FieldRule("number", "number", TransformType.DIRECT, validation=Validation(pattern="[A-Z]+[0-9]+"))
STATE = FieldRule(
    "status",
    "state",
    TransformType.VALUE_MAP,
    {"mappings": {"OPEN": "1"}},
    validation=Validation(required=True),
)
MINUTES = {"cursor_field": "updated", "cursor_format": "D/M/YYYY H:mm"}


def record(key: Any, number: str = "INC1", **fields: Any) -> dict[str, Any]:
    return {"id": key, "number": number, "status": "OPEN", **fields}


def test_columns_begin_with_the_key_and_follow_the_order_of_the_rules() -> None:
    rules = (replace(NUMBER, order=3), replace(STATE, order=1), replace(KEY_RULE, order=2))
    batch = map_records([record("A1")], *rules)
    assert batch.table == "tickets"
    assert batch.columns == ("external_id", "state", "number")
    assert batch.rows == [("A1", "1", "INC1")]


def test_an_inactive_rule_is_not_applied() -> None:
    batch = map_records([record("A1")], replace(NUMBER, active=False), STATE)
    assert batch.columns == ("external_id", "state")


def test_an_empty_batch_is_an_empty_batch() -> None:
    batch = map_records([], NUMBER, STATE, **MINUTES)
    assert (batch.rows, batch.versions, batch.rejects, batch.read, batch.rejected) == ([], [], [], 0, 0)


def test_a_record_collects_all_its_rejects() -> None:
    bad = record("A1", "x", status=None, updated="never")
    batch = map_records([record("A0", updated="1/1/2026 0:00"), bad], NUMBER, STATE, **MINUTES)
    assert batch.rejects == [
        Reject("ERR_008", "number does not match the pattern [A-Z]+[0-9]+: 'x'.", "number", "A1", bad),
        Reject("ERR_006", "state (from status) is required and has no value.", "state", "A1", bad),
        Reject("ERR_008", "updated is not a date written as D/M/YYYY H:mm: 'never'.", "updated", "A1", bad),
    ]
    assert (batch.read, len(batch.rows), batch.rejected, batch.superseded) == (2, 1, 1, 0)


@pytest.mark.parametrize(
    ("key", "code", "reason"),
    [
        (None, "ERR_006", "external_id (from id) is the record's key and has no value."),
        ("", "ERR_006", "has no value"),
        (" \t ", "ERR_006", "has no value"),
        (" A1", "ERR_008", "external_id (from id) is a key with surrounding blanks: ' A1'."),
        ("A1\n", "ERR_008", "surrounding blanks"),
        ("A1\u00a0", "ERR_008", "surrounding blanks"),
        ("A\0", "ERR_008", "NUL"),
        ("x" * 256, "ERR_008", "has 256 characters; the column holds 255."),
        ({"a": 1}, "ERR_004", "is an object"),
    ],
    ids=ascii,
)
def test_a_record_without_a_usable_key_is_rejected(key: Any, code: str, reason: str) -> None:
    batch = map_records([record("A0"), record(key), record("A2")], NUMBER)
    (found,) = batch.rejects
    assert (found.code, found.field) == (code, "external_id")
    assert reason in found.message
    assert [row[0] for row in batch.rows] == ["A0", "A2"]


def test_a_missing_key_does_not_hide_other_faults() -> None:
    batch = map_records([record(None, "x", status="?")], NUMBER, STATE)
    assert [found.field for found in batch.rejects] == ["external_id", "number", "state"]
    assert {found.external_id for found in batch.rejects} == {None}


def test_a_key_that_can_not_be_mapped_is_still_named_by_the_key_of_the_source() -> None:
    key_rule = FieldRule("code", "external_id", TransformType.VALUE_MAP, {"mappings": {"a": "A"}})
    batch = map_records([{"id": 17, "code": "b"}, {"id": "\0", "code": "b"}], key_rule)
    assert [found.external_id for found in batch.rejects] == ["17", None]


def test_whole_numbers_and_text_are_one_key() -> None:
    batch = map_records([record(5), record("5", "INC2")], NUMBER)
    assert batch.rows == [("5", "INC2")]
    assert batch.superseded == 1


def test_of_one_key_the_newest_version_is_taken() -> None:
    records = [
        record("A1", "OLD1", updated="1/1/2026 0:00"),
        record("B1", "INC1", updated="1/1/2026 0:00"),
        record("A1", "NEW1", updated="1/1/2026 0:02"),
        record("A1", "MID1", updated="1/1/2026 0:01"),
    ]
    batch = map_records(records, NUMBER, **MINUTES)
    assert batch.rows == [("B1", "INC1"), ("A1", "NEW1")]
    assert batch.versions == ["2026-01-01T00:00:00.000000+00:00", "2026-01-01T00:02:00.000000+00:00"]
    assert (batch.read, batch.superseded, batch.rejected) == (4, 2, 0)


def test_of_equally_new_records_of_one_key_the_last_is_taken() -> None:
    records = [record("A1", f"INC{number}", updated="1/1/2026 0:00") for number in range(3)]
    assert map_records(records, NUMBER, **MINUTES).rows == [("A1", "INC2")]
    assert map_records(records, NUMBER).rows == [("A1", "INC2")]


def test_a_rejected_record_does_not_replace_a_good_one() -> None:
    records = [record("A1", "INC1", updated="1/1/2026 0:00"), record("A1", "bad", updated="1/1/2026 0:01")]
    batch = map_records(records, NUMBER, **MINUTES)
    assert batch.rows == [("A1", "INC1")]
    assert (batch.read, batch.superseded, batch.rejected) == (2, 0, 1)


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        (None, "ERR_006", "updated has no value; it tells when a record last changed."),
        ("?", "ERR_008", "updated is not a date written as D/M/YYYY H:mm: '?'."),
        ("31/2/2026 0:00", "ERR_008", "day is out of range for month"),
        ({"at": 1}, "ERR_008", "updated is not a date written as D/M/YYYY H:mm: an object."),
    ],
)
def test_a_record_whose_change_time_can_not_be_read_is_rejected(value: Any, code: str, reason: str) -> None:
    batch = map_records([record("A1", updated=value), record("A2", updated="1/1/2026 0:00")], NUMBER, **MINUTES)
    (found,) = batch.rejects
    assert (found.code, found.field, found.external_id) == (code, "updated", "A1")
    assert reason in found.message
    assert batch.versions == ["2026-01-01T00:00:00.000000+00:00"]


def test_a_change_time_may_be_nested_and_in_a_time_zone() -> None:
    cursor = {"cursor_field": "meta.changed", "cursor_format": "iso", "cursor_timezone": "Asia/Kolkata"}
    batch = map_records([record("A1", meta={"changed": "2016-02-29T05:53:00"})], NUMBER, **cursor)
    assert batch.versions == ["2016-02-29T00:23:00.000000+00:00"]


@pytest.mark.parametrize("stranger", ["text", 7, None, ["list"], True])
def test_what_is_no_object_is_rejected(stranger: Any) -> None:
    batch = map_records([record("A1"), stranger, record("A2")], NUMBER)
    (found,) = batch.rejects
    assert (found.code, found.payload) == ("ERR_008", stranger)
    assert found.message.startswith("A record must be an object of fields, found ")
    assert (len(batch.rows), batch.rejected) == (2, 1)


@pytest.mark.parametrize("place", [0, 499, 999])
def test_one_poison_record_among_a_thousand_is_the_only_reject(place: int) -> None:
    records = [record(f"K{index}", f"INC{index}", updated="1/1/2026 0:00") for index in range(1_000)]
    records[place] |= {"number": {"a": ["\0"]}, "status": 10**400, "updated": "\ud800"}
    batch = map_records(records, NUMBER, STATE, **MINUTES)
    assert {found.external_id for found in batch.rejects} == {f"K{place}"}
    assert [found.code for found in batch.rejects] == ["ERR_004", "ERR_004", "ERR_008"]
    assert (len(batch.rows), len(batch.versions), batch.rejected) == (999, 999, 1)


def test_all_records_may_be_poison() -> None:
    batch = map_records([record(f"K{index}", "?") for index in range(1_000)], NUMBER)
    assert (batch.rows, batch.rejected, len(batch.rejects)) == ([], 1_000, 1_000)


def test_typed_values_stand_in_their_columns() -> None:
    opened = FieldRule("opened", "opened_at", TransformType.DATE_FORMAT, {"source_format": "D/M/YYYY H:mm"})
    active = FieldRule("active", "active", TransformType.DIRECT)
    batch = map_records([{"id": "A1", "opened": "29/2/2016 1:16", "active": "true"}], opened, active)
    assert batch.rows == [("A1", datetime(2016, 2, 29, 1, 16, tzinfo=UTC), True)]


def test_each_row_tells_which_record_it_was() -> None:
    records = [record("A1"), record("B1", "?"), record("C1"), record("A1"), record("D1")]
    assert list(map_records(records, NUMBER).indexes) == [2, 3, 4]
    assert list(map_records(["text", *records], NUMBER).indexes) == [3, 4, 5]
