"""What a command prints: for a person on a terminal, or JSON on stdout with everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import IO, Any, TypeVar

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from kwiksync_ops.cli.text import STATUS_STYLES, printable, shown
from kwiksync_ops.errors import KwikSyncError

T = TypeVar("T")

PIPED_WIDTH = 10_000
PANEL_WIDTH = 100
GAP = 2


@dataclass(frozen=True)
class Field:
    """A column of a printed table. Where lines get too long for the terminal, it may be cut down to its `shortest`.

    `from_width`: it is left out on narrower terminals.
    """

    title: str
    is_number: bool = False
    is_status: bool = False
    shortest: int = 0
    style: str = ""
    from_width: int = 0


class Output:
    """Where a command's answer goes. With `is_json`, `show` and `say` write to stderr and `emit` to stdout."""

    def __init__(self, *, is_json: bool = False) -> None:
        self.is_json = is_json
        self.human = _console(sys.stderr if is_json else sys.stdout)
        self.progress = Console(stderr=True)

    def emit(self, document: Any) -> None:
        """The answer as JSON, where JSON was asked for."""
        if self.is_json:
            sys.stdout.write(to_json(document) + "\n")

    def show(self, *parts: RenderableType) -> None:
        """The answer for a person, where no JSON was asked for."""
        if not self.is_json:
            for part in parts:
                self._print(part)

    def say(self, text: str, *, style: str = "") -> None:
        """One line beside the answer."""
        self._print(Text(printable(text), style=style))

    def table(self, fields: Sequence[Field], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
        if not self.is_json:
            self._print(make_table(fields, rows, width=self.human.width, title=title))

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """The items, with a bar on stderr where somebody sees it and it does not run into the answer."""
        if not self.progress.is_terminal or sys.stdout.isatty():
            yield from items
            return
        with self.bar(what, total) as advance:
            for item in items:
                yield item
                advance(1)

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar on stderr, where that is a terminal; it is gone when the work is done."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(
            *columns, console=self.progress, transient=True, disable=not self.progress.is_terminal
        ) as progress:
            task = progress.add_task(what, total=total)
            yield lambda number: progress.advance(task, number)

    def pairs(self, pairs: Iterable[tuple[str, Any]]) -> None:
        """Names and values, one pair a line; long values wrap beside their name."""
        if self.is_json:
            return
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in pairs:
            grid.add_row(name, value if isinstance(value, Text) else Text(shown(value)))
        self._print(Padding(grid, (0, 1)))

    def _print(self, part: RenderableType) -> None:
        """In a pipe without the blanks that fill a terminal's lines."""
        if self.human.is_terminal:
            self.human.print(part)
            return
        with self.human.capture() as captured:
            self.human.print(part)
        lines = [line.rstrip() for line in captured.get().splitlines()]
        self.human.file.write("\n".join(lines) + "\n")


def make_table(fields: Sequence[Field], rows: Iterable[Sequence[Any]], *, width: int, title: str = "") -> Table:
    table = Table(
        box=None, title=title or None, title_justify="left", title_style="bold", padding=(0, GAP, 0, 0), pad_edge=False
    )
    shown_at = [at for at, field in enumerate(fields) if field.from_width <= width]
    cells = [[cell(fields[at], row[at]) for at in shown_at] for row in rows]
    visible = [fields[at] for at in shown_at]
    for field, column_width in zip(visible, _widths(visible, cells, width), strict=True):
        table.add_column(
            field.title,
            justify="right" if field.is_number else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=column_width,
            style=field.style,
            header_style="bold dim",
        )
    for row_cells in cells:
        table.add_row(*row_cells)
    return table


def _widths(fields: Sequence[Field], rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    """As wide as their contents; where that is too much, the column that has most to spare is cut, again and again."""
    widths = [max([len(field.title), *(row[at].cell_len for row in rows)]) for at, field in enumerate(fields)]
    for _ in range(max(sum(widths) + GAP * (len(fields) - 1) - width, 0)):
        spare = [widths[at] - field.shortest if field.shortest else 0 for at, field in enumerate(fields)]
        if not any(left > 0 for left in spare):
            break
        widths[spare.index(max(spare))] -= 1
    return widths


def cell(field: Field, value: Any) -> Text:
    if isinstance(value, Text):
        return value
    text = shown(value)
    return Text(text, style=STATUS_STYLES.get(text, "") if field.is_status else "")


def show_error(error: KwikSyncError, *, is_json: bool = False) -> None:
    """Code, message and remedy in a panel on stderr; as JSON on stdout too, where that was asked for."""
    console = Console(stderr=True, highlight=False)
    body = Text(printable(error.message, lines=True))
    if error.remedy:
        body.append("\n\nRemedy  ", style="bold green")
        body.append(printable(error.remedy, lines=True))
    title = f"[bold red]{error.code}[/] [dim]{escape(_name(error))}[/]"
    width = min(console.width, PANEL_WIDTH)
    console.print(Panel(body, title=title, title_align="left", border_style="red", padding=(0, 1), width=width))
    if is_json:
        faults = list(getattr(error, "faults", ()))
        document = {"code": error.code, "message": error.message, "remedy": error.remedy, "faults": faults}
        sys.stdout.write(to_json({"error": document}) + "\n")


def to_json(document: Any, *, indent: int | None = 2) -> str:
    is_unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(document, indent=indent, default=json_value, ensure_ascii=not is_unicode)


def json_value(value: Any) -> Any:
    """Moments as ISO text with their zone, decimals as text so that they stay exact."""
    match value:
        case datetime() | date():
            return value.isoformat()
        case Decimal() | Path():
            return str(value)
        case Enum():
            return value.value
        case Mapping():
            return dict(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no form in JSON")


def _name(error: KwikSyncError) -> str:
    words = "".join(f" {sign.lower()}" if sign.isupper() else sign for sign in type(error).__name__)
    return words.strip().removesuffix(" error").replace("kwik sync", "")


def _console(file: IO[str]) -> Console:
    """A pipe gets whole lines, a terminal what fits."""
    is_wide = not file.isatty() and "COLUMNS" not in os.environ
    return Console(file=file, highlight=False, width=PIPED_WIDTH if is_wide else None)
