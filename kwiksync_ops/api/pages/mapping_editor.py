"""The editor of a mapping, for administrators: rule by rule or as a whole, checked as one types, tried, saved.

The draft lives in the form: each submit sends it as it is, and is answered by the page with what was asked for. So it
works without a script, and several people and api-servers do not come in each other's way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kwiksync_ops.api.context import Context, ContextDep
from kwiksync_ops.api.pages.access import AdminLookDep
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.api.pages.links import links_of
from kwiksync_ops.api.pages.mapping_trial import Desk, Sample, desk_of, live, read_sample, sample_of, trial_of
from kwiksync_ops.api.pages.mappings import Way, mapping_of
from kwiksync_ops.api.pages.posted import Posted, PostedDep
from kwiksync_ops.api.pages.rule_form import PREFIX, RuleForm, double_words, read_rule, rule_form
from kwiksync_ops.declared.fault import Fault, key_text
from kwiksync_ops.errors import ConfigurationError, ConflictError
from kwiksync_ops.mapping.documents import mapping_document, rule_document, rule_of
from kwiksync_ops.mapping.rules import FieldRule
from kwiksync_ops.services import configuration
from kwiksync_ops.services.configuration import applied_mapping
from kwiksync_ops.services.mapping_diff import RuleChange, diff_mappings
from kwiksync_ops.services.mapping_draft import NAME, Draft, draft_of, read_draft
from kwiksync_ops.services.mapping_suggestions import (
    fields_read,
    suggest_inbound,
    suggest_outbound,
    without_common_nulls,
)
from kwiksync_ops.storage.records import HubLookups
from kwiksync_ops.vocabulary import (
    BASE_COLUMNS,
    MAPPABLE_BASE_COLUMNS,
    RECORD_TABLES,
    TABLE_PREFIX,
    Direction,
)

router = APIRouter(prefix="/mappings")

View = Literal["rules", "text"]
NEW_RULE = {"source_field": "", "target_field": "", "transform": "direct"}


@dataclass(frozen=True)
class Work:
    """The state of the editor. `seen` is the version that it began from; `opened` the place of the open rule."""

    draft: Draft
    seen: int
    opened: int | None = None
    view: View = "rules"
    sample: Sample = field(default_factory=Sample)
    shown: frozenset[str] = frozenset()
    doubles: Sequence[str] = ()


@dataclass(frozen=True)
class Row:
    """A rule in the list; `rule` is there where nothing is wrong with it."""

    document: Any
    rule: FieldRule | None
    faults: Sequence[Fault]


@dataclass(frozen=True)
class Suggested:
    """A rule that can be added; `document` is what is added."""

    document: str
    rule: FieldRule
    score: float
    reason: str
    examples: Sequence[str]
    open_values: Sequence[str]


@router.get("/{system}/{table}/edit")
def open_editor(
    request: Request,
    system: str,
    table: str,
    context: ContextDep,
    _admin: AdminLookDep,
    direction: Way = Direction.INBOUND,
    rule: Annotated[str, Query(max_length=300)] = "",
) -> HTMLResponse:
    desk = desk_of(context, system, table, direction)
    mapping = mapping_of(context, desk.key)
    draft = draft_of(mapping_document(mapping), desk.key)
    places = {each.target_field: place for place, each in enumerate(mapping.rules)}
    return _show(request, context, desk, Work(draft, mapping.version, places.get(rule)))


@router.post("/{system}/{table}/edit")
def work_on(
    request: Request,
    system: str,
    table: str,
    context: ContextDep,
    admin: AdminLookDep,
    form: PostedDep,
    direction: Way = Direction.INBOUND,
) -> Response:
    desk = desk_of(context, system, table, direction)
    work = _done(context, desk, _typed(form, desk), form)
    if form.one("do") != "save" or work.draft.mapping is None or work.doubles:
        return _show(request, context, desk, work)
    try:
        saved = configuration.change_mapping(
            context.hub, desk.key, work.draft.mapping, who=admin.name, clock=context.clock, seen=work.seen
        )
    except ConflictError as exc:
        return _show(request, context, desk, work, stale=exc)
    version = saved.version if saved else work.seen
    address = links_of(request).page("mappings", system, table, direction=direction.value, saved=version)
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


def _typed(form: Posted, desk: Desk) -> Work:
    """What the form holds, with what was typed into the rule that is open."""
    draft = read_draft(form.one("document"), desk.key)
    opened, rules, doubles = _number(form.one("opened")), draft.rules, list[str]()
    if rules is not None and opened is not None and opened < len(rules) and f"{PREFIX}transform" in form:
        old = rules[opened] if isinstance(rules[opened], dict) else {}
        changed = [*rules[:opened], read_rule(form, old, desk.key.direction), *rules[opened + 1 :]]
        draft = draft_of({**draft.document, "fields": changed}, desk.key)
        doubles = double_words(form)
    view: View = "text" if form.one("view") == "text" else "rules"
    shown = frozenset(form.one("shown").split())
    return Work(draft, _number(form.one("seen")) or 0, opened, view, read_sample(form.one("sample")), shown, doubles)


def _done(context: Context, desk: Desk, work: Work, form: Posted) -> Work:
    """What the button that was pressed asks for."""
    action, _, argument = form.one("do").partition(":")
    match action:
        case "open" | "close" | "new" | "remove" | "up" | "down" | "add":
            return _edited(desk, work, action, argument)
        case "view":
            return replace(work, view="text" if argument == "text" else "rules", opened=None)
        case "sample":
            return replace(work, sample=sample_of(context, desk, form), shown=work.shown | {"preview"})
        case "preview" | "suggestions":
            return replace(work, sample=_filled(context, desk, work.sample), shown=work.shown | {action})
        case "rebase":
            return replace(work, seen=_number(argument) or work.seen)
        case _:
            return work


def _edited(desk: Desk, work: Work, action: str, argument: str) -> Work:
    rules, place = work.draft.rules, _number(argument)
    if rules is None or action == "close":
        return replace(work, opened=None)
    if action in ("open", "remove", "up", "down") and (place is None or place >= len(rules)):
        return work
    if action == "open":
        return replace(work, opened=place)
    if action in ("new", "add"):
        rule = NEW_RULE if action == "new" else _object(argument)
        return _with_rules(desk, work, [*rules, rule], len(rules) if action == "new" else work.opened)
    return _moved(desk, work, rules, action, place or 0)


def _moved(desk: Desk, work: Work, rules: Sequence[Any], action: str, place: int) -> Work:
    others = [*rules[:place], *rules[place + 1 :]]
    if action == "remove":
        return _with_rules(desk, work, others, None)
    to = max(place - 1, 0) if action == "up" else min(place + 1, len(others))
    return _with_rules(desk, work, [*others[:to], rules[place], *others[to:]], None)


def _with_rules(desk: Desk, work: Work, rules: Sequence[Any], opened: int | None) -> Work:
    return replace(work, draft=draft_of({**work.draft.document, "fields": rules}, desk.key), opened=opened)


def _filled(context: Context, desk: Desk, sample: Sample) -> Sample:
    """Where there are no records yet, the system is asked for some."""
    return sample if sample.text.strip() or desk.key.is_outbound else live(context, desk)


def _show(
    request: Request, context: Context, desk: Desk, work: Work, *, stale: ConflictError | None = None
) -> HTMLResponse:
    key, draft = desk.key, work.draft
    base = mapping_of(context, key, work.seen or None)
    rows = [_row(rule, draft.faults_of_rule(place)) for place, rule in enumerate(draft.rules or ())]
    is_previewed = "preview" in work.shown and draft.mapping is not None
    return show(
        request,
        "mapping_edit.html",
        title=f"Edit the mapping of {key.table} of {key.system}",
        key=key,
        work=work,
        draft=draft,
        rows=rows,
        faults=[_told(fault, draft) for fault in draft.faults],
        form=_form(desk, work, rows),
        changes=_changes(base, draft),
        nulls=None,
        stale=stale,
        theirs=stale.facts.get("version") if stale else None,
        sample=work.sample,
        trial=trial_of(context, desk, draft.mapping, work.sample) if is_previewed and draft.mapping else None,
        suggested=_suggested(context, desk, work) if "suggestions" in work.shown else None,
    )


def _row(document: Any, faults: Sequence[Fault]) -> Row:
    return Row(document, None if faults or not isinstance(document, dict) else rule_of(document), faults)


def _told(fault: Fault, draft: Draft) -> dict[str, Any]:
    """A fault with the words of its place: which rule, which key, which line of the text."""
    place = fault.key[1] if fault.key[:1] == ("fields",) and len(fault.key) > 1 else None
    rule = draft.rules[place] if isinstance(place, int) and draft.rules else None
    name = rule.get("target_field") or rule.get("source_field") if isinstance(rule, dict) else None
    shown = key_text(fault.key if place is None else fault.key[2:])
    return {"place": place, "rule": name, "key": shown, "problem": fault.problem, "line": fault.line, "fault": fault}


def _form(desk: Desk, work: Work, rows: Sequence[Row]) -> RuleForm | None:
    if work.opened is None or work.opened >= len(rows) or work.view == "text":
        return None
    row = rows[work.opened]
    faults = list(row.faults)
    if work.doubles:
        problem = f"{', '.join(map(repr, work.doubles))} stands twice. Remove one."
        faults.append(Fault(NAME, ("fields", work.opened, "config", "mappings"), problem))
    document = row.document if isinstance(row.document, dict) else {}
    return rule_form(document, work.opened, desk.key.direction, faults, _known(desk, work))


def _known(desk: Desk, work: Work) -> Mapping[str, Sequence[str]]:
    """Words that inputs suggest: fields of the records and of other rules, columns, tables."""
    table = RECORD_TABLES[desk.key.table]
    columns = [column.name for column in (*BASE_COLUMNS, *table.columns)]
    mappable = [name for name in columns if table.column(name) in table.columns or name in MAPPABLE_BASE_COLUMNS]
    named = [name for rule in work.draft.rules or () if isinstance(rule, dict) for name in fields_read(rule)]
    sent = [name for record in work.sample.records for name in record]
    theirs = sorted({*named, *sent})
    anywhere = sorted({column.name for each in RECORD_TABLES.values() for column in (*BASE_COLUMNS, *each.columns)})
    ours = {"source_field": columns} if desk.key.is_outbound else {"source_field": theirs, "target_field": mappable}
    tables = [TABLE_PREFIX + name for name in RECORD_TABLES]
    return {**ours, "config.lookup_table": tables, "config.match_field": anywhere, "config.return_field": anywhere}


def _changes(base: Any, draft: Draft) -> Sequence[RuleChange] | None:
    """What saving would change; None while it can't be told."""
    return diff_mappings(base, draft.mapping) if draft.mapping else None


def _suggested(context: Context, desk: Desk, work: Work) -> list[Suggested]:
    rules = [rule for rule in work.draft.rules or () if isinstance(rule, dict)]
    document = work.draft.document if isinstance(work.draft.document, dict) else {}
    if desk.key.is_outbound:
        try:
            with context.hub.read() as connection:
                found = suggest_outbound(applied_mapping(connection, desk.key.system, desk.key.table), rules)
        except ConfigurationError:
            found = []
    else:
        source = str(document.get("source_table", ""))
        lookups = HubLookups(context.hub, desk.key.system)
        found = suggest_inbound(desk.key.table, source, rules, work.sample.records, lookups)
    nulls = document.get("null_values", ())
    common = nulls if isinstance(nulls, list) else ()
    made = [(match, without_common_nulls(match.rule, common)) for match in found]
    return [
        Suggested(
            json.dumps(rule_document(rule), ensure_ascii=False),
            rule,
            match.score,
            match.reason,
            match.examples,
            match.open_values,
        )
        for match, rule in made
    ]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else NEW_RULE
