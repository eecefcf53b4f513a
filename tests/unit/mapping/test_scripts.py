from __future__ import annotations

import os
import signal
from decimal import Decimal
from typing import Any

import pytest

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping import script_worker
from kwiksync_ops.mapping.faults import Fault
from kwiksync_ops.mapping.rules import FieldRule
from kwiksync_ops.mapping.sandbox import Sandbox, ScriptStoppedError
from kwiksync_ops.mapping.scripts import MAX_STOPPED, Script, ScriptError
from kwiksync_ops.vocabulary import TransformType
from tests.support.mappings import map_records, reject

PROCESS_GLOBALS = ("std", "os", "require", "process", "fetch", "print", "console", "XMLHttpRequest", "load", "Deno")
SANDBOX = Sandbox()
"""One for all tests: what one script leaves behind must not reach the next."""


def run(source: str, *values: Any, records: list[dict[str, Any]] | None = None, **limits: int) -> list[Any]:
    script = Script(source, SANDBOX, **limits)
    return script.run(values, records or [{"value": value} for value in values])


def function(body: str) -> str:
    return f"(function(value, record) {{ {body} }})(value, record)"


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        (function("return value.toUpperCase();"), "x", "X"),
        (function("return value * 2;") + " ;\n", 21, 42),
        ("value + 1 // done", 1, 2),
        (function("return record.value.length;"), "four", 4),
        (function(""), "x", None),
        ("null", "x", None),
        ("value", None, None),
        ("value", True, True),
        ("value", Decimal("1.5"), Decimal("1.5")),
        ("0.1 + 0.2", None, Decimal("0.30000000000000004")),
        ("10n ** 20n", None, "1" + "0" * 20),
        ("new Date(0)", None, "1970-01-01T00:00:00.000Z"),
        ("value", "é😀\u2028", "é😀\u2028"),
        ("[value]", "x", ["x"]),
    ],
)
def test_a_script_gives_what_it_returns(source: str, value: Any, expected: Any) -> None:
    assert run(source, value) == [expected]


