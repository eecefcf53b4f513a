"""Charts as SVG, made here: no script draws them, and each says in words what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 10, 24


@dataclass(frozen=True)
class Bar:
    """A bar of one or more parts on top of each other: `(class, value)`. `href` is where it leads."""

    label: str
    title: str
    parts: tuple[tuple[str, float], ...]
    href: str = ""

    @property
    def total(self) -> float:
        return sum(value for _, value in self.parts)


def bars(items: Sequence[Bar], summary: str, tick: Callable[[float], str]) -> Markup:
    """Bars side by side, the oldest left. `tick` writes a value of the axis."""
    top = _ceiling(max((item.total for item in items), default=0.0))
    step = (WIDTH - LEFT - RIGHT) / max(len(items), 1)
    drawn = Markup("").join(_bar(item, LEFT + place * step, step, top) for place, item in enumerate(items))
    return _svg(summary, _axis(top, tick) + drawn + _labels(items, step))


def _bar(item: Bar, left: float, step: float, top: float) -> Markup:
    width = max(min(step * 0.7, 36.0), 1.5)
    rects, floor_y = Markup(""), _y(0, top)
    for name, value in item.parts:
        height = (HEIGHT - TOP - BOTTOM) * value / top
        height = max(height, 1.5) if value else 0.0
        floor_y -= height
        rects += Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
            name, left + (step - width) / 2, floor_y, width, height
        )
    return Markup("<g><title>{}</title>{}</g>").format(item.title, rects)


def _axis(top: float, tick: Callable[[float], str]) -> Markup:
    lines = Markup("")
    for part in (0.0, 0.5, 1.0):
        y = _y(top * part, top)
        lines += Markup('<line class="axis" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
            LEFT, WIDTH - RIGHT, y, y
        ) + Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(LEFT - 6, y + 4, tick(top * part))
    return lines


def _labels(items: Sequence[Bar], step: float) -> Markup:
    """As many as there is room for, from the first on."""
    every = max(ceil(len(items) * 64 / (WIDTH - LEFT - RIGHT)), 1)
    return Markup("").join(
        Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            LEFT + place * step + step / 2, HEIGHT - 6, item.label
        )
        for place, item in enumerate(items)
        if place % every == 0
    )


def _svg(summary: str, inside: Markup) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, summary, inside
    )


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _ceiling(value: float) -> float:
    """The next round number: 1, 2 or 5 with zeros."""
    if value <= 0:
        return 1.0
    size: float = 10.0 ** floor(log10(value))
    return next(size * factor for factor in (1, 2, 5, 10) if size * factor >= value)


@dataclass(frozen=True)
class Span:
    """A line of a timeline, in seconds from its beginning; `marks_s` are moments on it."""

    label: str
    title: str
    name: str
    start_s: float
    end_s: float
    marks_s: tuple[float, ...] = ()


LABEL_WIDTH, ROW_HEIGHT = 110, 26


def timeline(spans: Sequence[Span], summary: str, tick: Callable[[float], str]) -> Markup:
    """Spans below each other, on one axis of time."""
    end = max((span.end_s for span in spans), default=0.0) or 1.0
    height = ROW_HEIGHT * len(spans) + 24
    scale = (WIDTH - LABEL_WIDTH - RIGHT - 40) / end
    drawn = Markup("").join(_span(span, place * ROW_HEIGHT, scale) for place, span in enumerate(spans))
    ticks = Markup("").join(
        Markup(
            '<line class="axis" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1}"/><text x="{0:.1f}" y="{2}" '
            'text-anchor="middle">{3}</text>'
        ).format(LABEL_WIDTH + end * part * scale, height - 20, height - 5, tick(end * part))
        for part in (0.0, 0.5, 1.0)
    )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, height, summary, ticks + drawn
    )


def _span(span: Span, top: float, scale: float) -> Markup:
    left = LABEL_WIDTH + span.start_s * scale
    marks = Markup("").join(
        Markup('<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(
            LABEL_WIDTH + at * scale, top + 5, top + 19
        )
        for at in span.marks_s
    )
    return Markup(
        '<g><title>{}</title><text x="{}" y="{}" text-anchor="end">{}</text>'
        '<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="14" rx="3"/>{}</g>'
    ).format(
        span.title,
        LABEL_WIDTH - 8,
        top + 16,
        span.label,
        span.name,
        left,
        top + 5,
        max((span.end_s - span.start_s) * scale, 2.0),
        marks,
    )
