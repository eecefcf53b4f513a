"""Reading a file that an operator edits, with the line of every key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kwiksync_ops.declared.fault import DeclaredFile, Fault, KeyPath, file_error
from kwiksync_ops.errors import ConfigurationError

MAX_BYTES = 1_000_000
MAX_DEPTH = 50


def read_declared_file(path: Path) -> DeclaredFile:
    """A YAML or JSON file, by its ending.

    Raises:
        ConfigurationError: nothing of it can be used.
    """
    return parse_declared(path, _read_text(path))


def parse_declared(path: Path, text: str) -> DeclaredFile:
    """What such a file would say. Raises as `read_declared_file`."""
    parse = _parse_json if path.suffix == ".json" else _parse_yaml
    try:
        root, value = parse(path, text)
        return DeclaredFile(path, value, dict(_lines(root)), tuple(_double_keys(path, root)))
    except RecursionError as exc:
        raise _unusable(Fault(path, (), "is nested too deeply.")) from exc


def parse_value(text: str) -> Any:
    """A value as it would stand in a YAML file: text, a number, or `{type: offset}`. Raises ValueError."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  it is a CSafeLoader
    except yaml.YAMLError as exc:
        raise ValueError(f"{text!r} is not YAML") from exc


def _unusable(fault: Fault) -> ConfigurationError:
    return file_error(fault.path, [fault])


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise _unusable(Fault(path, (), f"is {len(data):,} bytes; at most {MAX_BYTES:,} are read."))
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        problem = f"byte {data[exc.start]:#04x} is not UTF-8. Save the file as UTF-8."
        raise _unusable(Fault(path, (), problem, line)) from exc
    except FileNotFoundError as exc:
        raise _unusable(Fault(path, (), "there is no such file.")) from exc
    except OSError as exc:
        raise _unusable(Fault(path, (), f"can't be read: {exc.strerror}.")) from exc


def _parse_json(path: Path, text: str) -> tuple[yaml.Node | None, Any]:
    try:
        return _compose_json(text), json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as exc:
        problem = f"is not JSON: {exc.msg}."
        raise _unusable(Fault(path, (), problem, exc.lineno, exc.colno)) from exc
    except ValueError as exc:
        raise _unusable(Fault(path, (), f"is not JSON: {exc}.")) from exc


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


class _Loader(yaml.CSafeLoader):
    """YAML 1.2's plain words: `22:00`, `no`, `on` and dates stay text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  a class attribute of PyYAML, which add_implicit_resolver fills


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _first)


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    return {str(key.value): loader.construct_object(value, deep=True) for key, value in node.value}


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def _parse_yaml(path: Path, text: str) -> tuple[yaml.Node | None, Any]:
    try:
        _refuse_aliases(path, text)
        node = yaml.compose(text, Loader=_Loader)
        return node, yaml.load(text, Loader=_Loader)  # noqa: S506  it is a CSafeLoader
    except (yaml.YAMLError, ValueError) as exc:
        raise _yaml_error(path, exc) from exc


def _refuse_aliases(path: Path, text: str) -> None:
    """A few aliases of aliases grow into gigabytes when they are walked."""
    for event in yaml.parse(text, Loader=_Loader) if "*" in text else ():
        if isinstance(event, yaml.AliasEvent):
            problem = f"the alias *{event.anchor} is not supported. Write the value out."
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise _unusable(Fault(path, (), problem, line))


def _yaml_error(path: Path, exc: Exception) -> ConfigurationError:
    mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
    problem = getattr(exc, "problem", None) or str(exc)
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return _unusable(Fault(path, (), f"is not YAML: {problem}.", line, column))


def _compose_json(text: str) -> yaml.Node | None:
    """JSON read as YAML, for its lines alone. Escapes that YAML does not know are blotted out."""
    try:
        return yaml.compose(re.sub(r"\\u[0-9a-fA-F]{4}", "......", text), Loader=_Loader)
    except yaml.YAMLError:
        return None


def _entries(node: yaml.Node) -> Iterator[tuple[str | int, yaml.Node, yaml.Node]]:
    """Key, the node whose line counts, and the value's node."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), key, value
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield index, value, value


def _walk(node: yaml.Node, at: KeyPath = ()) -> Iterator[tuple[KeyPath, yaml.Node]]:
    if len(at) > MAX_DEPTH:
        raise RecursionError
    for name, marked, value in _entries(node):
        yield (*at, name), marked
        yield from _walk(value, (*at, name))


def _lines(root: yaml.Node | None) -> Iterator[tuple[KeyPath, int]]:
    if root:
        yield (), root.start_mark.line + 1
        yield from ((key, node.start_mark.line + 1) for key, node in _walk(root))


def _double_keys(path: Path, root: yaml.Node | None) -> Iterator[Fault]:
    seen: dict[KeyPath, int] = {}
    for key, node in _walk(root) if root else ():
        line = node.start_mark.line + 1
        if key in seen:
            yield Fault(path, key, f"stands twice, first in line {seen[key]}. Remove one.", line)
        seen.setdefault(key, line)
