"""A file against its JSON Schema, with the faults in an operator's words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from kwiksync_ops.declared.fault import DeclaredFile, Fault, KeyPath, did_you_mean

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError as SchemaError

_PACKAGE_URI = "file:///"
"""Where schemas stand to each other as they do in the package, so that editors find what a `$ref` names too."""

_RULES = {
    "minimum": "{} or more",
    "maximum": "{} or less",
    "exclusiveMinimum": "more than {}",
    "maxLength": "at most {} characters",
    "const": "{!r}",
}
_BARE = {"minItems": "at least one entry", "minProperties": "at least one key", "minLength": "some text"}

_TYPE_WORDS = {
    "object": "a mapping of keys",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def schema_faults(file: DeclaredFile, schema: str) -> list[Fault]:
    """What the file's value breaks in a schema of this package (`system_spec/schemas/…`), in an operator's words."""
    return [fault for error in _validator(schema).iter_errors(file.value) for fault in _explain(file, error)]


def read_schema(name: str) -> dict[str, Any]:
    """A JSON Schema that ships with the package, by its path in it."""
    schema: dict[str, Any] = json.loads((resources.files("kwiksync_ops") / name).read_text("utf-8"))
    return schema


@cache
def _validator(schema: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    def retrieve(uri: str) -> Resource[Any]:
        return Resource.from_contents(read_schema(uri.removeprefix(_PACKAGE_URI)))

    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg]  # attrs alias, unseen by mypy
    return Draft202012Validator({"$ref": _PACKAGE_URI + schema}, registry=registry)


def _explain(file: DeclaredFile, error: SchemaError) -> Iterator[Fault]:
    key: KeyPath = tuple(error.absolute_path)
    found = _shown(error.instance)
    match error.validator:
        case "additionalProperties":
            yield from _unknown_keys(file, key, error)
        case "required":
            yield _missing_key(file, key, error)
        case "enum":
            yield file.fault(key, f"{found} is unknown;{_choices(error)}")
        case "type":
            yield file.fault(key, f"expected {_expected(error)}, found {found}.")
        case "minItems" | "minProperties" | "minLength":
            yield file.fault(key, f"is empty; expected {_expected(error)}.")
        case None:
            yield file.fault(key, "has no meaning here. Remove it.")
        case _:
            yield file.fault(key, f"{found} is not valid; expected {_expected(error)}.")


def _schema_of(error: SchemaError) -> dict[str, Any]:
    return dict(error.schema) if isinstance(error.schema, Mapping) else {}


def _choices(error: SchemaError) -> str:
    rule: Any = error.validator_value
    choices = [str(choice) for choice in rule if choice is not None]
    return f" expected one of {', '.join(choices)}.{did_you_mean(error.instance, choices)}"


def _unknown_keys(file: DeclaredFile, key: KeyPath, error: SchemaError) -> Iterator[Fault]:
    known = [name for name in _schema_of(error).get("properties", {}) if not name.startswith("$")]
    found: Any = error.instance
    for name in found:
        if name not in known:
            listed = f" Known here: {', '.join(known)}." if known else " Nothing may stand here."
            hint = did_you_mean(name, known) or listed
            yield file.fault((*key, name), f"is an unknown key.{hint}")


def _missing_key(file: DeclaredFile, key: KeyPath, error: SchemaError) -> Fault:
    # jsonschema makes an error for each missing key, and names the key in the message alone.
    rule: Any = error.validator_value
    name = next(name for name in rule if error.message.startswith(repr(name)))
    about = _schema_of(error).get("properties", {}).get(name, {}).get("description")
    return file.fault((*key, name), f"is missing. {about}" if about else "is missing.")


def _expected(error: SchemaError) -> str:
    """The title of the schema that failed, and an example; else the bare rule."""
    schema = _schema_of(error)
    rule: Any = error.validator_value
    if error.validator in _RULES:
        return _RULES[error.validator].format(rule)
    bare = _type_names(rule) if error.validator == "type" else _BARE.get(str(error.validator), "another value")
    wanted = bare if rule in ("object", "array") else schema.get("title", bare)
    examples = schema.get("examples")
    return f"{wanted}, such as {examples[0]!r}" if examples else str(wanted)


def _type_names(names: Any) -> str:
    return " or ".join(_TYPE_WORDS[name] for name in ([names] if isinstance(names, str) else names))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping of keys"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing (null)"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
