"""Locations from UN/LOCODE, and assets from the GSA's IT standards that stand at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from erp_history import UNKNOWN, Change, Record, Row, every, pick

SITE_KINDS = {"1": "Harbour", "2": "Rail Terminal", "3": "Depot", "4": "Airport", "5": "Mail Centre", "6": "Dry Port"}
TRADES = ("Freight", "Energy", "Water", "Foods", "Telecom", "Retail", "Steel", "Health")
SITES_PER_CUSTOMER = 25
ONE_IN_SITES_PAUSES = 15
ONE_IN_ASSETS_MOVES = 6
LISTING_STARTS = datetime(2015, 1, 1, tzinfo=UTC)


def head_offices(rows: Sequence[Row]) -> dict[str, str]:
    """The customers: the code of the site of each one's head office, and the customer's name."""
    offices = rows[::SITES_PER_CUSTOMER]
    return {row["locode"]: f"{row['name']} {TRADES[pick(len(TRADES), 'trade', row['locode'])]}" for row in offices}


def location_changes(rows: Sequence[Row]) -> Iterator[Change]:
    customers = head_offices(rows)
    for row in rows:
        record = _location(row, customers)
        yield _surveyed_at(row["date"]), record
        if pick(ONE_IN_SITES_PAUSES, "pauses", row["locode"]) == 0:
            for index, moment in enumerate(every(16, "pauses", row["locode"])):
                yield moment, record | {"status": "OPEN" if index % 2 else "SUSPENDED"}


def _location(row: Row, customers: dict[str, str]) -> Record:
    code = row["locode"]
    kind = SITE_KINDS.get(row["function"].strip("-0B")[:1], "Site")
    names = list(customers.values())
    return {
        "location_id": code,
        "location_name": f"{row['name']} {kind}",
        "address": f"{kind} {1 + pick(180, 'house', code)}",
        "city": row["name"],
        "state": row["subdivision"],
        "zip": f"{pick(100_000, 'zip', code):05d}",
        "country": row["country_name"],
        "coordinates": row["coordinates"] or UNKNOWN,
        "customer_name": customers.get(code) or names[pick(len(names), "customer", code)],
        "status": "OPEN",
    }


def _surveyed_at(code: str) -> datetime:
    """UN/LOCODE's date of an entry is year and month: `901` is January 2009, `9501` January 1995."""
    year, month = divmod(int(code), 100)
    return datetime(1900 + year if year > 50 else 2000 + year, max(month, 1), 1, tzinfo=UTC)


def asset_changes(rows: Sequence[Row], sites: Sequence[str]) -> Iterator[Change]:
    for index, row in enumerate(rows, 1):
        record = _asset(index, row, sites)
        asset_id = record["asset_id"]
        yield LISTING_STARTS + timedelta(minutes=pick(400 * 24 * 60, "listed", asset_id)), record
        if pick(ONE_IN_ASSETS_MOVES, "moves", asset_id) == 0:
            for count, moment in enumerate(every(9, "moves", asset_id)):
                yield moment, record | {"quantity": pick(130, "stock", asset_id, count)}


def _asset(index: int, row: Row, sites: Sequence[str]) -> Record:
    asset_id = f"A-{index:05d}"
    expiry = row["Approval Expiration Date"]
    return {
        "asset_id": asset_id,
        "asset_tag": f"GSA-{index:05d}",
        "description": row["Standard Name"],
        "category": row["Category"] or UNKNOWN,
        "deployment": row["Deployment Type"] or UNKNOWN,
        "serial_number": f"SN-{pick(10**8, 'serial', asset_id):08d}",
        "quantity": 5 + pick(120, "stock", asset_id),
        "minimum_quantity": pick(12, "minimum", asset_id),
        "location_id": sites[pick(len(sites), "site", asset_id)],
        "status": row["Status"],
        "approved_until": UNKNOWN if expiry == "-" else expiry,
        "keeper": f"Resolver {1 + pick(230, 'keeper', asset_id)}",
    }
