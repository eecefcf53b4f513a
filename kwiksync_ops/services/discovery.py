"""A system that is not set up yet: called, listed, and looked at object by object."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kwiksync_ops.batch import SourceRecord
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.discovery import FieldInfo, ObjectInfo, Sending
from kwiksync_ops.connectors.registry import open_discovery
from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.proposals.matching import table_likeness
from kwiksync_ops.mapping.proposals.profile import Declared, FieldProfile, profile_records
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.services.connections import variable_of
from kwiksync_ops.vocabulary import RECORD_TABLES, TABLE_PREFIX

SAMPLE_RECORDS = 1_000
"""References are known by their values, so that a few records would tell little. It is one page, one call."""

UTC_KINDS = ("servicenow",)
"""Kinds whose times are UTC where they name no zone."""

_LIKELY, _CANDIDATES, _SHOWN = 0.6, 3, 12
_CONNECTIONS = {
    "files": ("kwiksync_files", "sftp://files.example.com/in", " --conn-login … --conn-password …"),
    "odata": ("kwiksync_odata", "https://s4.example.com/sap/opu/odata4/…", " --conn-login … --conn-password …"),
    "rest": ("kwiksync", "https://erp.example.com/api", " --conn-password TOKEN"),
    "servicenow": ("kwiksync_servicenow", "https://acme.service-now.com", " --conn-login … --conn-password …"),
    "sql": ("kwiksync_sql", "postgresql+psycopg://db.example.com/erp", " --conn-login … --conn-password …"),
}
_ENDING = re.compile(r"(\.(?:csv|tsv|txt|xlsx?|jsonl?|ndjson|parquet|gz|zip|svc))+$", re.IGNORECASE)


@dataclass(frozen=True)
class Inspected:
    """An object of a system, as it was found. `options` are those that a read of it needs beside the system's."""

    info: ObjectInfo
    records: Sequence[SourceRecord]
    fields: Sequence[FieldProfile]
    options: Mapping[str, Any]
    is_complete: bool = False

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
        self._options = options
        self._discovery = open_discovery(kind, credentials, options, limiter, clock)

    def check(self) -> str:
        """Call the system once and say what was found."""
        return self._discovery.check()

    def objects(self, catalogue: str = "") -> Sequence[ObjectInfo]:
        """See `Discovery.objects`."""
        return self._discovery.objects(catalogue)

    def inspect(self, info: ObjectInfo, given: Mapping[str, Any] | None = None) -> Inspected:
        """Fields as the system declares them and as a page of its records shows them; `given` options are kept.

        Raises:
            ConfigurationError: no record of it can be read, or it has none and declares no fields.
        """
        options = self._discovery.options(info.name, given or {})
        declared = {field.name: _declared(field) for field in self._discovery.fields(info.name, options)}
        sample = self._discovery.sample(info.name, SAMPLE_RECORDS, options)
        profiles = profile_records(sample.records, declared)
        if sample.problem and not sample.records:
            raise ConfigurationError(
                f"No record of {info.name} can be read: {sample.problem}",
                remedy="Say by --option how they are written, such as --option encoding=cp1252.",
            )
        if not profiles:
            raise ConfigurationError(
                f"{info.name} is empty, so that nothing tells which fields it has.",
                remedy="Connect it when it has records, or leave it out.",
            )
        return Inspected(info, sample.records, profiles, options, sample.is_complete)

    def push(self, inspected: Inspected, sending: Sending) -> Mapping[str, Any]:
        """See `Discovery.push`; a `push` that was given stays as it is."""
        given: Mapping[str, Any] = {**self._options, **inspected.options}.get("push", {})
        return given or self._discovery.push(inspected.info.name, sending, inspected.options)

    def close(self) -> None:
        self._discovery.close()


def likely_objects(objects: Sequence[ObjectInfo]) -> dict[str, str]:
    """The objects whose names or labels mean a KWikSync table: the best few for each, with that table."""
    likely: dict[str, str] = {}
    for table in RECORD_TABLES:
        scored = [(_likeness(info, table), info.name) for info in objects]
        best = sorted((each for each in scored if each[0] >= _LIKELY), key=lambda each: -each[0])[:_CANDIDATES]
        likely |= {name: likely.get(name, table) for _, name in best}
    return likely


def named_objects(
    objects: Sequence[ObjectInfo], names: Sequence[str], unlisted: Collection[str] = ()
) -> list[ObjectInfo]:
    """The objects of these names. Those of `unlisted`, such as paths, patterns and queries, may be in no list.

    Raises:
        ConfigurationError: the system lists its objects, and has none of such a name.
    """
    known = {info.name: info for info in objects}
    for name in names:
        if known and name not in known and name not in unlisted:
            hint = did_you_mean(name, known) or f" There are: {', '.join(list(known)[:_SHOWN])}."
            raise ConfigurationError(f"The system has no object {name!r}.{hint}")
    return [known.get(name) or ObjectInfo(name) for name in names]


def how_to_make_a_connection(kind: str, connection_id: str) -> str:
    """For a person who has none yet."""
    type_, host, others = _CONNECTIONS[kind]
    return (
        f"Make it in the Airflow UI (Admin, Connections, type {type_}), or by: airflow connections add {connection_id} "
        f"--conn-type {type_} --conn-host {host}{others}; or set {variable_of(connection_id)} to "
        f'{{"conn_type": "{type_}", "host": "{host}", …}}. Then run this command again.'
    )


def noun_of(name: str) -> str:
    """What an object's name says that its records are: `/api/v1/tickets`, `dbo.tickets` and `tickets_*.csv` alike."""
    path = name.partition("?")[0] or name
    last = _ENDING.sub("", path.strip("/").rpartition("/")[2])
    plain = last.removeprefix(TABLE_PREFIX).rpartition(".")[2]
    return re.sub(r"[*?\[\]{}\d]+", " ", plain).strip(" _-") or last


def _likeness(info: ObjectInfo, table: str) -> float:
    names = filter(None, (noun_of(info.name), info.label))
    return max(table_likeness(table, name) for name in names)


def _declared(field: FieldInfo) -> Declared:
    return Declared(
        field.type, field.label, field.required, field.is_key, field.references, field.choices, field.is_generated
    )
