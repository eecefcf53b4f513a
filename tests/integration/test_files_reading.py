"""What a read of a local folder takes, leaves alone and sets aside; what is written into one."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.batch import FileMark, Page
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import Position, ReadRequest, Source
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt
from kwiksync_ops.errors import ConfigurationError, InsecureTransportError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def put(folder: Path, name: str, content: str | bytes = "id\n1\n", *, at: datetime = NOON) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def opened(folder: Path, clock: ManualClock | None = None, **options: Any) -> Source:
    return open_source("files", Credentials(folder.as_uri()), options, Unlimited(), clock or ManualClock())


def read(folder: Path, source: str = "*.csv", *, clock: ManualClock | None = None, **given: Any) -> list[Page]:
    names = ReadRequest.__dataclass_fields__
    request = ReadRequest(source, "id", **{name: value for name, value in given.items() if name in names})
    options = {name: value for name, value in given.items() if name not in names}
    with closing(opened(folder, clock, **options)) as opened_source:
        return list(opened_source.read(request))


def ids(pages: Sequence[Page]) -> list[Any]:
    return [record["id"] for page in pages for record in page.records]


def reasons(pages: Sequence[Page]) -> list[str]:
    return [reject.message for page in pages for reject in page.rejects]


def nothing_known(names: Sequence[str]) -> Mapping[str, FileMark]:
    return {}


def known_from(pages: Sequence[Page]) -> Any:
    marks = {mark.name: mark for page in pages for mark in page.files}
    return lambda names: {name: marks[name] for name in names if name in marks}


def test_only_files_that_the_pattern_means_and_that_are_whole_are_read(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv.part", ".c.csv", "d.txt", "sub/e.csv", "rejected/f.csv", "~$g.csv"):
        put(tmp_path, name, f"id\n{name}\n")
    assert ids(read(tmp_path)) == ["a.csv"]
    assert ids(read(tmp_path, "*/*.csv")) == ["sub/e.csv"]
    assert ids(read(tmp_path, "**/*.csv")) == ["a.csv", "sub/e.csv"]
    assert ids(read(tmp_path, "[bd]*", ignore=["*.txt"], format="csv")) == ["b.csv.part"]
    for pattern in ("../*.csv", "/etc/*.csv", "sub/../../*.csv", ""):
        with pytest.raises(ConfigurationError):
            read(tmp_path, pattern)


def test_files_are_read_by_name_or_by_time(tmp_path: Path) -> None:
    for hour, name in enumerate(("c", "a", "b")):
        put(tmp_path, f"{name}.csv", f"id\n{name}\n", at=NOON + timedelta(hours=hour))
    assert ids(read(tmp_path)) == ["a", "b", "c"]
    assert ids(read(tmp_path, order="modified")) == ["c", "a", "b"]


def test_a_file_waits_for_its_marker_and_its_age(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path, f"{name}.csv", f"id\n{name}\n")
    put(tmp_path, "b.csv.done", "")
    put(tmp_path, "a.ok", "")
    assert ids(read(tmp_path, done_marker="{name}.done")) == ["b"]
    assert ids(read(tmp_path, done_marker="{stem}.ok")) == ["a"]
    put(tmp_path, "b.csv", "id\nb\n", at=NOON - timedelta(seconds=60))
    assert ids(read(tmp_path, min_age_s=30)) == ["b"]


def test_a_file_that_grows_between_two_looks_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "id\na\n")
    put(tmp_path, "b.csv", "id\n")

    class Growing(ManualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            put(tmp_path, "b.csv", "id\nha")

    clock = Growing()
    assert ids(read(tmp_path, clock=clock)) == ["a"]
    assert clock.slept == [2.0]


def test_files_that_were_not_touched_for_long_are_not_waited_for(tmp_path: Path) -> None:
    put(tmp_path, "a.csv")
    clock = ManualClock(datetime.now(UTC) + timedelta(minutes=1))
    assert ids(read(tmp_path, clock=clock)) == ["1"]
    assert clock.slept == []


def test_a_file_that_changes_while_it_is_read_is_not_done_with(tmp_path: Path) -> None:
    rows = "".join(f"{number}\n" for number in range(30))
    path = put(tmp_path, "a.csv", f"id\n{rows}")
    with closing(opened(tmp_path)) as source:
        pages = source.read(ReadRequest("*.csv", "id", page_records=10, known_files=nothing_known))
        first = next(pages)
        with path.open("a") as file:
            file.write("30\n")
        rest = list(pages)
    assert {tuple(page.files) for page in (first, *rest)} == {()}
    again = read(tmp_path, known_files=nothing_known)
    assert len(ids(again)) == 31
    assert [mark.name for page in again for mark in page.files] == ["a.csv"]


def test_known_files_are_not_opened_and_touched_ones_are_known_again(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv")
    first = read(tmp_path, known_files=nothing_known)
    assert read(tmp_path, known_files=known_from(first))[0].files == ()
    os.utime(path, (1, 1))
    second = read(tmp_path, known_files=known_from(first))
    assert (ids(second), len(second[0].files)) == ([], 1)
    assert second[0].files[0].digest == first[0].files[0].digest
    assert ids(read(tmp_path, known_files=known_from(first), rereads=True)) == ["1"]


def test_where_the_metadata_lie_the_content_tells(tmp_path: Path) -> None:
    put(tmp_path, "a.csv")
    (mark,) = read(tmp_path, known_files=nothing_known)[0].files
    lying = FileMark(mark.name, mark.version, "0" * 64)
    assert ids(read(tmp_path, known_files=lambda names: {"a.csv": lying})) == []
    assert ids(read(tmp_path, known_files=lambda names: {"a.csv": lying}, recheck="content")) == ["1"]
    same = read(tmp_path, known_files=lambda names: {"a.csv": mark}, recheck="content")
    assert (ids(same), same[0].files) == ([], ())


def test_fields_of_the_file_are_added_to_its_records(tmp_path: Path) -> None:
    put(tmp_path, "sub/a.csv", "id\n1\n2,3\n4\n")
    (page,) = read(
        tmp_path, "sub/*.csv", file_name_field="file", file_time_field="at", row_number_field="row", page_records=10
    )
    assert page.records == [
        {"id": "1", "file": "sub/a.csv", "at": "2026-01-15T12:00:00.000000+00:00", "row": 1},
        {"id": "4", "file": "sub/a.csv", "at": "2026-01-15T12:00:00.000000+00:00", "row": 3},
    ]
    assert page.rejects[0].message == "sub/a.csv: Row 2 has 2 cells; the header has 1."


def test_a_window_is_of_change_times_in_the_files_or_of_the_files(tmp_path: Path) -> None:
    rows = "".join(f"{hour},2026-01-15T{hour:02d}:00:00Z\n" for hour in range(10, 15))
    put(tmp_path, "a.csv", f"id,at\n{rows}")
    put(tmp_path, "b.csv", "id,at\nb,\n", at=NOON + timedelta(hours=5))
    window = {"since": Position(NOON), "until": NOON + timedelta(hours=1)}
    found = read(tmp_path, "a.csv", cursor_field="at", known_files=nothing_known, rereads=True, **window)
    assert ids(found) == ["12", "13"]
    assert [page.files for page in found] == [()]
    assert ids(read(tmp_path, "a.csv", cursor_field="at", known_files=nothing_known, **window)) == [
        *map(str, range(10, 15))
    ]
    by_file = {"cursor_field": "file_time", "file_time_field": "file_time"}
    assert ids(read(tmp_path, since=Position(NOON + timedelta(hours=1)), **by_file)) == ["b"]


def bomb() -> bytes:
    return gzip.compress(b"id\n" + b"1\n" * 1_000_000)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (bomb(), "unpacks to more than 100,000 bytes"),
        (gzip.compress(b"id\n1\n", mtime=0)[:-6], "gzip data is cut off"),
        (gzip.compress(b"id\n1\n", mtime=0) + b"garbage", "gzip data is broken"),
        (b"id\n" + b"1\n" * 40_000, "has 80,003 bytes; the limit is 50,000"),
        (b"", "no header row"),
    ],
)
def test_a_bad_file_gives_nothing_but_its_reason(tmp_path: Path, content: bytes, why: str) -> None:
    put(tmp_path, "a.csv", content)
    put(tmp_path, "b.csv")
    limits = {"max_file_bytes": 50_000, "max_unpacked_bytes": 100_000}
    pages = read(tmp_path, limits=limits, known_files=nothing_known, page_records=10)
    assert ids(pages) == ["1"]
    assert why in reasons(pages)[0]
    assert (tmp_path / "rejected" / "a.csv").read_bytes() == content
    assert {mark.name: mark.is_rejected for page in pages for mark in page.files} == {
        "rejected/a.csv": True,
        "b.csv": False,
    }


def test_a_file_that_breaks_off_gives_the_pages_before(tmp_path: Path) -> None:
    rows = ",".join(f'{{"id": {number}}}' for number in range(25))
    put(tmp_path, "a.json", f"[{rows}")
    pages = read(tmp_path, "*.json", page_records=10)
    assert (ids(pages), len(reasons(pages))) == ([*range(20)], 1)
    token = json.loads(json.dumps(pages[0].resume))
    again = read(tmp_path, "*.json", resume=token)
    assert (ids(again), len(reasons(again))) == ([*range(10, 20)], 1)


@pytest.mark.parametrize("name", ["a 2026-01-15T12:00.csv", "ü #%20?.csv", "-rf.csv", "a'b.csv"])
def test_unusual_names_are_names(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert ids(read(tmp_path)) == ["1"]


def test_gzip_of_several_members_is_read_whole(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", gzip.compress(b"id\n1\n") + gzip.compress(b"2\n"))
    assert ids(read(tmp_path)) == ["1", "2"]


def test_a_second_bad_file_of_a_name_does_not_replace_the_first(tmp_path: Path) -> None:
    for content in ("first\n", "second\n"):
        put(tmp_path, "a.csv", content)
        read(tmp_path, known_files=nothing_known)
    contents = {path.read_text() for path in (tmp_path / "rejected").rglob("a.csv")}
    assert contents == {"first\n", "second\n"}


def test_where_it_may_not_be_moved_a_bad_file_stays(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "number\n")
    put(tmp_path, "rejected", "no folder")
    (page,) = read(tmp_path, known_files=nothing_known)
    assert "left where it is" in page.rejects[0].message
    assert (page.files[0].name, page.files[0].is_rejected) == ("a.csv", True)


def test_a_folder_for_bad_files_that_leads_out_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "in/a.csv", "number\n")
    (tmp_path / "in" / "rejected").symlink_to(tmp_path)
    with pytest.raises(InsecureTransportError, match="leads out"):
        read(tmp_path / "in", known_files=nothing_known)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_read_for_others_moves_nothing(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "number\n")
    assert "left where it is" in reasons(read(tmp_path))[0]
    assert (tmp_path / "a.csv").exists()


def test_a_token_of_a_file_that_is_gone_or_changed_goes_on_soundly(tmp_path: Path) -> None:
    rows = "".join(f"a{number}\n" for number in range(5))
    path = put(tmp_path, "a.csv", f"id\n{rows}")
    put(tmp_path, "b.csv", "id\nb\n")
    token = json.loads(json.dumps(read(tmp_path, page_records=2)[0].resume))
    assert ids(read(tmp_path, resume=token)) == ["a2", "a3", "a4", "b"]
    put(tmp_path, "a.csv", "id\nnew0\nnew1\nnew2\n")
    assert ids(read(tmp_path, resume=token)) == ["new0", "new1", "new2", "b"]
    path.unlink()
    assert ids(read(tmp_path, resume=token)) == ["b"]


def test_a_table_opens_no_addresses_that_its_system_does_not(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as source, pytest.raises(ConfigurationError, match="allow_hosts"):
        list(source.read(ReadRequest("*.csv", "id", options={"allow_hosts": ["10.0.0.0/8"]})))


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, ending: str) -> None:
    rows = [f"R{number:06d}" for number in range(40_000)]
    text = {
        "csv": "id,text\n" + "".join(f"{key},{'x' * 200}\n" for key in rows),
        "jsonl": "".join(f'{{"id":"{key}","text":"{"x" * 200}"}}\n' for key in rows),
        "json": json.dumps([{"id": key, "text": "x" * 200} for key in rows]),
    }[ending]
    put(tmp_path, f"a.{ending}", text)
    with closing(opened(tmp_path)) as source:
        tracemalloc.start()
        try:
            count = sum(len(page.records) for page in source.read(ReadRequest(f"a.{ending}", "id", page_records=500)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert count == 40_000
    assert peak < len(text) / 2


# Writing

COLUMNS = ["action", "id", "name"]


def push(
    folder: Path, deliveries: Sequence[Delivery], clock: ManualClock | None = None, **options: Any
) -> list[Receipt]:
    known = {"file": "assets_{time}_{digest}.csv", "columns": COLUMNS, "action_column": "action", **options}
    target = open_target("files", Credentials(folder.as_uri()), {"push": known}, Unlimited(), clock or ManualClock())
    with closing(target):
        return target.push(PushRequest("assets", "id"), deliveries)


def delivery(number: int, **fields: Any) -> Delivery:
    payload = {"name": f"asset {number}", **fields}
    return Delivery(f"d{number}", Action.CREATE, None, payload, f"key-{number}", record_id=f"{number:032x}")


def test_the_same_deliveries_make_the_same_file_whenever_they_are_sent(tmp_path: Path) -> None:
    clock = ManualClock()
    many = [delivery(number) for number in range(3)]
    push(tmp_path, many, clock)
    clock.advance(3600)
    assert {receipt.outcome for receipt in push(tmp_path, list(reversed(many)), clock)} == {Outcome.CONFIRMED}
    push(tmp_path, many[:2], clock)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [name.split("_")[1] for name in names] == ["20260115T120000000000Z", "20260115T130000000000Z"]


def test_a_file_that_is_not_as_it_was_written_is_written_again(tmp_path: Path) -> None:
    push(tmp_path, [delivery(1)])
    (path,) = (tmp_path / "out").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:5])
    push(tmp_path, [delivery(1)])
    assert path.read_bytes() == content


def test_only_records_that_the_file_can_hold_are_in_it(tmp_path: Path) -> None:
    receipts = push(tmp_path, [delivery(1), delivery(2, beside="x"), delivery(3, name="a\0b"), delivery(4, id="own")])
    assert [receipt.outcome for receipt in receipts] == [
        Outcome.CONFIRMED,
        Outcome.REFUSED,
        Outcome.REFUSED,
        Outcome.CONFIRMED,
    ]
    assert receipts[3].key == "own"
    (path,) = (tmp_path / "out").iterdir()
    assert path.read_text() == f"action,id,name\ncreate,{1:032x},asset 1\ncreate,own,asset 4\n"


def test_a_folder_that_can_not_be_written_keeps_the_deliveries_unsent(tmp_path: Path) -> None:
    put(tmp_path, "out", "a file where the folder should be")
    (receipt,) = push(tmp_path, [delivery(1)])
    assert receipt.outcome == Outcome.UNSENT
    assert receipt.retry_after_s is not None


def test_a_folder_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "out").symlink_to(tmp_path)
    with pytest.raises(InsecureTransportError, match="leads out"):
        push(tmp_path / "in", [delivery(1)])
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]


def test_a_table_without_its_key_among_the_columns_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no 'id'"):
        push(tmp_path, [delivery(1)], columns=["action", "name"])
