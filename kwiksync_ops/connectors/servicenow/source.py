"""Reads tables of a ServiceNow instance, by key in order of change, and believes no page that was not asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from kwiksync_ops.batch import Page, Reject, SourceRecord
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.calls import Call
from kwiksync_ops.connectors.http.identity import Identity
from kwiksync_ops.connectors.http.json_records import JsonPage, JsonRecords
from kwiksync_ops.connectors.http.refusals import refusal
from kwiksync_ops.connectors.http.retry_after import http_date
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.servicenow.access import Instance, asked, error_in, table_path, told_error
from kwiksync_ops.connectors.servicenow.encoded_query import conditions, escaped, narrowed
from kwiksync_ops.connectors.servicenow.instance_check import describe
from kwiksync_ops.connectors.servicenow.keyset import Keyset, Mark, Place, hidden, text_of
from kwiksync_ops.connectors.servicenow.options import ServiceNowOptions
from kwiksync_ops.connectors.servicenow.values import plain_record
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.errors import ConfigurationError, ConnectionTimeoutError, MissingFieldError
from kwiksync_ops.rate_limit import CallLimiter

log = logging.getLogger(__name__)

TOKEN_VERSION = 1
SMALLEST_PAGE = 10


class ServiceNowSource:
    """One instance over one keep-alive session. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._instance = Instance(credentials, options, limiter, clock)
        self._proven: set[str] = set()

    def __repr__(self) -> str:
        return f"ServiceNowSource({self._instance.redactor.url(self._instance.credentials.base_url)!r})"

    def read(self, request: ReadRequest) -> Iterator[Page]:
        """Pages of one table. See `Source.read`."""
        options = self._instance.options(request.source, request.options)
        return _Read(self._instance, options, request, self._proven).pages()

    def check(self) -> str:
        return describe(self._instance)

    def close(self) -> None:
        self._instance.close()


@dataclass(frozen=True)
class _Found:
    """What a page holds as it came: `marks` of all of its records, good ones and sick ones."""

    decoded: JsonPage
    marks: list[Mark]
    total: int | None
    answer: Answer

    @property
    def count(self) -> int:
        return len(self.decoded.records) + len(self.decoded.rejects)


