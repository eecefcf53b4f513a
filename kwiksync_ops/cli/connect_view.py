"""How `connect` shows what it found and what it proposes: tables for a person, one document for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from kwiksync_ops.cli.output import Field, Output
from kwiksync_ops.cli.preview import preview_document, show_records
from kwiksync_ops.cli.text import NONE, count, printable, shown

if TYPE_CHECKING:
    from kwiksync_ops.connectors.discovery import ObjectInfo
    from kwiksync_ops.mapping.proposals.identity import FieldProposal
    from kwiksync_ops.mapping.proposals.matching import FieldMatch
    from kwiksync_ops.mapping.proposals.profile import FieldProfile
    from kwiksync_ops.services.discovery import Inspected
    from kwiksync_ops.services.outbound_proposals import OutboundProposal
    from kwiksync_ops.services.preview import Preview
    from kwiksync_ops.services.proposals import TableProposal

_EXAMPLES_WIDTH, _WORDS = 32, 8
_OBJECTS = (
    Field("No", is_number=True),
    Field("Object", style="bold", shortest=16),
    Field("Label", shortest=10),
    Field("Looks like", style="green"),
)
_SAMPLED = (
    Field("Object", style="bold", shortest=16),
    Field("Sample", is_number=True),
    Field("Fields", is_number=True),
    Field("Becomes", style="green"),
    Field("Score", is_number=True),
    Field("Why", shortest=20, style="dim"),
)
_FIELDS = (
    Field("Field", style="bold", shortest=12),
    Field("Type", shortest=8),
    Field("Filled", is_number=True),
    Field("Such as", shortest=16, style="dim"),
)
_WAY_OUT = (
    Field("Field", style="bold", shortest=10),
    Field("From", shortest=8),
    Field("How", shortest=6),
    Field("Score", is_number=True),
    Field("Why", shortest=16, style="dim"),
)
_MATCHES = (
    Field("Column", style="bold", shortest=10),
    Field("From", shortest=8),
    Field("How", shortest=6),
    Field("Score", is_number=True),
    Field("Why", shortest=16, style="dim"),
    Field("Such as", shortest=8, from_width=120),
)


def show_objects(output: Output, objects: Sequence[ObjectInfo], likely: Mapping[str, str]) -> None:
    rows = [(at, info.name, info.label or NONE, likely.get(info.name, NONE)) for at, info in enumerate(objects, 1)]
    output.table(_OBJECTS, rows)


def show_sampled(output: Output, objects: Sequence[Inspected], proposals: Sequence[TableProposal]) -> None:
    by_name = {proposal.inspected.info.name: proposal.choice for proposal in proposals}
    rows = []
    for found in objects:
        choice = by_name.get(found.info.name)
        told = (choice.table, _percent(choice.score), choice.reason) if choice else (NONE, NONE, "like no table")
        rows.append((found.info.name, len(found.records), len(found.fields), *told))
    output.table(_SAMPLED, rows)


def show_fields(output: Output, inspected: Inspected) -> None:
    """What the object has: its fields with their types, in how many records they are filled, and some values."""
    output.show(Text(printable(inspected.info.name), style="bold"))
    output.table(_FIELDS, [_field_row(field) for field in inspected.fields])
    output.show(Text())


def show_proposal(output: Output, proposal: TableProposal) -> None:
    """The rules of a table, and what is left over on both sides."""
    output.show(Text(f"\n{proposal.table} ← {printable(proposal.inspected.info.name)}", style="bold"))
    output.pairs([("Key", _purpose(proposal.key)), ("Cursor", _purpose(proposal.cursor))])
    output.table(_MATCHES, [_match_row(match) for match in proposal.matches])
    left = [("Empty", proposal.empty_columns), ("Not used", [field.name for field in proposal.unused])]
    output.pairs([(name, ", ".join(names)) for name, names in left if names])
    for match in proposal.matches:
        _show_words(output, match)


def show_way_out(output: Output, proposal: OutboundProposal) -> None:
    """What is sent, what is not and why, and what the system has no word for."""
    output.show(Text(f"\n{proposal.table} → {printable(proposal.inspected.info.name)}", style="bold"))
    creates = f"none: it wants {', '.join(proposal.missing)}" if proposal.missing else "are created"
    output.pairs([("New records", creates)])
    output.table(_WAY_OUT, [_way_out_row(match) for match in proposal.way.matches])
    for name, reason in proposal.way.left_out.items():
        output.say(f"{name} is not sent: {reason}.", style="dim")
    for match in proposal.way.matches:
        if match.open_values:
            values = ", ".join(match.open_values[:_WORDS])
            problem = f"{match.rule.target_field}: no word is known for {values}. A record with it is not sent."
            output.say(problem, style="yellow")


def _show_words(output: Output, match: FieldMatch) -> None:
    """What the words of a closed set become, and those that are left open."""
    rule = match.rule
    words = [f"{word} → {value}" for word, value in rule.config.get("mappings", {}).items()]
    if words:
        more = ", …" if len(words) > _WORDS else ""
        output.say(f"{rule.target_field}: {', '.join(words[:_WORDS])}{more}", style="dim")
    if match.open_values:
        values = ", ".join(match.open_values[:_WORDS])
        problem = f"{rule.source_field}: no {rule.target_field} is known for {values}. Such a record is rejected."
        output.say(problem, style="yellow")


def show_preview(output: Output, proposal: TableProposal, previewed: Preview) -> None:
    """One record in full, those that are rejected with their reasons, the others by their keys."""
    key = proposal.key.field.name if proposal.key else ""
    number = count(len(previewed.records), "record")
    output.show(Text(f"\n{proposal.table}: {number} through the mapping", style="bold"))
    taken = [record for record in previewed.records if record.after]
    rejected = [record for record in previewed.records if not record.after]
    show_records(output, previewed, [*taken[:1], *rejected], key)
    if others := [shown(record.before.get(key)) for record in taken[1:]]:
        output.say(f"{', '.join(others)}: taken", style="green")


def document(
    head: Mapping[str, Any],
    proposals: Sequence[TableProposal],
    outbound: Sequence[OutboundProposal],
    previews: Mapping[str, Preview],
    files: Iterable[Path],
) -> dict[str, Any]:
    """All that was found and proposed, as JSON."""
    ways = {proposal.table: {"outbound": _way_out_document(proposal)} for proposal in outbound}
    tables = [_table_document(each, previews[each.table]) | ways.get(each.table, {}) for each in proposals]
    return {**head, "tables": tables, "files": [str(path) for path in files]}


def _table_document(proposal: TableProposal, previewed: Preview) -> dict[str, Any]:
    inspected, choice = proposal.inspected, proposal.choice
    return {
        "object": inspected.info.name,
        "table": proposal.table,
        "score": choice.score,
        "reason": choice.reason,
        "sample": len(inspected.records),
        "options": dict(inspected.options),
        "key": _purpose_document(proposal.key),
        "cursor": _purpose_document(proposal.cursor),
        "fields": [_match_document(match) for match in proposal.matches],
        "empty_columns": proposal.empty_columns,
        "unused_fields": [field.name for field in proposal.unused],
        "source_fields": [_field_document(field) for field in inspected.fields],
        "preview": preview_document(previewed, proposal.key.field.name if proposal.key else ""),
    }


def _field_row(field: FieldProfile) -> tuple[Any, ...]:
    kind = f"{_type(field)}, key" if field.declared.is_key else _type(field)
    share = _percent(field.filled / field.total) if field.total else NONE
    return field.name, kind, share, ", ".join(field.examples) or NONE


def _field_document(field: FieldProfile) -> dict[str, Any]:
    return {
        "name": field.name,
        "label": field.declared.label,
        "type": field.type.value if field.type else None,
        "is_key": field.declared.is_key,
        "references": field.declared.references,
        "filled": field.filled,
        "examples": field.examples,
    }


def _type(field: FieldProfile) -> str:
    if field.declared.references:
        return f"id of {field.declared.references}"
    return field.type.value if field.type else NONE


def _way_out_document(proposal: OutboundProposal) -> dict[str, Any]:
    return {
        "push": dict(proposal.push),
        "fields": [_sent_document(match) for match in proposal.way.matches],
        "left_out": dict(proposal.way.left_out),
        "missing": list(proposal.missing),
    }


def _sent_document(match: FieldMatch) -> dict[str, Any]:
    rule = match.rule
    return {
        "field": rule.target_field,
        "column": rule.source_field,
        "transform": rule.transform.value,
        "config": dict(rule.config),
        "score": match.score,
        "reason": match.reason,
        "open_values": list(match.open_values),
    }


def _way_out_row(match: FieldMatch) -> tuple[Any, ...]:
    rule = match.rule
    return rule.target_field, rule.source_field, rule.transform.value, _percent(match.score), match.reason


def _match_row(match: FieldMatch) -> tuple[Any, ...]:
    rule = match.rule
    return (
        rule.target_field,
        rule.source_field,
        rule.transform.value,
        _percent(match.score),
        match.reason,
        ", ".join(match.examples)[:_EXAMPLES_WIDTH] or NONE,
    )


def _match_document(match: FieldMatch) -> dict[str, Any]:
    rule = match.rule
    return {
        "column": rule.target_field,
        "source": rule.source_field,
        "transform": rule.transform.value,
        "config": dict(rule.config),
        "score": match.score,
        "reason": match.reason,
        "examples": list(match.examples),
        "open_values": list(match.open_values),
    }


def _purpose(found: FieldProposal | None) -> Text:
    if found is None:
        return Text(NONE)
    return Text(printable(found.field.name)).append(f"  {_percent(found.score)}, {found.reason}", style="dim")


def _purpose_document(found: FieldProposal | None) -> dict[str, Any] | None:
    return {"field": found.field.name, "score": found.score, "reason": found.reason} if found else None


def _percent(score: float) -> str:
    return f"{score:.0%}"
