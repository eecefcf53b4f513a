"""A rule of a mapping as a form, made from the schema of mappings, and read back without losing what it does not show.

The inputs are named as faults name their places: `config.source_format`, `validation.pattern`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from kwiksync_ops.api.pages.posted import Posted
from kwiksync_ops.declared.fault import Fault, key_text
from kwiksync_ops.declared.schema import read_schema
from kwiksync_ops.mapping.files import MAPPING_SCHEMA, schema_of

Kind = Literal["text", "code", "lines", "list", "number", "choice", "truth", "pairs"]
Document = dict[str, Any]

PREFIX = "rule."
CODE_LENGTH = 4_000
SPARE_PAIRS = 1
_TOP = ("source_field", "target_field", "transform", "active")
_EMPTY = ("default", "null_values")
_WHOLE = re.compile(r"-?\d{1,18}")


@dataclass(frozen=True)
class Input:
    """One input. `value` is text, a truth, or pairs of texts; `hint` is an example, or what holds where it is empty."""

    name: str
    title: str
    about: str
    kind: Kind
    value: Any
    choices: tuple[str, ...] = ()
    hint: str = ""
    known: Sequence[str] = ()
    fault: str = ""


@dataclass(frozen=True)
class RuleForm:
    """The open rule: which it is, and its inputs by what they are about."""

    place: int
    transform: str
    groups: Mapping[str, Sequence[Input]]


def rule_form(
    rule: Document, place: int, direction: str, faults: Sequence[Fault], known: Mapping[str, Sequence[str]]
) -> RuleForm:
    """`known` are words that an input suggests, by its name."""
    transform = rule.get("transform", "")
    config, validation = (_object(rule.get(name)) for name in ("config", "validation"))
    top = _properties(direction, "field")
    groups = {
        "Fields": _inputs({name: top[name] for name in _TOP}, rule, ""),
        "Transform": _inputs(_properties(direction, transform), config, "config."),
        "Must be": _inputs(_properties(direction, "validation"), validation, "validation."),
        "Without a value": _inputs({name: top[name] for name in _EMPTY}, rule, ""),
    }
    told = [(key_text(fault.key[2:]), fault.problem) for fault in faults]
    finished = {title: [_finished(each, told, known) for each in inputs] for title, inputs in groups.items() if inputs}
    return RuleForm(place, transform if isinstance(transform, str) else "", finished)


def read_rule(form: Posted, old: Document, direction: str) -> Document:
    """The rule as the form has it; `old` is the one that the form was made of.

    Of another transform than the form was made for, only what all transforms have is kept.
    """
    top = _properties(direction, "field")
    rule = {name: old[name] for name in ("order",) if name in old}
    rule |= _read({name: top[name] for name in (*_TOP, *_EMPTY)}, form, "", old)
    transform = rule.get("transform", "")
    config = _read(_properties(direction, transform), form, "config.", _object(old.get("config")))
    validation = _read(_properties(direction, "validation"), form, "validation.", _object(old.get("validation")))
    rule |= {name: value for name, value in (("config", config), ("validation", validation)) if value}
    order = ("order", "source_field", "target_field", "transform", "config", "validation", "default", "null_values")
    return {name: rule[name] for name in (*order, "active") if name in rule}


def double_words(form: Posted) -> list[str]:
    """The words of a value map that stand in it twice."""
    words = [word for word in form.all(f"{PREFIX}config.mappings.word") if word]
    return [word for word in dict.fromkeys(words) if words.count(word) > 1]


def _object(value: Any) -> Document:
    return value if isinstance(value, dict) else {}


@cache
def _schema(name: str) -> Document:
    return read_schema(name)


def _properties(direction: str, name: Any) -> Mapping[str, Document]:
    """What an object of the schema's `$defs` may hold; `validation` stands in the schema of the way in only."""
    schema = schema_of(direction)
    known = _schema(schema)["$defs"]
    if not isinstance(name, str) or (name not in known and name not in _schema(MAPPING_SCHEMA)["$defs"]):
        return {}
    if name not in known:
        schema, known = MAPPING_SCHEMA, _schema(MAPPING_SCHEMA)["$defs"]
    if name == "direct" and schema == MAPPING_SCHEMA:
        return {}
    return {key: _resolved(node, schema) for key, node in known[name].get("properties", {}).items()}


def _resolved(node: Document, schema: str) -> Document:
    reference = node.get("$ref")
    if reference is None:
        return node
    file, _, path = reference.partition("#/")
    name = MAPPING_SCHEMA if file else schema
    found = _schema(name)
    for part in path.split("/"):
        found = found[part]
    return _resolved(found, name) | {key: value for key, value in node.items() if key != "$ref"}


