"""Charts as SVG, made here: no script draws them, and each says in words what it shows.

Across, everything is in percent, so that a chart fills its place and its letters stay as large as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup

HEIGHT, TOP, BOTTOM = 190, 10, 24
MOST_LABELS = 8


@dataclass(frozen=True)
class Bar:
    """A bar of one or more parts on top of each other: `(class, value)`."""

    label: str
    title: str
    parts: tuple[tuple[str, float], ...]

    @property
    def total(self) -> float:
        return sum(value for _, value in self.parts)


def bars(items: Sequence[Bar], summary: str, tick: Callable[[float], str]) -> Markup:
    """Bars side by side, the oldest left. `tick` writes a value of the axis."""
    top = _ceiling(max((item.total for item in items), default=0.0))
    step = 100 / max(len(items), 8)
    drawn = Markup("").join(_bar(item, place * step, step, top) for place, item in enumerate(items))
    plot = Markup('<svg class="plot" x="56" width="90%" height="{}">{}{}{}</svg>').format(
        HEIGHT, _lines(), drawn, _labels(items, step)
    )
    return Markup('<svg class="chart" height="{}" role="img" aria-label="{}">{}{}</svg>').format(
        HEIGHT, summary, _axis(top, tick), plot
    )


def _bar(item: Bar, left: float, step: float, top: float) -> Markup:
    rects, y = Markup(""), _y(0, top)
    for name, value in item.parts:
        height = max((HEIGHT - TOP - BOTTOM) * value / top, 1.5) if value else 0.0
        y -= height
        rects += Markup('<rect class="{}" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{:.1f}"/>').format(
            name, left + step * 0.15, y, step * 0.7, height
        )
    return Markup("<g><title>{}</title>{}</g>").format(item.title, rects)


def _axis(top: float, tick: Callable[[float], str]) -> Markup:
    return Markup("").join(
        Markup('<text x="48" y="{:.1f}" text-anchor="end">{}</text>').format(_y(part, 1) + 4, tick(top * part))
        for part in (0.0, 0.5, 1.0)
    )


def _lines() -> Markup:
    return Markup("").join(
        Markup('<line class="axis" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>').format(_y(part, 1))
        for part in (0.0, 0.5, 1.0)
    )


def _labels(items: Sequence[Bar], step: float) -> Markup:
    """As many as there is room for, from the first on."""
    every = max(ceil(len(items) / MOST_LABELS), 1)
    return Markup("").join(
        Markup('<text class="label" x="{:.2f}%" y="{}">{}</text>').format(
            place * step + step / 2, HEIGHT - 6, item.label
        )
        for place, item in enumerate(items)
        if place % every == 0
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


def timeline(spans: Sequence[Span], summary: str, tick: Callable[[float], str]) -> Markup:
    """Spans below each other, on one axis of time."""
    end = max((span.end_s for span in spans), default=0.0) or 1.0
    lines = Markup("").join(Markup("<span>{}</span>{}").format(span.label, _lane(span, end)) for span in spans)
    axis = Markup("").join(Markup("<span>{}</span>").format(tick(end * part)) for part in (0.0, 0.5, 1.0))
    return Markup('<div class="timeline" role="img" aria-label="{}">{}<span class="axis-row">{}</span></div>').format(
        summary, lines, axis
    )


def _lane(span: Span, end: float) -> Markup:
    marks = Markup("").join(
        Markup('<line class="mark" x1="{0:.2f}%" x2="{0:.2f}%" y1="2" y2="16"/>').format(100 * at / end)
        for at in span.marks_s
    )
    return Markup(
        '<svg class="chart" height="18"><title>{}</title>'
        '<rect class="{}" x="{:.2f}%" y="2" width="{:.2f}%" height="14" rx="3"/>{}</svg>'
    ).format(
        span.title,
        span.name,
        100 * span.start_s / end,
        max(100 * (span.end_s - span.start_s) / end, 0.3),
        marks,
    )
