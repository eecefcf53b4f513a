"""Rejected records once more: their kept payload, by the mapping that is active now, as a run of its own."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kwiksync_ops.batch import MappedBatch, SourceRecord
from kwiksync_ops.clock import Clock
from kwiksync_ops.errors import ConflictError
from kwiksync_ops.mapping.compiler import CompiledMapping
from kwiksync_ops.mapping.rules import FieldRule
from kwiksync_ops.redaction import MASK, Redactor
from kwiksync_ops.services.configuration import applied_mapping
from kwiksync_ops.services.errors import ErrorRow
from kwiksync_ops.services.inbound import finish
from kwiksync_ops.services.outcome import end_run, record_failure
from kwiksync_ops.services.rejections import error_entries
from kwiksync_ops.services.sync import new_run_id
from kwiksync_ops.services.systems import find_system, find_table
from kwiksync_ops.services.table_sync import Run, TableSync, take_lease
from kwiksync_ops.storage import batches, error_log
from kwiksync_ops.storage.batches import Batch, Counts
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.records import HubLookups
from kwiksync_ops.vocabulary import BATCH_RECORDS, RECORD_TABLES, Direction, Mode, Resolution, TransformType, Trigger


@dataclass(frozen=True)
class ReplayOutcome:
    """What became of an Error Log row: `replayed`, `rejected` again, or `skipped` since it can't be replayed."""

    sys_id: str
    external_id: str | None
    table: str | None
    outcome: str
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Replayed:
    run_ids: tuple[str, ...]
    outcomes: tuple[ReplayOutcome, ...]
    counts: Counts

    def count(self, outcome: str) -> int:
        return sum(each.outcome == outcome for each in self.outcomes)


@dataclass(frozen=True)
class _Candidate:
    row: ErrorRow
    record: SourceRecord


def replay(
    hub: Hub,
    include: Path,
    rows: Sequence[ErrorRow],
    *,
    who: str,
    clock: Clock,
    advance: Callable[[int], None] = lambda _count: None,
) -> Replayed:
    """Map and load the payloads of these rows. Those that are taken become `replayed`; the others stay open.

    A payload that is older than what the hub has by now changes nothing there. `advance` is told of each batch's rows.

    Raises:
        LeaseError: another sync runs.
        ConfigurationError: a system is not declared any more, or its mapping was never applied.
    """
    outcomes: list[ReplayOutcome] = []
    counts, run_ids = Counts(), []
    for system, of_system in _by_system(rows).items():
        run = Run(new_run_id("replay", clock), find_system(include, system), Trigger.REPLAY, Mode.FULL, who)
        token = take_lease(hub, run.run_id)
        run_ids.append(run.run_id)
        try:
            for name, of_table in _by_table(of_system):
                table = find_table(run.system, name)
                done, told = _replay_table(TableSync(hub, run, table, clock, token), of_table, advance)
                counts += done
                outcomes += told
        finally:
            end_run(hub, run.run_id, clock)
    rest = {row["sys_id"] for row in rows} - {outcome.sys_id for outcome in outcomes}
    outcomes += [_skipped(row, _why_not(row) or "") for row in rows if row["sys_id"] in rest]
    return Replayed(tuple(run_ids), tuple(outcomes), counts)


