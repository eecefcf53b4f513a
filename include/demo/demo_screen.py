"""What the demo shows: steps with their time, a live table of a sync, the Sync Log, rejected records, the proof."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from demo_truth import Compared
from demo_workspace import DemoError, last_lines, shown

WIDTH = 100
STYLES = {
    "success": "green",
    "partial": "yellow",
    "failed": "bold red",
    "done": "green",
    "nothing new": "green",
    "waits": "dim",
    "in line": "dim",
}
REMEDY = "correct it in the ERP, or the rule in include/mappings/erp/{table}.json"
COUNTS = ("processed", "created", "updated", "unchanged", "failed", "api_calls")
TITLES = ("records", "created", "updated", "unchanged", "rejected", "API calls")
TABLE_TITLE = 20


class Screen:
    def __init__(self) -> None:
        self.console = _console()
        self.started = time.monotonic()

    def line(self, text: str = "", style: str = "") -> None:
        self.console.print(Text(text, style=style))

    def title(self, text: str) -> None:
        elapsed = time.monotonic() - self.started
        heading = Table.grid(expand=True)
        heading.add_column()
        heading.add_column(justify="right", style="dim")
        heading.add_row(Text(text, style="bold cyan"), f"{elapsed:.0f} s")
        self.console.print()
        self.console.print(heading)

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """A step of the start; what is put into the list stands beside its name when it is done."""
        begun, facts = time.monotonic(), list[str]()
        with self.console.status(Text(name)):
            yield facts
        row = Table.grid(padding=(0, 2), expand=True)
        row.add_column(width=1, style="green")
        row.add_column(width=10)
        row.add_column(ratio=1, style="dim", overflow="fold")
        row.add_column(justify="right", style="dim", no_wrap=True)
        row.add_row("✓", name, Text(facts[0] if facts else ""), f"{time.monotonic() - begun:.1f} s")
        self.console.print(Padding(row, (0, 0, 0, 2)))

    def progress(self) -> Progress:
        return Progress(self.console)

    def sync_log(self, rows: Sequence[Mapping[str, Any]]) -> None:
        is_wide = self.console.width >= WIDTH
        self.console.print(Padding(sync_log_table(rows, is_wide=is_wide), (0, 0, 0, 2)))

    def rejects(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            grid = Table.grid(padding=(0, 2))
            grid.add_column(style="dim", width=6)
            grid.add_column(overflow="fold")
            grid.add_row("reason", Text(row["message"]))
            grid.add_row("remedy", Text(row["remedy"] or REMEDY.format(table=row["table_name"]), style="green"))
            head = Text.assemble(
                (row["code"], "bold yellow"), f"  {row['table_name']} ", (row["external_id"] or "?", "bold")
            )
            head.append(f"  field {row['field']}" if row["field"] else "", style="dim")
            self.console.print(Padding(Group(head, Padding(grid, (0, 0, 0, 2))), (0, 0, 0, 2)))

    def proof(self, tables: Sequence[Compared]) -> None:
        table = _table("table", "in the ERP", "in the hub", "faulty", "fields", "differences")
        for compared in tables:
            style = "bold red" if compared.differences else "green"
            numbers = (compared.in_erp, compared.in_hub, compared.faulty, compared.fields)
            row = [f"{value:,}" for value in numbers]
            table.add_row(compared.table, *row, Text(f"{len(compared.differences):,}", style=style))
        self.console.print(Padding(table, (0, 0, 0, 2)))
        for compared in tables:
            for difference in compared.differences[:3]:
                self.line(f"  {compared.table} {difference}", "red")

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> None:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in pairs:
            grid.add_row(name, Text(value))
        self.console.print(Padding(grid, (0, 0, 0, 2)))

    def error(self, error: DemoError) -> None:
        self.console.print()
        self.line(f"✗ {error}", "bold red")
        self.line(f"  Remedy: {error.remedy}", "green")
        if error.log:
            self.line(f"  The last lines of {shown(error.log)}:", "dim")
            for line in last_lines(error.log):
                self.line(f"    {line[: WIDTH - 4]}", "dim")


class Progress:
    """A sync as it goes: on a terminal a table that changes, elsewhere a line for each table that is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        self._told: set[str] = set()

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, states: Mapping[str, str], rows: Mapping[str, Mapping[str, Any]], heading: str) -> None:
        """`states` are words a table; `rows` the Sync Log's rows so far."""
        if self._live:
            self._live.update(_progress_table(states, rows, heading))
            return
        for table, state in states.items():
            if table not in self._told and state in ("done", "nothing new", "failed"):
                self._told.add(table)
                self._console.print(Text(f"  {table:<{TABLE_TITLE}}  {state}"))


def _progress_table(states: Mapping[str, str], rows: Mapping[str, Mapping[str, Any]], heading: str) -> RenderableType:
    table = _table("table", "now", *TITLES)
    table.columns[1].justify = "left"
    table.columns[1].width = len("nothing new")
    for name, state in states.items():
        row = rows.get(name)
        counts = [f"{row[count]:,}" if row else "" for count in COUNTS]
        table.add_row(name, Text(state, style=STYLES.get(state, "cyan")), *counts)
    return Padding(Group(table, Text(heading, style="dim")), (0, 0, 0, 2))


def sync_log_table(rows: Sequence[Mapping[str, Any]], *, is_wide: bool = True) -> Table:
    """One row a table and a last one for all; where it is narrow, without what can be told from the others."""
    counts = [count for count in COUNTS if is_wide or count != "unchanged"]
    titles = [title for title in TITLES if is_wide or title != "unchanged"]
    table = _table("Sync Log", "status", *titles, "s")
    table.columns[1].justify = "left"
    for row in rows:
        status = Text(row["status"], style=STYLES.get(row["status"], ""))
        numbers = [f"{row[count]:,}" for count in counts]
        table.add_row(row["table_name"], status, *numbers, f"{_seconds(row['started'], row['ended']):.1f}")
    totals = [f"{sum(row[count] for row in rows):,}" for count in counts]
    table.add_row("together", "", *totals, "", style="bold")
    return table


def _console() -> Console:
    """At most WIDTH wide; a pipe gets all of it."""
    console = Console(highlight=False)
    width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return Console(highlight=False, width=width)


def _table(*titles: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for number, title in enumerate(titles):
        table.add_column(title, justify="right" if number else "left", no_wrap=True)
    return table


def _seconds(started: datetime, ended: datetime | None) -> float:
    return (ended - started).total_seconds() if ended else 0.0
