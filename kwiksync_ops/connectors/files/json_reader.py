"""JSON and JSON Lines: cut into the texts of their records, decoded exactly; a sick record is rejected alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from kwiksync_ops.batch import Reject, SourceRecord
from kwiksync_ops.connectors.files.chunk import Chunk, printable, rejected
from kwiksync_ops.connectors.files.csv_reader import text_of
from kwiksync_ops.connectors.files.options import FilesOptions
from kwiksync_ops.connectors.http.identity import Identity
from kwiksync_ops.connectors.http.json_path import parse_path
from kwiksync_ops.connectors.http.json_records import JsonRecords, RecordLimits
from kwiksync_ops.errors import ValidationError

_PIECE = 256 * 1024
_MAX_AROUND = 16 * 1024 * 1024
"""So much text may stand before and behind the records of a JSON file."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_FLAT = re.compile(r'\{(?:[^"{}\[\]]|"(?:[^"\\]|\\.)*+")*+\}', re.DOTALL)
_SCALAR = re.compile(r'"(?:[^"\\]|\\.)*+"|[^",\[\]{}\s]+', re.DOTALL)
_BLANK = re.compile(r"\s*")
_NAME = re.compile(r'("(?:[^"\\]|\\.)*+")\s*:\s*', re.DOTALL)
_ROW_STRINGS = 4


def read_json(file: BinaryIO, options: FilesOptions, key: str, *, skip: int, size: int) -> Iterator[Chunk]:
    """The records of one document after the first `skip`. Raises ValidationError where it is none."""
    text = text_of(file, options.encoding)
    try:
        elements = _Document(_Text(text, options), options).elements()
        yield from _Decoder(options, key).chunks(elements, skip, size)
    except UnicodeError as exc:
        raise ValidationError(f"it is no {options.encoding} text: {exc}.") from exc
    finally:
        text.detach()


def read_json_lines(file: BinaryIO, options: FilesOptions, key: str, *, skip: int, size: int) -> Iterator[Chunk]:
    """A record a line, blank ones aside."""
    max_chars = options.limits.max_string * _ROW_STRINGS
    text = text_of(file, options.encoding)
    try:
        lines = (line.strip() for line in iter(lambda: text.readline(max_chars), ""))
        yield from _Decoder(options, key).chunks((line for line in lines if line), skip, size)
    except UnicodeError as exc:
        raise ValidationError(f"it is no {options.encoding} text: {exc}.") from exc
    finally:
        text.detach()


class _Decoder:
    def __init__(self, options: FilesOptions, key: str) -> None:
        limits = options.limits
        self._json = JsonRecords(
            (),
            Identity(parse_path(key)),
            limits=RecordLimits(
                max_page_bytes=limits.max_file_bytes,
                max_string=limits.max_string,
                max_fields=limits.max_fields,
                max_depth=limits.max_depth,
            ),
        )

    def chunks(self, texts: Iterator[str], skip: int, size: int) -> Iterator[Chunk]:
        number = sum(1 for _ in islice(texts, skip))
        while page := list(islice(texts, size)):
            yield self._chunk(page, number)
            number += len(page)

    def _chunk(self, texts: list[str], before: int) -> Chunk:
        try:
            found = self._json.decode(_array(texts))
        except ValueError:
            return self._one_by_one(texts, before)
        if found.rejects or len(found.records) != len(texts):
            return self._one_by_one(texts, before)
        return Chunk(len(texts), found.records, range(before + 1, before + len(texts) + 1))

    def _one_by_one(self, texts: list[str], before: int) -> Chunk:
        records: list[SourceRecord] = []
        numbers: list[int] = []
        rejects: list[Reject] = []
        for number, text in enumerate(texts, start=before + 1):
            found = self._decoded(text, number)
            if isinstance(found, Reject):
                rejects.append(found)
            else:
                records.append(found)
                numbers.append(number)
        return Chunk(len(texts), records, numbers, rejects)

    def _decoded(self, text: str, number: int) -> SourceRecord | Reject:
        try:
            page = self._json.decode(_array([text]))
        except ValueError as exc:
            return rejected(f"Record {number} is broken: {printable(str(exc))}.", payload=text)
        if page.rejects:
            return page.rejects[0]
        if len(page.records) != 1:
            return rejected(f"Record {number} is broken: it is not one JSON object.", payload=text)
        return page.records[0]


