"""`preview`: what a mapping of the files would make of sample records, before it goes live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from kwiksync_ops.cli.exit_code import ExitCode
from kwiksync_ops.cli.output import Field, Output
from kwiksync_ops.cli.session import JsonOption, Session, open_session
from kwiksync_ops.cli.text import NONE, count, printable, shown

if TYPE_CHECKING:
    from kwiksync_ops.batch import SourceRecord
    from kwiksync_ops.services.preview import Preview, PreviewedRecord
    from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec

_FIELDS = (
    Field("Field", style="bold", shortest=10),
    Field("From", shortest=8, style="dim"),
    Field("Before", shortest=12),
    Field("After", shortest=16),
)


def preview(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="The system whose mapping it is.")],
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The record table that it is of.")],
    sample: Annotated[
        Path | None,
        typer.Option(
            "--sample", metavar="FILE", help="JSON records; without it the system is asked.", show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="So many records.")] = 5,
    outbound: Annotated[
        bool, typer.Option("--outbound", "-o", metavar="", help="What the system would get of the hub's records.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show what the mapping in the files makes of sample records, before it goes live. Nothing is written.

    Exits with 3 where a record would be rejected.
    """
    from kwiksync_ops.services.systems import find_system, find_table

    if outbound and sample:
        raise typer.BadParameter("--sample holds records of the system; --outbound shows those of the hub.")
    output = Output(is_json=json)
    with open_session() as session:
        spec = find_system(session.settings.include, system)
        found = find_table(spec, table)
        previewed = (
            _outbound(session, spec, found, limit) if outbound else _inbound(session, spec, found, sample, limit)
        )
    key = "sys_id" if outbound else found.key
    output.emit(preview_document(previewed, key))
    show_records(output, previewed, previewed.records, key)
    taken = len(previewed.records) - previewed.rejected
    verb = "sent" if outbound else "taken"
    output.say(
        f"{count(taken, 'record')} would be {verb}, {previewed.rejected:,} rejected.",
        style="yellow" if previewed.rejected else "green",
    )
    raise typer.Exit(ExitCode.ATTENTION if previewed.rejected else ExitCode.OK)


def show_records(output: Output, previewed: Preview, records: Sequence[PreviewedRecord], key: str) -> None:
    """Records with what became of them, field by field, and why not where they are rejected."""
    for record in records:
        output.show(_head(record, key))
        if record.after:
            output.table(_FIELDS, list(_rows(previewed, record.before, record.after)))
        output.show(*(Padding(Text(f"{e.code}  {printable(e.message)}"), (0, 2)) for e in record.rejects))
        output.show(Text())


def _inbound(session: Session, system: SystemSpec, table: TableSpec, sample: Path | None, limit: int) -> Preview:
    from kwiksync_ops.mapping.files import read_mapping
    from kwiksync_ops.services.preview import preview as preview_records
    from kwiksync_ops.storage.records import HubLookups

    mapping = read_mapping(session.settings.include / "mappings" / table.mapping, system.system)
    records = _sample(session, system, table, sample, limit)
    return preview_records(mapping, table, records, HubLookups(session.hub, system.system))


def _outbound(session: Session, system: SystemSpec, table: TableSpec, limit: int) -> Preview:
    from kwiksync_ops.mapping.files import read_mapping
    from kwiksync_ops.services.preview import preview_outbound
    from kwiksync_ops.services.sample import hub_sample
    from kwiksync_ops.storage.outward_lookups import OutwardLookups
    from kwiksync_ops.vocabulary import Direction

    path = session.settings.include / "mappings" / table.outbound_mapping
    mapping = read_mapping(path, system.system, Direction.OUTBOUND)
    records = hub_sample(session.hub, table, limit)
    return preview_outbound(mapping, records, OutwardLookups(session.hub, system.system))


def _sample(
    session: Session, system: SystemSpec, table: TableSpec, path: Path | None, limit: int
) -> Sequence[SourceRecord]:
    from kwiksync_ops.services.connections import credentials
    from kwiksync_ops.services.sample import file_sample, live_sample

    if path:
        return file_sample(path, limit)
    known = credentials(session.settings, session.hub, system)
    return live_sample(session.hub, system, table, known, limit, session.clock)


def _head(record: PreviewedRecord, key: str) -> Text:
    text = Text(shown(record.before.get(key)), style="bold")
    return text.append("  taken" if record.after else "  rejected", style="green" if record.after else "red")


def _rows(previewed: Preview, before: SourceRecord, after: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for rule in previewed.mapping.rules:
        if rule.active:
            old = [_raw(before.get(field)) for field in rule.source_fields]
            told = old[0] if len(old) == 1 else ", ".join(shown(value) for value in old) or None
            yield rule.target_field, ", ".join(rule.source_fields) or NONE, told, _raw(after.get(rule.target_field))


def _raw(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def preview_document(previewed: Preview, key: str) -> dict[str, Any]:
    return {
        "rejected": previewed.rejected,
        "records": [
            {
                "key": record.before.get(key),
                "before": record.before,
                "after": record.after,
                "rejects": [
                    {"code": reject.code, "field": reject.field, "message": reject.message} for reject in record.rejects
                ],
            }
            for record in previewed.records
        ],
    }
