"""What is drawn of records: where they are, when they run, how much there is of them. SVG, made here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from markupsafe import Markup, escape

from kwiksync_ops.api.pages.world import COASTS, LAKES, Ring

MAP_WIDTH = 960.0
WORLD_SPAN = 180.0
INHABITED = 80.0, -58.0
LEAST_SPAN = 24.0
"""Degrees of latitude that a map shows at least: the coasts are rough, and mean nothing closer by."""

BAR_WIDTH, BAR_HEIGHT = 320.0, 18.0


@dataclass(frozen=True)
class Place:
    """A point by its degrees."""

    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class _Frame:
    """The part of the world that a map shows, twice as wide as high."""

    west: float
    north: float
    span: float

    @property
    def scale(self) -> float:
        return MAP_WIDTH / (2 * self.span)

    def at(self, longitude: float, latitude: float) -> tuple[float, float]:
        return (longitude - self.west) * self.scale, (self.north - latitude) * self.scale


def world_map(places: Sequence[Place], *, named: str) -> Markup:
    """Places on the coasts of the world; those that lie on one spot are one circle, larger by their number."""
    frame = _frame(places)
    spots: dict[tuple[int, int], list[Place]] = {}
    for place in places:
        x, y = frame.at(place.longitude, place.latitude)
        spots.setdefault((round(x / 10), round(y / 10)), []).append(place)
    circles = Markup("").join(_spot(found, frame) for found in sorted(spots.values(), key=len, reverse=True))
    top, bottom = _shown(places, frame)
    inside = _coasts(frame) + _graticule(frame, bottom) + circles
    return Markup('<svg class="map" viewBox="0 {:.0f} {:g} {:.0f}" role="img" aria-label="{}">{}</svg>').format(
        top, MAP_WIDTH, bottom - top, named, inside
    )


def _shown(places: Sequence[Place], frame: _Frame) -> tuple[float, float]:
    """From where to where down a map is shown: of the world no more of the poles than places lie there."""
    if frame.span < WORLD_SPAN:
        return 0.0, MAP_WIDTH / 2
    north = max([INHABITED[0], *(place.latitude + 5 for place in places)])
    south = min([INHABITED[1], *(place.latitude - 5 for place in places)])
    return max(frame.at(0, north)[1], 0.0), min(frame.at(0, south)[1], MAP_WIDTH / 2)


def _frame(places: Sequence[Place]) -> _Frame:
    if not places:
        return _Frame(-180.0, 90.0, WORLD_SPAN)
    south, north = min(place.latitude for place in places), max(place.latitude for place in places)
    west, east = min(place.longitude for place in places), max(place.longitude for place in places)
    span = max((north - south) * 1.3, (east - west) * 1.3 / 2, LEAST_SPAN)
    if span > 100:
        return _Frame(-180.0, 90.0, WORLD_SPAN)
    middle = min(max((north + south) / 2, span / 2 - 90), 90 - span / 2)
    centre = min(max((east + west) / 2, span - 180), 180 - span)
    return _Frame(centre - span, middle + span / 2, span)


def _spot(places: Sequence[Place], frame: _Frame) -> Markup:
    x = sum(frame.at(place.longitude, place.latitude)[0] for place in places) / len(places)
    y = sum(frame.at(place.longitude, place.latitude)[1] for place in places) / len(places)
    radius = min(5 + len(places) ** 0.5 * 1.5, 26.0)
    names = ", ".join(place.name for place in places[:5])
    title = names if len(places) <= 5 else f"{names} and {len(places) - 5:,} more"
    number = f'<text x="{x:.1f}" y="{y + 4:.1f}">{len(places)}</text>' if len(places) > 9 else ""
    circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
    return Markup(f'<g class="spot"><title>{escape(title)}</title>{circle}{number}</g>')  # noqa: S704  # all else is ours


@cache
def _coasts(frame: _Frame) -> Markup:
    drawn = Markup("").join(_ring(ring, "land", frame) for ring in COASTS)
    return drawn + Markup("").join(_ring(ring, "water", frame) for ring in LAKES)


def _ring(ring: Ring, name: str, frame: _Frame) -> Markup:
    points = " ".join("{:.1f},{:.1f}".format(*frame.at(*point)) for point in ring)
    return Markup('<polygon class="{}" points="{}"/>').format(name, points)


def _graticule(frame: _Frame, bottom: float) -> Markup:
    step = next(each for each in (30, 15, 10, 5, 2) if frame.span * 2 / each >= 4)
    lines = Markup("")
    for degrees in range(-180, 181, step):
        x, _ = frame.at(degrees, 0)
        _, y = frame.at(0, degrees)
        if 0 < x < MAP_WIDTH:
            lines += Markup('<line x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1:g}"/>').format(x, MAP_WIDTH / 2)
            lines += Markup('<text x="{:.1f}" y="{:.0f}">{}</text>').format(x + 3, bottom - 5, _degrees(degrees, "EW"))
        if 0 < y < bottom - 20 and abs(degrees) < 90:
            lines += Markup('<line x1="0" x2="{0:g}" y1="{1:.1f}" y2="{1:.1f}"/>').format(MAP_WIDTH, y)
            lines += Markup('<text x="4" y="{:.1f}">{}</text>').format(y - 3, _degrees(degrees, "NS"))
    return Markup('<g class="graticule">{}</g>').format(lines)


def _degrees(value: int, signs: str) -> str:
    return f"{abs(value)}°{'' if value == 0 else signs[value < 0]}"


@dataclass(frozen=True)
class Scale:
    """The days that all bars of a list share."""

    first: date
    last: date

    def x(self, day: date) -> float:
        return BAR_WIDTH * (day - self.first).days / max((self.last - self.first).days, 1)


def scale_of(rows: Iterable[Mapping[str, Any]]) -> Scale | None:
    """From the first start to the last end, in whole years; None where no row has a day."""
    days = [row[name] for row in rows for name in ("start_date", "end_date") if row[name]]
    return Scale(date(min(days).year, 1, 1), date(max(days).year, 12, 31)) if days else None


def is_late(row: Mapping[str, Any], today: date) -> bool:
    end = row["end_date"] or row["start_date"]
    return end is not None and end < today and (row["percent_complete"] or 0) < 100


def span_bar(row: Mapping[str, Any], scale: Scale, today: date) -> Markup:
    """A project from its start to its end, filled as far as it is complete, with a line for today."""
    start, end = row["start_date"] or row["end_date"], row["end_date"] or row["start_date"]
    if start is None:
        return Markup("")
    left, width = scale.x(min(start, end)), max(scale.x(max(start, end)) - scale.x(min(start, end)), 3.0)
    done = float(min(max(row["percent_complete"] or Decimal(0), Decimal(0)), Decimal(100))) / 100
    late = is_late(row, today)
    now = scale.x(today)
    mark = (
        Markup('<line class="today" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1:g}"/>').format(now, BAR_HEIGHT)
        if 0 <= now <= BAR_WIDTH
        else Markup("")
    )
    told = f"{start} to {end}, {done:.0%} complete{', late' if late else ''}"
    return Markup(
        '<svg class="span" viewBox="0 0 {:g} {:g}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "<title>{}</title>"
        '<rect class="whole{}" x="{:.1f}" y="4" width="{:.1f}" height="10" rx="2"/>'
        '<rect class="done" x="{:.1f}" y="4" width="{:.1f}" height="10" rx="2"/>{}</svg>'
    ).format(BAR_WIDTH, BAR_HEIGHT, told, told, " late" if late else "", left, width, left, width * done, mark)


def stock_bar(row: Mapping[str, Any], top: int) -> Markup:
    """How much there is of so much, with a line at the minimum. Empty where it is not known."""
    quantity, minimum = row["quantity"], row["minimum_quantity"]
    if quantity is None:
        return Markup("")
    width = BAR_WIDTH * max(quantity, 0) / top
    mark = (
        Markup('<line class="least" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1:g}"/>').format(
            BAR_WIDTH * minimum / top, BAR_HEIGHT
        )
        if minimum
        else Markup("")
    )
    is_low = minimum is not None and quantity < minimum
    told = f"{quantity:,} in stock" + (f", {minimum:,} at least" if minimum is not None else "")
    return Markup(
        '<svg class="stock" viewBox="0 0 {:g} {:g}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "<title>{}</title>"
        '<rect class="rail" x="0" y="5" width="{:g}" height="8" rx="2"/>'
        '<rect class="{}" x="0" y="5" width="{:.1f}" height="8" rx="2"/>{}</svg>'
    ).format(BAR_WIDTH, BAR_HEIGHT, told, told, BAR_WIDTH, "low" if is_low else "enough", width, mark)


def stock_top(rows: Iterable[Mapping[str, Any]]) -> int:
    """The most of anything in these records: as long as the bar that is full."""
    return max((row[name] or 0 for row in rows for name in ("quantity", "minimum_quantity")), default=0) or 1


def spots_of(rows: Iterable[Mapping[str, Any]]) -> list[Place]:
    """Those that have degrees which there are."""
    found = [
        Place(str(row["name"] or row["external_id"]), float(row["latitude"]), float(row["longitude"]))
        for row in rows
        if row["latitude"] is not None and row["longitude"] is not None
    ]
    return [place for place in found if abs(place.latitude) <= 90 and abs(place.longitude) <= 180]