def _array(texts: list[str]) -> bytes:
    return f"[{','.join(texts)}]".encode("utf-8", "surrogateescape")


class _Text:
    """A text of which no more is held than is looked at."""

    def __init__(self, file: object, options: FilesOptions) -> None:
        self._file = file
        self.held = ""
        self.at = 0
        self.max_chars = max(_MAX_AROUND, options.limits.max_string * _ROW_STRINGS)

    def more(self) -> bool:
        """Hold more of the text; False at its end."""
        piece: str = self._file.read(_PIECE)  # type: ignore[attr-defined]  # a text file
        self.held = self.held[self.at :] + piece
        self.at = 0
        if len(self.held) > self.max_chars + _PIECE:
            raise ValidationError(f"a value in it is longer than {self.max_chars:,} characters.")
        return bool(piece)

    def peek(self) -> str:
        """The next sign that is not blank; empty at the end."""
        while True:
            self.at = _BLANK.match(self.held, self.at).end()  # type: ignore[union-attr]  # it matches anywhere
            if self.at < len(self.held):
                return self.held[self.at]
            if not self.more():
                return ""

    def take(self, sign: str) -> bool:
        is_next = self.peek() == sign
        self.at += is_next
        return is_next

    def value(self) -> str:
        """The text of the next value, whole; what is within it is not looked at."""
        sign = self.peek()
        while True:
            end = self._end(sign)
            if end is not None:
                value, self.at = self.held[self.at : end], end
                return value
            if not self.more():
                raise ValidationError("it is cut off.")

    def name(self) -> str:
        self.peek()
        while not (found := _NAME.match(self.held, self.at)):
            if not self.more():
                raise ValidationError("it is no JSON: an object has no name where one belongs.")
        self.at = found.end()
        return str(json.loads(found[1]))

    def _end(self, sign: str) -> int | None:
        if sign not in "[{":
            scalar = _SCALAR.match(self.held, self.at)
            return scalar.end() if scalar and scalar.end() < len(self.held) else None
        if flat := _FLAT.match(self.held, self.at):
            return flat.end()
        depth = 0
        for token in _TOKEN.finditer(self.held, self.at):
            mark = token[0]
            depth += (mark in "[{") - (mark in "]}")
            if depth == 0:
                return token.end()
        return None


class _Document:
    """Finds the array of records, gives its elements, and sees that the document ends as it should."""

    def __init__(self, text: _Text, options: FilesOptions) -> None:
        self._text = text
        self._path = options.records_path

    def elements(self) -> Iterator[str]:
        text = self._text
        for depth, step in enumerate(self._path):
            self._enter(step, depth)
        if not text.take("["):
            where = f"at {'.'.join(self._path)!r}" if self._path else "at the top (records_path is empty)"
            raise ValidationError(f"it has no array of records {where}.")
        if not text.take("]"):
            yield text.value()
            while text.take(","):
                yield text.value()
            self._need("]")
        for _ in self._path:
            while text.take(","):
                text.name()
                text.value()
            self._need("}")
        if text.peek():
            raise ValidationError("it has more behind its end.")

    def _enter(self, step: str, depth: int) -> None:
        text = self._text
        if text.take("{") and text.peek() != "}":
            while text.name() != step:
                text.value()
                if not text.take(","):
                    break
            else:
                return
        raise ValidationError(f"it has nothing at {'.'.join(self._path[: depth + 1])!r}.")

    def _need(self, sign: str) -> None:
        if not self._text.take(sign):
            raise ValidationError("it is cut off." if not self._text.peek() else "it is no JSON.")
