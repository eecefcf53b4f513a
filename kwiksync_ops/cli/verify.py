"""`verify`: does the hub hold what the system holds?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from kwiksync_ops.cli.exit_code import ExitCode
from kwiksync_ops.cli.output import Field, Output, show_error
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import NONE, count, duration
from kwiksync_ops.errors import KwikSyncError
from kwiksync_ops.vocabulary import RETRY_DELAYS_S, Repair, Verdict

if TYPE_CHECKING:
    from kwiksync_ops.services.comparison import Comparison, Example
    from kwiksync_ops.services.reconcile import TableVerification, VerifiedTable, VerifyOutcome

_SHORT_DIGEST = 16

_FIELDS = (
    Field("Table", shortest=12),
    Field("Agrees"),
    Field("Compared", is_number=True),
    Field("Equal", is_number=True),
    Field("Missing", is_number=True),
    Field("Extra", is_number=True),
    Field("Different", is_number=True),
    Field("Pending", is_number=True),
    Field("Rejected", is_number=True, from_width=90),
)
_DIGESTS = (Field("Table", shortest=12), Field("Hub"), Field("System"), Field("Differing fields", shortest=16))
_EXAMPLES = (
    Field("Table", shortest=8),
    Field("Record", shortest=8),
    Field("Is", is_status=True),
    Field("Field", shortest=6),
    Field("In the hub", shortest=10),
    Field("At the system", shortest=10),
)


def verify(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="As its file in include/systems is called.")],
    tables: Annotated[
        list[str] | None,
        typer.Option(
            "--table", "-t", metavar="TABLE", help="Only this table; may be given several times.", show_default=False
        ),
    ] = None,
    repair: Annotated[
        Repair | None,
        typer.Option(
            "--repair",
            metavar="SIDE",
            help="hub: load what it lacks or has otherwise; system: have the next outbound sync send it.",
            show_default=False,
        ),
    ] = None,
    repair_deletes: Annotated[
        bool,
        typer.Option(
            "--repair-deletes", metavar="", help="With --repair hub: delete there what the system has no more."
        ),
    ] = False,
    examples: Annotated[
        int, typer.Option("--examples", "-n", min=0, metavar="N", help="Show so many records of each kind.")
    ] = 5,
    no_retry: Annotated[
        bool,
        typer.Option("--no-retry", metavar="", help="Fail at once, instead of trying again after 1, 5 and 15 minutes."),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", metavar="", help="Wait for a sync that runs, instead of failing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Compare whole tables of hub and system, by key and content. Exits with 4 where they do not agree."""
    from kwiksync_ops.services.connections import credentials
    from kwiksync_ops.services.identity import Identity
    from kwiksync_ops.services.reconcile import VerifyRequest, verify_system
    from kwiksync_ops.services.systems import find_system

    output = Output(is_json=json)
    delays_s = () if no_retry else RETRY_DELAYS_S
    request = VerifyRequest(tables or (), repair, repair_deletes, examples, delays_s, wait)
    with open_session() as session:
        spec = find_system(session.settings.include, system)
        identity = Identity(partial(credentials, session.settings, session.hub, spec))
        with _Progress(output) as progress:
            outcome = verify_system(
                session.hub, spec, identity, request, who=session.who, clock=session.clock, watcher=progress
            )
    _report(output, outcome)
    raise typer.Exit(_exit_code(outcome))


