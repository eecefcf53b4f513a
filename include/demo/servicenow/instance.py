"""A strict double of a ServiceNow instance: its tables, users and REST APIs, in memory.

It refuses and ignores what an instance would. Where the sources on real instances disagree, `Settings` has a switch for
both readings. It speaks JSON only: `Accept: application/xml` is refused with 406.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from servicenow import admin_api, batch_api, import_set_api, metadata, oauth, table_api
from servicenow.access import AccessControls, Accounts, OAuthClient, User
from servicenow.clock import Clock
from servicenow.faults import Fault, FaultKind, Faults
from servicenow.imports import Imports, Staging
from servicenow.messages import ApiError, Request, Response, no_resource, not_authenticated
from servicenow.rate_limit import RateLimit
from servicenow.records import Records, Row
from servicenow.schema import Schema, Table
from servicenow.settings import Settings
from servicenow.standard_tables import STANDARD_TABLES
from servicenow.writing import BusinessRule, Writer

TOKEN_PATH = "/oauth_token.do"  # noqa: S105 - a path
API = "/api/now/"
VERSION = re.compile(r"v\d+")
VERSIONS = ("v1", "v2")
LATEST = "v2"
JSON_TYPES = ("application/json", "application/*", "*/*")


@dataclass(frozen=True)
class Call:
    """A call that came over a connection of its own, and how it was answered; a batch is one call."""

    method: str
    path: str
    query_string: str
    status: int
    fault: FaultKind | None


@dataclass(frozen=True)
class Answer:
    """What to send, and what is to be done to the connection instead or in the middle of it."""

    response: Response
    disturbance: FaultKind | None = None


class Instance:
    """An instance with the standard tables and no users. Tests may change every part of it while it runs."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.settings = Settings()
        self.schema = Schema()
        self.records = Records(self.schema, self.clock)
        self.accounts = Accounts(self.clock)
        self.controls = AccessControls()
        self.faults = Faults()
        self.rules: list[BusinessRule] = []
        self.rate_limit: RateLimit | None = None
        self.calls: list[Call] = []
        self.writer = Writer(self.schema, self.records, self.controls, self.settings, self.rules)
        self.imports = Imports(self.schema, self.records, self.writer, self.settings)
        self._lists = 0
        for table in STANDARD_TABLES:
            self.records.add_table(table)
        for table in STANDARD_TABLES:
            metadata.describe(self.schema, self.records, table)
        self.insert("sys_properties", name="glide.sys.default.tz", value=self.settings.time_zone)

    def add_table(self, table: Table) -> None:
        """A table of a test's own; one of a known name takes its place and keeps its records."""
        with self.lock:
            self.records.add_table(table)
            metadata.describe(self.schema, self.records, table)

    def add_staging(self, table: Table, staging: Staging) -> None:
        self.add_table(table)
        self.imports.add(staging)

    def add_user(self, name: str, password: str, **details: str) -> User:
        """A user who may log in; `details` are `roles` (by comma), `time_zone`, `domain` and fields of `sys_user`."""
        roles = frozenset(filter(None, details.pop("roles", "").split(",")))
        domain = details.pop("domain", "global")
        fields = {"user_name": name, "name": name, **details}
        user_id = self.insert("sys_user", **fields)
        user = User(name, password, user_id, roles, details.get("time_zone", ""), domain)
        self.accounts.users[name] = user
        return user

    def add_client(self, client_id: str, secret: str, user: str = "") -> None:
        """An OAuth application; by client credentials it acts for `user`."""
        self.accounts.clients[client_id] = OAuthClient(client_id, secret, user)

    def insert(self, table: str, **fields: str) -> str:
        """The `sys_id` of a record made behind the API's back: no rule, no access control, any system field."""
        with self.lock:
            return self.records.insert(table, fields)["sys_id"]

    def change(self, table: str, sys_id: str, **fields: str) -> None:
        """Change a record as somebody at a form would."""
        with self.lock:
            row = self._existing(table, sys_id)
            self.records.update(self.records.class_of(row, table), row, fields)

    def delete(self, table: str, sys_id: str) -> None:
        with self.lock:
            self.records.delete(table, self._existing(table, sys_id))

    def _existing(self, table: str, sys_id: str) -> Row:
        row = self.records.find(table, sys_id)
        if row is None:
            raise LookupError(f"{table} has no {sys_id}")
        return row

    def all(self, table: str) -> list[Row]:
        """Copies of a table's records, as they are stored."""
        with self.lock:
            return [dict(row) for row in self.records.all(table)]

    def find(self, table: str, **fields: str) -> list[Row]:
        """Copies of the records that have these values."""
        return [row for row in self.all(table) if all(row[name] == value for name, value in fields.items())]

    def rows(self, table: str) -> list[Row]:
        """A table's rows for a query; where ties are unstable, in another order each time."""
        rows = self.records.all(table)
        if not self.settings.has_unstable_ties or not rows:
            return rows
        self._lists += 1
        start = self._lists * 7 % len(rows)
        return rows[start:] + rows[:start]

    def zone_of(self, user: User) -> str:
        return user.time_zone or self.settings.time_zone

    def answer(self, request: Request) -> Answer:
        """The answer to a call, with what is to go wrong on its way."""
        with self.lock:
            if request.path.startswith(admin_api.PATH):
                return Answer(self._serve(request))
            fault = self.faults.take(request)
            response = self._respond(request, fault)
            kind = fault.kind if fault else None
            self.calls.append(Call(request.method, request.path, request.query_string, response.status, kind))
            return Answer(response, fault.disturbance if fault else None)

    def _respond(self, request: Request, fault: Fault | None) -> Response:
        sound = self._serve(request) if fault is None or fault.works_first else Response()
        return fault.spoil(sound) if fault else sound

    def _serve(self, request: Request) -> Response:
        headers: Mapping[str, str] = {}
        try:
            if request.path == TOKEN_PATH:
                return oauth.answer(self, request)
            self._check_length(request)
            user = self._authenticated(request)
            if request.path.startswith(admin_api.PATH):
                return admin_api.answer(self, request, user)
            headers = self.rate_limit.count(user.name, self.clock.now()) if self.rate_limit else {}
            self._check_headers(request)
            response = self._dispatch(request, user)
        except ApiError as exc:
            response = exc.response()
        return Response(response.status, response.body, {**headers, **response.headers})

    def serve_item(self, request: Request, user: User) -> Response:
        """The answer to an item of a batch, which is not logged in again and not counted."""
        fault = self.faults.take(request)
        try:
            self._check_headers(request)
            sound = self._dispatch(request, user) if fault is None or fault.works_first else Response()
        except ApiError as exc:
            sound = exc.response()
        return fault.spoil(sound) if fault else sound

    def _authenticated(self, request: Request) -> User:
        user = self.accounts.user_of(request.headers.get("authorization", ""))
        if user is None:
            raise not_authenticated()
        return user

    def _check_headers(self, request: Request) -> None:
        """An item of a batch may go without `Accept`."""
        default = "" if self.settings.requires_headers else "application/json"
        accept = request.headers.get("accept", "application/json" if request.is_item else default)
        accepted = [part.partition(";")[0].strip() for part in accept.split(",")]
        if not any(type_.lower() in JSON_TYPES for type_ in accepted):
            raise ApiError(406, "Not acceptable", "The endpoint does not support the format in the Accept header")
        if request.method not in ("POST", "PUT", "PATCH"):
            return
        if request.headers.get("content-type", default).partition(";")[0].strip().lower() != "application/json":
            raise ApiError(415, "Unsupported media type", "The endpoint does not support the format of the body")

    def _dispatch(self, request: Request, user: User) -> Response:
        if not request.path.startswith(API):
            raise no_resource()
        path = request.path.removeprefix(API).split("/")
        version = path.pop(0) if VERSION.fullmatch(path[0]) else LATEST
        if version not in VERSIONS or not path:
            raise no_resource()
        if path == ["batch"] and not request.is_item:
            return batch_api.answer(self, request, user)
        self._check_size(request)
        if path[0] not in ("table", "import"):
            raise no_resource()
        try:
            if path[0] == "table":
                return table_api.answer(self, request, user, version, path[1:])
            return import_set_api.answer(self, request, user, path[1:])
        finally:
            if request.method == "GET":
                self.imports.look_at(path[1] if len(path) > 1 else "")

    def _check_length(self, request: Request) -> None:
        if len(request.path) + len(request.query_string) > self.settings.max_url_length:
            raise ApiError(414, "URI too long", "Send the call as an item of a batch")

    def _check_size(self, request: Request) -> None:
        most, length = self.settings.max_payload_bytes, len(request.body)
        if length > most:
            detail = f"Rejected large REST payload with content-length = {length} bytes. Max allowed: {most} bytes."
            raise ApiError(400, "Exception while reading request", detail)
