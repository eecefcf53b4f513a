"""A strict double of an OData service of version 2 or 4, from the OASIS documents and those of version 2.

It keeps to its types: a literal, a body or a header in the notation of the other version is refused.
"""

from __future__ import annotations

import json
import re
import ssl
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tests.support.https_server import Fault, HttpsServer, Request, Response
from tests.support.odata_filter import Filter, Types, value_of_literal, value_of_text

ROOT = "/odata/desk"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICKETS: Types = {
    "ID": "Edm.String",
    "name": "Edm.String",
    "note": "Edm.String",
    "amount": "Edm.Decimal",
    "visits": "Edm.Int64",
    "changedAt": "Edm.DateTimeOffset",
    "due": "Edm.DateTime",
    "ref": "Edm.String",
}
ITEMS: Types = {
    "Ticket": "Edm.String",
    "Position": "Edm.Int32",
    "text": "Edm.String",
    "changedAt": "Edm.DateTimeOffset",
}
KEYS = {"Tickets": ("ID",), "Items": ("Ticket", "Position")}

Entity = dict[str, Any]


class ODataError(Exception):
    def __init__(self, status: int, code: str, message: str, *details: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details


@dataclass
class Settings:
    """What the service is like. `page_cap` records at most are in a page, whatever was asked for."""

    page_cap: int = 100
    links: str = "relative"
    needs_etag: bool = False
    needs_csrf: bool = False
    answers_changes: bool = True
    takes_or: bool = True
    continues_on_error: bool = True
    batch_limit: int = 1000
    authorization: str | None = None
    gives_etags: bool = True
    tells_seconds: bool = False


@dataclass
class ODataService:
    """Its records by entity set and key. `applied` counts the changes by method. `instead` replaces coming answers."""

    version: str
    settings: Settings = field(default_factory=Settings)
    entities: dict[str, dict[tuple[Any, ...], Entity]] = field(default_factory=lambda: {"Tickets": {}, "Items": {}})
    etags: Counter[tuple[str, tuple[Any, ...]]] = field(default_factory=Counter)
    applied: Counter[str] = field(default_factory=Counter)
    requests: list[Request] = field(default_factory=list)
    before: Callable[[Request], Response | Fault | None] = lambda request: None
    after: Callable[[Request, Response], Response | Fault] = lambda request, answer: answer

    @property
    def types(self) -> Mapping[str, Types]:
        tickets = TICKETS if self.version == "v2" else {**TICKETS, "due": "Edm.Date"}
        return {"Tickets": tickets, "Items": ITEMS}

    def put(self, name: str, /, **fields: Any) -> None:
        """A record as somebody else writes it."""
        entity = {**dict.fromkeys(self.types[name]), **fields}
        key = tuple(entity[part] for part in KEYS[name])
        self.entities[name][key] = entity
        self.etags[name, key] += 1

    def answer(self, request: Request) -> Response | Fault:
        self.requests.append(request)
        instead = self.before(request)
        return instead if instead is not None else self.after(request, self.proper_answer(request))

    def proper_answer(self, request: Request) -> Response:
        try:
            self._check_caller(request)
            return self._csrf(request) or self._route(request)
        except ODataError as exc:
            return self._error(exc)

    def _check_caller(self, request: Request) -> None:
        wanted = self.settings.authorization
        if wanted and request.headers.get("Authorization") != wanted:
            raise ODataError(401, "UNAUTHORIZED", "Log in first.")
        header = "MaxDataServiceVersion" if self.version == "v2" else "OData-MaxVersion"
        if not request.path.endswith(("$metadata", "/$batch", f"{ROOT}/")) and header not in request.headers:
            raise ODataError(400, "VERSION", f"{header} is missing.")

    def _csrf(self, request: Request) -> Response | None:
        if not self.settings.needs_csrf:
            return None
        token = request.headers.get("X-CSRF-Token", "")
        if request.method == "GET":
            fetched = {"X-CSRF-Token": "token-0123456789", "Set-Cookie": "SAP_SESSIONID=session-1; path=/; secure"}
            return Response(200, b"{}", fetched) if token == "Fetch" else None
        if token != "token-0123456789" or "SAP_SESSIONID=session-1" not in request.headers.get("Cookie", ""):
            return Response(403, b"CSRF token validation failed", {"X-CSRF-Token": "Required"})
        return None

    def _route(self, request: Request) -> Response:
        path = request.path.removeprefix(ROOT).strip("/")
        if path == "$metadata":
            return Response(200, self._metadata().encode(), {"Content-Type": "application/xml"})
        if path == "$batch":
            return self._batch(request)
        found = re.fullmatch(r"(\w+)(?:\((.*)\))?", unquote(path), re.DOTALL)
        if not found or found[1] not in self.entities or "/" in path:
            raise ODataError(404, "NOT_FOUND", f"There is no resource {path}.")
        if found[2] is None:
            return self._create(request, found[1]) if request.method == "POST" else self._list(request, found[1])
        return self._single(request, found[1], self._key(found[1], found[2]))

    # Reading

    def _list(self, request: Request, name: str) -> Response:
        query = dict(request.query)
        try:
            matching = self._matching(name, query)
        except (ValueError, KeyError) as exc:
            raise ODataError(400, "BAD_QUERY", str(exc)) from exc
        size = self._page_size(request)
        start = int(query.get("$skiptoken", "0"))
        page = matching[start : start + size]
        rest = start + size < len(matching)
        link = self._link(request, name, start + size) if rest else None
        shown = [self._shown(name, entity, request) for entity in page]
        counts = query.get("$count") == "true" or query.get("$inlinecount") == "allpages"
        count = len(self._filtered(name, query)) if counts else None
        return self._json(self._envelope(shown, count, link))

    def _matching(self, name: str, query: Mapping[str, str]) -> list[Entity]:
        known = {"$filter", "$orderby", "$top", "$skiptoken", "$select", "$expand"}
        known |= {"$count"} if self.version == "v4" else {"$inlinecount"}
        unknown = [option for option in query if option.startswith("$") and option not in known]
        if unknown:
            raise ValueError(f"{unknown[0]} is no option of {self.version}")
        entities = self._filtered(name, query)
        order = [word.strip() for word in query.get("$orderby", "").split(",") if word.strip()]
        for part in reversed([*order, *KEYS[name]]):
            entities.sort(key=lambda entity, part=part: (entity[part] is not None, entity[part]))  # type: ignore[misc]
        return entities[: int(query["$top"])] if "$top" in query else entities

    def _filtered(self, name: str, query: Mapping[str, str]) -> list[Entity]:
        entities = list(self.entities[name].values())
        if "$filter" in query:
            wanted = Filter(query["$filter"], self.types[name], self.version, takes_or=self.settings.takes_or)
            entities = [entity for entity in entities if wanted.matches(entity)]
        return entities

    def _page_size(self, request: Request) -> int:
        asked = re.search(r"odata\.maxpagesize=(\d+)", request.headers.get("Prefer", ""))
        return min(self.settings.page_cap, int(asked[1])) if asked else self.settings.page_cap

    def _link(self, request: Request, name: str, start: int) -> str:
        params = {**request.query, "$skiptoken": str(start)}
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in params.items())
        if self.settings.links == "relative":
            return f"{name}?{query}"
        return f"https://{request.headers['Host']}{ROOT}/{name}?{query}"

    def _envelope(self, shown: list[Any], count: int | None, link: str | None) -> dict[str, Any]:
        if self.version == "v2":
            inner: dict[str, Any] = {"results": shown}
            inner |= {} if count is None else {"__count": str(count)}
            return {"d": inner | ({"__next": link} if link else {})}
        document: dict[str, Any] = {"@odata.context": "$metadata#Tickets"}
        document |= {} if count is None else {"@odata.count": count}
        return {**document, "value": shown, **({"@odata.nextLink": link} if link else {})}

    def _shown(self, name: str, entity: Entity, request: Request) -> dict[str, Any]:
        chosen = request.query.get("$select", "")
        names = [word for word in chosen.split(",") if word in self.types[name]] if chosen else list(self.types[name])
        record = {each: self._json_value(entity[each], self.types[name][each], request) for each in names}
        key = tuple(entity[part] for part in KEYS[name])
        if name == "Tickets":
            record |= self._items(entity, request)
        if self.version == "v2":
            uri = f"https://desk{ROOT}/{name}({quote(self._predicate(name, key))})"
            return {"__metadata": {"uri": uri, "type": f"desk.{name}", "etag": self._etag(name, key)}, **record}
        return ({"@odata.etag": self._etag(name, key)} if self.settings.gives_etags else {}) | record

    def _items(self, entity: Entity, request: Request) -> dict[str, Any]:
        if "items" not in request.query.get("$expand", "").split(","):
            return {"items": {"__deferred": {"uri": "items"}}} if self.version == "v2" else {}
        plain = Request("GET", "", {}, request.headers, b"")
        shown = [self._shown("Items", item, plain) for item in self.entities["Items"].values()]
        mine = [one for one in shown if one["Ticket"] == entity["ID"]]
        cut = mine[: self.settings.page_cap]
        if self.version == "v2":
            return {"items": {"results": cut, **({"__next": "more"} if len(mine) > len(cut) else {})}}
        return {"items": cut, **({"items@odata.nextLink": "more"} if len(mine) > len(cut) else {})}

    def _json_value(self, value: Any, edm_type: str, request: Request) -> Any:
        if value is None:
            return None
        if edm_type in ("Edm.Decimal", "Edm.Int64"):
            is_text = self.version == "v2" or "IEEE754Compatible=true" in request.headers.get("Accept", "")
            return str(value) if is_text else float(value) if edm_type == "Edm.Decimal" else value
        if isinstance(value, datetime):
            if self.version == "v4":
                value = value.replace(microsecond=0) if self.settings.tells_seconds else value
                return value.isoformat().replace("+00:00", "Z")[: 10 if edm_type == "Edm.Date" else None]
            ticks = (value - EPOCH) // timedelta(milliseconds=1)
            return f"/Date({ticks})/" if edm_type == "Edm.DateTime" else f"/Date({ticks}+0000)/"
        return value

    # Writing

    def _create(self, request: Request, name: str) -> Response:
        entity = {**dict.fromkeys(self.types[name]), **self._body(request, name)}
        if entity[KEYS[name][0]] is None:
            entity[KEYS[name][0]] = f"N{len(self.entities[name]) + 1:05d}"
        key = tuple(entity[part] for part in KEYS[name])
        if key in self.entities[name]:
            raise ODataError(409, "EXISTS", "There is such a record.")
        self.put(name, **entity)
        self.applied["POST"] += 1
        location = {"Location": f"https://desk{ROOT}/{name}({quote(self._predicate(name, key), safe='')})"}
        if not self.settings.answers_changes:
            return Response(
                204, headers=location | ({"OData-EntityId": location["Location"]} if self.version == "v4" else {})
            )
        return self._one(request, name, key, 201, location)

    def _single(self, request: Request, name: str, key: tuple[Any, ...]) -> Response:
        exists = key in self.entities[name]
        if request.method == "GET":
            if not exists:
                raise ODataError(404, "NOT_FOUND", "There is no such record.")
            return self._one(request, name, key, 200, {})
        self._check_etag(request, name, key)
        if request.method == "DELETE":
            if not exists:
                raise ODataError(404, "NOT_FOUND", "There is no such record.")
            del self.entities[name][key]
            self.applied["DELETE"] += 1
            return Response(204)
        if request.method not in (("PATCH", "PUT") if self.version == "v4" else ("MERGE", "PUT")):
            raise ODataError(405, "METHOD", f"{request.method} is not known here.")
        return self._change(request, name, key, exists=exists)

    def _change(self, request: Request, name: str, key: tuple[Any, ...], *, exists: bool) -> Response:
        if not exists and self.version == "v2":
            raise ODataError(404, "NOT_FOUND", "There is no such record.")
        fields = self._body(request, name)  # version 4: a change of what is not there creates it
        whole = request.method == "PUT" or not exists
        old = dict(zip(KEYS[name], key, strict=True)) if whole else self.entities[name][key]
        self.put(name, **{**old, **fields, **dict(zip(KEYS[name], key, strict=True))})
        self.applied[request.method] += 1
        if self.version == "v2" or not self.settings.answers_changes:
            return Response(204, headers={"ETag": self._etag(name, key)} if self.settings.gives_etags else {})
        return self._one(request, name, key, 200 if exists else 201, {})

    def _check_etag(self, request: Request, name: str, key: tuple[Any, ...]) -> None:
        told = request.headers.get("If-Match")
        if told is None:
            if self.settings.needs_etag and key in self.entities[name]:
                raise ODataError(428, "PRECONDITION_REQUIRED", "Say which version is meant.")
            return
        if told == "*" and self.settings.needs_etag:
            raise ODataError(428, "PRECONDITION_REQUIRED", "Any version will not do.")
        if key not in self.entities[name]:
            raise ODataError(412, "PRECONDITION_FAILED", "There is no such record.")
        if told not in ("*", self._etag(name, key)):
            raise ODataError(412, "PRECONDITION_FAILED", "The record was changed meanwhile.")

    def _body(self, request: Request, name: str) -> Entity:
        if not request.headers.get("Content-Type", "").startswith("application/json"):
            raise ODataError(415, "MEDIA_TYPE", "Only JSON is taken.")
        fields = json.loads(request.body, parse_float=Decimal)
        unknown = [each for each in fields if each not in self.types[name]]
        if unknown:
            raise ODataError(400, "NO_PROPERTY", "The body is wrong.", f"There is no property {unknown[0]}.")
        exact = self.version == "v2" or "IEEE754Compatible=true" in request.headers["Content-Type"]
        return {each: self._value(each, fields[each], self.types[name][each], exact=exact) for each in fields}

    def _value(self, name: str, value: Any, edm_type: str, *, exact: bool) -> Any:
        try:
            return None if value is None else self._typed(value, edm_type, exact=exact)
        except (ValueError, InvalidOperation) as exc:
            raise ODataError(400, "BAD_VALUE", "The body is wrong.", f"{name}: {value} is no {edm_type}.") from exc

    def _typed(self, value: Any, edm_type: str, *, exact: bool) -> Any:
        if edm_type in ("Edm.Decimal", "Edm.Int64"):
            if isinstance(value, str) != exact:
                raise ValueError
            return Decimal(value) if edm_type == "Edm.Decimal" else int(value)
        if edm_type == "Edm.Int32":
            if type(value) is not int:
                raise ValueError
            return value
        if not isinstance(value, str):
            raise ValueError  # noqa: TRY004  # told as a bad value
        ticks = re.fullmatch(r"/Date\((-?\d+)(\+0000)?\)/", value)
        if edm_type in ("Edm.DateTime", "Edm.DateTimeOffset") and self.version == "v2":
            if not ticks or (ticks[2] is None) != (edm_type == "Edm.DateTime"):
                raise ValueError
            return EPOCH + timedelta(milliseconds=int(ticks[1]))
        if edm_type in ("Edm.Date", "Edm.DateTimeOffset"):
            if (edm_type == "Edm.Date") != (len(value) == 10):
                raise ValueError
            return value_of_text(value, "Edm.DateTimeOffset")
        return value

    def _one(
        self, request: Request, name: str, key: tuple[Any, ...], status: int, headers: Mapping[str, str]
    ) -> Response:
        shown = self._shown(name, self.entities[name][key], request)
        etag = {"ETag": self._etag(name, key)} if self.settings.gives_etags else {}
        return self._json({"d": shown} if self.version == "v2" else shown, status, {**etag, **headers})

    # Keys and versions

    def _key(self, name: str, predicate: str) -> tuple[Any, ...]:
        types = self.types[name]
        try:
            if len(KEYS[name]) == 1:
                return (value_of_literal(predicate, types[KEYS[name][0]], self.version),)
            parts = dict(re.findall(r"(\w+)=('(?:[^']|'')*'|[^,]+)(?:,|$)", predicate))
            return tuple(value_of_literal(parts[part], types[part], self.version) for part in KEYS[name])
        except (ValueError, KeyError) as exc:
            raise ODataError(400, "BAD_KEY", f"{predicate} is no key of {name}.") from exc

    def _predicate(self, name: str, key: tuple[Any, ...]) -> str:
        texts = ["'" + part.replace("'", "''") + "'" if isinstance(part, str) else str(part) for part in key]
        return texts[0] if len(key) == 1 else ",".join(f"{n}={t}" for n, t in zip(KEYS[name], texts, strict=True))

    def _etag(self, name: str, key: tuple[Any, ...]) -> str:
        return f'W/"{self.etags[name, key]}"'

    # Batches

    def _batch(self, request: Request) -> Response:
        kind = request.headers.get("Content-Type", "")
        if kind.startswith("application/json") and self.version == "v4":
            return self._json_batch(request)
        boundary = re.fullmatch(r"multipart/mixed; *boundary=([\w-]+)", kind)
        if not boundary:
            raise ODataError(415, "MEDIA_TYPE", "Batches are multipart/mixed.")
        parts = _parts(request.body, boundary[1])
        self._check_batch(len(parts))
        answers: list[bytes] = []
        for part in parts:
            answer, text = self._batch_part(part, request)
            answers.append(text)
            if answer.status >= 400 and not self._goes_on(request):
                break
        return _multipart(answers, 202 if self.version == "v2" else 200)

    def _check_batch(self, count: int) -> None:
        if count > self.settings.batch_limit:
            raise ODataError(400, "BATCH_LIMIT", f"At most {self.settings.batch_limit} operations are taken.")

    def _goes_on(self, request: Request) -> bool:
        if self.version == "v2":
            return True
        return self.settings.continues_on_error and "odata.continue-on-error" in request.headers.get("Prefer", "")

    def _batch_part(self, part: bytes, outer: Request) -> tuple[Response, bytes]:
        head, _, body = part.partition(b"\r\n\r\n")
        change_set = re.search(rb"multipart/mixed; *boundary=([\w-]+)", head)
        if not change_set:
            if self.version == "v2" and not body.startswith(b"GET"):
                raise ODataError(400, "CHANGE_SET", "Changes belong into a change set.")
            answer = self._operation(body, outer)
            return answer, _part_of(answer)
        operations = _parts(body, change_set[1].decode())
        if len(operations) != 1:
            raise ODataError(501, "CHANGE_SET", "The double takes change sets of one operation.")
        inner_head, _, operation = operations[0].partition(b"\r\n\r\n")
        if b"application/http" not in inner_head or b"Content-ID" not in inner_head:
            raise ODataError(400, "CHANGE_SET", "An operation has no Content-ID, or is no application/http.")
        answer = self._operation(operation, outer)
        if answer.status >= 400:
            return answer, _part_of(answer)
        inner = _multipart([_part_of(answer)], 200)
        return answer, f"Content-Type: {inner.headers['Content-Type']}\r\n\r\n".encode() + inner.body

    def _operation(self, operation: bytes, outer: Request) -> Response:
        head, _, body = operation.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, url, protocol = first.split(" ")
        if protocol != "HTTP/1.1" or "://" in url:
            raise ODataError(400, "OPERATION", f"{first} is no operation.")
        headers = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if body and headers.get("Content-Length") != str(len(body)):
            raise ODataError(400, "OPERATION", "The length of an operation is wrong.")
        return self._inner(method, url, headers, body, outer)

    def _inner(self, method: str, url: str, headers: Mapping[str, str], body: bytes, outer: Request) -> Response:
        version = {name: value for name, value in outer.headers.items() if "Version" in name}
        try:
            return self._route(Request(method, f"{ROOT}/{urlsplit(url).path}", {}, {**version, **headers}, body))
        except ODataError as exc:
            return self._error(exc)

    def _json_batch(self, request: Request) -> Response:
        asked = json.loads(request.body)["requests"]
        self._check_batch(len(asked))
        responses = []
        for one in asked:
            body = json.dumps(one["body"]).encode() if "body" in one else b""
            answer = self._inner(one["method"], one["url"], one["headers"], body, request)
            content = {"body": json.loads(answer.body)} if answer.body else {}
            responses.append({"id": one["id"], "status": answer.status, "headers": dict(answer.headers), **content})
            if answer.status >= 400 and not self._goes_on(request):
                break
        return self._json({"responses": responses[::-1]})

    # Documents

    def _json(self, document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        kind = "application/json" if self.version == "v2" else "application/json;odata.metadata=minimal"
        return Response(status, json.dumps(document).encode(), {"Content-Type": kind, **(headers or {})})

    def _error(self, exc: ODataError) -> Response:
        if self.version == "v2":
            details = [{"code": exc.code, "message": detail} for detail in exc.details]
            error: Any = {"message": {"lang": "en", "value": exc.message}, "innererror": {"errordetails": details}}
        else:
            error = {"message": exc.message, "details": [{"message": detail} for detail in exc.details]}
        return self._json({"error": {"code": exc.code, **error}}, exc.status)

    def _metadata(self) -> str:
        is_v4 = self.version == "v4"
        types = "".join(self._type_xml(name) for name in self.types)
        sets = "".join(f'<EntitySet Name="{name}" EntityType="desk.{name}"/>' for name in self.types)
        edm = "http://docs.oasis-open.org/odata/ns/edm" if is_v4 else "http://schemas.microsoft.com/ado/2008/09/edm"
        edmx = edm + "x" if is_v4 else "http://schemas.microsoft.com/ado/2007/06/edmx"
        service = (
            ""
            if is_v4
            else (
                ' xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata" m:DataServiceVersion="2.0"'
            )
        )
        association = (
            ""
            if is_v4
            else (
                '<Association Name="TicketItems"><End Role="one" Type="desk.Tickets" Multiplicity="1"/>'
                '<End Role="many" Type="desk.Items" Multiplicity="*"/></Association>'
            )
        )
        return (
            f'<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="{"4.0" if is_v4 else "1.0"}" '
            f'xmlns:edmx="{edmx}"><edmx:DataServices{service}>'
            f'<Schema Namespace="desk" xmlns="{edm}">{types}{association}'
            f'<EntityContainer Name="Container">{sets}</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>'
        )

    def _type_xml(self, name: str) -> str:
        keys = "".join(f'<PropertyRef Name="{key}"/>' for key in KEYS[name])
        properties = "".join(f'<Property Name="{each}" Type="{kind}"/>' for each, kind in self.types[name].items())
        link = ""
        if name == "Tickets":
            target = (
                'Type="Collection(desk.Items)"'
                if self.version == "v4"
                else 'Relationship="desk.TicketItems" FromRole="one" ToRole="many"'
            )
            link = f'<NavigationProperty Name="items" {target}/>'
        return f'<EntityType Name="{name}"><Key>{keys}</Key>{properties}{link}</EntityType>'


class ODataServer(HttpsServer):
    """A service on 127.0.0.1."""

    def __init__(self, context: ssl.SSLContext, service: ODataService) -> None:
        self.service = service
        super().__init__(context)

    def answer(self, request: Request) -> Response | Fault:
        return self.service.answer(request)


def _parts(body: bytes, boundary: str) -> list[bytes]:
    mark = b"--" + boundary.encode()
    pieces = body.split(mark)
    if len(pieces) < 2 or pieces[0].strip() or not pieces[-1].startswith(b"--"):
        raise ODataError(400, "MULTIPART", "The parts are not as their boundary says.")
    return [piece.removeprefix(b"\r\n").removesuffix(b"\r\n") for piece in pieces[1:-1]]


def _multipart(parts: list[bytes], status: int) -> Response:
    boundary = f"answer_{uuid.uuid4().hex}"
    mark = f"--{boundary}\r\n".encode()
    body = b"".join(mark + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return Response(status, body, {"Content-Type": f"multipart/mixed; boundary={boundary}"})


def _part_of(answer: Response) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    head = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    return f"{head}HTTP/1.1 {answer.status} Status\r\n{headers}\r\n".encode() + answer.body
