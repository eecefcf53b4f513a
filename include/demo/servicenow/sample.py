"""A small company in the instance: people, places, incidents, projects and assets, the same each time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from servicenow.clock import text_of
from servicenow.instance import Instance

SEED = 20_160_229
START = datetime(2016, 2, 29, 8, tzinfo=UTC)
PEOPLE = ("Abel Tuter", "Beth Anglin", "Charlie Whitherspoon", "David Loo", "Fred Luddy", "Zoë Müller-Łukasz")
PLACES = (
    ("Berlin", "Germany", "52.520008", "13.404954"),
    ("Lisboa", "Portugal", "38.722252", "-9.139337"),
    ("San Diego", "United States", "32.715736", "-117.161087"),
    ("São Paulo", "Brazil", "-23.550520", "-46.633308"),
    ("東京", "Japan", "35.689487", "139.691711"),
)
GROUPS = ("Service Desk", "Network", "Database", "Facilities")
TROUBLES = ("VPN drops every hour", "Printer jams", "Email can't be sent", "Laptop doesn't start", "Badge is refused")
PROJECTS = ("Office move", "ERP upgrade", "Zero trust", "Data center exit")
DEVICES = ("ThinkPad X1", "MacBook Pro", "LaserJet 4200", "Catalyst 9300", "Badge reader")


def fill(instance: Instance, *, incidents: int = 60, assets: int = 40) -> None:
    """Fill an empty instance."""
    chance = random.Random(SEED)
    places = [_place(instance, *place) for place in PLACES]
    people = [_person(instance, name, chance.choice(places)) for name in PEOPLE]
    groups = [instance.insert("sys_user_group", name=name, manager=chance.choice(people)) for name in GROUPS]
    for number in range(incidents):
        _incident(instance, chance, number, people, groups, places)
    for name in PROJECTS:
        _project(instance, chance, name, people)
    for number in range(assets):
        _asset(instance, chance, number, people, places)


def _stamps(moment: datetime) -> dict[str, str]:
    return {"sys_created_on": text_of(moment), "sys_updated_on": text_of(moment)}


def _place(instance: Instance, city: str, country: str, latitude: str, longitude: str) -> str:
    fields = {"city": city, "country": country, "latitude": latitude, "longitude": longitude}
    return instance.insert("cmn_location", name=f"{city} office", full_name=f"{country}/{city}", **fields)


def _person(instance: Instance, name: str, place: str) -> str:
    first, _, last = name.partition(" ")
    user_name = f"{first}.{last}".lower()
    names = {"user_name": user_name, "name": name, "first_name": first, "last_name": last}
    return instance.insert("sys_user", **names, email=f"{user_name}@example.com", location=place)


def _incident(
    instance: Instance, chance: random.Random, number: int, people: list[str], groups: list[str], places: list[str]
) -> None:
    moment = START + timedelta(minutes=47 * number)
    fields = {
        "short_description": chance.choice(TROUBLES),
        "description": "Since this morning.\nPlease help.",
        "state": chance.choice(("1", "2", "3", "6", "7")),
        "priority": chance.choice(("1", "2", "3", "4", "5")),
        "category": chance.choice(("inquiry", "software", "hardware")),
        "caller_id": chance.choice(people),
        "assigned_to": chance.choice([*people, ""]),
        "assignment_group": chance.choice(groups),
        "location": chance.choice(places),
        "opened_at": text_of(moment),
    }
    notes = {"work_notes": "Called back, nobody there."} if number % 3 == 0 else {}
    instance.insert("incident", **fields, **notes, **_stamps(moment + timedelta(minutes=chance.randrange(600))))


def _project(instance: Instance, chance: random.Random, name: str, people: list[str]) -> None:
    dates = {"start_date": text_of(START), "end_date": text_of(START + timedelta(days=90))}
    manager = chance.choice(people)
    project = instance.insert("pm_project", short_description=name, project_manager=manager, phase="planning", **dates)
    for step in ("Plan", "Buy", "Build", "Hand over"):
        details = {"parent": project, "top_task": project, "assigned_to": chance.choice(people)}
        instance.insert(
            "pm_project_task", short_description=f"{step}: {name}", percent_complete="0", **details, **dates
        )


def _asset(instance: Instance, chance: random.Random, number: int, people: list[str], places: list[str]) -> None:
    tag = f"P{1_000 + number}"
    fields = {
        "asset_tag": tag,
        "display_name": f"{tag} - {chance.choice(DEVICES)}",
        "serial_number": f"SN{chance.randrange(10**8):08d}",
        "install_status": chance.choice(("1", "6", "7")),
        "cost": f"{chance.randrange(50, 4_000)}.{chance.randrange(100):02d}",
        "purchase_date": (START + timedelta(days=number)).date().isoformat(),
        "assigned_to": chance.choice([*people, ""]),
        "location": chance.choice(places),
    }
    instance.insert("alm_hardware", **fields, **_stamps(START + timedelta(hours=number)))
