"""Which records of a read are wanted: those that changed within its window."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from kwiksync_ops.batch import SourceRecord
from kwiksync_ops.connectors.http.json_path import parse_path, value_at
from kwiksync_ops.connectors.source import Position
from kwiksync_ops.connectors.time_format import EPOCH

_TOKENS = re.compile(r"YYYY|SSS|MM|DD|HH|mm|ss|M|D|H|\[[^\]]*\]")
_PARTS = {"Y": "year", "M": "month", "D": "day", "H": "hour", "m": "minute", "s": "second"}


class Window:
    """Decides on records by their change time. One whose time can't be read is kept: the mapping says why it is not."""

    def __init__(
        self, key: str, cursor: str, notation: str, timezone: str, since: Position | None, until: datetime | None
    ) -> None:
        self._key = parse_path(key)
        self._cursor = parse_path(cursor)
        self._read = _reader(notation, ZoneInfo(timezone))
        self._since = since
        self._until = until

    def keep(self, records: list[SourceRecord]) -> list[SourceRecord]:
        return [record for record in records if self._holds(record)]

    def holds_time(self, changed: datetime) -> bool:
        """Whether something that changed then may be wanted, by its time alone."""
        return not ((self._since and changed < self._since.updated_at) or (self._until and changed > self._until))

    def _holds(self, record: SourceRecord) -> bool:
        changed = self._read(value_at(record, self._cursor))
        if changed is None or not self._since or changed != self._since.updated_at or self._since.id is None:
            return changed is None or self.holds_time(changed)
        return str(value_at(record, self._key)) > self._since.id


def _reader(notation: str, zone: ZoneInfo) -> Callable[[Any], datetime | None]:
    def read(value: Any) -> datetime | None:
        try:
            found = parse(value)
        except (ValueError, TypeError, OverflowError, ArithmeticError):
            return None
        return found if found is None or found.tzinfo else found.replace(tzinfo=zone).astimezone(UTC)

    parse = _parser(notation)
    return read


def _parser(notation: str) -> Callable[[Any], datetime | None]:
    if notation == "iso":
        return datetime.fromisoformat
    if notation in ("epoch", "epoch_ms"):
        unit = timedelta(seconds=1) if notation == "epoch" else timedelta(milliseconds=1)
        return lambda value: EPOCH + float(value) * unit
    pattern = _pattern(notation)

    def parse(text: str) -> datetime | None:
        found = pattern.fullmatch(text.strip())
        if found is None:
            return None
        parts = {name: int(part) for name, part in found.groupdict().items() if name != "SSS"}
        return datetime(**{"month": 1, "day": 1, **parts})  # type: ignore[arg-type]  # noqa: DTZ001  # the zone follows

    return parse


def _pattern(notation: str) -> re.Pattern[str]:
    """The product's notation as a pattern with a group a part of the time."""
    pattern, end = "", 0
    for token in _TOKENS.finditer(notation):
        pattern += re.escape(notation[end : token.start()]) + _group(token[0])
        end = token.end()
    return re.compile(pattern + re.escape(notation[end:]))


def _group(sign: str) -> str:
    if sign.startswith("["):
        return re.escape(sign[1:-1])
    name = "SSS" if sign == "SSS" else _PARTS[sign[0]]
    digits = f"{{{len(sign)}}}" if len(sign) > 1 else "{1,2}"
    return rf"(?P<{name}>\d{digits})"
