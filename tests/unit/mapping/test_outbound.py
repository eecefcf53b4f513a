"""The way out: all transforms from hub columns to a system's fields, and what is wrong with a mapping of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.outbound import Formatted, compile_outbound, nested, outbound_faults
from kwiksync_ops.mapping.rules import FieldRule, TableMapping, Validation
from kwiksync_ops.vocabulary import Direction, TransformType

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
STATES = {"New": "1", "Open": "1", "Closed": "7"}


class Links:
    """The ids that a system has for projects, by sys_id."""

    def find(self, table: str, match_field: str, return_field: str, values: Collection[str]) -> Mapping[str, str]:
        assert (table, match_field, return_field) == ("projects", "sys_id", "external_id")
        return {value: value.upper() for value in values if value.startswith("p")}


def mapping(*rules: FieldRule, table: str = "tickets") -> TableMapping:
    return TableMapping("erp", table, "their tickets", rules, direction=Direction.OUTBOUND)


def rule(source: str, target: str, transform: str = "direct", **facts: Any) -> FieldRule:
    validation = Validation(**facts.pop("validation", {}))
    return FieldRule(source, target, TransformType(transform), facts.pop("config", {}), validation=validation, **facts)


def send(*rules: FieldRule, table: str = "tickets", **values: Any) -> Formatted:
    return compile_outbound(mapping(*rules, table=table)).apply([values], Links())


def value(of: FieldRule, table: str = "tickets", **values: Any) -> Any:
    (payload,) = send(of, table=table, **values).payloads
    assert payload
    return payload[of.target_field]


PROJECT = {"lookup_table": "projects", "match_field": "sys_id", "return_field": "external_id"}


@pytest.mark.parametrize(
    ("of", "source", "expected"),
    [
        (rule("number", "no"), "INC1", "INC1"),
        (rule("number", "no"), None, None),
        (rule("number", "no", default="none"), None, "none"),
        (rule("number", "no", null_values=("?",)), "?", None),
        (rule("state", "state", "value_map", config={"mappings": {"1": "New"}}), "1", "New"),
        (rule("state", "state", "value_map", config={"mappings": {"1": "New"}, "default": "Other"}), "9", "Other"),
        (rule("state", "s", "value_map", config={"reverse": True, "mappings": STATES, "prefer": ["New"]}), "1", "New"),
        (rule("state", "s", "value_map", config={"reverse": True, "mappings": {"yes": True}}), "true", "yes"),
        (rule("opened_at", "at", "date_format"), NOON, "2026-01-15T12:00:00+00:00"),
        (rule("opened_at", "at", "date_format", config={"target_format": "D/M/YYYY HH:mm"}), NOON, "15/1/2026 12:00"),
        (
            rule("opened_at", "at", "date_format", config={"target_format": "HH:mm", "timezone": "Asia/Tokyo"}),
            NOON,
            "21:00",
        ),
        (rule("opened_at", "at", "date_format", config={"target_format": "epoch_ms"}), NOON, 1768478400000),
        (rule("opened_at", "at", "date_format", config={"target_format": "epoch"}), None, None),
        (rule("opened_at", "at"), NOON, "2026-01-15T12:00:00+00:00"),
        (rule("project", "project_id", "lookup", config=PROJECT), "p7", "P7"),
        (rule("project", "project_id", "lookup", config=PROJECT), None, None),
    ],
)
def test_a_hub_value_becomes_what_the_system_takes(of: FieldRule, source: Any, expected: Any) -> None:
    assert value(of, **{of.source_field: source}) == expected


def test_a_date_and_a_decimal_go_out_exactly() -> None:
    day = rule("start_date", "starts", "date_format", config={"target_format": "MM/DD/YYYY"})
    assert value(day, table="projects", start_date=date(2026, 2, 1)) == "02/01/2026"
    assert value(rule("start_date", "starts"), table="projects", start_date=date(2026, 2, 1)) == "2026-02-01"
    share = value(rule("percent_complete", "done"), table="projects", percent_complete=Decimal("12.50"))
    assert share == Decimal("12.50")
    assert str(share) == "12.50"


def test_several_columns_and_a_script_make_a_field() -> None:
    joined = rule("", "title", "concatenate", config={"fields": ["number", "state"], "separator": "/"})
    assert value(joined, number="INC1", state="2") == "INC1/2"
    source = "(function(value, record) { return value + ':' + record.state; })(value, record)"
    assert value(rule("number", "title", "script", config={"script": source}), number="INC1", state="2") == "INC1:2"


def test_dots_make_nested_objects() -> None:
    (payload,) = send(rule("number", "a.no"), rule("state", "a.b.state"), rule("category", "c"), number="1").payloads
    assert payload
    assert nested(payload) == {"a": {"no": "1", "b": {"state": None}}, "c": None}


def test_a_reference_that_the_system_does_not_know_and_a_broken_rule_reject_the_record_with_all_reasons() -> None:
    required = rule("number", "no", validation={"required": True})
    formatted = send(required, rule("project", "project_id", "lookup", config=PROJECT), project="x", number=None)
    assert formatted.payloads == [None]
    assert [(index, reject.code, reject.field) for index, reject in formatted.rejects] == [
        (0, "ERR_006", "no"),
        (0, "ERR_004", "project_id"),
    ]
    assert "sync projects first" in formatted.rejects[1][1].message


def test_one_faulty_record_leaves_the_others() -> None:
    short = compile_outbound(mapping(rule("number", "no", validation={"max_length": 3})))
    formatted = short.apply([{"number": "1234"}, {"number": "12"}], Links())
    assert formatted.payloads == [None, {"no": "12"}]
    assert [index for index, _ in formatted.rejects] == [0]


def test_a_mapping_tells_which_columns_it_reads_and_which_fields_depend_on_them() -> None:
    joined = rule("", "title", "concatenate", config={"fields": ["number", "state"]})
    compiled = compile_outbound(mapping(joined, rule("state", "state"), rule("project", "p", "lookup", config=PROJECT)))
    assert compiled.columns == ("number", "state", "project")
    assert compiled.fields_of(["state"]) == {"title", "state"}
    assert compiled.fields_of(["category"]) == frozenset()


@pytest.mark.parametrize(
    ("faulty", "said"),
    [
        (rule("nummer", "no"), "has no column 'nummer'. Did you mean 'number'?"),
        (rule("number", "a..b"), "is not a field name"),
        (rule("number", "date", "date_format"), "of type string, not of dates or times"),
        (rule("opened_at", "at", "date_format", config={"timezone": "Berlin"}), "timezone"),
        (rule("opened_at", "at", "date_format", config={"target_format": "xx"}), "target_format"),
        (rule("state", "s", "value_map", config={"reverse": True, "mappings": STATES}), "stands for 'New', 'Open'"),
        (rule("number", "no", config={"x": 1}), "unknown key"),
        (rule("number", "no", config={"omit_null": "yes"}), "config.omit_null: must be true or false, found 'yes'"),
        (rule("project", "p", "lookup", config={**PROJECT, "lookup_table": "projekts"}), "there is no table"),
        (rule("", "t", "concatenate", config={"fields": ["number", "stat"]}), "has no column 'stat'"),
    ],
)
def test_a_fault_of_a_mapping_is_named_with_its_place(faulty: FieldRule, said: str) -> None:
    faults = outbound_faults(mapping(rule("category", "category"), faulty))
    assert len(faults) == 1
    assert said in str(faults[0])
    assert faults[0].rule == 1


def test_fields_that_exclude_each_other_an_unknown_table_and_an_idle_mapping_are_faults() -> None:
    both = mapping(rule("number", "a.b"), rule("state", "a"), rule("category", "a.b"))
    assert [fault.rule for fault in outbound_faults(both)] == [1, 2, 2]
    assert "there is no table 'thickets'" in str(outbound_faults(mapping(rule("number", "n"), table="thickets"))[0])
    with pytest.raises(ConfigurationError, match="no rule is active"):
        compile_outbound(mapping(rule("number", "n", active=False)))


def test_a_null_is_sent_or_left_out_as_the_rule_says() -> None:
    out = rule("category", "category", config={"omit_null": True})
    assert send(out, rule("state", "state"), category=None, state=None).payloads == [{"state": None}]
    assert send(out, rule("state", "state"), category="x", state=None).payloads == [{"category": "x", "state": None}]


def test_a_number_goes_out_as_text_where_the_rule_says_so() -> None:
    done = rule("percent_complete", "done", config={"as_text": True})
    assert value(done, table="projects", percent_complete=Decimal("12.50")) == "12.50"
    assert value(done, table="projects", percent_complete=None) is None
    assert value(rule("active", "live", config={"as_text": True}), active=True) == "true"


def test_a_range_of_days_and_of_moments_holds_on_the_way_out() -> None:
    since = rule("start_date", "starts", validation={"minimum": "2026-01-01"})
    assert value(since, table="projects", start_date=date(2026, 1, 1)) == "2026-01-01"
    (_, reject), *others = send(since, table="projects", start_date=date(2025, 12, 31)).rejects
    assert others == []
    assert reject.code == "ERR_008"
    assert "below the minimum" in reject.message
    assert send(rule("opened_at", "at", validation={"maximum": "2026-01-15T11:00:00Z"}), opened_at=NOON).rejects


def test_a_day_is_the_same_day_in_every_zone_and_begins_there() -> None:
    def written(target_format: str) -> Any:
        config = {"target_format": target_format, "timezone": "America/New_York"}
        return value(rule("start_date", "starts", "date_format", config=config), table="projects", start_date=day)

    day = date(2026, 2, 1)
    assert written("iso") == "2026-02-01"
    assert written("YYYY-MM-DD HH:mm Z") == "2026-02-01 00:00 -05:00"
    assert written("epoch") == datetime(2026, 2, 1, 5, tzinfo=UTC).timestamp()


def test_a_moment_that_a_zone_puts_after_the_last_year_rejects_its_record_alone() -> None:
    tokyo = rule("opened_at", "at", "date_format", config={"timezone": "Asia/Tokyo"})
    late = datetime(9999, 12, 31, 23, tzinfo=UTC)
    formatted = compile_outbound(mapping(tokyo)).apply([{"opened_at": late}, {"opened_at": NOON}], Links())
    assert formatted.payloads == [None, {"at": "2026-01-15T21:00:00+09:00"}]
    assert [reject.code for _, reject in formatted.rejects] == ["ERR_008"]


def test_concatenated_columns_and_scripts_see_times_as_iso_text() -> None:
    joined = rule("", "title", "concatenate", config={"fields": ["number", "opened_at"], "separator": " "})
    script = rule("opened_at", "year", "script", config={"script": "value.slice(0, 4)"})
    (payload,) = send(joined, script, number="INC1", opened_at=NOON).payloads
    assert payload == {"title": "INC1 2026-01-15T12:00:00+00:00", "year": "2026"}


def test_a_reference_without_a_counterpart_may_go_out_as_null() -> None:
    lenient = {**PROJECT, "on_missing": "null"}
    assert value(rule("project", "project_id", "lookup", config=lenient), project="x") is None


def test_a_batch_asks_the_hub_once_for_each_lookup() -> None:
    asked: list[set[str]] = []

    class Counting(Links):
        def find(self, table: str, match_field: str, return_field: str, values: Collection[str]) -> Mapping[str, str]:
            asked.append(set(values))
            return super().find(table, match_field, return_field, values)

    compiled = compile_outbound(mapping(rule("project", "project_id", "lookup", config=PROJECT)))
    compiled.apply([{"project": f"p{number % 7}"} for number in range(50)], Counting())
    assert asked == [{f"p{number}" for number in range(7)}]