@pytest.mark.parametrize(
    "value",
    [2**53, -(2**60), 10**38, Decimal("12345678901234567890.5"), Decimal("1E+400")],
    ids=str,
)
def test_a_number_that_javascript_can_not_hold_arrives_as_its_text(value: Any) -> None:
    assert run("typeof value + value", value) == [f"string{value}"]
    assert run("record.value", value) == [str(value)]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (function("return value.x.y;"), "has no value, the script failed: TypeError: cannot read property"),
        (function("throw new Error('no stock');"), "has no value, the script failed: Error: no stock."),
        ("0 / 0", "RangeError: the script returned NaN"),
        ("1 / 0", "RangeError: the script returned Infinity"),
        ("(function(value, record) { return 1; })", "the script returned a function; end it with (value, record)"),
        ("Symbol()", "the script returned a symbol"),
        (function("function f() { return f() + 1; } return f();"), "stack overflow"),
        (function("throw null;"), "it threw null, or needed more than 32 MB"),
        (function("throw Object.create(null);"), "the script was stopped: TypeError"),
    ],
)
def test_a_script_that_fails_is_a_mapping_error_with_its_message(source: str, reason: str) -> None:
    (found,) = run(source, "x")
    assert found.code == "ERR_004"
    assert reason in found.reason


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        ("while (true) {}", "ran longer than 10 ms for one record"),
        ("while (true) { try { while (true) {} } catch (e) {} }", "ran longer than 10 ms for one record"),
        ("/^(a+)+$/.test('a'.repeat(64) + '!')", "ran longer than 10 ms for one record"),
        ("Array(4e9).lastIndexOf(1)", "ran longer than 10 ms for one record"),
        ("'x'.repeat(1e9)", "needed more than 8 MB"),
        ("new ArrayBuffer(1e9)", "needed more than 8 MB"),
        ("throw new Error('poison')", "the script failed: Error: poison"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_only_the_poison_record_is_rejected(poison: str, reason: str, place: int) -> None:
    values = ["good"] * 3
    values[place] = "poison"
    source = function(f"if (value === 'poison') {{ {poison}; }} return value;")
    results = run(source, *values, time_limit_ms=100, memory_limit_mb=8)
    assert results[:place] + results[place + 1 :] == ["good", "good"]
    assert isinstance(results[place], Fault)
    assert reason in results[place].reason


def test_a_record_that_hoards_memory_does_not_starve_the_next() -> None:
    source = function(
        "globalThis.hoard = globalThis.hoard || [];"
        "if (value === 'poison') { while (true) { hoard.push('x'.repeat(1000) + hoard.length); } }"
        "return value;"
    )
    first, poison, last = run(source, "good", "poison", "good", memory_limit_mb=4, time_limit_ms=10_000)
    assert (first, last) == ("good", "good")
    assert "needed more than 4 MB" in poison.reason


def test_a_batch_of_poison_ends_after_a_bounded_number_of_trials() -> None:
    results = run(function("while (true) {}"), *range(MAX_STOPPED + 5), time_limit_ms=10)
    assert all(isinstance(result, Fault) for result in results)
    assert "was not tried" not in results[MAX_STOPPED - 1].reason
    assert all("was not tried" in result.reason for result in results[MAX_STOPPED:])


@pytest.mark.parametrize("name", PROCESS_GLOBALS)
def test_a_script_sees_nothing_of_the_host(name: str) -> None:
    assert run(f"typeof {name}", None) == ["undefined"]


def test_a_script_can_not_import_a_module() -> None:
    assert run(function("return import('os').then(os => 'host', () => 'none') instanceof Promise"), None) == [True]
    (found,) = run("eval(\"import fs from 'fs'\")", None)
    assert "SyntaxError" in found.reason


def test_no_batch_sees_what_another_one_left_behind() -> None:
    source = "globalThis.count = (globalThis.count || 0) + 1"
    assert [run(source, None), run(source, None)] == [[1], [1]]


def test_a_script_changes_only_its_own_copy_of_a_record() -> None:
    record = {"value": {"a": 1}}
    script = Script("record.value.a = 2", SANDBOX)
    assert script.run([None, None], [record, record]) == [2, 2]
    assert record == {"value": {"a": 1}}


@pytest.mark.parametrize(
    "unfit", [float("nan"), 10**5_000, b"bytes", "nested"], ids=["nan", "5000 digits", "bytes", "depth"]
)
def test_a_record_that_can_not_be_passed_costs_itself_alone(unfit: Any) -> None:
    if unfit == "nested":
        for _ in range(100_000):
            unfit = [unfit]
    first, bad, last = run("1", "a", unfit, "c")
    assert (first, last) == (1, 1)
    assert (bad.code, bad.reason[:28]) == ("ERR_004", "has no value, the record can")


@pytest.mark.parametrize(
    "source", ["(function( {", "var x = 1; x", "", "   ", "}); while (true) {}; (function() { return (1", "return 1"]
)
def test_a_script_that_does_not_parse_is_told_at_once(source: str) -> None:
    with pytest.raises(ScriptError, match="is not one JavaScript expression: SyntaxError"):
        Script(source, SANDBOX)


def test_a_killed_sandbox_is_started_again() -> None:
    sandbox = Sandbox()
    script = Script("value", sandbox)
    assert script.run([1], [{}]) == [1]
    process = sandbox._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert script.run([2], [{}]) == [2]
    assert sandbox._process is not process


def test_a_sandbox_that_is_killed_unseen_costs_no_record() -> None:
    sandbox = Sandbox()
    script = Script("value", sandbox)
    script.run([1], [{}])
    assert sandbox._process is not None
    os.kill(sandbox._process.pid, signal.SIGKILL)
    assert script.run([2, 3], [{}, {}]) == [2, 3]


def test_a_forked_process_starts_a_sandbox_of_its_own() -> None:
    sandbox = Sandbox()
    script = Script("value", sandbox)
    script.run([1], [{}])
    inherited = sandbox._process
    sandbox._owner += 1  # as it looks from a child
    assert script.run([2], [{}]) == [2]
    assert sandbox._process is not inherited


def test_a_sandbox_ends_with_its_owner() -> None:
    sandbox = Sandbox()
    Script("value", sandbox).run([1], [{}])
    process = sandbox._process
    assert process is not None
    del sandbox
    assert process.returncode == 0


def test_a_sandbox_that_dies_in_a_call_says_so() -> None:
    with pytest.raises(ScriptStoppedError) as error:
        Sandbox().call("(x => { while (true) {} })", "", time_limit_s=0.001, memory_limit_mb=8)
    assert error.value.is_too_long


def test_a_sandbox_that_does_not_start_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_worker, "__file__", "/nowhere/script_worker.py")
    with pytest.raises(ConfigurationError, match=r"The sandbox for script transforms does not start: .*No such file"):
        Sandbox().call("x => x", "", time_limit_s=1, memory_limit_mb=8)


def test_a_sandbox_inherits_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KWIKSYNC_CANARY", "secret")
    sandbox = Sandbox()
    sandbox.call("(x => x)", "", time_limit_s=1, memory_limit_mb=8)
    assert sandbox._process is not None
    with open(f"/proc/{sandbox._process.pid}/environ") as environ:  # noqa: PTH123  a kernel file
        assert "CANARY" not in environ.read()


def test_a_script_rule_maps_by_value_and_record() -> None:
    rule = FieldRule(
        "amount",
        "quantity",
        TransformType.SCRIPT,
        {"script": function("if (record.unit === 'dozen') return value * 12; if (value < 0) throw 'less than none';")},
    )
    records = [
        {"id": "1", "amount": 2, "unit": "dozen"},
        {"id": "2", "amount": 2},
        {"id": "3", "amount": -1},
        {"id": "4", "amount": 0.5, "unit": "dozen"},
    ]
    batch = map_records(records, rule, table="assets")
    assert batch.rows == [("1", 24), ("2", None), ("4", 6)]
    (found,) = batch.rejects
    assert found.message == "quantity (from amount) has no value, the script failed: less than none."


def test_what_a_script_returns_must_fit_its_column() -> None:
    rule = FieldRule("v", "quantity", TransformType.SCRIPT, {"script": "value / 2"})
    assert reject(1, rule, table="assets").message == "quantity (from v) is not a whole number: 0.5."
    nested = FieldRule("v", "name", TransformType.SCRIPT, {"script": "[value]"})
    assert reject(1, nested, table="assets").code == "ERR_004"
