"""The date_format transform: to a moment for a datetime column, a day for a date column, text for a text column.

A text that shows a time of day shows it in UTC, as all times of the hub are. A day, and a text that shows only a day,
is the day as the source wrote it, or the day in the zone where `timezone` is set.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

from kwiksync_ops.mapping.faults import unmappable
from kwiksync_ops.mapping.moments import CHOICES, Moments, compile_moments, read_column
from kwiksync_ops.mapping.notation import NotationWriter
from kwiksync_ops.mapping.rule_config import RuleConfig
from kwiksync_ops.mapping.rule_context import CompiledTransform, RuleContext
from kwiksync_ops.vocabulary import ColumnType

_TARGETS = (ColumnType.DATETIME, ColumnType.DATE, ColumnType.STRING, ColumnType.TEXT)
_ISO_DAY, _ISO_MOMENT = "YYYY-MM-DD", "YYYY-MM-DDTHH:mm:ssZ"
_CODE = unmappable("").code

Read = Callable[[Any], Any]


def compile_date_format(context: RuleContext) -> CompiledTransform | None:
    config, target = context.config, context.column.type
    moments = _moments(config)
    writer = _writer(config, has_time=moments is None or moments.has_time)
    is_zoned = config.get("timezone") is not None
    if target not in _TARGETS:
        context.faults.add("transform", f"a date_format can't fill {context.column.name}, a column of type {target}.")
    if moments is None or writer is None or target not in _TARGETS:
        return None
    read_day = moments.read_day if is_zoned else _day_as_written(moments)
    if target is ColumnType.DATETIME:
        return _compile(context, moments.read, moments, is_typed=True)
    if target is ColumnType.DATE:
        return _compile(context, read_day, is_typed=True)
    return _compile(context, _write_moment(moments, writer) if writer.has_time else _write_day(read_day, writer))


def _compile(
    context: RuleContext, read: Read, moments: Moments | None = None, *, is_typed: bool = False
) -> CompiledTransform:
    source = context.read()
    read_all = moments.read_all if moments else None
    return CompiledTransform(lambda batch: read_column(source(batch), read, read_all, code=_CODE), is_typed=is_typed)


def _moments(config: RuleConfig) -> Moments | None:
    source_format, zone = config.text("source_format"), config.text("timezone", "UTC")
    ambiguous, nonexistent = (config.choice(key, CHOICES) for key in ("ambiguous", "nonexistent"))
    try:
        compile_moments("iso", zone)
    except ValueError as exc:
        config.fault("timezone", f"{exc}.")
        zone = "UTC"
    if not source_format:
        return None
    try:
        return compile_moments(source_format, zone, ambiguous=ambiguous, nonexistent=nonexistent)
    except ValueError as exc:
        config.fault("source_format", f"{exc}.")
        return None


def _writer(config: RuleConfig, *, has_time: bool) -> NotationWriter | None:
    target_format = config.text("target_format", "iso")
    try:
        return NotationWriter((_ISO_MOMENT if has_time else _ISO_DAY) if target_format == "iso" else target_format)
    except ValueError as exc:
        config.fault("target_format", f"{exc}.")
        return None


def _day_as_written(moments: Moments) -> Callable[[Any], date]:
    return lambda value: moments.wall(value).date()


def _write_moment(moments: Moments, writer: NotationWriter) -> Read:
    return lambda value: writer.write(moments.read(value))


def _write_day(read_day: Callable[[Any], date], writer: NotationWriter) -> Read:
    return lambda value: writer.write(datetime.combine(read_day(value), time()))
