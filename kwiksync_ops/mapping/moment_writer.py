"""Days and moments of the hub in a system's notation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, tzinfo
from zoneinfo import ZoneInfo

from kwiksync_ops.mapping.faults import Column, Fault, invalid, shown
from kwiksync_ops.mapping.moments import compile_moments
from kwiksync_ops.mapping.notation import NotationWriter
from kwiksync_ops.mapping.rule_config import RuleConfig
from kwiksync_ops.mapping.rule_context import CompiledTransform, RuleContext

WriteColumn = Callable[[Column], Column]


def compile_moment_writer(context: RuleContext) -> CompiledTransform | None:
    """A date column's days as they are, a datetime column's moments in the zone that the system reads them in."""
    write = _column_writer(context.config)
    context.config.refuse_unknown_keys()
    if write is None:
        return None
    read = context.read()
    return CompiledTransform(lambda batch: write(read(batch)))


def _column_writer(config: RuleConfig) -> WriteColumn | None:
    zone = _zone(config)
    target_format = config.text("target_format", "iso")
    if zone is None:
        return None
    try:
        write = _writer(target_format)
    except ValueError as exc:
        config.fault("target_format", f"{exc}.")
        return None
    write_day = _day_writer(target_format, write, zone)

    def write_one(value: date | None) -> str | int | Fault | None:
        if isinstance(value, datetime):
            try:
                return write(value.astimezone(zone))
            except OverflowError:
                return invalid(f"is outside the years 1 to 9999 in the zone {zone}: {shown(value)}.")
        return None if value is None else write_day(value)

    return lambda values: list(map(write_one, values))


def _zone(config: RuleConfig) -> tzinfo | None:
    name = config.text("timezone", "UTC")
    try:
        compile_moments("iso", name)
    except ValueError as exc:
        config.fault("timezone", f"{exc}.")
        return None
    return UTC if name == "UTC" else ZoneInfo(name)  # five times as fast


def _writer(target_format: str) -> Callable[[datetime], str | int]:
    match target_format:
        case "iso":
            return datetime.isoformat
        case "epoch":
            return lambda moment: int(moment.timestamp())
        case "epoch_ms":
            return lambda moment: round(moment.timestamp() * 1000)
    return NotationWriter(target_format).write


def _day_writer(
    target_format: str, write: Callable[[datetime], str | int], zone: tzinfo
) -> Callable[[date], str | int]:
    if target_format == "iso":
        return date.isoformat
    return lambda day: write(datetime.combine(day, time(), zone))