def _kind(node: Document) -> Kind:
    kinds: Mapping[str, Kind] = {"integer": "number", "boolean": "truth", "object": "pairs"}
    if "enum" in node:
        return "choice"
    if node.get("type") == "array":
        return "lines" if node["items"].get("type", "string") == "string" else "list"
    if node.get("maxLength", 0) > CODE_LENGTH:
        return "code"
    return kinds.get(node["type"], "text") if isinstance(node["type"], str) else "text"


def _inputs(properties: Mapping[str, Document], values: Document, prefix: str) -> list[Input]:
    return [_input(name, node, values, prefix) for name, node in properties.items()]


def _input(name: str, node: Document, values: Document, prefix: str) -> Input:
    kind = _kind(node)
    default, examples = node.get("default"), node.get("examples")
    hint = _shown(default, kind) if default not in (None, "", []) else _shown(examples[0], kind) if examples else ""
    return Input(
        name=f"{prefix}{name}",
        title=name.replace("_", " ").capitalize(),
        about=_about(name, node, values.get(name)),
        kind=kind,
        value=_shown(values.get(name, default if kind == "truth" else None), kind),
        choices=tuple(node.get("enum", ())),
        hint=hint,
    )


def _about(name: str, node: Document, value: Any) -> str:
    """What the schema says, in the words of a form; of a transform only what the chosen one does."""
    text: str = node.get("description", "")
    if name == "transform":
        chosen = re.search(rf"{re.escape(str(value))}: ([^.]*\.)", text)
        return chosen[1].capitalize() if chosen else "Choose one."
    return "Without it the rule is kept and not applied." if name == "active" else text


def _finished(each: Input, told: Sequence[tuple[str, str]], known: Mapping[str, Sequence[str]]) -> Input:
    problems = [problem for key, problem in told if re.match(rf"{re.escape(each.name)}($|[.\[])", key)]
    return Input(**{**vars(each), "fault": " ".join(problems), "known": known.get(each.name, ())})


def _shown(value: Any, kind: Kind) -> Any:
    match kind:
        case "truth":
            return value is True
        case "pairs":
            pairs = [(word, _text(to)) for word, to in _object(value).items()]
            return [*pairs, *[("", "")] * SPARE_PAIRS]
        case "lines" if isinstance(value, list):
            return "\n".join(map(_text, value))
        case "list" if isinstance(value, list):
            return json.dumps(value, ensure_ascii=False)[1:-1] or "[]"
        case _:
            return _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read(properties: Mapping[str, Document], form: Posted, prefix: str, old: Document) -> Document:
    read = (
        (name, _read_one(node, form, f"{PREFIX}{prefix}{name}", old.get(name))) for name, node in properties.items()
    )
    return {name: value for name, value in read if value is not None}


def _read_one(node: Document, form: Posted, name: str, old: Any) -> Any:
    """None where it is to be left out."""
    kind, text = _kind(node), form.one(name)
    match kind:
        case "truth":
            default = node.get("default", False)
            return None if (name in form) == default else name in form
        case "pairs":
            return dict(_read_pairs(form, name, _object(old))) or None
        case "lines":
            return [line for line in text.split("\n") if line.strip()] or None
        case "list":
            return _read_list(text)
        case "number":
            return (int(text) if _WHOLE.fullmatch(text) else text) if text else None
        case _ if text == "":
            return "" if old == "" else None
        case "text" if "integer" in node["type"] and isinstance(node["type"], list):
            return int(text) if _WHOLE.fullmatch(text) else text
        case _:
            return _like(text, old)


def _read_pairs(form: Posted, name: str, old: Document) -> Iterator[tuple[str, Any]]:
    words, values = form.all(f"{name}.word"), form.all(f"{name}.value")
    other = next((value for value in old.values() if value is not None), None)
    for word, text in zip(words, values, strict=False):
        if word or text or "" in old:
            yield word, _like(text, old.get(word, other)) if text or old.get(word) == "" else None


def _read_list(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads("[]" if text.strip() == "[]" else f"[{text}]")
    except ValueError:
        return text


def _like(text: str, old: Any) -> Any:
    """The text as a value of the kind that stood there: 3 stays a number where a number was."""
    if isinstance(old, str) or old is None:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    is_same_kind = isinstance(value, bool) == isinstance(old, bool) and isinstance(value, (bool, int, float))
    return value if is_same_kind else text
