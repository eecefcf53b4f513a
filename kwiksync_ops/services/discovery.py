"""A system that is not set up yet: called, listed, and looked at object by object."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kwiksync_ops.batch import SourceRecord
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.discovery import FieldInfo, ObjectInfo
from kwiksync_ops.connectors.registry import open_discovery, open_source
from kwiksync_ops.mapping.proposals.profile import Declared, FieldProfile, profile_records
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.vocabulary import TABLE_PREFIX

SAMPLE_RECORDS = 1_000
"""References are known by their values, so that a few records would tell little. It is one page, one call."""

_ENDING = re.compile(r"(\.(?:csv|tsv|txt|xlsx?|jsonl?|ndjson|parquet|gz|zip|svc))+$", re.IGNORECASE)


@dataclass(frozen=True)
class Inspected:
    """An object of a system, as it was found. `options` are those that a read of it needs beside the system's."""

    info: ObjectInfo
    records: Sequence[SourceRecord]
    fields: Sequence[FieldProfile]
    options: Mapping[str, Any]
    is_complete: bool = False
    rejected: int = 0

    @property
    def noun(self) -> str:
        return noun_of(self.info.name)

    def field(self, name: str) -> FieldProfile | None:
        return next((profile for profile in self.fields if profile.name == name), None)


class Explorer:
    """A system that is being looked at. Every call goes through the limiter."""

    def __init__(
        self, kind: str, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._opened = (kind, credentials, options, limiter, clock)
        self._discovery = open_discovery(*self._opened)

    def check(self) -> str:
        """Call the system once and say what was found."""
        with closing(open_source(*self._opened)) as source:
            return source.check()

    def objects(self, catalogue: str = "") -> Sequence[ObjectInfo]:
        """See `Discovery.objects`."""
        return self._discovery.objects(catalogue)

    def inspect(self, info: ObjectInfo) -> Inspected:
        """Fields as the system declares them and as a page of its records shows them."""
        declared = {field.name: _declared(field) for field in self._discovery.fields(info.name)}
        options = self._discovery.options(info.name)
        sample = self._discovery.sample(info.name, SAMPLE_RECORDS)
        profiles = profile_records(sample.records, declared)
        return Inspected(info, sample.records, profiles, options, sample.is_complete, sample.rejected)

    def close(self) -> None:
        self._discovery.close()


def noun_of(name: str) -> str:
    """What an object's name says that its records are: `/api/v1/tickets`, `dbo.tickets` and `tickets_*.csv` alike."""
    last = _ENDING.sub("", name.strip("/").rpartition("/")[2].partition("?")[0])
    plain = last.removeprefix(TABLE_PREFIX).rpartition(".")[2]
    return re.sub(r"[*?\[\]{}\d]+", " ", plain).strip(" _-") or last


def _declared(field: FieldInfo) -> Declared:
    return Declared(field.type, field.label, field.required, field.is_key, field.references, field.choices)
