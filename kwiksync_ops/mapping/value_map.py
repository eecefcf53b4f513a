"""The value_map transform: a looked-up value for each value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

from kwiksync_ops.mapping.coercion import text_of
from kwiksync_ops.mapping.faults import Column, Fault, kinds_of, shown, unmappable
from kwiksync_ops.mapping.rule_context import CompiledTransform, RuleContext

_SHOWN_WORDS = 8


def compile_value_map(context: RuleContext) -> CompiledTransform | None:
    config, read = context.config, context.read()
    mappings = config.get("mappings")
    has_default = config.has("default")
    default = context.constant("config.default", config.get("default"))
    if not isinstance(mappings, Mapping) or not mappings:
        config.fault("mappings", 'must be an object such as {"OPEN": "1", "CLOSED": "3"}.')
        return None
    table = {str(word): context.constant(f"config.mappings.{word}", value) for word, value in mappings.items()}
    words = _word_list(table)

    def second_look(value: Any) -> Any:
        """A value that is no text, or is not in the table."""
        text = text_of(value)
        if isinstance(text, Fault) or text in table:
            return table.get(text, text)
        return default if has_default else _unknown_word(value, words)

    known: dict[Any, Any] = {**table, None: None}
    return CompiledTransform(lambda batch: _map_values(read(batch), known, second_look), is_typed=True)


def _word_list(table: Mapping[str, Any]) -> str:
    words = [shown(word) for word in list(table)[:_SHOWN_WORDS]]
    return ", ".join([*words, "…"] if len(table) > _SHOWN_WORDS else words)


def _unknown_word(value: Any, words: str) -> Fault:
    return unmappable(
        f"has the value {shown(value)}, none of the mapped ones ({words}); add it to mappings, or set a default."
    )


def _map_values(values: Column, known: Mapping[Any, Any], second_look: Callable[[Any], Any]) -> Column:
    try:
        return list(map(known.__getitem__, values))
    except (KeyError, TypeError):  # an unknown word; an object or a list
        pass
    if kinds_of(values) <= {str, NoneType}:
        results = {**known, **{word: second_look(word) for word in set(values).difference(known)}}
        return list(map(results.__getitem__, values))
    return [None if value is None else second_look(value) for value in values]
