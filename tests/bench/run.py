"""How fast and how frugal an inbound sync is, beside dlt doing the same: `make bench`, or `BENCH_N=100000 make bench`.

Everything that is measured is a process of its own. The last line of each is its figures.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trustme
from cases import BenchError, Figures, Place, measured, say
from files_bench import make_file, measure_dlt_files, measure_files
from outbound_bench import is_outbound, measure_outbound, outbound_table, outbound_targets
from rich.console import Console
from rich.table import Table
from sql_bench import make_table, measure_dlt_sql, measure_sql

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.postgresql import empty_database, running_postgresql  # noqa: E402  # the tests' own server

HERE = Path(__file__).parent
BUILD = ROOT / "build"
DLT = BUILD / "bench" / "dlt"
SIZES = (100_000, 1_000_000)
CASES = {"first": "base", "nochange": "base", "1pct": "changed"}
TURNS = 3
"""So often both sides load into PostgreSQL, in turns. Its first load of all pays for files that later ones find."""


def bench(sizes: tuple[int, ...], *, with_dlt: bool, with_limit: bool) -> list[Figures]:
    """Measure all cases of these sizes."""
    results = [_map_tickets()]
    (BUILD / "bench").mkdir(parents=True, exist_ok=True)
    for n in sizes:
        with TemporaryDirectory(dir=BUILD / "bench", prefix="run-") as name, ExitStack() as stack:
            folder = Path(name)
            _make_certificates(folder)
            say(f"[bold]{n:,} records[/]: rendering the pages")
            base_url = stack.enter_context(_running_system(folder, n))
            server_url = stack.enter_context(running_postgresql(folder / "postgresql"))
            pid = int((folder / "postgresql" / "postmaster.pid").read_text().split()[0])
            is_small, turns = n <= SIZES[0], list[Figures]()
            for turn in range(TURNS if with_dlt and is_small else 1):
                with empty_database(server_url) as url:
                    place = Place(folder, base_url, "postgresql", url, pid, n)
                    turns += _kwiksync(place)
                    if turn == 0:
                        results += measure_outbound(place, updates=is_small, limited=with_limit and is_small)
                if with_dlt:
                    with empty_database(server_url) as url:
                        turns += _dlt(Place(folder, base_url, "postgresql", url, pid, n), tuple(CASES))
            results += _medians(turns)
            make_file(folder / "files", n)
            with empty_database(server_url) as url:
                results.append(measure_files(Place(folder, base_url, "postgresql", url, pid, n), folder / "files"))
            results += _sql(Place(folder, base_url, "postgresql", server_url, pid, n), with_dlt=with_dlt)
            place = Place(folder, base_url, "sqlite", f"sqlite:///{folder}/hub.db", 0, n)
            results += _kwiksync(place)
            results += measure_outbound(place, updates=is_small, limited=False)
            if with_dlt:
                with empty_database(server_url) as url:
                    where = Place(folder, base_url, "postgresql", url, pid, n)
                    results.append(measure_dlt_files(where, folder / "files", DLT / "bin" / "python"))
                # Without an index on SQLite, dlt's merge into a filled table does not end within minutes.
                if n <= SIZES[0]:
                    results += _dlt(Place(folder, base_url, "sqlite", f"sqlite:///{folder}/dlt.db", 0, n), ("first",))
    return results


def _sql(place: Place, *, with_dlt: bool) -> list[Figures]:
    """A table of the same server, loaded into an empty database of each side."""
    server_url = place.database_url
    with empty_database(server_url) as source_url:
        make_table(source_url, place.n)
        with empty_database(server_url) as url:
            results = [measure_sql(replace(place, database_url=url), source_url)]
        if with_dlt:
            with empty_database(server_url) as url:
                results.append(measure_dlt_sql(replace(place, database_url=url), source_url, DLT / "bin" / "python"))
    return results


def _map_tickets() -> Figures:
    told = measured([sys.executable, HERE / "kwiksync_side.py", "map"])
    seconds, n = told["result"]["best_s"], told["result"]["processed"]
    say(f"  map-tickets: {seconds * 1000:.2f} ms for {n:,} records")
    peak = told["peak_rss_mb"]
    return Figures(
        "map-tickets", "kwiksync", n, round(seconds, 5), round(n / seconds), round(seconds, 5), seconds, 0, peak
    )


def _kwiksync(place: Place) -> list[Figures]:
    side = HERE / "kwiksync_side.py"
    subprocess.run([sys.executable, side, "prepare", place.database_url], check=True)

    def one(served: str) -> dict[str, Any]:
        where = (place.database_url, f"{place.base_url}/{served}", place.ca_file, str(place.database_pid))
        return measured([sys.executable, side, "sync", *where])

    expected = {
        "first": {"created": place.n, "updated": 0, "unchanged": 0},
        "nochange": {"created": 0, "updated": 0, "unchanged": place.n},
        "1pct": {"created": 0, "updated": -(-place.n // 100), "unchanged": place.n - -(-place.n // 100)},
    }
    return [
        _figures(
            place, "kwiksync", case, one(served), {"processed": place.n, "failed": 0, "deleted": 0, **expected[case]}
        )
        for case, served in CASES.items()
    ]


def _dlt(place: Place, cases: tuple[str, ...]) -> list[Figures]:
    work = place.folder / f"dlt-{place.database}"
    shutil.rmtree(work, ignore_errors=True)
    database_url = place.database_url.replace("+psycopg", "")
    environ = {
        **os.environ,
        "REQUESTS_CA_BUNDLE": place.ca_file,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
        "DLT_DATA_DIR": str(work),
    }

    def one(served: str) -> dict[str, Any]:
        where = (work, place.database, database_url, f"{place.base_url}/{served}", str(place.database_pid))
        return measured([DLT / "bin" / "python", HERE / "dlt_side.py", *where], environ)

    expected = {"processed": place.n, "stored": place.n}
    return [_figures(place, "dlt", case, one(CASES[case]), expected) for case in cases]


def _figures(place: Place, who: str, case: str, told: dict[str, Any], expected: dict[str, int]) -> Figures:
    """Raises BenchError when not everything arrived: a fast run that lost records is no result."""
    name = f"rest-to-{place.database}-{case}"
    if told["result"] != expected:
        raise BenchError(f"{who}, {name}: expected {expected}, found {told['result']}")
    cpu_s = round(told["cpu_client_s"] + told["cpu_database_s"], 3)
    rate = round(place.n / told["seconds"])
    seconds, peak = told["seconds"], told["peak_rss_mb"]
    say(f"  {who:8} {name:28} {seconds:8.2f} s {rate:8,} records/s {cpu_s:7.2f} s CPU {peak:5.0f} MB")
    return Figures(
        case=name,
        who=who,
        n=place.n,
        seconds=told["seconds"],
        records_per_s=rate,
        cpu_s=cpu_s,
        cpu_client_s=told["cpu_client_s"],
        cpu_database_s=told["cpu_database_s"],
        peak_rss_mb=told["peak_rss_mb"],
    )


def _medians(turns: list[Figures]) -> list[Figures]:
    """Of each case and side the turn of median time."""
    by_case: dict[tuple[str, str], list[Figures]] = {}
    for each in turns:
        by_case.setdefault((each.who, each.case), []).append(each)
    return [sorted(same, key=lambda each: each.seconds)[len(same) // 2] for same in by_case.values()]


def _make_certificates(folder: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))


@contextmanager
def _running_system(folder: Path, n: int) -> Iterator[str]:
    """The base URL of the system; its process ends with the block, or with this process."""
    command = [sys.executable, HERE / "server.py", folder, str(n)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            if not port:
                raise BenchError("The local system did not start.")
            yield f"https://127.0.0.1:{port}"
        finally:
            process.terminate()


def make_dlt() -> None:
    """A virtual environment with dlt, made once for each requirement file."""
    requirements = HERE / "dlt-requirements.txt"
    stamp = DLT / ".made"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return
    say("Setting up dlt in a virtual environment of its own, once.")
    shutil.rmtree(DLT, ignore_errors=True)
    venv.create(DLT, with_pip=True)
    subprocess.run([DLT / "bin" / "python", "-m", "pip", "install", "-qq", "-r", requirements], check=True)
    stamp.write_text(requirements.read_text())


def show(results: list[Figures]) -> None:
    """The table, KWikSync and dlt side by side, and what was to be reached."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Table(title="Inbound: REST over HTTPS, and a CSV file, into the hub", title_justify="left")
    for heading in (
        "case",
        "records",
        "records/s",
        "CPU s/100,000",
        "peak MB",
        "dlt records/s",
        "CPU",
        "MB",
        "faster",
        "CPU share",
    ):
        table.add_column(heading, justify="left" if heading == "case" else "right", no_wrap=heading == "case")
    others = {(each.case, each.n): each for each in results if each.who == "dlt"}
    for each in results:
        if each.who == "kwiksync" and not is_outbound(each):
            table.add_row(*_cells(each, others.get((each.case, each.n))))
    console.print(table)
    console.print(outbound_table(results))
    for text, is_reached in (*_targets(results), *outbound_targets(results, *SIZES)):
        console.print(f"{'[green]reached[/]' if is_reached else '[red]missed [/]'} {text}")


