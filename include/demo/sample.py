"""Make the sample in data/ from the original files: `python include/demo/sample.py --from DIR`.

What is taken, and where it comes from, is told in data/README.md. The same originals give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import lzma
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

INCIDENTS = 5_000
LOCATIONS = 1_500
PROJECTS = 450
BUSIEST_MINUTES = ("24/3/2016 18:40", "24/3/2016 18:51", "24/3/2016 19:00")
FIRST_PROJECT, LAST_PROJECT = "2014-01-01", "2016-07-01"

EVENT_COLUMNS = (
    "number",
    "incident_state",
    "reassignment_count",
    "reopen_count",
    "sys_mod_count",
    "opened_by",
    "opened_at",
    "sys_updated_by",
    "sys_updated_at",
    "contact_type",
    "location",
    "category",
    "subcategory",
    "u_symptom",
    "impact",
    "urgency",
    "priority",
    "assignment_group",
    "assigned_to",
    "closed_code",
    "resolved_by",
    "resolved_at",
    "closed_at",
)
LOCATION_COLUMNS = ("locode", "country", "country_name", "name", "subdivision", "function", "date", "coordinates")
ASSET_COLUMNS = ("Standard Name", "Category", "Status", "Deployment Type", "Approval Expiration Date")
LOCODE = re.compile(r"[A-Z]{2} ?[A-Z0-9]{3}")
POSITION = re.compile(r"|[0-9]{2}[0-5][0-9][NS] [0-9]{3}[0-5][0-9][EW]")
CASE_NUMBER = re.compile(r"[A-Za-z]{3,4}-[0-9]+-[0-9]+")

Row = dict[str, str]


def read_csv(path: Path) -> list[Row]:
    with lzma.open(path, "rb") as packed:
        return list(csv.DictReader(io.TextIOWrapper(packed, "utf-8-sig", newline="")))


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """`count` of the items, evenly over all of them, in their order."""
    if count >= len(items):
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def choose_events(events: list[Row]) -> list[Row]:
    """All events of the incidents of the busiest minutes and of others, evenly, up to INCIDENTS."""
    numbers = sorted({event["number"] for event in events})
    busy = {event["number"] for event in events if event["sys_updated_at"] in BUSIEST_MINUTES}
    quiet = [number for number in numbers if number not in busy]
    chosen = busy.union(spread(quiet, INCIDENTS - len(busy)))
    return [event for event in events if event["number"] in chosen]


def choose_locations(rows: list[Row]) -> list[Row]:
    """Places with a valid and unique code, evenly over all countries; the padding of the original is taken off.

    Positions with 60 minutes or more are left out, impossible degrees are not.
    """
    places: dict[str, Row] = {}
    for row in rows:
        text = {name: (value or "").strip() for name, value in row.items() if name}
        code = re.sub(" +", " ", text["LOCODE"])
        if LOCODE.fullmatch(code):
            place = (code.replace(" ", ""), text["ISO 3166-1"], text["Country Name"], text["Name"], text["SubDiv"])
            rest = (text["Function"], text["Date"], text["Coordinates"])
            places.setdefault(place[0], dict(zip(LOCATION_COLUMNS, (*place, *rest), strict=True)))
    chosen = spread([places[code] for code in sorted(places)], LOCATIONS)
    return [place for place in chosen if POSITION.fullmatch(place["coordinates"])]


def choose_projects(releases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Releases with a NASA case number, dated FIRST_PROJECT to LAST_PROJECT, evenly."""
    projects = {}
    for release in releases:
        number = release["repositoryURL"].rsplit("/", 1)[-1].upper()
        dates = release["date"]
        date = dates.get("created") or dates["metadataLastUpdated"]
        if CASE_NUMBER.fullmatch(number) and FIRST_PROJECT <= date < LAST_PROJECT:
            projects[number] = {
                "number": number,
                "name": release["name"].strip(),
                "description": re.sub(r"\s+", " ", release["description"]).strip()[:600],
                "organization": release["organization"],
                "area": release["tags"][3] if len(release["tags"]) > 3 else "",
                "date": date,
            }
    return spread([projects[number] for number in sorted(projects)], PROJECTS)


def write_gzip(path: Path, text: str) -> None:
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(text.encode("utf-8"))


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_gzip(path, text.getvalue())


def make_sample(originals: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    events = choose_events(read_csv(originals / "incident_events.csv.xz"))
    write_csv(target / "incident_events.csv.gz", EVENT_COLUMNS, events)
    locations = choose_locations(read_csv(originals / "locations_unlocode_2014.csv.xz"))
    write_csv(target / "locations.csv.gz", LOCATION_COLUMNS, locations)
    assets = read_csv(originals / "assets_gsa_it_standards.csv.xz")
    write_csv(target / "assets.csv.gz", ASSET_COLUMNS, assets)
    with lzma.open(originals / "projects_nasa_code.json.xz", "rb") as packed:
        projects = choose_projects(json.load(packed)["releases"])
    write_gzip(target / "projects.json.gz", json.dumps(projects, ensure_ascii=False, indent=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--from", dest="originals", type=Path, required=True, help="folder of the original files")
    parser.add_argument(
        "--to", type=Path, default=Path(__file__).parent / "data", help="default: data/ beside this file"
    )
    arguments = parser.parse_args()
    make_sample(arguments.originals, arguments.to)


if __name__ == "__main__":
    main()
