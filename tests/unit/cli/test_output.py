"""Tables that fit their terminal, JSON that is exact, and errors that say all they know."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from kwiksync_ops.cli.output import Field, Output, make_table, show_error, to_json
from kwiksync_ops.errors import ConfigurationError, LeaseError
from kwiksync_ops.vocabulary import Mode

FIELDS = (
    Field("Id"),
    Field("Calls", is_number=True, from_width=100),
    Field("Table", shortest=8),
    Field("Message", shortest=20),
)
ROWS = [["0123456789", 7, "kw_corp_ticket_tasks", "a message that is much too long for the line " * 3]]


def drawn(width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(make_table(FIELDS, ROWS, width=width))
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [60, 80, 99, 100, 140])
def test_a_row_is_one_line_that_fits(width: int) -> None:
    lines = drawn(width)
    assert len(lines) == 2
    assert all(len(line.rstrip()) <= width for line in lines)
    assert "0123456789" in lines[1]


def test_the_column_with_most_to_spare_is_cut_first() -> None:
    assert "kw_corp_ticket_tasks" in drawn(80)[1]
    assert "kw_corp_t…" in drawn(46)[1]


def test_a_column_of_lesser_weight_is_left_out_on_a_narrow_terminal() -> None:
    assert "Calls" not in drawn(99)[0]
    assert "Calls" in drawn(100)[0]


def test_in_a_pipe_nothing_is_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    Output().table(FIELDS, ROWS)
    assert str(ROWS[0][3]).rstrip() in capsys.readouterr().out


def test_with_json_the_answer_is_on_stdout_and_all_words_are_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(is_json=True)
    output.emit({"rows": 1})
    output.table(FIELDS, ROWS)
    output.pairs([("name", "value")])
    output.say("one row")
    out, err = capsys.readouterr()
    assert json.loads(out) == {"rows": 1}
    assert err == "one row\n"


def test_json_keeps_decimals_exact_and_names_the_zone() -> None:
    document = {"d": Decimal("1.10"), "at": datetime(2026, 1, 1, tzinfo=UTC), "mode": Mode.FULL, "path": Path("/a")}
    assert json.loads(to_json(document)) == {
        "d": "1.10",
        "at": "2026-01-01T00:00:00+00:00",
        "mode": "full",
        "path": "/a",
    }


def test_an_error_shows_code_faults_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigurationError("It has 2 faults:", faults=("a: wrong", "b: [red]wrong[/]"), remedy="Correct them.")
    show_error(error, is_json=True)
    out, err = capsys.readouterr()
    for text in ("ERR_014 configuration", "a: wrong", "b: [red]wrong[/]", "Remedy  Correct them."):
        assert text in err
    assert json.loads(out)["error"]["faults"] == ["a: wrong", "b: [red]wrong[/]"]


def test_without_json_an_error_leaves_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(LeaseError("Another sync runs."))
    out, err = capsys.readouterr()
    assert out == ""
    assert "ERR_010 lease" in err
