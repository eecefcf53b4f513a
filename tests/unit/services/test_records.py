"""What is asked of a table, and what a spreadsheet gets."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services.records import check_fields, columns_of, find_record_table, parse_condition, write_csv
from kwiksync_ops.storage.record_search import Condition
from kwiksync_ops.vocabulary import RECORD_TABLES, RecordTable

TICKETS, ASSETS, PROJECTS = (RECORD_TABLES[name] for name in ("tickets", "assets", "projects"))


@pytest.mark.parametrize(
    ("table", "text", "condition"),
    [
        (TICKETS, "state=1", Condition("state", "=", "1")),
        (TICKETS, " state != 1 ", Condition("state", "!=", "1")),
        (TICKETS, "number~INC=00", Condition("number", "~", "INC=00")),
        (TICKETS, "closed_at=", Condition("closed_at", "=", None)),
        (TICKETS, "active=no", Condition("active", "=", False)),
        (TICKETS, "opened_at>=2026-01-31", Condition("opened_at", ">=", datetime(2026, 1, 31, tzinfo=UTC))),
        (
            TICKETS,
            "opened_at<2026-01-31T08:30+02:00",
            Condition("opened_at", "<", datetime(2026, 1, 31, 6, 30, tzinfo=UTC)),
        ),
        (ASSETS, "quantity<=-5", Condition("quantity", "<=", -5)),
        (PROJECTS, "percent_complete>12.5", Condition("percent_complete", ">", Decimal("12.5"))),
        (PROJECTS, "start_date=2026-01-31", Condition("start_date", "=", date(2026, 1, 31))),
    ],
)
def test_a_condition_has_a_field_of_the_table_and_a_value_of_its_type(
    table: RecordTable, text: str, condition: Condition
) -> None:
    assert parse_condition(table, text) == condition


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sate=1", "Did you mean 'state'?"),
        ("state; drop table x=1", "is not a condition"),
        ("=1", "is not a condition"),
        ("state>", "lacks a value"),
        ("opened_at=31.01.2026", "is not a moment"),
        ("active=maybe", "is not true or false"),
        ("sys_mod_count~1", "is not a text"),
        ("sys_mod_count=1.5", "is not a whole number"),
        ("sys_mod_count=9223372036854775808", "is not a whole number"),
    ],
)
def test_a_condition_that_is_none_says_why(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        parse_condition(TICKETS, text)
    assert said in str(failure.value)
    assert failure.value.remedy


@pytest.mark.parametrize("number", ["NaN", "1e400", "Infinity"])
def test_a_number_that_no_column_holds_is_none(number: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a number such as 12\.50"):
        parse_condition(PROJECTS, f"percent_complete={number}")


def test_fields_are_those_of_the_table_each_once() -> None:
    assert check_fields(TICKETS, ["state", "number", "state"]) == ["state", "number"]
    with pytest.raises(ConfigurationError, match="Did you mean 'number'"):
        check_fields(TICKETS, ["numbr"])


def test_a_table_is_found_by_either_of_its_names() -> None:
    assert find_record_table("x_kwr_kwiksync_tickets") is find_record_table("tickets")
    with pytest.raises(ConfigurationError, match="Did you mean 'tickets'"):
        find_record_table("x_kwr_kwiksync_tickts")


def test_every_column_is_exported_once() -> None:
    assert len(set(columns_of(TICKETS))) == len(columns_of(TICKETS)) == 22


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_run_is_escaped(text: str) -> None:
    file = io.StringIO(newline="")
    assert write_csv(file, ["name"], [{"name": text}]) == 1
    (_, (cell,)) = csv.reader(io.StringIO(file.getvalue().removeprefix("\ufeff"), newline=""))
    assert cell == f"'{text}"


def test_numbers_moments_and_nothing_stand_as_they_are() -> None:
    record = {
        "n": -5,
        "d": Decimal("-1.50"),
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "b": True,
        "none": None,
        "t": 'a,"b"\nc',
    }
    file = io.StringIO(newline="")
    assert write_csv(file, list(record), [record]) == 1
    assert file.getvalue() == '\ufeffn,d,at,b,none,t\r\n-5,-1.50,2026-01-01T00:00:00+00:00,true,,"a,""b""\nc"\r\n'


def test_an_export_of_nothing_has_its_head() -> None:
    file = io.StringIO(newline="")
    assert write_csv(file, ["a", "b"], []) == 0
    assert file.getvalue() == "\ufeffa,b\r\n"
