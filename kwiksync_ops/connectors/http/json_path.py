"""Dotted paths into JSON: `data.items`, `$.result.0`, or nothing for the document itself."""

from __future__ import annotations

from typing import Any, Final

Path = tuple[str, ...]
MISSING: Final = object()


def parse_path(text: str) -> Path:
    return tuple(step for step in text.removeprefix("$").split(".") if step)


def value_at(document: Any, path: Path) -> Any:
    """The value at the path, or `MISSING`; null is a value."""
    for step in path:
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return MISSING
    return document


def keys_at(document: Any, limit: int = 12) -> str:
    """What a reader sees there instead: the keys of an object, or the kind of value."""
    if not isinstance(document, dict):
        return f"the answer is {kind_of(document)}"
    keys = sorted(document)[:limit]
    return f"the answer has {', '.join(keys) if keys else 'no keys'}{', …' if len(document) > limit else ''}"


def kind_of(value: Any) -> str:
    """JSON's word for a value, with its article."""
    if value is None or value is MISSING:
        return "null" if value is None else "nothing"
    if isinstance(value, bool):
        return "a boolean"
    names: dict[type, str] = {dict: "an object", list: "an array", str: "a string"}
    return names.get(type(value), "a number")
