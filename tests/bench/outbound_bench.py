"""How fast and how frugal an outbound sync is, and how well it uses what a system allows."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cases import BenchError, Figures, Place, measured, say
from rich.table import Table

SIDE = Path(__file__).parent / "outbound_side.py"
LIMIT = 60
MINUTES = 3
CALLS = 250
"""More than so many minutes take: the records are shared out over them."""


def measure_outbound(place: Place, *, updates: bool, limited: bool) -> list[Figures]:
    """All cases of a hub that a first load has filled: nothing of it is known to the system that is pushed to."""
    results = [_push(place, f"push-{place.database}", "created"), _detect(place)]
    if updates:
        _edit(place)
        results.append(_push(place, f"push-updates-{place.database}", "updated"))
    if limited:
        _edit(place)
        results.append(_limited(place))
    return results


def _push(place: Place, case: str, counted: str) -> Figures:
    """Raises BenchError unless each record arrived once, and the outbox says so."""
    _sink(place, "reset")
    told = measured([sys.executable, SIDE, "push", place.database_url, *_where(place)])
    expected = {counted: place.n, "processed": place.n, "failed": 0, "written": place.n, "confirmed": place.n}
    arrived = _sink(place, "calls")
    if {name: told["result"][name] for name in expected} != expected or arrived["records"] != place.n:
        raise BenchError(f"{case}: expected {expected}, found {told['result']}, arrived {arrived['records']}")
    figures = _figures(place, case, told, place.n)
    say(
        f"  kwiksync {case:28} {figures.seconds:8.2f} s {figures.records_per_s:8,.0f} records/s "
        f"{figures.cpu_s:7.2f} s CPU {figures.peak_rss_mb:5.0f} MB"
    )
    return figures


def _detect(place: Place) -> Figures:
    case = f"detect-{place.database}"
    told = measured([sys.executable, SIDE, "detect", place.database_url, str(place.database_pid)])
    if told["result"]["found"] != place.n:
        raise BenchError(f"{case}: expected {place.n} changes, found {told['result']['found']}")
    median_s = told["result"]["median_s"]
    say(f"  kwiksync {case:28} {median_s * 1000:8.2f} ms for 1,000 among {place.n:,}")
    found = {"ms_per_1000": round(median_s * 1000, 3)}
    return replace(_figures(place, case, told, place.n), records_per_s=round(1_000 / median_s), found=found)


def _limited(place: Place) -> Figures:
    """Raises BenchError where more calls arrived in any 60 seconds than the limit allows."""
    _sink(place, "reset")
    records = str(max(1, min(1_000, place.n // CALLS)))
    told = measured(
        [sys.executable, SIDE, "limited", place.database_url, *_where(place), records, str(MINUTES * LIMIT)]
    )
    calls = _sink(place, "calls")
    minutes = calls["minutes"][:MINUTES]
    if calls["most_in_60_s"] > LIMIT or len(minutes) < MINUTES:
        raise BenchError(f"push-limited: {calls['most_in_60_s']} calls within 60 seconds; by minute: {minutes}")
    found = {"calls_per_minute": minutes, "most_in_60_s": calls["most_in_60_s"]}
    say(f"  kwiksync push-limited: calls in each full minute {minutes}, at most {found['most_in_60_s']} in any 60 s")
    return replace(_figures(place, "push-limited", told, calls["records"]), found=found)


def _edit(place: Place) -> None:
    subprocess.run([sys.executable, SIDE, "edit", place.database_url], check=True)


def _where(place: Place) -> tuple[str, str, str]:
    return place.base_url, place.ca_file, str(place.database_pid)


def _figures(place: Place, case: str, told: dict[str, Any], n: int) -> Figures:
    return Figures(
        case=case,
        who="kwiksync",
        n=n,
        seconds=told["seconds"],
        records_per_s=round(n / told["seconds"]),
        cpu_s=round(told["cpu_client_s"] + told["cpu_database_s"], 3),
        cpu_client_s=told["cpu_client_s"],
        cpu_database_s=told["cpu_database_s"],
        peak_rss_mb=told["peak_rss_mb"],
    )


def _sink(place: Place, what: str) -> dict[str, Any]:
    """Ask the system what arrived, or let it begin anew."""
    context = ssl.create_default_context(cafile=place.ca_file)
    with urllib.request.urlopen(f"{place.base_url}/sink/{what}", context=context, timeout=30) as answer:  # noqa: S310
        told: dict[str, Any] = json.load(answer)
    return told


def is_outbound(figures: Figures) -> bool:
    return figures.case.startswith(("push-", "detect-"))


def outbound_table(results: Sequence[Figures]) -> Table:
    table = Table(title="Outbound: from the hub to REST over HTTPS", title_justify="left")
    for heading in ("case", "records", "records/s", "CPU s/100,000", "database's", "peak MB", "found"):
        table.add_column(heading, justify="left" if heading in ("case", "found") else "right")
    for each in filter(is_outbound, results):
        cpu = (each.cpu_per_100k, each.cpu_database_s / each.n * 100_000)
        numbers = (f"{each.n:,}", f"{each.records_per_s:,.0f}", *(f"{one:.2f}" for one in cpu))
        found = ", ".join(f"{name} {value}" for name, value in each.found.items())
        table.add_row(each.case, *numbers, f"{each.peak_rss_mb:.0f}", found)
    return table


def outbound_targets(results: Sequence[Figures], small: int, large: int) -> Iterator[tuple[str, bool]]:
    """What was to be reached, and whether it was."""
    found = {(each.case, each.n): each for each in results}
    for each in results:
        if each.case.startswith("detect-"):
            ms = each.found["ms_per_1000"]
            yield f"{each.case}: 1,000 changes among {each.n:,} in 10 ms or less: {ms:.2f} ms", ms <= 10
        if each.case == "push-limited":
            minutes = each.found["calls_per_minute"]
            share = sum(minutes) / (LIMIT * len(minutes))
            yield f"98 % of the calls that are allowed or more: {share:.1%}, {minutes}", share >= 0.98
    for database in ("postgresql", "sqlite"):
        one, many = found.get((f"push-{database}", small)), found.get((f"push-{database}", large))
        if one and many:
            grown = many.peak_rss_mb / one.peak_rss_mb
            yield f"push-{database}: memory within 10 % between the two sizes: {grown:.0%}", 0.9 <= grown <= 1.1
