from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.declared.fault import DeclaredFile
from kwiksync_ops.declared.reader import read_declared_file
from kwiksync_ops.errors import ConfigurationError


def read(folder: Path, text: str, name: str) -> DeclaredFile:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_declared_file(path)


def refusal(folder: Path, text: str, name: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text, name)
    (fault,) = caught.value.faults
    return fault.removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:00", "22:00"),
        ("no", "no"),
        ("on", "on"),
        ("2026-01-15", "2026-01-15"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("true", True),
        ("~", None),
        ("12", 12),
        ("0.2", 0.2),
        ("1e3", 1000.0),
        ("'12'", "12"),
    ],
)
def test_yaml_words_are_what_they_look_like(tmp_path: Path, text: str, value: Any) -> None:
    read_value = read(tmp_path, f"a: {text}\n", "f.yaml").value["a"]
    assert read_value == value
    assert type(read_value) is type(value)


def test_yaml_keys_are_text(tmp_path: Path) -> None:
    assert read(tmp_path, "1: a\nnull: b\n", "f.yaml").value == {"1": "a", "null": "b"}


def test_each_key_and_element_has_its_line(tmp_path: Path) -> None:
    file = read(tmp_path, "a: 1\nb:\n  - x\n  - c: 2\n", "f.yaml")
    assert file.lines == {(): 1, ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "c"): 4}


def test_json_lines_survive_tabs_escapes_and_astral_characters(tmp_path: Path) -> None:
    file = read(tmp_path, '{\n\t"a": "\\ud83d\\ude00 \\/ \\u0000",\n\t"b": [\n\t\t1,\n\t\t2\n\t]\n}\n', "f.json")
    assert file.value["a"] == "\U0001f600 / \x00"
    assert (file.lines[("a",)], file.lines[("b", 1)]) == (2, 5)


def test_a_missing_key_is_placed_at_what_should_hold_it(tmp_path: Path) -> None:
    file = read(tmp_path, "a: 1\nb:\n  c: 2\n", "f.yaml")
    assert file.fault(("b", "d"), "is missing.").line == 2


def test_double_keys_are_found_in_json_too(tmp_path: Path) -> None:
    file = read(tmp_path, '{"a": 1,\n "b": {"c": 1,\n "c": 2}}', "f.json")
    assert [(fault.line, fault.key) for fault in file.double_keys] == [(3, ("b", "c"))]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ('{"a": 1,}', "f.json:1:9: is not JSON: "),
        ('{"a": 1\n "b": 2}', "f.json:2:2: is not JSON: Expecting ',' delimiter."),
        ('{"a": NaN}', "f.json: is not JSON: NaN is no JSON value."),
        ("", "f.json:1:1: is not JSON: "),
        ("[" * 60 + "]" * 60, "f.json: is nested too deeply."),
    ],
)
def test_broken_json_is_placed_by_line_and_column(tmp_path: Path, text: str, start: str) -> None:
    assert refusal(tmp_path, text, "f.json").startswith(start)


def test_deep_yaml_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, "{a: " * 900 + "}" * 900, "f.yaml") == "f.yaml: is nested too deeply."


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    assert "1,000,003 bytes" in refusal(tmp_path, "a: " + "x" * 1_000_000, "f.yaml")


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffa: 1\n", "f.yaml").value == {"a": 1}
