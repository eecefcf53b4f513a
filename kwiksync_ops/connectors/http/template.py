"""`${name}` in texts, lists and objects, filled in: how a file says what a call holds, without a line of code.

`${fields.name}` is a member of a value. `${name|default}` has a value where none is known. `${name:int}`,
`${name:text}` and `${name:json}` say as what it is written. A text that is one placeholder alone becomes the value
itself; a member of an object whose value is not known is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from kwiksync_ops.connectors.http.json_path import MISSING, value_at

_PLACE = re.compile(r"\$\{(\w+(?:\.\w+)*)(?::(\w+))?(?:\|([^}]*))?\}")
_KINDS = frozenset({"int", "text", "json"})
_UNKNOWN: Final = object()


def names_in(template: Any) -> frozenset[str]:
    """The names that a template asks for."""
    return frozenset(_first(place) for place in _places(template))


def template_faults(template: Any, names: Collection[str]) -> list[str]:
    """What is wrong with a template that may ask for these names."""
    faults = []
    for place in _places(template):
        if _first(place) not in names:
            faults.append(f"{place[0]} is not known here; there are: {', '.join(sorted(names))}.")
        if place[2] and place[2] not in _KINDS:
            faults.append(f"{place[0]}: {place[2]!r} is not one of {', '.join(sorted(_KINDS))}.")
    return faults


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its values; None is a value that is not known, None is also what then stands in a list."""
    found = _filled(template, values)
    return None if found is _UNKNOWN else found


def filled_text(template: str, values: Mapping[str, Any]) -> str:
    """The same for a text that stays one; what is not known is empty."""
    return _PLACE.sub(lambda place: _text(_value(place, values)), template)


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, str):
        alone = _PLACE.fullmatch(template)
        return _value(alone, values) if alone else filled_text(template, values)
    if isinstance(template, Mapping):
        members = ((name, _filled(part, values)) for name, part in template.items())
        return {name: value for name, value in members if value is not _UNKNOWN}
    if isinstance(template, (list, tuple)):
        return [filled(part, values) for part in template]
    return template


def _value(place: re.Match[str], values: Mapping[str, Any]) -> Any:
    name, kind, default = place.groups()
    value = _named(name, values)
    if value is _UNKNOWN:
        value = _UNKNOWN if default is None else _of_text(default) if kind is None else default
    if value is _UNKNOWN or kind is None:
        return value
    return _as(value, kind)


def _named(name: str, values: Mapping[str, Any]) -> Any:
    """A value, or a member of one; null is a member's value, and no value by itself."""
    own, *path = name.split(".")
    value = values.get(own)
    if value is None:
        return _UNKNOWN
    found = value_at(value, tuple(path))
    return _UNKNOWN if found is MISSING else found


def _as(value: Any, kind: str) -> Any:
    if kind == "json":
        return json.dumps(value, default=_number, ensure_ascii=False)
    if kind == "text":
        return _text(value)
    text = str(value)
    return int(text) if text.removeprefix("-").isdecimal() else value


def _of_text(default: str) -> Any:
    try:
        return json.loads(default, parse_float=Decimal)
    except ValueError:
        return default


def _text(value: Any) -> str:
    if value is _UNKNOWN or value is None:
        return ""
    if isinstance(value, (dict, list, bool)):
        return json.dumps(value, default=_number, ensure_ascii=False)
    return str(value)


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else str(value)


def _first(place: re.Match[str]) -> str:
    return place[1].partition(".")[0]


def _places(template: Any) -> Iterator[re.Match[str]]:
    if isinstance(template, str):
        yield from _PLACE.finditer(template)
    elif isinstance(template, Mapping):
        for part in template.values():
            yield from _places(part)
    elif isinstance(template, (list, tuple)):
        for part in template:
            yield from _places(part)