def _cells(own: Figures, dlt: Figures | None) -> list[str]:
    cells = [own.case, f"{own.n:,}", f"{own.records_per_s:,.0f}", f"{own.cpu_per_100k:.2f}", f"{own.peak_rss_mb:.0f}"]
    if dlt is None:
        return [*cells, "", "", "", "", ""]
    ratios = (f"{own.records_per_s / dlt.records_per_s:.1f} x", f"{own.cpu_s / dlt.cpu_s:.0%}")
    return [*cells, f"{dlt.records_per_s:,.0f}", f"{dlt.cpu_per_100k:.2f}", f"{dlt.peak_rss_mb:.0f}", *ratios]


def _targets(results: list[Figures]) -> Iterator[tuple[str, bool]]:
    found = {(each.who, each.case, each.n): each for each in results}
    small, large = SIZES
    first = "rest-to-postgresql-first"
    own, dlt, million = (
        found.get(key) for key in (("kwiksync", first, small), ("dlt", first, small), ("kwiksync", first, large))
    )
    mapped = found["kwiksync", "map-tickets", 1_000]
    yield f"map 1,000 tickets in 3 ms or less: {mapped.seconds * 1000:.2f} ms", mapped.seconds <= 0.003
    if own and dlt:
        faster, share = own.records_per_s / dlt.records_per_s, own.cpu_s / dlt.cpu_s
        yield f"first load into PostgreSQL at 5 times dlt's speed or more: {faster:.1f} x", faster >= 5
        yield f"with a third of its CPU or less: {share:.0%}", share <= 1 / 3
    for what, case in (("CSV file", "files-to-postgresql-first"), ("PostgreSQL table", "sql-to-postgresql-first")):
        ours, theirs = (found.get((who, case, small)) for who in ("kwiksync", "dlt"))
        if ours and theirs:
            faster = ours.records_per_s / theirs.records_per_s
            yield f"a {what} into PostgreSQL at 5 times dlt's speed or more: {faster:.1f} x", faster >= 5
    if own and million:
        kept = million.records_per_s / own.records_per_s
        yield f"1,000,000 at 80 % of the speed at 100,000 or more: {kept:.0%}", kept >= 0.8
        grown = million.peak_rss_mb / own.peak_rss_mb
        yield f"memory within 10 % between the two sizes: {grown:.0%}", 0.9 <= grown <= 1.1
    peak = max(each.peak_rss_mb for each in results if each.who == "kwiksync")
    yield f"peak memory under 300 MB: {peak:.0f} MB", peak < 300


def main(environ: dict[str, str] | os._Environ[str] = os.environ) -> None:
    started = time.monotonic()
    size = int(environ.get("BENCH_N", "0"))
    with_dlt = environ.get("BENCH_DLT", "1") != "0"
    if with_dlt:
        make_dlt()
    with_limit = environ.get("BENCH_LIMIT", "0" if size else "1") != "0"
    results = bench((size,) if size else SIZES, with_dlt=with_dlt, with_limit=with_limit)
    target = Path(environ.get("BENCH_JSON", BUILD / "bench.json"))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps([asdict(each) for each in results], indent=1), encoding="utf-8")
    show(results)
    say(f"{target.name} is written; {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    try:
        main()
    except (BenchError, subprocess.SubprocessError) as exc:
        sys.exit(f"The benchmark stopped: {exc}")
