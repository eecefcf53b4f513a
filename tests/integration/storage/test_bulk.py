"""Many rows at once arrive as they were, whatever they hold."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from typing import Any

from kwiksync_ops.storage.bulk import insert_rows
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import RECORD_LINK, RECORDS
from tests.integration.storage.test_merge import rows

AWKWARD = (
    "",
    " ",
    "null",
    "NULL",
    r"\N",
    r"\.",
    "\\.\n\\.",
    "\n\\.\n",
    '"',
    '""',
    '\\"',
    '"\\',
    ",",
    '","',
    "],[",
    "]\n[",
    '"]\n["',
    "a\r\nb\tc",
    r"\n and \\n",
    "\\\n",
    "\\\\\n\\n\\\\n",
    r"\u0001",
    "\x01\x1f\x7f\b\f\v\\x08",
    "\x80\u2028réf. 🚄",
    "x" * 255,
)


def test_awkward_texts_alone_and_side_by_side(hub: Hub) -> None:
    pairs = [*((text, "plain") for text in AWKWARD), *product(AWKWARD, AWKWARD)]
    columns = ("sys_id", "external_id", "source_system", "name", "short_description")
    given = [(f"{number:032x}", f"K{number}", "erp", *pair) for number, pair in enumerate(pairs)]
    hub.write(lambda connection: insert_rows(connection, RECORDS["projects"], columns, given))
    found = {row["external_id"]: (row["name"], row["short_description"]) for row in rows(hub, RECORDS["projects"])}
    assert found == {row[1]: row[3:] for row in given}


def test_values_of_every_type_and_their_absence(hub: Hub) -> None:
    columns = ("sys_id", "external_id", "source_system", "sys_created_on", "sys_mod_count", "active")
    own = ("start_date", "percent_complete")
    moment = datetime(2026, 1, 15, 12, 30, 15, 123456, tzinfo=UTC)
    full = ("1" * 32, "K1", "erp", moment, 7, True, date(1970, 1, 31), Decimal("12.50"))
    empty = ("2" * 32, "K2", "erp", None, None, False, None, None)
    given: list[tuple[Any, ...]] = [full, empty]
    hub.write(lambda connection: insert_rows(connection, RECORDS["projects"], columns + own, given))
    found = rows(hub, RECORDS["projects"])
    assert [tuple(row[name] for name in columns + own) for row in found] == given


def test_moments_are_stored_as_a_single_row_stores_them(hub: Hub) -> None:
    east = timezone(timedelta(hours=14))
    moments = [
        datetime(2026, 1, 15, 12, 30, tzinfo=UTC),
        datetime(2026, 1, 15, 12, 30, tzinfo=east),
        datetime(1, 1, 2, 0, 0, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        None,
    ]
    projects = RECORDS["projects"]
    columns = ("sys_id", "external_id", "source_system", "sys_created_on")
    given = [(f"{number:032x}", f"K{number}", "erp", moment) for number, moment in enumerate(moments * 2)]
    hub.write(lambda connection: insert_rows(connection, projects, columns, given))
    for _, key, _, moment in given:
        same = projects.select().where(
            projects.c.external_id == key, projects.c.sys_created_on.is_not_distinct_from(moment)
        )
        with hub.read() as connection:
            assert len(connection.execute(same).all()) == 1


def test_bytes(hub: Hub) -> None:
    columns = ("system", "table_name", "external_id", "sys_id", "hash_in", "mod_count")
    given = [("erp", "projects", f"K{number}", "1" * 32, bytes(range(number, number + 16)), 0) for number in range(240)]
    given.append(("erp", "projects", "K-none", "1" * 32, None, 0))  # type: ignore[arg-type]
    hub.write(lambda connection: insert_rows(connection, RECORD_LINK, columns, given))
    assert {row["external_id"]: row["hash_in"] for row in rows(hub, RECORD_LINK)} == {row[2]: row[4] for row in given}
