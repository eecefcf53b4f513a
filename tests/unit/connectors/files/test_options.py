from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from kwiksync_ops.connectors.files.options import merge_options, option_faults, parse_options

PUSH = {"file": "x_{digest}.csv", "columns": ["id", "name"]}


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"encoding": "utf-99"}, "there is no encoding 'utf-99'"),
        ({"encoding": "base64"}, "there is no encoding 'base64'"),
        ({"csv": {"header_row": 0}}, "set names"),
        ({"rejected_folder": "../elsewhere"}, "leads out"),
        ({"rejected_folder": "/etc"}, "not a path below"),
        ({"push": {**PUSH, "folder": "out/../../x"}}, "leads out"),
        ({"push": {**PUSH, "file": "x.csv"}}, "push.file"),
        ({"push": {**PUSH, "file": "a/{digest}.csv"}}, "push.file"),
        ({"push": {**PUSH, "file": ".{digest}.csv"}}, "begins with a dot"),
        ({"push": {**PUSH, "file": "{digest}.doc"}}, "has the ending '.doc'"),
        ({"push": {**PUSH, "action_column": "action"}}, "has no 'action'"),
        ({"push": {**PUSH, "types": {"quantity": "integer"}}}, "has no 'quantity'"),
        ({"done_marker": "done"}, "done_marker"),
        ({"delimiter": ";"}, "delimiter"),
        ({"allow_hosts": ["10.0.0.0/99"]}, "allow_hosts"),
        ({"password": "x"}, "password"),
    ],
)
def test_faults_are_told_with_their_place(options: dict[str, Any], fault: str) -> None:
    assert fault in "\n".join(option_faults(options))


def test_a_table_changes_single_options_of_its_systems_sections() -> None:
    merged = merge_options({"csv": {"delimiter": ";"}, "order": "modified"}, {"csv": {"quote": "'"}})
    options = parse_options(merged)
    assert (options.csv.delimiter, options.csv.quote, options.order) == (";", "'", "modified")


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("A.CSV", "csv"),
        ("a.json.gz", "json"),
        ("a.b.ndjson", "jsonl"),
        ("a.xlsx", "excel"),
        ("a", None),
        ("a.gz", None),
    ],
)
def test_the_ending_of_a_name_says_the_format(name: str, format: str | None) -> None:
    assert parse_options({}).format_of(name) == format
    assert parse_options({"format": "parquet"}).format_of(name) == "parquet"


def test_checking_options_imports_nothing_heavy() -> None:
    code = (
        "import sys; from kwiksync_ops.connectors.files.options import option_faults; option_faults({});"
        "print(sorted({'pandas', 'pyarrow', 'paramiko', 'openpyxl', 'sqlalchemy', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
