"""What a REST system tells about itself: by an OpenAPI document, or by its answers to a few careful questions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import yaml

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.discovery import FieldInfo, ObjectInfo, Sample, Sending, first_page
from kwiksync_ops.connectors.http.address import same_origin_url
from kwiksync_ops.connectors.http.calls import Call, Caller
from kwiksync_ops.connectors.http.json_path import parse_path, value_at
from kwiksync_ops.connectors.http.refusals import refusal
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.rest.access import RestAccess
from kwiksync_ops.connectors.rest.answer_shape import AnswerShape, shape_of
from kwiksync_ops.connectors.rest.body import document_of
from kwiksync_ops.connectors.rest.openapi import Endpoint, read_endpoints
from kwiksync_ops.connectors.rest.options import merge_options
from kwiksync_ops.connectors.rest.source import RestSource
from kwiksync_ops.connectors.rest.urls import join_url
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.connectors.time_format import format_time
from kwiksync_ops.errors import AuthenticationError, ConfigurationError
from kwiksync_ops.rate_limit import CallLimiter

_FEW = 2
_REFUSALS = frozenset({401, 403, 429})
_SIZES = ("limit", "per_page", "page_size", "pageSize", "size", "_limit")
_SINCE = ("updated_since", "modified_since", "changed_since", "updated_after", "modified_after", "since")
_OFFSETS = ("offset", "skip", "_start")
_PAGES = ("page", "_page")
_CURSORS = ("cursor", "page_token", "pageToken", "after", "continuationToken")
_LONG_AGO, _FAR_AHEAD = datetime(1970, 1, 2, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
_NO_KEY = "id"
"""Any name: a first page is read without knowing who its records are."""


class RestDiscovery:
    """Asks with the options that are given; what these leave open is found out. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._options = options
        self._access = RestAccess(credentials, self._options, limiter, clock)
        self._source = RestSource(credentials, self._options, limiter, clock)
        self._clock = clock
        self._endpoints: dict[str, Endpoint] = {}
        self._first = ""
        self._known_names: dict[tuple[str, ...], tuple[str, ...]] = {}

    def check(self) -> str:
        """As the source does; a base address that is not for us says nothing yet, since objects lie below it."""
        try:
            return self._source.check()
        except AuthenticationError as exc:
            if self._access.own.check_path:
                raise
            return f"{exc.message} The objects will tell whether that is so."

    def objects(self, catalogue: str = "") -> Sequence[ObjectInfo]:
        """The lists that an OpenAPI document describes: a file, or a path or URL of the system. None without one."""
        if not catalogue:
            return []
        endpoints = read_endpoints(self._document(catalogue), self._access.base_url)
        self._endpoints = {endpoint.path: endpoint for endpoint in endpoints}
        return [ObjectInfo(endpoint.path, endpoint.label) for endpoint in endpoints]

    def fields(self, name: str, options: Mapping[str, Any]) -> Sequence[FieldInfo]:
        endpoint = self._endpoints.get(name)
        return endpoint.fields if endpoint else []

    def options(self, name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Found out by at most 20 calls for the first object and half as many for the others.

        Raises:
            ConfigurationError: the object has more pages, and does not tell how they follow each other.
        """
        known = {**self._options, **given}
        self._first = self._first or name
        if {"records_path", "pagination", "since_param"} <= known.keys():
            return given
        endpoint = self._endpoints.get(name)
        size, shape = self._ask_for_few(name, endpoint)
        found: dict[str, Any] = {}
        if "records_path" not in known and shape.records_path:
            found["records_path"] = shape.records_path
        if "pagination" not in known:
            found["pagination"] = self._pagination(name, endpoint, size, shape)
        if "since_param" not in known and shape.records:
            found |= self._since(name, endpoint, size)
        if {**known, **found}["pagination"]["type"] == "keyset":
            found.pop("time_format", None)  # times go out as they came in
        if "check_path" not in known:
            found["check_path"] = self._first
        return {**found, **given}

    def sample(self, name: str, records: int, options: Mapping[str, Any]) -> Sample:
        """The first page; of a keyset read without its keys, since they are not known yet."""
        merged = merge_options(self._options, options)
        pagination = merged.get("pagination", {})
        is_keyset = pagination.get("type") == "keyset"
        if is_keyset:
            size = {pagination.get("size_param", "limit"): records}
            merged |= {"pagination": {"type": "none"}, "params": {**merged.get("params", {}), **size}}
        unfiltered = {key: value for key, value in merged.items() if key not in ("since_param", "until_param")}
        sample = first_page(self._source, ReadRequest(name, _NO_KEY, page_records=records, options=unfiltered))
        return Sample(sample.records, sample.is_complete and not is_keyset, sample.problem)

    def push(self, name: str, sending: Sending, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The usual calls, once a record was found at the list's path and its key: PATCH there, POST to the list."""
        answer = (
            None if "?" in name or not sending.example else self._ask(f"{name}/{quote(sending.example, safe='')}", {})
        )
        path = None if answer is None or answer.status != 200 else _record_path(answer, sending)
        if answer is None or path is None:
            raise ConfigurationError(
                f"{name} has no record at {name}/KEY, so that it is not known how one is written.",
                remedy="Say it by --option, such as 'tickets:push.update={method: PATCH, path: \"/tickets/{key}\"}'.",
            )
        calls: dict[str, Any] = {"update": {"method": "PATCH", "path": f"{name}/{{key}}"}}
        if "create" in sending.actions:
            calls = {"create": {"method": "POST", "path": name}, **calls}
        read = {"path": f"{name}/{{key}}", **({"record_path": path} if path else {})}
        key = {"key_path": f"{path}.{sending.key}"} if path else {}
        return {
            **calls,
            "read": read,
            **key,
            "repeat": "look",
            **({"etag": "header"} if "ETag" in answer.headers else {}),
        }

    def close(self) -> None:
        self._source.close()
        self._access.session.close()

    def _document(self, catalogue: str) -> Any:
        text = self._catalogue_text(catalogue)
        try:
            return json.loads(text)
        except ValueError:
            pass
        try:
            return yaml.load(text, Loader=yaml.CSafeLoader)
        except yaml.YAMLError as exc:
            raise ConfigurationError(
                f"The catalogue {catalogue} is neither JSON nor YAML.", remedy="Name the API's OpenAPI document."
            ) from exc

    def _catalogue_text(self, catalogue: str) -> str:
        if Path(catalogue).is_file():
            return Path(catalogue).read_text(encoding="utf-8-sig")
        base = join_url(self._access.base_url, "")
        what = f"The catalogue {self._access.redactor.url(catalogue)}"
        is_url = catalogue.startswith(("https://", "http://"))
        url = same_origin_url(catalogue, page_url=base, what=what) if is_url else join_url(base, catalogue)
        answer, _ = self._caller().get(Call(url, what=what))
        return answer.body.decode("utf-8-sig", "replace")

    def _ask_for_few(self, name: str, endpoint: Endpoint | None) -> tuple[str, AnswerShape]:
        """The parameter that takes the size of a page, nothing where there is none; and an answer to look at."""
        for param in self._names(_SIZES, endpoint):
            shape = self._try(name, {param: _FEW})
            if shape and len(shape.records) <= _FEW:
                self._known_names[_SIZES] = (param,)
                return param, shape
        return "", self._shape(self._ask(name, {}), name)

    def _pagination(self, name: str, endpoint: Endpoint | None, size: str, shape: AnswerShape) -> dict[str, Any]:
        """What the answer tells, else what a second page shows; one answer for everything where neither does."""
        told = shape.pagination
        if told and told["type"] == "cursor" and endpoint:
            told["cursor_param"] = next((param for param in _CURSORS if param in endpoint.params), told["cursor_param"])
        if told is None and size and len(shape.records) == _FEW:
            told = self._second_page(name, endpoint, size, shape)
        if told is None and shape.says_more:
            raise ConfigurationError(
                f"{name} has more records than its first answer, and does not tell how its pages follow each other.",
                remedy="Say so by --option, such as --option 'tickets:pagination={type: offset, offset_param: skip}'.",
            )
        pagination = told or {"type": "none"}
        return pagination if size == "limit" or pagination["type"] == "none" else {**pagination, "size_param": size}

    def _second_page(
        self, name: str, endpoint: Endpoint | None, size: str, shape: AnswerShape
    ) -> dict[str, Any] | None:
        for param in self._names(_OFFSETS, endpoint):
            following = self._try(name, {size: _FEW, param: 1})
            if following and following.records[:1] == shape.records[1:]:
                return {"type": "offset", "offset_param": param}
        for param in self._names(_PAGES, endpoint):
            following = self._try(name, {size: _FEW, param: 2})
            if following and following.records and not any(record in shape.records for record in following.records):
                return {"type": "page_number", "page_param": param}
        return self._keyset(name, size, shape.records[0], shape.records[1])

    def _keyset(self, name: str, size: str, first: Any, second: Any) -> dict[str, Any] | None:
        """By the connector's own names for the parameters; which fields they take is guessed from a record."""
        changed = [field for field in first if re.search("(updat|modif|chang)(?!.*by$)", field, re.IGNORECASE)]
        keys = [field for field in first if re.search(r"(^|_)id$|I[Dd]$", field)]
        if not changed or not keys:
            return None
        after = {"changed_after": first[changed[0]], "after_id": first[keys[0]]}
        following = self._try(name, {size: _FEW, **after})
        return {"type": "keyset"} if following and following.records[:1] == [second] else None

    def _since(self, name: str, endpoint: Endpoint | None, size: str) -> dict[str, Any]:
        """The parameter for "changed since": one that leaves nothing of the future, and something of the past."""
        few = {size: _FEW} if size else {}
        for param in self._names(_SINCE, endpoint):
            future = self._try(name, {**few, param: format_time(_FAR_AHEAD, "iso", ZoneInfo("UTC"))})
            if future is None or future.records:
                continue
            past = self._try(name, {**few, param: format_time(_LONG_AGO, "iso", ZoneInfo("UTC"))})
            if past and past.records:
                self._known_names[_SINCE] = (param,)
                return {"since_param": param, "time_format": "iso"}
        return {}

    def _names(self, usual: tuple[str, ...], endpoint: Endpoint | None) -> Iterator[str]:
        """Parameters worth a call: those that are documented, or that another object has shown, else the usual ones."""
        if endpoint and endpoint.params:
            yield from (name for name in usual if name in endpoint.params)
        else:
            yield from self._known_names.get(usual, usual)

    def _try(self, name: str, params: Mapping[str, Any]) -> AnswerShape | None:
        """An answer, or None where the system does not take the parameters."""
        answer = self._ask(name, params)
        is_told = answer.status == 200 or answer.status in _REFUSALS
        return self._shape(answer, name) if is_told else None

    def _ask(self, name: str, params: Mapping[str, Any]) -> Answer:
        options = self._access.own
        url = join_url(self._access.base_url, name)
        query = urlencode({**options.params, **params})
        joined = f"{url}{'&' if '?' in url else '?'}{query}" if query else url
        answer, _ = self._caller().answer(Call(joined, what=f"Looking at {self._access.redactor.url(url)}"))
        return answer

    def _shape(self, answer: Answer, name: str) -> AnswerShape:
        what = f"Looking at {name}"
        if answer.status != 200:
            raise refusal(answer, what=what, redactor=self._access.redactor)
        try:
            return shape_of(json.loads(answer.body), answer.headers)
        except (ValueError, RecursionError) as exc:
            raise ConfigurationError(
                f"{what}: the answer can't be used: {self._access.redactor.text(str(exc))}.",
                remedy="Name a path that answers with a JSON list of records.",
            ) from exc

    def _caller(self) -> Caller:
        options = self._access.own
        return Caller(
            self._access.session,
            self._clock,
            self._access.redactor,
            headers=self._access.headers(options),
            timeouts=options.timeouts,
            max_bytes=options.limits.max_page_bytes,
            retry_after_cap_s=options.retry_after_cap_s,
        )


def _record_path(answer: Answer, sending: Sending) -> str | None:
    """Where the record of the key stands in an answer; None where it does not."""
    try:
        document = document_of(answer)
    except ValueError:
        return None
    names: list[str] = list(document) if isinstance(document, dict) else []
    for path in ("", *names):
        if str(value_at(document, (*parse_path(path), *parse_path(sending.key)))) == sending.example:
            return path
    return None


open_discovery = RestDiscovery
