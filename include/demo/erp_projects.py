"""Projects from NASA's software catalogue, and the deliverables that each of them owes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from erp_history import FIRST_MOMENT, UNKNOWN, Change, Record, every, pick, us_date, us_minute

PRIORITIES = ("LOW", "NORMAL", "NORMAL", "HIGH")
DELIVERABLE_TYPES = ("Requirements", "Design", "Source Code", "Test Report", "User Guide")
ENTERED_DAYS_BEFORE_START = 30


@dataclass(frozen=True)
class Plan:
    """A project's dates; `stop` is the status of one that was put on hold or cancelled."""

    id: str
    start: datetime
    end: datetime
    stop: str | None

    @property
    def entered_at(self) -> datetime:
        return self.start - timedelta(days=ENTERED_DAYS_BEFORE_START)

    def status(self, moment: datetime) -> str:
        if moment < self.start:
            return "PLANNED"
        return self.stop or ("COMPLETED" if moment >= self.end else "IN_PROGRESS")

    def percent_complete(self, moment: datetime) -> float:
        share = (moment - self.start) / (self.end - self.start)
        if self.stop:
            share = min(share, 0.4)
        return round(100 * min(max(share, 0.0), 1.0), 2)

    def moments(self) -> list[datetime]:
        """When the ERP's record changed: entered, started, ended, and at each weekly report between."""
        weekly = every(7, "report", self.id)
        before = self.entered_at + (FIRST_MOMENT - self.entered_at) * 0.9
        reports = [moment for moment in (before, *weekly) if self.start < moment < self.end and not self.stop]
        known = [self.entered_at, *reports, self.start, self.end]
        return sorted(moment.replace(second=0, microsecond=0) for moment in known)


def make_plan(project: dict[str, Any]) -> Plan:
    number = project["number"]
    start = datetime.fromisoformat(project["date"]).replace(tzinfo=UTC) + timedelta(hours=8)
    days = 120 + pick(1_200, "duration", number)
    stop = {0: "CANCELLED", 1: "ON_HOLD"}.get(pick(14, "stop", number))
    return Plan(f"P-{number}", start, start + timedelta(days=days, hours=9), stop)


def project_changes(
    projects: Sequence[dict[str, Any]], sites: Sequence[str], customers: Sequence[str], managers: Sequence[str]
) -> Iterator[Change]:
    """`managers` are the people that can lead a project; each leads one at most, other projects have none."""
    for index, project in enumerate(projects):
        plan = make_plan(project)
        record: Record = {
            "project_id": plan.id,
            "project_number": project["number"],
            "project_name": project["name"],
            "description": project["description"],
            "program": project["organization"],
            "priority": PRIORITIES[pick(len(PRIORITIES), "priority", plan.id)],
            "start_date": us_date(plan.start),
            "end_date": us_date(plan.end),
            "customer_id": customers[pick(len(customers), "customer", plan.id)],
            "location_id": sites[pick(len(sites), "site", plan.id)],
            "manager": managers[index] if index < len(managers) else UNKNOWN,
        }
        for moment in plan.moments():
            progress = {"status": plan.status(moment), "percent_complete": plan.percent_complete(moment)}
            yield moment, record | progress


def deliverable_changes(projects: Sequence[dict[str, Any]]) -> Iterator[Change]:
    for project in projects:
        plan = make_plan(project)
        count = 2 + pick(len(DELIVERABLE_TYPES) - 1, "deliverables", plan.id)
        for index, kind in enumerate(DELIVERABLE_TYPES[:count], 1):
            due = plan.start + (plan.end - plan.start) * (index / count)
            yield from _deliverable_life(project, plan, kind, index, due.replace(minute=0, second=0, microsecond=0))


def _deliverable_life(project: dict[str, Any], plan: Plan, kind: str, index: int, due: datetime) -> Iterator[Change]:
    deliverable_id = f"D-{project['number']}-{index}"
    record: Record = {
        "deliverable_id": deliverable_id,
        "deliverable_number": f"{project['number']}/{index:02d}",
        "title": f"{kind}: {project['name']}",
        "project_id": plan.id,
        "type": kind,
        "stage": "PLANNED",
        "due_date": us_minute(due),
        "delivered_at": UNKNOWN,
        "accepted_by": UNKNOWN,
    }
    yield plan.entered_at, record
    if plan.stop:
        return
    yield due - timedelta(days=21), record | {"stage": "IN_WORK"}
    delivered = due + timedelta(minutes=pick(20 * 24 * 60, "delivered", deliverable_id) - 10 * 24 * 60)
    handed_in = record | {"stage": "DELIVERED", "delivered_at": us_minute(delivered)}
    yield delivered, handed_in
    accepted_by = f"Resolver {1 + pick(230, 'acceptance', deliverable_id)}"
    yield delivered + timedelta(days=5), handed_in | {"stage": "ACCEPTED", "accepted_by": accepted_by}
