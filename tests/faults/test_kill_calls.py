"""kill -9 at every commit of a REST call with an Idempotency-Key: called again, it has made one record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import sqlalchemy as sa

from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.kept_answers import IN_FLIGHT_FOR
from kwiksync_ops.storage.models import RECORDS
from tests.support.killed_call import KilledCall, call_processes
from tests.support.killed_sync import KILLED

NOW = datetime(2026, 1, 15, 6, tzinfo=UTC)
LATER = NOW + IN_FLIGHT_FOR + timedelta(seconds=1)
NEVER = 1_000


def records(hub: Hub) -> list[str]:
    with hub.read() as connection:
        return list(connection.execute(sa.select(RECORDS["tickets"].c.number)).scalars())


def test_a_call_that_is_killed_and_made_again_makes_one_record(hub: Hub) -> None:
    url = hub.engine.url.render_as_string(hide_password=False)
    calls: list[str] = []
    with call_processes() as processes:

        def ended(at: datetime, kill_at: int) -> int:
            processes.start(KilledCall(url, at.isoformat(), kill_at, calls[-1]))
            return processes.wait()

        for kill_at in count(1):
            calls.append(f"call-{kill_at}")
            code = ended(NOW, kill_at)
            assert code in (0, KILLED)
            assert ended(LATER, NEVER) == 0
            if code == 0:
                break
    assert len(calls) > 6
    assert sorted(records(hub)) == sorted(calls)
