"""`plan`, `apply`, `export`, `rollback`: the mappings of the files against those of the hub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from kwiksync_ops.cli.exit_code import ExitCode
from kwiksync_ops.cli.output import Field, Output
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import count, printable
from kwiksync_ops.errors import ConfigurationError

if TYPE_CHECKING:
    from kwiksync_ops.services.configuration import Applied
    from kwiksync_ops.services.configuration_plan import Plan, TablePlan
    from kwiksync_ops.services.mapping_diff import RuleChange
    from kwiksync_ops.storage.mappings import MappingKey

Systems = Annotated[list[str] | None, typer.Argument(metavar="SYSTEM", help="Only these systems.", show_default=False)]

_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_TABLES = (
    Field("System", shortest=6),
    Field("Direction"),
    Field("Table"),
    Field("Mapping", is_status=True),
    Field("Version", is_number=True),
    Field("Changes", shortest=12),
)


def plan(
    systems: Systems = None,
    check: Annotated[
        bool, typer.Option("--check", metavar="", help="Exit with 3 where something would change.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show what [bold]apply[/] would change. Nothing is written."""
    from kwiksync_ops.services import configuration

    output = Output(is_json=json)
    with open_session() as session:
        planned = configuration.plan(session.hub, session.settings.include, systems or ())
    output.emit(_plan_document(planned))
    output.table(_TABLES, [_plan_row(table) for table in planned.tables])
    for table in planned.tables:
        output.show(*_change_lines(table))
    if planned.faults:
        number = count(len(planned.faults), "fault")
        raise ConfigurationError(
            f"The files have {number}:", faults=planned.faults, remedy="Correct them, then run kwiksync plan again."
        )
    _say_plan(output, planned)
    raise typer.Exit(ExitCode.ATTENTION if check and planned.pending else ExitCode.OK)


def apply(systems: Systems = None, json: JsonOption = False) -> None:
    """Make the mappings of the files the active versions in the hub, all or none of them."""
    from kwiksync_ops.services import configuration

    output = Output(is_json=json)
    with open_session() as session:
        applied = configuration.apply(
            session.hub, session.settings.include, who=session.who, clock=session.clock, systems=systems or ()
        )
    output.emit({"applied": [_applied_document(each) for each in applied]})
    _show_applied(output, applied)
    if not applied:
        output.say("Nothing to apply: the hub has the mappings of the files.", style="green")


def export(json: JsonOption = False) -> None:
    """Write the active mappings back to their files. A file that says the same already is left alone."""
    from kwiksync_ops.services import configuration

    output = Output(is_json=json)
    with open_session() as session:
        files = configuration.export(session.hub, session.settings.include)
    output.emit(
        {"files": [{**_key(e.key), "path": e.path, "version": e.version, "written": e.is_written} for e in files]}
    )
    fields = (Field("File", shortest=30), Field("Version", is_number=True), Field("Result"))
    include = session.settings.include.parent
    output.table(fields, [(_below(e.path, include), e.version, "written" if e.is_written else "same") for e in files])
    output.say(f"{count(sum(e.is_written for e in files), 'file')} written, {len(files)} looked at.")


def rollback(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="The system whose mapping it is.")],
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The record table that it is of.")],
    version: Annotated[
        int, typer.Argument(min=1, metavar="VERSION", help="The version to go back to; plan shows the present one.")
    ],
    outbound: Annotated[bool, typer.Option("--outbound", "-o", metavar="", help="The mapping of the way out.")] = False,
    json: JsonOption = False,
) -> None:
    """Make what an older version of a mapping said the active one, as a new version. The files stay as they are."""
    from kwiksync_ops.services import configuration
    from kwiksync_ops.services.systems import find_system, find_table
    from kwiksync_ops.storage.mappings import MappingKey
    from kwiksync_ops.vocabulary import Direction

    output = Output(is_json=json)
    with open_session() as session:
        spec = find_system(session.settings.include, system)
        is_outbound = outbound or spec.direction == Direction.OUTBOUND
        direction = Direction.OUTBOUND if is_outbound else Direction.INBOUND
        key = MappingKey(system, direction, find_table(spec, table).table)
        done = configuration.roll_back(session.hub, key, version, who=session.who, clock=session.clock)
    output.emit({"rolled_back": _applied_document(done) if done else None})
    _show_applied(output, [done] if done else [])
    if done:
        output.say("The files still say otherwise: kwiksync export writes this version into them.", style="yellow")
    else:
        output.say(f"The active mapping says what version {version} says.", style="green")


def _say_plan(output: Output, planned: Plan) -> None:
    if planned.pending:
        output.say(f"{count(len(planned.pending), 'mapping')} to apply. Run kwiksync apply.", style="yellow")
    else:
        output.say("Nothing to apply: the hub has the mappings of the files.", style="green")


def _show_applied(output: Output, applied: Sequence[Applied]) -> None:
    fields = (
        Field("System"),
        Field("Direction"),
        Field("Table"),
        Field("Version", is_number=True),
        Field("Before", is_number=True),
        Field("Changes"),
    )
    rows = [(e.key.system, e.key.direction, e.key.table, e.version, e.previous, _summary(e.changes)) for e in applied]
    if rows:
        output.table(fields, rows)


def _plan_row(table: TablePlan) -> tuple[Any, ...]:
    changes = count(len(table.faults), "fault") if table.faults else _summary(table.changes)
    return table.key.system, table.key.direction, table.key.table, table.action.value, table.version, changes


def _summary(changes: Iterable[RuleChange]) -> str:
    actions = [change.action.value for change in changes]
    parts = [f"{_SIGNS[action][0]}{actions.count(action)} {action}" for action in _SIGNS if action in actions]
    return ", ".join(parts)


def _change_lines(table: TablePlan) -> Iterator[Text]:
    """What changes in a mapping that is there already, value by value; a new one is new as a whole."""
    if table.action != "changed":
        return
    yield Text(f"\n{table.key.system} {table.key.table}{' (outbound)' if table.key.is_outbound else ''}", style="bold")
    for change in table.changes:
        sign, style = _SIGNS[change.action.value]
        yield Text(f"  {sign} {change.target_field}", style=style, no_wrap=True, overflow="ellipsis")
        if change.action == "changed":
            for value in change.values:
                yield Text(printable(f"      {value}"), no_wrap=True, overflow="ellipsis")


def _plan_document(planned: Plan) -> dict[str, Any]:
    return {
        "pending": len(planned.pending),
        "tables": [
            {
                **_key(table.key),
                "action": table.action,
                "version": table.version,
                "changes": [_change_document(change) for change in table.changes],
                "faults": list(table.faults),
            }
            for table in planned.tables
        ],
        "broken": [
            {"system": system.system, "path": system.path, "faults": list(system.error.faults)}
            for system in planned.broken
        ],
    }


def _applied_document(applied: Applied) -> dict[str, Any]:
    return {
        **_key(applied.key),
        "version": applied.version,
        "previous": applied.previous,
        "changes": [_change_document(change) for change in applied.changes],
    }


def _change_document(change: RuleChange) -> dict[str, Any]:
    return asdict(change)


def _key(key: MappingKey) -> dict[str, str]:
    return {"system": key.system, "direction": key.direction, "table": key.table}


def _below(path: Any, folder: Any) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
