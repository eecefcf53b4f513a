"""The demo's chapter on the way back: edits on both sides, two of them in conflict, and who decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from demo_workspace import DemoError
from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services import conflicts
from kwiksync_ops.services.conflicts import HUB, SYSTEM, Conflict
from kwiksync_ops.services.edit import edit_record
from kwiksync_ops.storage import record_search

if TYPE_CHECKING:
    from demo_story import Demo

WHO = "make demo"
TABLE = "tickets"
ACTIVE, LOW, LOW_WORDS = "2", "4", "4 - Low"
EDITED = 5
PRIORITIES = {"1": "1 - Critical", "2": "2 - High"}

Ticket = Mapping[str, Any]


def tell(demo: Demo) -> None:
    """Edit, bring in what the ERP changed, decide the conflicts, deliver what the hub changed, look at the ERP."""
    screen = demo.screen
    screen.title("3  Both ways: tickets are edited in the hub and in the ERP")
    tickets = _choose(demo)
    _edit(demo, tickets)
    demo.sync("incremental", tables=[TABLE])
    _decide(demo)
    screen.title("4  The way back: the outbound DAG is triggered")
    demo.sync("incremental", direction="outbound")
    _look(demo, tickets)


def _choose(demo: Demo) -> Sequence[Ticket]:
    """Active tickets of no great priority that the ERP has in the same state."""
    faulty = demo.erp.faulty_ids(TABLE)
    with demo.hub.read() as connection:
        rows = [dict(row) for row in record_search.search(connection, TABLE)]
    found = [
        row
        for row in sorted(rows, key=lambda row: str(row["external_id"]))
        if row["state"] == ACTIVE and row["priority"] not in (*PRIORITIES, LOW) and row["external_id"] not in faulty
    ][:EDITED]
    if len(found) < EDITED:
        raise DemoError(f"The hub has no {EDITED} active tickets to edit.", remedy="Start the demo again.")
    return found


def _edit(demo: Demo, tickets: Sequence[Ticket]) -> None:
    first, second, third, fourth, fifth = tickets
    _in_hub(demo, first, short_description="The gate answers again; edited in the hub")
    _at_erp(demo, second, category="Edited in the ERP")
    _in_hub(demo, third, assigned_to="Resolver 7")
    _at_erp(demo, third, description="Edited in the ERP, while the hub assigned it")
    for ticket, priority in ((fourth, "1"), (fifth, "2")):
        _in_hub(demo, ticket, priority=priority)
        _at_erp(demo, ticket, priority=LOW_WORDS)
    demo.screen.line(
        f"  One in the hub, one in the ERP, one in both; {fourth['number']} and {fifth['number']} are given"
    )
    demo.screen.line("  another priority on each side: the ERP's file says that a person decides such a conflict.")


def _in_hub(demo: Demo, ticket: Ticket, **values: Any) -> None:
    edit_record(demo.hub, TABLE, ticket["sys_id"], values, who=WHO, clock=SystemClock())


def _at_erp(demo: Demo, ticket: Ticket, **fields: Any) -> None:
    demo.erp.edit(TABLE, ticket["external_id"], **fields)


def _decide(demo: Demo) -> None:
    """The first conflict is decided for the hub, the other for the ERP."""
    found = sorted(conflicts.list_conflicts(demo.hub, table=TABLE), key=lambda one: one.external_id)
    demo.screen.line(
        f"  {len(found)} conflicts; kwiksync conflicts list shows them, kwiksync conflicts resolve decides:"
    )
    for conflict, use in zip(found, (HUB, SYSTEM), strict=False):
        _show(demo, conflict, use)
        conflicts.resolve_conflict(demo.hub, conflict.sys_id, use=use, who=WHO, clock=SystemClock())


def _show(demo: Demo, conflict: Conflict, use: str) -> None:
    stands = {HUB: "the hub's stands", SYSTEM: "the ERP's stands"}[use]
    was, hub, theirs = conflict.base, conflict.hub, conflict.theirs
    name = f"{conflict.external_id} {conflict.field}"
    demo.screen.line(f"  ERR_009  {name}: was {was}, in the hub {hub}, in the ERP {theirs}; {stands}", "yellow")


def _look(demo: Demo, tickets: Sequence[Ticket]) -> None:
    """What the ERP has now of what was edited in the hub."""
    first, _, third, fourth, fifth = (demo.erp.record(TABLE, ticket["external_id"]) for ticket in tickets)
    demo.screen.line("  In the ERP now:")
    demo.screen.pairs(
        [
            (first["ticket_id"], first["description"]),
            (third["ticket_id"], f"{third['assigned_to']}: {third['description']}"),
            (fourth["ticket_id"], fourth["priority"]),
            (fifth["ticket_id"], fifth["priority"]),
        ]
    )
