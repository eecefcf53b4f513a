"""The six transform types: each compiles a rule's config to a function from a batch to the column of its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kwiksync_ops import vocabulary
from kwiksync_ops.mapping.coercion import texts_of
from kwiksync_ops.mapping.date_format import compile_date_format
from kwiksync_ops.mapping.faults import Column, Fault, shown, unmappable
from kwiksync_ops.mapping.rule_config import suggestion
from kwiksync_ops.mapping.rule_context import CompiledTransform, RuleContext, Transform
from kwiksync_ops.mapping.scripts import MEMORY_LIMIT_MB, TIME_LIMIT_MS, Script, ScriptError
from kwiksync_ops.mapping.source import SourceBatch
from kwiksync_ops.mapping.value_map import compile_value_map
from kwiksync_ops.vocabulary import RECORD_TABLES, ColumnType, RecordTable, TransformType

_TEXT_TYPES = (ColumnType.STRING, ColumnType.TEXT, ColumnType.REFERENCE)


def compile_transform(context: RuleContext) -> CompiledTransform | None:
    """None where the config has faults that leave nothing to compile; the context's config has told them."""
    compiled = _COMPILERS[context.rule.transform](context)
    context.config.refuse_unknown_keys()
    return compiled


def _compile_direct(context: RuleContext) -> CompiledTransform:
    return CompiledTransform(context.read())


def _compile_concatenate(context: RuleContext) -> CompiledTransform | None:
    config = context.config
    fields, separator = config.get("fields"), config.text("separator", "")
    on_null = config.choice("on_null", ("skip", "empty", "null"))
    if not isinstance(fields, list) or not fields or not all(isinstance(field, str) and field for field in fields):
        config.fault("fields", 'must be a list of source fields such as ["first_name", "last_name"].')
        return None
    reads = [context.read(field) for field in fields]

    def join(batch: SourceBatch) -> Column:
        columns = [texts_of(read(batch)) for read in reads]
        try:
            return list(map(separator.join, zip(*columns, strict=True)))
        except TypeError:  # a null or a fault among the texts
            return [_joined(parts, separator, on_null) for parts in zip(*columns, strict=True)]

    return CompiledTransform(join)


def _joined(texts: tuple[Any, ...], separator: str, on_null: str) -> str | Fault | None:
    """None where every part is null, or one is and the rule says so; the first Fault where there is one."""
    if Fault in map(type, texts):
        return next(text for text in texts if type(text) is Fault)
    present = [text for text in texts if text is not None]
    if not present or (on_null == "null" and len(present) < len(texts)):
        return None
    return separator.join(present if on_null == "skip" else [text or "" for text in texts])


def _compile_lookup(context: RuleContext) -> CompiledTransform | None:
    config = context.config
    name = vocabulary.short_name(config.text("lookup_table"))
    table = RECORD_TABLES.get(name)
    match_field, return_field = config.text("match_field"), config.text("return_field")
    on_missing = config.choice("on_missing", ("error", "null", "keep"))
    if table is None:
        if name:
            config.fault("lookup_table", f"there is no table {name!r}.{suggestion(name, RECORD_TABLES)}")
        return None
    for key, field in (("match_field", match_field), ("return_field", return_field)):
        _check_lookup_field(context, table, key, field)
    _check_reference_lookup(context, table.name, return_field, on_missing)
    is_found = on_missing != "keep"
    return CompiledTransform(
        _look_up(context.read(), table.name, match_field, return_field, on_missing),
        is_typed=is_found and _fits(table.column(return_field), context.column),
        sys_ids_of=table.name if is_found and return_field == "sys_id" else None,
    )


def _fits(source: vocabulary.Column | None, target: vocabulary.Column) -> bool:
    """Whether every text of a hub column fits another one."""
    if source is None or source.type not in _TEXT_TYPES or target.type not in _TEXT_TYPES:
        return False
    return (source.max_length or 0) <= (target.max_length or 0)


def _check_lookup_field(context: RuleContext, table: RecordTable, key: str, field: str) -> None:
    column = table.column(field)
    texts = [column.name for column in (*vocabulary.BASE_COLUMNS, *table.columns) if column.type in _TEXT_TYPES]
    if field and column is None:
        context.config.fault(key, f"{table.name} has no field {field!r}.{suggestion(field, texts)}")
    elif column is not None and column.type not in _TEXT_TYPES:
        context.config.fault(key, f"{field} is a column of type {column.type}; a lookup goes by text.")


def _check_reference_lookup(context: RuleContext, table: str, return_field: str, on_missing: str) -> None:
    config, wanted = context.config, context.column.references
    if wanted is None:
        return
    if table != wanted:
        config.fault("lookup_table", f"{context.column.name} refers to {wanted}, not to {table}.")
    if return_field and return_field != "sys_id":
        config.fault("return_field", f"{context.column.name} holds a sys_id, not {return_field!r}.")
    if on_missing == "keep":
        config.fault("on_missing", f"keep would put what is no sys_id into {context.column.name}.")


def _look_up(read: Transform, table: str, match_field: str, return_field: str, on_missing: str) -> Transform:
    def without_match(text: Any) -> Any:
        if text is None or isinstance(text, Fault) or on_missing == "keep":
            return text
        return None if on_missing == "null" else _not_found(table, match_field, return_field, text)

    def run(batch: SourceBatch) -> Column:
        texts = texts_of(read(batch))
        wanted = set(texts)
        found: Mapping[Any, Any] = batch.find(table, match_field, return_field, wanted)
        if others := wanted.difference(found):
            found = {**found, **{text: without_match(text) for text in others}}
        return list(map(found.__getitem__, texts))

    return run


def _not_found(table: str, match_field: str, return_field: str, text: str) -> Fault:
    if (match_field, return_field) == ("sys_id", "external_id"):
        return unmappable(
            f"refers to a record of {table} that the system does not have yet (sys_id {shown(text)}); "
            f"sync {table} first, or set on_missing to null."
        )
    return unmappable(
        f"has no match: no record of {table} has the {match_field} {shown(text)}; "
        f"sync {table} first, or set on_missing to null."
    )


def _compile_script(context: RuleContext) -> CompiledTransform | None:
    config, field = context.config, context.rule.source_field
    source = config.text("script")
    time_limit_ms = config.whole_number("time_limit_ms", TIME_LIMIT_MS, minimum=10, maximum=10_000)
    memory_limit_mb = config.whole_number("memory_limit_mb", MEMORY_LIMIT_MB, minimum=1, maximum=256)
    if not source.strip():
        return None
    try:
        script = Script(source, context.sandbox, time_limit_ms=time_limit_ms, memory_limit_mb=memory_limit_mb)
    except ScriptError as exc:
        config.fault("script", f"{exc}.")
        return None
    read: Transform = context.read() if field else lambda batch: [None] * len(batch.records)
    return CompiledTransform(lambda batch: script.run(read(batch), batch.records))


_COMPILERS: dict[TransformType, Callable[[RuleContext], CompiledTransform | None]] = {
    TransformType.DIRECT: _compile_direct,
    TransformType.VALUE_MAP: compile_value_map,
    TransformType.DATE_FORMAT: compile_date_format,
    TransformType.CONCATENATE: _compile_concatenate,
    TransformType.LOOKUP: _compile_lookup,
    TransformType.SCRIPT: _compile_script,
}
