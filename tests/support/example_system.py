"""An example of include/systems/examples as it stands, with a real system behind it: read, mapped, written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import Position, ReadRequest, Source
from kwiksync_ops.connectors.target import Delivery, PushRequest, Receipt, Target
from kwiksync_ops.mapping.compiler import compile_mapping
from kwiksync_ops.mapping.files import read_mapping
from kwiksync_ops.mapping.outbound import compile_outbound, nested
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action, Direction

INCLUDE = Path(__file__).parents[2] / "include"


class _NoLookups:
    """A hub without records: what is looked for there is the value that was given, so that it can be seen."""

    def find(self, table: str, match_field: str, return_field: str, values: Any) -> Mapping[str, str]:
        return {value: value for value in values}


@dataclass
class ExampleSystem:
    """`name` is the file's; `page_records` is small, so that there are several pages."""

    name: str
    credentials: Credentials
    page_records: int = 3
    clock: ManualClock = field(default_factory=ManualClock)
    limiter: Unlimited = field(default_factory=Unlimited)

    @property
    def spec(self) -> SystemSpec:
        return load_system(INCLUDE / "systems" / "examples" / f"{self.name}.yaml", INCLUDE / "mappings")

    def table(self, name: str) -> TableSpec:
        return next(table for table in self.spec.tables if table.table == name)

    def check(self) -> str:
        with closing(self.source()) as source:
            return source.check()

    def records(self, name: str, since: Position | None = None) -> list[Any]:
        """As the connector reads them, in pages of `page_records` whatever the file says."""
        table = self.table(name)
        request = ReadRequest(
            table.source,
            table.key,
            cursor_field=table.cursor.field if table.cursor else None,
            cursor_format=table.cursor.format if table.cursor else "iso",
            page_records=self.page_records,
            since=since,
            options={**table.options, "pagination": {**table.options["pagination"], "page_size": self.page_records}},
        )
        with closing(self.source()) as source:
            pages = list(source.read(request))
        assert [reject for page in pages for reject in page.rejects] == []
        assert len(pages) > 1 or since is not None
        return [record for page in pages for record in page.records]

    def rows(self, name: str, since: Position | None = None) -> dict[str, dict[str, Any]]:
        """As the hub gets them, by external id: what is not null."""
        table = self.table(name)
        compiled = compile_mapping(
            read_mapping(INCLUDE / "mappings" / table.mapping, self.name),
            key_field=table.key,
            cursor_field=table.cursor.field if table.cursor else "",
            cursor_format=table.cursor.format if table.cursor else "iso",
            cursor_timezone="UTC",
        )
        batch = compiled.apply(self.records(name, since), _NoLookups())
        assert batch.rejects == []
        assert None not in batch.versions
        rows = [dict(zip(batch.columns, row, strict=True)) for row in batch.rows]
        return {
            row["external_id"]: {
                name: value for name, value in row.items() if value is not None and name != "external_id"
            }
            for row in rows
        }

    def source(self) -> Source:
        return open_source(self.spec.kind, self.credentials, self.spec.options, self.limiter, self.clock)

    def target(self) -> Target:
        return open_target(self.spec.kind, self.credentials, self.spec.options, self.limiter, self.clock)

    def push(self, name: str, *deliveries: Delivery) -> list[Receipt]:
        with closing(self.target()) as target:
            return target.push(self.push_request(name), deliveries)

    def look(self, name: str, *deliveries: Delivery) -> list[Receipt]:
        with closing(self.target()) as target:
            return target.look(self.push_request(name), deliveries)

    def push_request(self, name: str) -> PushRequest:
        table = self.table(name)
        return PushRequest(table.source, table.key, options=table.options)

    def create(self, name: str, number: int, **row: Any) -> Delivery:
        return self._delivery(Action.CREATE, number, payload=self._payload(name, row, row))

    def update(self, name: str, key: str, row: Mapping[str, Any], **changed: Any) -> Delivery:
        """A row of the hub in which these columns are new."""
        return self._delivery(Action.UPDATE, 0, key=key, payload=self._payload(name, {**row, **changed}, changed))

    def delete(self, key: str) -> Delivery:
        return self._delivery(Action.DELETE, 0, key=key, payload={})

    def _delivery(self, action: Action, number: int, **what: Any) -> Delivery:
        given = {"key": None, **what}
        return Delivery(f"d{number}", action, idempotency_key=f"once-{number}", record_id=f"{number:032x}", **given)

    def _payload(self, name: str, row: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
        mapping = read_mapping(INCLUDE / "mappings" / self.table(name).outbound_mapping, self.name, Direction.OUTBOUND)
        compiled = compile_outbound(mapping)
        formatted = compiled.apply([{**dict.fromkeys(compiled.columns), **row}], _NoLookups())
        assert formatted.rejects == []
        wanted = compiled.fields_of(changed)
        return nested({field: value for field, value in (formatted.payloads[0] or {}).items() if field in wanted})