class _Read:
    """One read: where it is, how large its pages are, what of the instance's obedience is proven."""

    def __init__(self, instance: Instance, options: ServiceNowOptions, request: ReadRequest, proven: set[str]) -> None:
        self._instance = instance
        self._caller = instance.caller(options)
        self._options = options
        self._request = request
        self._proven = proven
        self._keyset = Keyset(request.cursor_field)
        self._json = JsonRecords(
            ("result",),
            Identity(("sys_id",), (request.cursor_field,) if request.cursor_field else ()),
            limits=options.limits,
            redactor=instance.redactor,
        )
        self._wanted = _wanted(options, request)
        self._calls = 0
        token = self._token_of(request)
        self._number: int = token.get("pages", 0)
        self._size: int = token.get("size") or min(options.page_size or request.page_records, request.page_records)
        self._until: str | None = token.get("until") or (text_of(request.until) if request.until else None)
        self._left: int | None = token.get("left")
        self._place = _place(token, request)

    def pages(self) -> Iterator[Page]:
        if self._place is None:
            yield Page(self._number + 1, [], is_last=True, resume=self._token(), calls=0)
            return
        self._prove_query()
        while self._place is not None:
            yield self._next_page()

    def _next_page(self) -> Page:
        """The next page with records, or the last one. Moves the place."""
        self._number += 1
        while True:
            found = self._found()
            decoded, place = self._taken(found)
            self._place = place
            if decoded.records or decoded.rejects or place is None:
                break
        records, rejects = self._complete(decoded)
        calls, self._calls = self._calls, 0
        return Page(
            number=self._number,
            records=list(map(plain_record, records)),
            is_last=self._place is None,
            resume=self._token(),
            calls=calls,
            server_time=http_date(found.answer.headers.get("Date")),
            rejects=rejects,
        )

    def _found(self) -> _Found:
        """The page at the place, in smaller pieces where the instance can't answer in time."""
        while True:
            try:
                return self._fetch()
            except ConnectionTimeoutError as exc:
                if self._size <= SMALLEST_PAGE:
                    raise
                self._size = max(SMALLEST_PAGE, self._size // 2)
                log.warning("%s Asked again for %d records a page", exc, self._size)

    def _fetch(self) -> _Found:
        place = self._here
        counts = place.how == "within" or self._left is None or self._left <= 2 * self._size
        found = self._ask_at(place, counts=counts)
        if not counts and not found.count:
            found = self._ask_at(place, counts=True)
        fault = self._keyset.fault(place, self._until, found.marks)
        if fault:
            raise self._disobedience(fault)
        self._prove_time_zone(found.marks)
        return found

    def _ask_at(self, place: Place, *, counts: bool) -> _Found:
        """The next records at a place. To count those that are left costs the instance time: near the end only."""
        answer, decoded = self._ask(self._query_of(place), self._size, counts=counts, skip=place.skip)
        return _Found(decoded, self._marks(decoded), _total(answer) if counts else None, answer)

    @property
    def _here(self) -> Place:
        if self._place is None:
            raise RuntimeError("the read is over")
        return self._place

    def _query_of(self, place: Place) -> str:
        return narrowed(self._options.query, *self._keyset.conditions(place, self._until))

    def _taken(self, found: _Found) -> tuple[JsonPage, Place | None]:
        """What of a page is taken, and where the read goes on."""
        place, marks, decoded = self._here, found.marks, found.decoded
        self._limit(found)
        timely = sum(mark[0] <= self._until for mark in marks) if self._until and self._keyset.cursor else len(marks)
        if timely < len(marks):
            return _cut(decoded, timely), None
        if not found.count:
            self._prove_emptiness(found)
            return decoded, self._behind_hidden(found)
        if found.total is not None and found.count + place.skip >= found.total:
            return decoded, self._keyset.after_all(place)
        if not marks:
            raise self._instance.nonsense(
                found.answer, f"Page {self._number}", "no record of it can be told from others"
            )
        whole = len(marks) if decoded.rejects else self._keyset.whole_seconds(place, marks)
        self._count_down(found, whole)
        if whole < len(marks):
            return _cut(decoded, whole), Place("after", marks[whole - 1][0])
        return decoded, self._keyset.after(marks)

    def _count_down(self, found: _Found, taken: int) -> None:
        """About how many records are left behind a page."""
        if self._here.how != "within":
            before = self._left if found.total is None else found.total - self._here.skip
            self._left = None if before is None else max(0, before - taken)

    def _limit(self, found: _Found) -> None:
        """A read of changes ends a little before the instance's time, as the first answer tells it."""
        if self._until is None and self._request.since is not None and self._keyset.cursor is not None:
            now = http_date(found.answer.headers.get("Date")) or self._instance.clock.now()
            self._until = text_of(now - timedelta(seconds=self._options.lag_s))

    def _behind_hidden(self, found: _Found) -> Place | None:
        """Row rules hide records after a page was cut: an empty page is the end only where nothing was counted."""
        place = self._here
        if found.total is None or place.skip + self._size >= found.total:
            if found.total:
                log.info("%d records of %s are hidden from the integration user", found.total, self._request.source)
            return self._keyset.after_all(place)
        return hidden(place, self._size)

    def _ask(self, query: str, size: int, *, counts: bool = False, skip: int = 0) -> tuple[Answer, JsonPage]:
        params = {
            "sysparm_query": query,
            "sysparm_limit": str(size),
            **({"sysparm_offset": str(skip)} if skip else {}),
            "sysparm_exclude_reference_link": "true",
            "sysparm_display_value": "false",
            "sysparm_no_count": str(not counts).lower(),
            "sysparm_suppress_pagination_header": "true",
            **({"sysparm_fields": ",".join(self._wanted)} if self._options.fields else {}),
        }
        what = f"Page {self._number} of {self._request.source} where {query}"
        answer = self._answer(Call(self._instance.url(asked(table_path(self._request.source), params)), what))
        if answer.status == 404:
            return answer, JsonPage([], [], {})
        return answer, self._decoded(answer, what)

    def _answer(self, call: Call) -> Answer:
        answer, calls = self._caller.answer(call)
        self._calls += calls
        is_empty = answer.status == 404 and (told_error(answer.body) or "").startswith("No Record found")
        if answer.status != 200 and not is_empty:
            raise refusal(answer, what=call.what, redactor=self._instance.redactor)
        return answer

    def _decoded(self, answer: Answer, what: str) -> JsonPage:
        try:
            decoded = self._json.decode(answer.body)
        except ValueError as exc:
            raise self._instance.nonsense(answer, what, str(exc)) from exc
        if error_in(decoded.envelope) is not None:
            raise self._instance.nonsense(answer, what, "it tells an error")
        return decoded

    def _marks(self, decoded: JsonPage) -> list[Mark]:
        """Change time and sys_id of each good record, and of the last one of the page, be it sick.

        Raises:
            ConfigurationError: the table has no such fields, or hides them.
        """
        cursor = self._keyset.cursor
        marks = [(_text(record.get(cursor)) if cursor else "", record.get("sys_id")) for record in decoded.records]
        if decoded.rejects and decoded.last[0]:
            last = (_text(decoded.last[1]) if cursor else "", decoded.last[0])
            marks += [last] if not marks or marks[-1] != last else []
        is_lacking = cursor is not None and any(cursor not in record for record in decoded.records)
        if is_lacking or not all(type(sys_id) is str and sys_id for _, sys_id in marks):
            raise ConfigurationError(
                f"Records of {self._request.source} come without {cursor if is_lacking else 'sys_id'}.",
                remedy="Name a cursor that the table has (sys_updated_on, or sys_created_on), and let the "
                "integration user read it.",
            )
        return [(at, str(sys_id)) for at, sys_id in marks]

    def _complete(self, decoded: JsonPage) -> tuple[list[SourceRecord], list[Reject]]:
        """The records that have every field that was asked for; those without are rejected.

        Raises:
            ConfigurationError: none of the records has the field.
        """
        records, wanted = decoded.records, set(self._wanted)
        lacking = [sorted(wanted - record.keys()) for record in records]
        nowhere = set.intersection(*map(set, lacking)) if lacking else set()
        if nowhere:
            raise ConfigurationError(
                f"{self._request.source} gives no {', '.join(sorted(nowhere))}.",
                remedy="Correct the names in fields, key or cursor, or let the integration user read them: what an "
                "instance does not know it leaves out without a word.",
            )
        rejects = [self._named(reject) for reject in decoded.rejects]
        for record, names in zip(records, lacking, strict=True):
            rejects += [self._lacking(record, name) for name in names]
        return [record for record, names in zip(records, lacking, strict=True) if not names], rejects

    def _lacking(self, record: SourceRecord, name: str) -> Reject:
        key = record.get(self._request.key)
        message = f"The record comes without {name}: a rule hides it from the integration user."
        return Reject(MissingFieldError.code, message, name, _text(key) or None, dict(record))

    def _named(self, reject: Reject) -> Reject:
        """A sick record is known by its sys_id; where that is not the table's key, its key is not known."""
        if self._request.key == "sys_id":
            return reject
        return replace(reject, external_id=None, message=f"sys_id {reject.external_id}: {reject.message}")

    def _prove_query(self) -> None:
        """That the instance understands each condition of the table's query: one that it does not it ignores."""
        for condition in conditions(self._options.query):
            name = f"{self._request.source}: {condition.text}"
            if name in self._proven:
                continue
            _, decoded = self._ask(condition.never, 1)
            if decoded.records or decoded.rejects:
                raise self._not_understood(condition.text)
            self._proven.add(name)

    def _prove_emptiness(self, found: _Found) -> None:
        """Where nothing at all meets the query: that this is not since the instance answers faulty ones so."""
        asked = conditions(self._options.query)
        if not asked or found.total or self._here.how != "start" or not self._ask("", 1)[1].records:
            return
        for condition in asked:
            _, decoded = self._ask(condition.always, 1)
            if not decoded.records and not decoded.rejects:
                raise self._not_understood(condition.text)

    def _not_understood(self, condition: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self._request.source} does not understand {condition!r} in the query {self._options.query!r}.",
            remedy="Correct the name and the value in query (the value that is stored, not its label), or let the "
            "integration user search by the field: an instance leaves out what it does not understand.",
        )

    def _prove_time_zone(self, marks: Sequence[Mark]) -> None:
        """That times in queries are read as UTC: a record is found again by its own change time."""
        cursor, name = self._keyset.cursor, "time zone"
        has_times = self._request.since is not None or self._until is not None or self._here.how != "start"
        if name in self._proven or not marks or cursor is None or not marks[0][0] or not has_times:
            return
        at, sys_id = marks[0]
        _, decoded = self._ask(f"sys_id={escaped(sys_id)}^{cursor}={at}", 1)
        again = [] if decoded.records else self._ask(f"sys_id={escaped(sys_id)}", 1)[1].records
        if again and _text(again[0].get(cursor)) == at:
            raise self._disobedience(f"record {sys_id}, changed at {at}, is not found by that time")
        self._proven.add(name)

    def _disobedience(self, fault: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self._request.source} was asked for records where {self._query_of(self._here)}: {fault}.",
            remedy="Set the time zone of the integration user to UTC, and let the user search by "
            f"{self._keyset.cursor or 'sys_id'}; the instance reads the query in another way than it was meant.",
        )

    def _token_of(self, request: ReadRequest) -> Mapping[str, Any]:
        token = request.resume
        if token is None:
            return {}
        if token.get("v") != TOKEN_VERSION or token.get("of") != self._subject():
            raise ConfigurationError(
                f"The read of {request.source} can't go on: its cursor or query was changed since it was interrupted.",
                remedy="The read starts again.",
                restart=True,
            )
        return token

    def _subject(self) -> list[str | None]:
        return [self._request.source, self._keyset.cursor, self._options.query]

    def _token(self) -> dict[str, Any]:
        return {
            "v": TOKEN_VERSION,
            "of": self._subject(),
            "place": self._place.to_json() if self._place else None,
            "until": self._until,
            "left": self._left,
            "pages": self._number,
            "size": self._size,
        }


def _wanted(options: ServiceNowOptions, request: ReadRequest) -> tuple[str, ...]:
    """The fields that every record must have."""
    own = ("sys_id", request.key, *((request.cursor_field,) if request.cursor_field else ()))
    return tuple(dict.fromkeys((*own, *options.fields)))


def _place(token: Mapping[str, Any], request: ReadRequest) -> Place | None:
    if token:
        return Place.from_json(token["place"]) if token["place"] else None
    since = request.since
    if since is None or request.cursor_field is None:
        return Place("start")
    at = text_of(since.updated_at)
    return Place("within", at, since.id) if since.id else Place("from", at)


def _cut(decoded: JsonPage, kept: int) -> JsonPage:
    """The first records of a page; the sick ones stay, since their place in it is not known."""
    return decoded if kept >= len(decoded.records) else replace(decoded, records=decoded.records[:kept])


def _total(answer: Answer) -> int | None:
    text = answer.headers.get("X-Total-Count", "")
    return int(text[:18]) if text.isascii() and text.isdigit() else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


open_source = ServiceNowSource
