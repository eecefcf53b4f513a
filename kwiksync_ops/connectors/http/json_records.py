"""The records of a JSON page, exact or not at all.

A page is decoded at once, by a fast decoder where its text shows that nothing got lost in that, else by a strict one.
Only when something in it is not fit for a hub (a duplicate key, NaN, a number beyond any column, text that no database
takes) the array of records is cut into its elements, by a scan that knows strings and no depth, and each is decoded
alone: the sick ones are rejected, the others delivered.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any, NoReturn

import msgspec

from kwiksync_ops.batch import Reject, SourceRecord
from kwiksync_ops.connectors.http.identity import Identity
from kwiksync_ops.connectors.http.json_path import MISSING, Path, keys_at, kind_of, value_at
from kwiksync_ops.errors import ValidationError
from kwiksync_ops.redaction import Redactor

MAX_DIGITS = 38
MAX_EXPONENT = 38
SAFE_INTEGER_CHARS = 18
SAFE_NUMBER_CHARS = 30
PAYLOAD_CHARS = 65_536

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{},]', re.DOTALL)
_MEMBER = re.compile(r'\s*("(?:[^"\\]|\\.)*+")\s*:', re.DOTALL)
_CONTAINERS = frozenset({dict, list})
_UNFIT_ESCAPE = re.compile(r"\\u(?:0000|[dD])")
_PEEKER = json.JSONDecoder(parse_int=str, parse_float=str)
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class RecordLimits:
    """What one page and one record may be. `max_fields` counts the fields of one object."""

    max_page_bytes: int = 16 * 1024 * 1024
    max_string: int = 1024 * 1024
    max_fields: int = 1_000
    max_depth: int = 20


@dataclass(frozen=True)
class JsonPage:
    """`envelope` is the answer around the records. `last` is key and change time of the last one, be it rejected."""

    records: list[SourceRecord]
    rejects: list[Reject]
    envelope: Any
    last: tuple[Any, Any] = (None, None)


class _SickRecordError(ValueError):
    """The value that is being decoded is JSON, and not fit for a hub."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = _printable(field)[:255] if field else None


