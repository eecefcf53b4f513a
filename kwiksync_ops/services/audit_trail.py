"""The audit trail: proven whole, looked through, written out, anchored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kwiksync_ops.clock import Clock
from kwiksync_ops.services.settings import read_settings_of
from kwiksync_ops.settings import Settings
from kwiksync_ops.storage import anchors, audit
from kwiksync_ops.storage.audit import Anchor, AuditFault, AuditFilter
from kwiksync_ops.storage.hub import Hub


@dataclass(frozen=True)
class Verified:
    """`fault` is the first that was found; `anchored` is the newest anchor that the trail agrees with."""

    rows: int
    fault: AuditFault | None
    anchors: int
    anchored: Anchor | None


def verify_trail(hub: Hub, settings: Settings) -> Verified:
    """Every row against the one before it, and every anchor against the trail."""
    kept = anchors.read_all(_place(hub, settings))
    with hub.read() as connection:
        rows = audit.count(connection)
        fault = audit.verify(connection, hub.audit_keys)
        cut = (audit.check_anchor(connection, hub.audit_keys, each) for each in kept)
        fault = fault or next((found for found in cut if found), None)
    return Verified(rows, fault, len(kept), kept[-1] if kept and fault is None else None)


def search_trail(hub: Hub, wanted: AuditFilter, *, limit: int) -> list[dict[str, Any]]:
    with hub.read() as connection:
        return audit.search(connection, wanted, limit=limit)


def export_trail(hub: Hub, wanted: AuditFilter, *, who: str, clock: Clock) -> Iterator[dict[str, Any]]:
    """All rows, the oldest first. That they were taken out is a row itself."""
    details = {name: value for name, value in vars(wanted).items() if value is not None}
    hub.write(
        lambda connection: audit.append(
            connection, "audit.export", "audit trail", who=who, now=clock.now(), details=details
        )
    )
    with hub.read() as connection:
        yield from audit.export(connection, wanted)


def anchor_trail(hub: Hub, settings: Settings, clock: Clock) -> Anchor | None:
    """Keep the trail's last row elsewhere; None where the trail is empty."""
    with hub.read() as connection:
        made = audit.anchor(connection, hub.audit_keys, now=clock.now())
    if made is not None:
        anchors.write(_place(hub, settings), made)
    return made


def _place(hub: Hub, settings: Settings) -> str:
    with hub.read() as connection:
        place = read_settings_of(connection, "audit.")["anchor"]
    return str(place or settings.home.absolute().as_uri())
