"""The options of `connect` that hold more than one thing: `OBJECT=TABLE`, `TABLE.COLUMN=FIELD`, `TABLE:KEY=VALUE`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import typer

from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.vocabulary import RECORD_TABLES, short_name


@dataclass(frozen=True)
class KindOptions:
    """Options of a kind: of the whole system, and of single tables."""

    system: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)


def parse_objects(words: Sequence[str]) -> dict[str, str]:
    """Objects by name, each with its table; an empty one where none was said. A path may have a `=` of its own."""
    found = {}
    for word in words:
        name, sign, table = word.rpartition("=")
        is_table = bool(sign) and short_name(table) in RECORD_TABLES
        looks_like_one = bool(sign) and table.isidentifier() and "?" not in name
        if looks_like_one and not is_table:
            _table(table, "--object")
        found[name if is_table else word] = short_name(table) if is_table else ""
    tables = [table for table in found.values() if table]
    double = next((table for table in tables if tables.count(table) > 1), None)
    if double:
        raise typer.BadParameter(f"{double} is named for two objects.", param_hint="--object")
    return found


def parse_pairs(words: Sequence[str], hint: str) -> dict[str, str]:
    """`TABLE=FIELD`; nothing after the sign means none."""
    return {_table(name, hint): value for name, value in (_split(word, "=", hint) for word in words)}


def parse_fields(words: Sequence[str], hint: str = "--field") -> dict[tuple[str, str], str]:
    """`TABLE.COLUMN=FIELD`; nothing after the sign leaves the column empty."""
    found = {}
    for word in words:
        name, source = _split(word, "=", hint)
        table, column = _split(name, ".", hint)
        found[_table(table, hint), column] = source
    return found


def parse_options(words: Sequence[str]) -> KindOptions:
    """`KEY=VALUE` for the system, `TABLE:KEY=VALUE` for one table; dots in a key lead into what it holds."""
    from kwiksync_ops.declared.reader import parse_value

    options = KindOptions()
    for word in words:
        name, text = _split(word, "=", "--option")
        table, sign, key = name.partition(":")
        into = options.tables.setdefault(_table(table, "--option"), {}) if sign else options.system
        try:
            _put(into, (key if sign else name).split("."), parse_value(text))
        except ValueError as exc:
            raise typer.BadParameter(f"{exc}.", param_hint="--option") from exc
    return options


def _split(word: str, sign: str, hint: str) -> tuple[str, str]:
    name, found, value = word.partition(sign)
    if not found or not name:
        raise typer.BadParameter(f"{word!r} has no {sign!r} where one belongs.", param_hint=hint)
    return name, value


def _table(name: str, hint: str) -> str:
    if short_name(name) not in RECORD_TABLES:
        near = did_you_mean(name, RECORD_TABLES) or f" There are: {', '.join(RECORD_TABLES)}."
        raise typer.BadParameter(f"There is no KWikSync table {name!r}.{near}", param_hint=hint)
    return short_name(name)


def _put(into: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for step in path[:-1]:
        held = into.setdefault(step, {})
        if not isinstance(held, dict):
            raise ValueError(f"{step!r} holds a value already")  # noqa: TRY004  # what is wrong with the word is one error
        into = held
    into[path[-1]] = value