class JsonRecords:
    """Decodes the pages of one read."""

    def __init__(
        self,
        records_path: Path,
        identity: Identity,
        *,
        limits: RecordLimits | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self._path = records_path
        self._identity = identity
        self._limits = limits or RecordLimits()
        self._redactor = redactor or Redactor()
        self._decoder = _strict_decoder(self._limits.max_fields)
        self._fast_decoder = msgspec.json.Decoder(float_hook=_decimal)

    def decode(self, body: bytes, charset: str = "utf-8") -> JsonPage:
        """Records in the order of the page.

        Raises:
            ValueError: the page as a whole is not to be used; the text says why.
        """
        if charset.replace("-", "").lower() == "utf8" and (page := self._plain_page(body)):
            return page
        text, is_clean = _text_of(body, charset)
        try:
            document = self._decoder.decode(text)
        except (_SickRecordError, RecursionError):
            return self._one_by_one(text)
        records = self._records_in(document)
        if self._are_fit(text, is_clean, records):
            return JsonPage(records, [], document, self._identity.of(records[-1]) if records else (None, None))
        return self._one_by_one(text)

    def _plain_page(self, body: bytes) -> JsonPage | None:
        """The page, if it is sound and shows at little cost that it is."""
        if b"\\" in body and b"\\u" in body:
            return None
        try:
            document = self._fast_decoder.decode(body)
            records = self._records_in(document)
            keys = _sound_keys(records, self._limits, is_large=len(body) > self._limits.max_string)
            if keys is None:
                return None
            keys += _keys_around(document, records, self._limits)
            if msgspec.json.encode(document) != body and keys != _most_keys(body):
                return None
        except (ValueError, ArithmeticError, RecursionError):
            return None
        return JsonPage(records, [], document, self._identity.of(records[-1]) if records else (None, None))

    def _records_in(self, document: Any) -> list[Any]:
        found = value_at(document, self._path)
        if isinstance(found, list):
            return found
        where = f"at {'.'.join(self._path)!r}" if self._path else "at the top (records_path is empty)"
        if found is MISSING:
            raise ValueError(f"there are no records {where}: {keys_at(document)}")
        raise ValueError(f"there is {kind_of(found)}, not an array of records, {where}: {keys_at(document)}")

    def _are_fit(self, text: str, is_clean: bool, records: list[Any]) -> bool:
        """Cheap signs first: only text that might hold something unfit is looked at value by value."""
        if not all(type(record) is dict for record in records):
            return False
        is_plain = is_clean and not _UNFIT_ESCAPE.search(text)
        if not is_plain or len(text) > self._limits.max_string:
            return all(_fault_in(record, self._limits) is None for record in records)
        brackets = text.count("{") + text.count("[")
        return brackets <= len(records) + self._limits.max_depth or not any(
            _is_deeper(record, self._limits.max_depth) for record in records
        )

    def _one_by_one(self, text: str) -> JsonPage:
        start = _locate(text, self._path)
        elements, end = _split(text, start) if text.startswith("[", start) else ([], start)
        envelope = self._envelope(f"{text[:start]}[]{text[end:]}" if end > start else text)
        records: list[SourceRecord] = []
        rejects: list[Reject] = []
        element = ""
        for _, first, last in elements:
            element = text[first:last].strip()
            try:
                records.append(self._record(element))
            except _SickRecordError as exc:
                _check_syntax(element)
                rejects.append(self._reject(element, exc))
        return JsonPage(
            records, rejects, envelope, (_peek(element, self._identity.key), _peek(element, self._identity.cursor))
        )

    def _envelope(self, text: str) -> Any:
        try:
            document = self._decoder.decode(text)
        except RecursionError as exc:
            raise ValueError("the answer is nested too deeply around its records") from exc
        self._records_in(document)
        return document

    def _record(self, element: str) -> SourceRecord:
        try:
            record = self._decoder.decode(element)
        except RecursionError as exc:
            raise _too_deep(self._limits) from exc
        if not isinstance(record, dict):
            raise _SickRecordError(f"The record is {kind_of(record)}, not an object.")
        fault = _fault_in(record, self._limits)
        if fault is not None:
            raise fault
        return record

    def _reject(self, element: str, fault: _SickRecordError) -> Reject:
        raw = self._redactor.text(element[: PAYLOAD_CHARS * 2])[:PAYLOAD_CHARS]
        key = _peek(element, self._identity.key)
        return Reject(
            code=ValidationError.code,
            message=str(fault),
            field=fault.field,
            external_id=None if key is None else key[:255],
            payload=_printable(raw),
        )


def _check_syntax(element: str) -> None:
    """That a sick record is one JSON value, with nothing sound lost behind it. Raises ValueError."""
    try:
        json.loads(element, parse_int=str, parse_float=str)
    except RecursionError:
        _, end = _split(element, 0)
        if end != len(element):
            raise ValueError("the JSON has two values where one belongs") from None


def _peek(element: str, path: Path) -> str | None:
    """A text or number in a record that can't be decoded as a whole, whatever else it holds."""
    if not path:
        return None
    try:
        start = _locate(element, path)
        value, _ = _PEEKER.raw_decode(element, start)
    except (ValueError, RecursionError):
        return None
    return _printable(value) if isinstance(value, str) else None


def _strict_decoder(max_fields: int) -> json.JSONDecoder:
    """JSON with exact numbers that refuses what it can't keep."""

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        count = len(pairs)
        if len(fields) != count:
            twice = _first_duplicate(pairs)
            raise _SickRecordError(f"The key {_printable(twice)[:100]!r} stands twice in one object.", twice)
        if count > max_fields:
            raise _SickRecordError(f"An object has {count} fields; the limit is {max_fields}.")
        return fields

    return json.JSONDecoder(
        object_pairs_hook=object_of, parse_float=_decimal, parse_int=_integer, parse_constant=_refuse_constant
    )


def _sound_keys(records: list[Any], limits: RecordLimits, *, is_large: bool) -> int | None:
    """How many keys stand in the records; None where one of them is no object, or holds what is not fit for a hub."""
    if set(map(type, records)) - {dict}:
        return None
    keys, level = 0, records
    for _ in range(limits.max_depth):
        sizes = [len(container) for container in level if type(container) is dict]
        values = list(chain.from_iterable(part.values() if type(part) is dict else part for part in level))
        kinds = set(map(type, values))
        if max(sizes, default=0) > limits.max_fields or (int in kinds and not _are_64_bit(values)):
            return None
        if is_large and any(type(value) is str and len(value) > limits.max_string for value in values):
            return None
        keys += sum(sizes)
        if kinds.isdisjoint(_CONTAINERS):
            return keys
        level = [value for value in values if type(value) in _CONTAINERS]
    return None


def _are_64_bit(values: list[Any]) -> bool:
    numbers = [value for value in values if type(value) is int]
    return min(numbers) >= -(2**63) and max(numbers) < 2**63


def _keys_around(node: Any, records: list[Any], limits: RecordLimits) -> int:
    """How many keys stand in the answer around its records. Raises ValueError where it holds what is not fit."""
    if type(node) is int and not _are_64_bit([node]):
        raise ValueError
    if node is records or type(node) not in _CONTAINERS:
        return 0
    own, parts = (len(node), node.values()) if type(node) is dict else (0, node)
    if own > limits.max_fields:
        raise ValueError
    return own + sum(_keys_around(part, records, limits) for part in parts)


def _most_keys(body: bytes) -> int:
    """No fewer than the keys that are written in a JSON text, twice or once: a quote and a colon are in each of them.

    Texts may have that too, so that it can be more. Where it is what was decoded, no key stands twice in an object.
    """
    return body.translate(None, b" \t\r\n").count(b'":')


def _decimal(text: str) -> Decimal:
    if len(text) <= SAFE_NUMBER_CHARS and "e" not in text and "E" not in text:
        return Decimal(text)
    try:
        value = Decimal(text)
    except InvalidOperation as exc:
        raise _beyond_columns(text) from exc
    if len(value.as_tuple().digits) > MAX_DIGITS:
        raise _SickRecordError(f"The number {_shortened(text)} has more than {MAX_DIGITS} digits.")
    if not -MAX_EXPONENT <= value.adjusted() <= MAX_EXPONENT:
        raise _beyond_columns(text)
    return value


def _beyond_columns(text: str) -> _SickRecordError:
    return _SickRecordError(f"The number {_shortened(text)} is beyond what a column can keep.")


def _integer(text: str) -> int:
    if len(text) <= SAFE_INTEGER_CHARS:
        return int(text)
    if len(text) > MAX_DIGITS or not -(2**63) <= int(text) < 2**63:
        raise _SickRecordError(f"The integer {_shortened(text)} does not fit into 64 bits.")
    return int(text)


def _refuse_constant(text: str) -> NoReturn:
    raise _SickRecordError(f"{text} is not a JSON number.")


def _first_duplicate(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    return ""


def _fault_in(record: SourceRecord, limits: RecordLimits) -> _SickRecordError | None:
    """The first thing in a decoded record that no hub can keep."""
    for name, value in record.items():
        message = _fault_in_text(name, limits) or _fault_in_value(value, limits, limits.max_depth - 1)
        if message:
            return _SickRecordError(message, name)
    return None


def _fault_in_value(value: Any, limits: RecordLimits, depth_left: int) -> str | None:
    if isinstance(value, str):
        return _fault_in_text(value, limits)
    if not isinstance(value, (dict, list)):
        return None
    if depth_left == 0:
        return str(_too_deep(limits))
    parts = chain(value, value.values()) if isinstance(value, dict) else value
    faults = (_fault_in_value(part, limits, depth_left - 1) for part in parts)
    return next(filter(None, faults), None)


def _fault_in_text(text: str, limits: RecordLimits) -> str | None:
    if len(text) > limits.max_string:
        return f"The text has {len(text):,} characters; the limit is {limits.max_string:,}."
    if text.isascii():
        return "The text holds a NUL character." if "\0" in text else None
    if _SURROGATE.search(text):
        return "The text is not valid Unicode (a lone surrogate, or bytes that are not UTF-8)."
    return "The text holds a NUL character." if "\0" in text else None


def _is_deeper(container: Any, levels: int) -> bool:
    if levels == 0:
        return True
    parts = container.values() if type(container) is dict else container
    if _CONTAINERS.isdisjoint(map(type, parts)):
        return False
    return any(_is_deeper(part, levels - 1) for part in parts if type(part) in _CONTAINERS)


def _too_deep(limits: RecordLimits) -> _SickRecordError:
    return _SickRecordError(f"The record is nested deeper than {limits.max_depth} levels.")


def _text_of(body: bytes, charset: str) -> tuple[str, bool]:
    """The text, and whether all of it was valid; what was not is kept as lone surrogates."""
    try:
        text = body.decode(charset)
    except UnicodeDecodeError as exc:
        if charset.replace("-", "").lower() != "utf8":
            raise ValueError(f"the answer is not {charset} text") from exc
        return _checked(body.decode("utf-8", "surrogateescape")), False
    except LookupError as exc:
        raise ValueError(f"the answer names the unknown charset {charset!r}") from exc
    return _checked(text), True


def _checked(text: str) -> str:
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise ValueError("the answer is empty")
    return text


Span = tuple[str | None, int, int]
"""Key (None in an array), start and end of a value."""


def _split(text: str, start: int) -> tuple[list[Span], int]:
    """The values in the container that begins at `start`, and where it ends. Raises ValueError when it does not."""
    depth = 0
    first = start + 1
    spans: list[Span] = []
    is_object = text[start] == "{"
    for token in _TOKEN.finditer(text, start):
        mark = token[0]
        if mark in ("{", "["):
            depth += 1
        elif mark in ("}", "]"):
            depth -= 1
        if depth > 1 or (depth == 1 and mark != ","):
            continue
        is_empty = depth == 0 and not spans and not text[first : token.start()].strip()
        if not is_empty:
            spans.append(_member(text, first, token.start()) if is_object else (None, first, token.start()))
        if depth == 0:
            return spans, token.end()
        first = token.end()
    raise ValueError("the JSON is cut off")


def _member(text: str, first: int, last: int) -> Span:
    name = _MEMBER.match(text, first, last)
    if name is None:
        raise ValueError("the JSON has an object whose member has no name")
    return json.loads(name[1]), name.end(), last


def _locate(text: str, path: Path) -> int:
    """Where the value at the path starts; the end of the text when it is not there."""
    start = _after_blank(text, 0)
    for step in path:
        if not text.startswith("{", start):
            return len(text)
        found = [first for name, first, _ in _split(text, start)[0] if name == step]
        if not found:
            return len(text)
        start = _after_blank(text, found[-1])
    return start


def _after_blank(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _shortened(number: str) -> str:
    return number if len(number) <= 40 else f"{number[:20]}… ({len(number)} characters)"


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
