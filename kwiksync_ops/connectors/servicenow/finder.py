"""Records of an instance by the values of a field, in as few calls as possible; an ignored query finds nothing here."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from kwiksync_ops.connectors.http.calls import Call
from kwiksync_ops.connectors.http.refusals import refusal
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.servicenow import batch_call
from kwiksync_ops.connectors.servicenow.access import Instance, asked, error_in, table_path
from kwiksync_ops.connectors.servicenow.batch_call import Item
from kwiksync_ops.connectors.servicenow.encoded_query import escaped, is_one_of
from kwiksync_ops.connectors.servicenow.options import ServiceNowOptions
from kwiksync_ops.errors import AuthenticationError, ConfigurationError, SystemUnavailableError

VALUES_OF_A_QUERY = 100
MOST_ROWS = 10_000

Row = Mapping[str, Any]


class Finder:
    """Reads by value; several queries go out in one call, unless the table is written record by record."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._known: set[tuple[str, str]] = set()

    def rows(
        self,
        options: ServiceNowOptions,
        table: str,
        field: str,
        values: Iterable[str],
        fields: Collection[str],
    ) -> list[Row]:
        """All records whose field has one of the values; each has the field. Empty fields lists all fields.

        Raises:
            ConfigurationError: the instance ignores the field, or the user may not read it.
            SystemUnavailableError: not all of the records came.
        """
        parts = _parts(set(values))
        queries = [_equal(field, part) for part in parts]
        found: list[Row] = []
        for part, rows in zip(
            parts, self._select(options, table, queries, {field, *fields} if fields else ()), strict=True
        ):
            meant = {value.casefold() for value in part}
            stray = next((row for row in rows if str(row.get(field, "")).casefold() not in meant), None)
            if stray is not None:
                raise _ignored(table, field)
            found += rows
        if parts and not found:
            self.prove(options, table, field)
        return found

    def prove(self, options: ServiceNowOptions, table: str, field: str) -> None:
        """Raises ConfigurationError where the table has no such field, as far as a record shows it."""
        if (table, field) in self._known:
            return
        (rows,) = self._select(options, table, [""], (field,), limit=1)
        if rows and field not in rows[0]:
            raise _ignored(table, field)
        self._known.add((table, field))

    def _select(
        self,
        options: ServiceNowOptions,
        table: str,
        queries: Sequence[str],
        fields: Collection[str],
        *,
        limit: int = MOST_ROWS,
    ) -> list[list[Row]]:
        """The rows of each query, in their order."""
        items = [
            Item(str(at), "GET", asked(table_path(table), _params(query, fields, limit)))
            for at, query in enumerate(queries)
        ]
        is_single = options.push is not None and options.push.by == "record"
        if len(items) > 1 and not is_single:
            return self._by_batch(options, table, items, limit)
        caller = self._instance.caller(options)
        what = f"Looking for records of {table}"
        answers = [caller.answer(Call(self._instance.url(item.url), what))[0] for item in items]
        return [self._rows_of(answer, what, limit) for answer in answers]

    def _by_batch(self, options: ServiceNowOptions, table: str, items: Sequence[Item], limit: int) -> list[list[Row]]:
        what = f"Looking for records of {table}"
        found: dict[str, list[Row]] = {}
        caller = self._instance.caller(options)
        while left := [item for item in items if item.id not in found]:
            headers = {"Content-Type": "application/json"}
            call = Call(
                self._instance.url(batch_call.PATH), what, method="POST", headers=headers, body=batch_call.encode(left)
            )
            answer, _ = caller.get(call)
            try:
                answers, _ = batch_call.decode(answer.body)
            except ValueError as exc:
                raise self._instance.nonsense(answer, what, str(exc)) from exc
            for item_id, one in answers.items():
                found[item_id] = self._rows_of(Answer(answer.url, one.status, {}, one.body), what, limit)
            if not answers:
                raise SystemUnavailableError(f"{what}: the instance answered none of {len(left)} queries in time.")
        return [found[item.id] for item in items]

    def _rows_of(self, answer: Answer, what: str, limit: int) -> list[Row]:
        if answer.status == 404:
            return []
        if answer.status != 200:
            raise refusal(answer, what=what, redactor=self._instance.redactor)
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError) as exc:
            raise self._instance.nonsense(answer, what, str(exc)) from exc
        rows = document.get("result") if isinstance(document, dict) else None
        if error_in(document) is not None or not isinstance(rows, list):
            raise self._instance.nonsense(answer, what, "it has no list of records")
        if len(rows) >= limit > 1:
            raise SystemUnavailableError(f"{what}: {len(rows)} came, and there may be more.")
        return [row for row in rows if isinstance(row, dict)]


def _parts(values: Collection[str]) -> list[list[str]]:
    """The values, so many together as one query may name; one with a comma stands alone."""
    plain = sorted(value for value in values if "," not in value)
    parts = [plain[at : at + VALUES_OF_A_QUERY] for at in range(0, len(plain), VALUES_OF_A_QUERY)]
    return parts + [[value] for value in sorted(values) if "," in value]


def _equal(field: str, values: Sequence[str]) -> str:
    return f"{field}={escaped(values[0])}" if len(values) == 1 else is_one_of(field, values)


def _params(query: str, fields: Collection[str], limit: int) -> dict[str, str]:
    return {
        **({"sysparm_query": query} if query else {}),
        **({"sysparm_fields": ",".join(sorted(fields))} if fields else {}),
        "sysparm_limit": str(limit),
        "sysparm_exclude_reference_link": "true",
        "sysparm_no_count": "true",
        "sysparm_suppress_pagination_header": "true",
    }


def _ignored(table: str, field: str) -> ConfigurationError:
    return ConfigurationError(
        f"{table} can't be searched by {field}: the instance ignores it in a query, or does not show it.",
        remedy="Correct the field's name in the servicenow options, or let the integration user read it.",
    )


UNREADABLE = (AuthenticationError, ConfigurationError)
"""What a table or field that the user may not read raises."""
