"""What other systems call the KWikSync tables and columns, and the words that they put into closed sets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from kwiksync_ops.mapping.proposals.names import Words, words_of

_TABLE_NAMES = {
    "locations": "location, address, branch, building, store, plant, warehouse, office, functional location "
    "~ place, customer, company",
    "projects": "project, job, programme, program, engagement ~ contract, initiative",
    "tickets": "ticket, work order, service order, service request, service call, support request, call, "
    "maintenance order ~ order, request, complaint, fault, problem, notification",
    "kw_corp_ticket_tasks": "ticket task, task, work order task, operation, work item, subtask, activity ~ step, todo",
    "assets": "asset, equipment, inventory, inventory item, stock, stock item, device, configuration item, machine, "
    "alm asset, hardware ~ item, product, part, material, article, software",
    "deliverables": "deliverable, milestone, project deliverable, work product ~ document, result, output, delivery",
}

# Strong names, and after the ~ those that may mean something else.
_ANYWHERE = {
    "active": "active, is active, enabled",
    "asset_tag": "asset tag, asset number, inventory number, tag, asset code, equipment number ~ code, sku, number",
    "assigned_to": "assigned to, assign, owner, responsible, technician, resource, keeper, custodian, used by, agent "
    "~ user, holder, employee, assigned user",
    "accepted_by": "accepted by, approved by, accepted, approver, signed off by ~ acceptor",
    "category": "category, class, classification, family ~ type, group, model category, subcategory, area",
    "city": "city, town, locality, municipality",
    "closed_at": "closed at, close date, closed, closing date ~ completed at, resolved at, end date, resolution date",
    "completed_at": "completed at, completed, completion date, actual end, done at, closed at "
    "~ end date, work end, resolved at",
    "country": "country, nation, country code, country name",
    "customer": "customer, customer name, company, customer id ~ account name, organisation, organization, tenant",
    "delivered_at": "delivered at, delivery date, actual delivery, delivered, submitted at ~ completed at, actual date",
    "description": "description, long description, details, body, full description ~ symptom, comment, content, text, "
    "problem, work description, long text",
    "due_date": "due date, due, due at, deadline, target date, planned date, required by ~ planned end, expected end, "
    "sla due, finish by, commitment date",
    "end_date": "end date, end, finish date, planned end, completion date, finish ~ due date, target end, close date",
    "latitude": "latitude, geo latitude, gps latitude ~ y, ycoordinate",
    "location": "location, location id, location code ~ address id, place, building, store, plant, warehouse, branch",
    "longitude": "longitude, geo longitude, gps longitude ~ x, xcoordinate",
    "manager": "manager, project manager, lead, owner, project lead, responsible ~ person responsible, supervisor, pm",
    "minimum_quantity": "minimum quantity, minimum stock, reorder level, reorder point, safety stock, minimum "
    "~ threshold, low stock",
    "name": "name, title, display name, full name ~ label, short text",
    "number": "number, code, reference, ref, key ~ external number, document number, id",
    "percent_complete": "percent complete, completion percentage, progress, percent, complete ~ completion, done",
    "priority": "priority, urgency level, importance ~ severity, urgency, criticality, impact",
    "project": "project, project id, project code ~ job, contract",
    "quantity": "quantity, stock, on hand, stock quantity, quantity on hand, count ~ units, in stock, pieces",
    "region": "region, area, territory, sales region ~ district, continent",
    "serial_number": "serial number, serial, manufacturer serial number",
    "short_description": "short description, summary, title, short text, headline ~ description, name, topic",
    "start_date": "start date, start, planned start, begin, commencement date ~ kick off, from date, open date",
    "state": "state, status, stage, phase, workflow state, lifecycle stage ~ progress, condition",
    "status": "status, condition, lifecycle, install status, lifecycle status ~ state, stage, availability",
    "street": "street, address, street address, address line, line ~ house, address text",
    "ticket": "ticket, ticket id, work order, service order, parent, order id ~ request, order, call",
    "type": "type, deliverable type, document type ~ category, class, kind",
    "work_notes": "work notes, remark, work log, journal, internal remark ~ details, description, log, text",
    "opened_at": "opened at, open date, opened, created at, created, creation date, reported at "
    "~ entry date, request date, start date, received at, sys created on",
    "zip": "zip, postal code, zip code",
}
_IN_TABLE = {
    "assets": {
        "name": "name, title, display name, model, item name, product name ~ description, short description, product, "
        "label, short text, material, item",
    },
    "deliverables": {"name": "name, title, deliverable ~ description, summary, label, short description, subject"},
    "locations": {
        "name": "name, location name, title, display name ~ label, building, description, short description",
        "state": "state, province, county, federal state ~ subdivision, department, bundesland",
    },
    "projects": {"name": "name, title, display name ~ label, summary, short text"},
}
_WEAK = 0.72
_OTHER_WORD = 0.92
_OTHER_WORDS = 4

# ServiceNow's values, each with the words that other systems have for it.
_WORDS_OF_VALUES = {
    ("tickets", "state"): {
        "1": "new, open, opened, created, reported, logged, registered, submitted, draft, to do, unassigned, "
        "received, crtd, neu, offen",
        "2": "in progress, active, work in progress, working, started, assigned, processing, in work, doing, "
        "scheduled, dispatched, reopened, escalated, released, rel, in bearbeitung",
        "3": "on hold, hold, pending, waiting, paused, suspended, blocked, awaiting user info, awaiting customer, "
        "awaiting info, awaiting vendor, awaiting evidence, deferred, wartend",
        "4": "awaiting problem, awaiting change",
        "6": "resolved, solved, fixed, done, completed, complete, finished, teco, geloest, erledigt",
        "7": "closed, archived, clsd, geschlossen",
        "8": "cancelled, canceled, rejected, void, withdrawn, duplicate, storniert",
    },
    ("kw_corp_ticket_tasks", "state"): {
        "-5": "pending, waiting, on hold, paused, blocked, deferred, suspended",
        "1": "open, new, to do, created, assigned, planned, ready, not started, offen, neu",
        "2": "in progress, work in progress, active, started, working, doing, in work, in bearbeitung",
        "3": "closed complete, done, complete, completed, closed, finished, resolved, erledigt",
        "4": "closed incomplete, incomplete, failed, aborted, not done",
        "7": "closed skipped, skipped, cancelled, canceled, handed over, transferred, obsolete, void",
    },
    ("projects", "state"): {
        "1": "planned, new, draft, pending, proposed, planning, not started, open, approved, initiated, geplant",
        "2": "in progress, active, started, running, work in progress, executing, ongoing, in work, in bearbeitung",
        "3": "completed, complete, closed, done, finished, delivered, closed complete, abgeschlossen",
        "4": "cancelled, canceled, aborted, rejected, terminated, abandoned, closed incomplete, "
        "closed skipped, storniert",
        "5": "on hold, paused, suspended, blocked, waiting, deferred, halted",
    },
    ("deliverables", "state"): {
        "1": "planned, new, draft, open, not started, pending, to do",
        "2": "in work, in progress, active, started, work in progress, under review, in review, doing",
        "3": "delivered, submitted, sent, done, completed, complete, handed over, finished",
        "4": "accepted, approved, closed, signed off",
        "5": "rejected, refused, declined",
    },
    ("*", "priority"): {
        "1": "critical, urgent, emergency, highest, blocker, immediate, very high, p1, kritisch, sehr hoch",
        "2": "high, major, important, p2, hoch",
        "3": "moderate, medium, normal, standard, average, p3, mittel",
        "4": "low, minor, p4, niedrig, gering",
        "5": "planning, lowest, trivial, very low, none, p5, sehr niedrig",
    },
    ("locations", "status"): {
        "active": "active, open, operational, enabled, live, in use, in operation, aktiv",
        "on_hold": "on hold, suspended, paused, blocked, temporarily closed, under construction, gesperrt",
        "planned": "planned, proposed, future, opening soon",
        "closed": "closed, inactive, disabled, retired, decommissioned, permanently closed, inaktiv",
    },
    ("assets", "status"): {
        "in_use": "in use, active, approved, installed, deployed, operational, assigned, live, running, aktiv",
        "in_stock": "in stock, available, stock, stored, spare, on hand, ready",
        "on_order": "on order, ordered, in transit, purchased, shipped",
        "in_maintenance": "in maintenance, in repair, repair, maintenance, broken, defective, out of order, faulty",
        "in_trial": "pilot, trial, in trial, evaluation, test, testing",
        "requested": "requested, proposed, planned, pending",
        "retiring": "retiring, sunsetting, sunset, phasing out, end of life, deprecated",
        "retired": "retired, disposed, decommissioned, scrapped, sold, inactive, obsolete",
        "in_use_by_exception": "exception, in use by exception, tolerated",
        "refused": "refused, denied, rejected, prohibited, unapproved",
        "missing": "missing, lost, stolen",
    },
}
_LEADING_CODE = re.compile(r"^\s*(-?\d+)\s*[-:.)\u2013]\s*(.+)$")


@dataclass(frozen=True)
class ClosedSet:
    """The values that a column has, by the words that mean them."""

    by_word: Mapping[str, str]

    @property
    def values(self) -> frozenset[str]:
        return frozenset(self.by_word.values())

    def value_of(self, word: str) -> str | None:
        """The value that a system's word stands for; None where that can't be told."""
        coded = _LEADING_CODE.match(word)
        found = self.by_word.get(_plain(coded[2] if coded else word)) or self._nearest(coded[2] if coded else word)
        if found is None and (coded or word.strip() in self.values):
            code = coded[1] if coded else word.strip()
            return code if code in self.values else None
        return found

    def other_words(self, known: Mapping[str, str]) -> dict[str, str]:
        """A few words, spelled like the known ones, for each value that none of these means."""
        are_coded = all(_LEADING_CODE.match(word) for word in known)
        write = _spelling_of(known)
        found: dict[str, str] = {}
        for value in sorted(self.values.difference(known.values())):
            words = [word for word, own in self.by_word.items() if own == value][:_OTHER_WORDS]
            found |= {f"{value} - {words[0].title()}": value} if are_coded else {write(word): value for word in words}
        return found

    def _nearest(self, word: str) -> str | None:
        """By the longest known word whose parts all stand in it: `Awaiting customer reply`."""
        parts = set(_plain(word).split())
        known = [(len(words.split()), words) for words in self.by_word if set(words.split()) <= parts]
        longest = max(known, default=(0, ""))
        return self.by_word[longest[1]] if longest[0] > 1 else None


@cache
def closed_set(table: str, column: str) -> ClosedSet | None:
    """The known values of a state, a status or a priority; None for columns that can hold anything."""
    values = _WORDS_OF_VALUES.get((table, column)) or _WORDS_OF_VALUES.get(("*", column))
    if values is None:
        return None
    return ClosedSet({_plain(word): value for value, words in values.items() for word in words.split(", ")})


@cache
def column_names(table: str, column: str) -> Mapping[Words, float]:
    """What other systems call a column: the words of each name, and how surely it is meant, 0 to 1."""
    text = _IN_TABLE.get(table, {}).get(column) or _ANYWHERE.get(column, "")
    return {**dict(_weighted(text)), words_of(column): 1.0}


@cache
def table_names(table: str) -> Mapping[Words, float]:
    return {**dict(_weighted(_TABLE_NAMES.get(table, ""))), words_of(table): 1.0}


def _weighted(text: str) -> Iterator[tuple[Words, float]]:
    strong, _, weak = text.partition("~")
    for names, weight in ((weak, _WEAK), (strong, _OTHER_WORD)):
        yield from ((words_of(name), weight) for name in names.split(",") if name.strip())


def _spelling_of(words: Iterable[str]) -> Callable[[str], str]:
    """How most words are spelled: IN_PROGRESS, in_progress, in-progress, In Progress or In progress."""
    joined = "".join(words)
    is_coded = " " not in joined and (joined.isupper() or joined.islower())
    has_hyphens = any(re.search(r"\w-\w", word) for word in words)
    gap = "_" if "_" in joined else "-" if has_hyphens else "_" if is_coded else " "
    cases: list[Callable[[str], str]] = [str.upper, str.lower, str.title]
    case = next((change for change in cases if all(change(word) == word for word in words)), str.capitalize)
    return lambda word: case(word).replace(" ", gap)


def _plain(word: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", word.casefold()))
