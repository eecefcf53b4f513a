"""What an instance says of its own tables: `sys_db_object`, `sys_dictionary` and `sys_choice`, read like any table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from kwiksync_ops.batch import SourceRecord
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.discovery import FieldInfo, ObjectInfo, Sample, Sending, first_page
from kwiksync_ops.connectors.servicenow.source import ServiceNowSource
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.errors import AuthenticationError, ConfigurationError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.vocabulary import ColumnType

KEY = "sys_id"
_PLATFORM = ("sys_", "v_", "ts_", "sh$", "syslog", "ecc_", "sysauto", "sysevent", "sysrule", "sysapproval", "sysx_")
_TYPES = {
    "boolean": ColumnType.BOOLEAN,
    "decimal": ColumnType.DECIMAL,
    "due_date": ColumnType.DATETIME,
    "float": ColumnType.DECIMAL,
    "glide_date": ColumnType.DATE,
    "glide_date_time": ColumnType.DATETIME,
    "html": ColumnType.TEXT,
    "integer": ColumnType.INTEGER,
    "journal": ColumnType.TEXT,
    "journal_input": ColumnType.TEXT,
    "longint": ColumnType.INTEGER,
}


class ServiceNowDiscovery:
    """Needs to read the dictionary's tables; where a user may not, only the records tell which fields there are."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._source = ServiceNowSource(credentials, options, limiter, clock)
        self._tables: list[SourceRecord] | None = None

    def check(self) -> str:
        return self._source.check()

    def objects(self, catalogue: str = "") -> Sequence[ObjectInfo]:
        """The tables that hold records of the business, not of the platform, by name."""
        named = sorted((str(table["name"]), str(table["label"] or "")) for table in self._all_tables())
        return [ObjectInfo(name, label) for name, label in named if not name.startswith(_PLATFORM)]

    def fields(self, name: str, options: Mapping[str, Any]) -> Sequence[FieldInfo]:
        """Those of the table, and those that it has from the tables that it extends."""
        lineage = self._lineage(name)
        among = f"nameIN{','.join(lineage)}^elementISNOTEMPTY"
        entries = self._read(
            "sys_dictionary", among, "name", "element", "column_label", "internal_type", "mandatory", "reference"
        )
        own_first = sorted(entries, key=lambda entry: lineage.index(str(entry["name"])))
        by_element = {str(entry["element"]): entry for entry in reversed(own_first)}
        choices = self._choices(among) if by_element else {}
        return [_field(element, entry, choices.get(element, {})) for element, entry in by_element.items()]

    def options(self, name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return given

    def sample(self, name: str, records: int, options: Mapping[str, Any]) -> Sample:
        return first_page(self._source, ReadRequest(name, KEY, page_records=records, options=options))

    def push(self, name: str, sending: Sending, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Our own id goes along where the table has the field for it."""
        if sending.key != KEY:
            raise ConfigurationError(
                f"{name} is written by {KEY}, not by {sending.key}.", remedy=f"Let its key be {KEY}."
            )
        has_correlation = "correlation_id" in {field.name for field in self.fields(name, options)}
        return {"actions": list(sending.actions), **({} if has_correlation else {"correlation_field": ""})}

    def close(self) -> None:
        self._source.close()

    def _all_tables(self) -> list[SourceRecord]:
        if self._tables is None:
            tables = self._read("sys_db_object", "nameISNOTEMPTY", KEY, "name", "label", "super_class")
            self._tables = list(tables)
        return self._tables

    def _lineage(self, name: str) -> list[str]:
        """The table, the one that it extends, and so on."""
        by_id = {table[KEY]: table for table in self._all_tables()}
        table = next((each for each in self._all_tables() if each["name"] == name), None)
        lineage = [name]
        while table and (table := by_id.get(table["super_class"])) and table["name"] not in lineage:
            lineage.append(str(table["name"]))
        return lineage

    def _choices(self, among: str) -> dict[str, dict[str, str]]:
        """Labels by value, by element; what a table says itself wins over what it inherits."""
        found: dict[str, dict[str, str]] = {}
        rows = self._read("sys_choice", f"{among}^inactive=false^language=en", "element", "value", "label")
        for row in rows:
            if row["value"] is not None:
                found.setdefault(str(row["element"]), {})[str(row["value"])] = str(row["label"] or row["value"])
        return found

    def _read(self, table: str, query: str, *fields: str) -> Iterator[SourceRecord]:
        options = {"query": query, "fields": list(dict.fromkeys((KEY, *fields)))}
        pages = self._source.read(ReadRequest(table, KEY, options=options))
        with closing(pages):  # type: ignore[type-var]  # a generator
            try:
                for page in pages:
                    yield from page.records
            except AuthenticationError:
                return


def _field(element: str, entry: SourceRecord, choices: Mapping[str, str]) -> FieldInfo:
    kind, reference = str(entry["internal_type"] or ""), entry["reference"]
    return FieldInfo(
        name=element,
        type=_TYPES.get(kind, ColumnType.STRING),
        label=str(entry["column_label"] or ""),
        required=entry["mandatory"] == "true",
        is_key=element == KEY,
        references=str(reference) if kind == "reference" and reference else None,
        choices=choices,
        is_generated=element.startswith("sys_") or element == "number",
    )


open_discovery = ServiceNowDiscovery
