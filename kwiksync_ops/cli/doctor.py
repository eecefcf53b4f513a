"""`doctor`: whether this installation can sync, and what to do where it can't."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from kwiksync_ops.cli.exit_code import ExitCode
from kwiksync_ops.cli.output import Output
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import count, printable

if TYPE_CHECKING:
    from kwiksync_ops.services.doctor import Check

_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "bold red"), "skipped": ("·", "dim")}
_NAME_WIDTH = 18


def doctor(
    offline: Annotated[bool, typer.Option("--offline", metavar="", help="Don't call the systems.")] = False,
    json: JsonOption = False,
) -> None:
    """Check this installation, part by part, with a remedy where something is wrong.

    Exits with 1 where a check failed, with 3 where one warns.
    """
    from kwiksync_ops.services.doctor import examine

    output = Output(is_json=json)
    checks = []
    with open_session(is_current=False) as session:
        for check in examine(session.settings, session.hub, clock=session.clock, calls_systems=not offline):
            checks.append(check)
            _show(output, check)
    verdicts = [check.verdict.value for check in checks]
    output.emit({"ok": "failed" not in verdicts, "checks": [_document(check) for check in checks]})
    code = _exit_code(verdicts)
    failed, warned = verdicts.count("failed"), verdicts.count("warning")
    parts = [
        count(len(checks), "check"),
        *(f"{number} {name}" for number, name in ((failed, "failed"), (warned, "with a warning")) if number),
    ]
    output.show(Text())
    output.say(
        ", ".join(parts) + ("." if code else ": all is well."), style="green" if code is ExitCode.OK else "yellow"
    )
    raise typer.Exit(code)


def _show(output: Output, check: Check) -> None:
    sign, style = _SIGNS[check.verdict.value]
    line = Text(f"{sign} ", style=style)
    line.append(f"{check.name:<{_NAME_WIDTH}}  ", style="bold" if style != "dim" else "dim")
    if len(check.detail) + _NAME_WIDTH + 4 <= output.human.width and "\n" not in check.detail:
        line.append(printable(check.detail), style="dim" if check.verdict in ("ok", "skipped") else "")
        output.show(line)
    else:
        output.show(line)
        output.show(
            Padding(
                Text(printable(check.detail, lines=True), style="dim" if check.verdict == "ok" else ""), (0, 0, 0, 4)
            )
        )
    if check.remedy:
        output.show(Padding(Text(f"→ {printable(check.remedy)}", style="green"), (0, 0, 0, 4)))


def _exit_code(verdicts: list[str]) -> ExitCode:
    if "failed" in verdicts:
        return ExitCode.FAILED
    return ExitCode.ATTENTION if "warning" in verdicts else ExitCode.OK


def _document(check: Check) -> dict[str, Any]:
    return {"name": check.name, "verdict": check.verdict, "detail": check.detail, "remedy": check.remedy}
