"""What a person decides about deliveries that KWikSync must not decide by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kwiksync_ops.clock import Clock
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.storage import audit, error_log, outbox
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.outbox import Result
from kwiksync_ops.vocabulary import Action, DeliveryState, Resolution, short_name

DeliveryRow = Mapping[str, Any]
"""A row of the outbox."""

_UNDECIDED = (DeliveryState.UNCONFIRMED, DeliveryState.REFUSED)


@dataclass(frozen=True)
class DeliveryFilter:
    """Which deliveries; None asks for all. `is_open`: only those that have not ended well."""

    system: str | None = None
    table: str | None = None
    state: DeliveryState | None = None
    is_open: bool = True


def search_deliveries(hub: Hub, wanted: DeliveryFilter, *, limit: int) -> list[DeliveryRow]:
    """Deliveries, newest first."""
    with hub.read() as connection:
        rows = outbox.search(
            connection,
            system=wanted.system,
            table=short_name(wanted.table) if wanted.table else None,
            state=wanted.state,
            is_open=wanted.is_open,
            limit=limit,
        )
    return [dict(row) for row in rows]


def find_delivery(hub: Hub, sys_id: str) -> DeliveryRow:
    """A delivery, by its id or the first digits of it.

    Raises:
        ConfigurationError: none has this id, or more than one.
    """
    with hub.read() as connection:
        rows = outbox.starting_with(connection, sys_id)
    if len(rows) != 1:
        raise ConfigurationError(
            f"{'No delivery has' if not rows else 'More than one delivery has'} an id that begins with {sys_id!r}.",
            remedy="Take the id from kwiksync outbox list, with more of its digits.",
        )
    return dict(rows[0])


def confirm_delivery(hub: Hub, sys_id: str, *, key: str | None, who: str, clock: Clock) -> DeliveryRow:
    """The person saw it at the system: hub and system agree from here on.

    Args:
        key: the id that the system gave the record; needed where it is not known.

    Raises:
        ConfigurationError: the delivery is not one to decide about, or its id at the system is missing.
    """
    row = _undecided(hub, sys_id)
    if row["action"] == Action.CREATE and not (key or row["external_id"]):
        raise ConfigurationError(
            f"The delivery {row['sys_id']} created a record at {row['system']}; its id there is not known.",
            remedy="Look it up there, and say it: --key ID.",
        )
    result = Result(row["sys_id"], DeliveryState.CONFIRMED, external_id=key)
    _decide(hub, [row], [result], "delivery.confirm", who=who, clock=clock)
    return find_delivery(hub, row["sys_id"])


def resend_deliveries(hub: Hub, sys_ids: Sequence[str], *, who: str, clock: Clock) -> int:
    """The person knows that they did not arrive, or has mended what refused them: the next run sends them anew."""
    rows = [_undecided(hub, sys_id) for sys_id in sys_ids]
    results = [Result(row["sys_id"], DeliveryState.AGAIN) for row in rows]
    _decide(hub, rows, results, "delivery.resend", who=who, clock=clock)
    return len(rows)


def _undecided(hub: Hub, sys_id: str) -> DeliveryRow:
    row = find_delivery(hub, sys_id)
    if row["state"] not in _UNDECIDED:
        raise ConfigurationError(
            f"The delivery {row['sys_id']} is {row['state']}: there is nothing to decide about it.",
            remedy="kwiksync outbox list shows those that wait for you: unconfirmed and refused ones.",
        )
    return row


def _decide(
    hub: Hub, rows: Sequence[DeliveryRow], results: Sequence[Result], action: str, *, who: str, clock: Clock
) -> None:
    """One transaction: the deliveries, their error rows, the audit."""

    def work(connection: Connection) -> None:
        now = clock.now()
        for row, result in zip(rows, results, strict=True):
            outbox.end(connection, row["table_name"], [result], now=now)
            name = row["external_id"] or row["record_sys_id"]
            open_rows = error_log.search(
                connection, system=row["system"], table=row["table_name"], resolution=Resolution.OPEN, external_id=name
            )
            error_log.close(connection, [each["sys_id"] for each in open_rows], Resolution.RESOLVED, who=who, now=now)
            details = {"state": [row["state"], str(result.state)], "record": row["record_sys_id"]}
            subject = f"{row['table_name']} to {row['system']}: {row['sys_id']}"
            audit.append(connection, action, subject, who=who, now=now, run_id=row["run_id"], details=details)

    hub.write(work)