def _by_system(rows: Sequence[ErrorRow]) -> dict[str, list[ErrorRow]]:
    found: dict[str, list[ErrorRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["occurred"]):
        if _why_not(row) is None:
            found[row["system"]].append(row)
    return found


def _by_table(rows: Sequence[ErrorRow]) -> Iterator[tuple[str, list[ErrorRow]]]:
    """In load order: what a table refers to comes before it."""
    for name in RECORD_TABLES:
        if found := [row for row in rows if row["table_name"] == name]:
            yield name, found


def _why_not(row: ErrorRow) -> str | None:
    if row["resolution"] != Resolution.OPEN:
        return f"It is {row['resolution']} already."
    if row["code"] == ConflictError.code:
        return "It is a conflict, for you to decide: kwiksync conflicts list, or the record at its system."
    if row["direction"] == Direction.OUTBOUND:
        return "It is a delivery: kwiksync outbox list, then kwiksync outbox resend."
    if row["table_name"] not in RECORD_TABLES or row["payload"] is None:
        return "It belongs to a sync, not to a record: sync again."
    if not isinstance(row["payload"], dict):
        return "Its payload was not kept whole: sync the table again, with --from before the record's change time."
    return None


def _replay_table(
    sync: TableSync, rows: Sequence[ErrorRow], advance: Callable[[int], None]
) -> tuple[Counts, list[ReplayOutcome]]:
    candidates, outcomes = _candidates(sync, rows)
    if not candidates:
        return Counts(), outcomes
    sync.start()
    mapping, lookups = sync.mapping(), HubLookups(sync.hub, sync.run.system.system)
    try:
        for number, start in enumerate(range(0, len(candidates), BATCH_RECORDS), 1):
            part = candidates[start : start + BATCH_RECORDS]
            outcomes += _replay_batch(sync, number, part, mapping, lookups)
            advance(len(part))
    except Exception as exc:
        record_failure(sync, exc, 1, ())
        raise
    return finish(sync), outcomes


def _candidates(sync: TableSync, rows: Sequence[ErrorRow]) -> tuple[list[_Candidate], list[ReplayOutcome]]:
    with sync.hub.read() as connection:
        rules = applied_mapping(connection, sync.run.system.system, sync.table.table).rules
    cursor = [sync.table.cursor.field] if sync.table.cursor else []
    candidates, skipped = [], []
    for row in rows:
        masked = _masked_field(row["payload"], rules, cursor)
        if masked is None:
            candidates.append(_Candidate(row, deepcopy(row["payload"])))
        else:
            why = f"Its field {masked} was removed as a secret, and the mapping reads it: sync the table again."
            skipped.append(_skipped(row, why))
    return candidates, skipped


def _replay_batch(
    sync: TableSync, number: int, candidates: Sequence[_Candidate], mapping: CompiledMapping, lookups: HubLookups
) -> list[ReplayOutcome]:
    mapped = mapping.apply([candidate.record for candidate in candidates], lookups)
    again = _rejected_again(candidates, mapped)
    taken = [each.row for each in candidates if each.row["sys_id"] not in again]
    author = sync.author()

    def write(connection: Connection) -> None:
        ids = [row["sys_id"] for row in taken]
        error_log.close(connection, ids, Resolution.REPLAYED, who=author.who, now=author.now)
        for sys_id, entry in again.items():
            error_log.retell(connection, sys_id, entry)
        batch = Batch(number, replace(mapped, rejects=[]), ())
        batches.load(connection, sync.key, batch, author, sync.token, heals=False)

    sync.hub.write(write)
    return [_outcome(each.row, again.get(each.row["sys_id"])) for each in candidates]


def _rejected_again(candidates: Sequence[_Candidate], mapped: MappedBatch) -> dict[str, ErrorEntry]:
    """By the row's sys_id. A reject is known by its record, since a faulty record may have no key."""
    by_record = {id(candidate.record): candidate.row["sys_id"] for candidate in candidates}
    rejects = defaultdict(list)
    for reject in mapped.rejects:
        rejects[by_record[id(reject.payload)]].append(reject)
    return {sys_id: error_entries(found, Redactor())[0] for sys_id, found in rejects.items()}


def _outcome(row: ErrorRow, again: ErrorEntry | None) -> ReplayOutcome:
    outcome = ReplayOutcome(row["sys_id"], row["external_id"], row["table_name"], "replayed")
    return replace(outcome, outcome="rejected", code=again.code, message=again.message) if again else outcome


def _skipped(row: ErrorRow, why: str) -> ReplayOutcome:
    return ReplayOutcome(row["sys_id"], row["external_id"], row["table_name"], "skipped", row["code"], why)


def _masked_field(payload: Mapping[str, Any], rules: Sequence[FieldRule], cursor: Sequence[str]) -> str | None:
    """A field that holds a mask instead of its secret, and that the mapping would read."""
    masked = {name for name, value in payload.items() if MASK in json.dumps(value, default=str)}
    if not masked:
        return None
    active = [rule for rule in rules if rule.active]
    if any(rule.transform is TransformType.SCRIPT for rule in active):
        return min(masked)
    read = {rule.source_field for rule in active} | set(cursor)
    read |= {name for rule in active for name in rule.config.get("fields", ())}
    return min(masked & {part for name in read for part in (name, name.split(".")[0])}, default=None)