class _Progress:
    """A bar on stderr for the table that is read: of so many records as the hub knows."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._bar = ExitStack()
        self._advance: Callable[[int], None] = lambda _records: None

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._bar.close()

    def begins(self, table: str, records: int) -> None:
        self._bar.close()
        self._advance = self._bar.enter_context(self._output.bar(table, records))

    def read(self, table: str, records: int) -> None:
        self._advance(records)

    def waits(self, seconds: float, error: KwikSyncError) -> None:
        self._bar.close()
        self._output.progress.print(Text(f"{error.code}: {error.message}", style="yellow"))
        self._output.progress.print(Text(f"Trying again in {duration(seconds)}. Ctrl-C stops.", style="dim"))


def _report(output: Output, outcome: VerifyOutcome) -> None:
    output.emit(_document(outcome))
    found = [(each.table, each.found) for each in outcome.tables if each.found]
    if found:
        output.table(_FIELDS, [_row(table, each.after) for table, each in found])
        output.table(_DIGESTS, [_digests(table, each.after) for table, each in found], title="\nDigests")
    shown = [row for table, each in found for example in each.after.examples for row in _examples(table, example)]
    if shown:
        output.table(_EXAMPLES, shown, title="\nExamples")
    for table, each in found:
        _say_what_was_done(output, table, each)
    for error in outcome.errors:
        show_error(error)
    _conclude(output, outcome)


def _say_what_was_done(output: Output, table: str, found: TableVerification) -> None:
    if found.before.readings > 1:
        output.say(f"{table} was read twice: the first reading left doubts.", style="dim")
    if found.repaired:
        output.say(f"{table} was repaired: {found.repaired}. The figures are those after it.")
    newer, edited = found.after.counts[Verdict.NEWER], found.after.counts[Verdict.EDITED]
    if newer:
        output.say(f"{table}: {count(newer, 'record')} newer at the system; the next sync brings them.", style="dim")
    if edited:
        output.say(f"{table}: {count(edited, 'record')} edited in the hub, not sent yet.", style="dim")
    for code, number in found.after.codes.items():
        output.say(f"{table}: {count(number, 'record')} can't be mapped ({code}); not compared.", style="yellow")


def _conclude(output: Output, outcome: VerifyOutcome) -> None:
    output.say(f"Run {outcome.run_id}.", style="dim")
    if outcome.errors:
        output.say(f"{count(len(outcome.errors), 'table')} could not be verified.", style="red")
    elif not outcome.agrees:
        output.say("Hub and system do not agree.", style="red")
    else:
        output.say("Hub and system agree.", style="green")


def _row(table: str, found: Comparison) -> tuple[Any, ...]:
    agrees = Text("yes", style="green") if found.agrees else Text("no", style="bold red")
    numbers = (found.counts[each] for each in (Verdict.EQUAL, Verdict.MISSING, Verdict.EXTRA, Verdict.DIFFERENT))
    return table, agrees, found.compared, *numbers, found.pending, found.counts[Verdict.REJECTED]


def _digests(table: str, found: Comparison) -> tuple[Any, ...]:
    fields = ", ".join(f"{name} {number:,}" for name, number in found.fields.items())
    return table, found.hub_digest[:_SHORT_DIGEST], found.system_digest[:_SHORT_DIGEST], fields or NONE


def _examples(table: str, example: Example) -> Sequence[tuple[Any, ...]]:
    if not example.differences:
        return [(table, example.external_id, str(example.verdict), example.code or "", "", example.message or "")]
    return [
        (table, example.external_id, str(example.verdict), each.field, each.hub, each.system)
        for each in example.differences
    ]


def _document(outcome: VerifyOutcome) -> dict[str, Any]:
    return {
        "run_id": outcome.run_id,
        "agrees": outcome.agrees,
        "tables": [_table_document(each) for each in outcome.tables if each.found],
        "errors": [
            {"table": each.table, "code": each.error.code, "message": each.error.message, "remedy": each.error.remedy}
            for each in outcome.tables
            if each.error
        ],
    }


def _table_document(verified: VerifiedTable) -> Mapping[str, Any]:
    from kwiksync_ops.services.reconcile import details

    found = verified.found
    if found is None:
        return {}
    document = {"table": verified.table, **details(found.after)}
    document["examples"] = [_example_document(example) for example in found.after.examples]
    if found.repaired:
        document["repaired"] = vars(found.repaired)
        document["before"] = details(found.before)
    return document


def _example_document(example: Example) -> dict[str, Any]:
    return {
        "verdict": str(example.verdict),
        "external_id": example.external_id,
        "differences": [vars(each) for each in example.differences],
        "code": example.code,
        "message": example.message,
    }


def _exit_code(outcome: VerifyOutcome) -> ExitCode:
    if outcome.errors:
        return ExitCode.FAILED
    if not outcome.agrees:
        return ExitCode.DIFFERS
    return ExitCode.ATTENTION if outcome.rejected else ExitCode.OK
