"""What an outbound mapping asks of the hub."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from kwiksync_ops.storage.bulk import among
from kwiksync_ops.storage.models import RECORD_LINK
from kwiksync_ops.storage.records import HubLookups
from kwiksync_ops.vocabulary import short_name


class OutwardLookups(HubLookups):
    """From a sys_id to the id that the system has for the record; all else as on the way in."""

    def find(self, table: str, match_field: str, return_field: str, values: Collection[str]) -> Mapping[str, str]:
        if (match_field, return_field) != ("sys_id", "external_id"):
            return super().find(table, match_field, return_field, values)
        link = RECORD_LINK
        with self._hub.read() as connection:
            found = sa.select(link.c.sys_id, link.c.external_id).where(
                among(connection, link.c.sys_id, values),
                link.c.system == self._system,
                link.c.table_name == short_name(table),
            )
            # Of a record that a system has twice, the first id counts, as where the record itself is sent.
            rows = connection.execute(found.order_by(link.c.external_id.desc())).all()
            return {row[0]: row[1] for row in rows}
