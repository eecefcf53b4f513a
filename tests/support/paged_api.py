"""One list of records, served in each way that APIs page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.https_server import Fault, HttpsServer, Request, Response, json_response

PATH = "/api/records"
SERVER_CAP = 7
"""The API's own idea of a page: fewer than tests ask for, so that nobody counts on what was asked."""

Record = Mapping[str, Any]


def sample_records(count: int) -> list[Record]:
    """Records with ties of ten in one second, in the order of (updated_at, id)."""
    return [
        {"id": f"R{number:05d}", "name": f"record {number}", "updated_at": f"2026-01-15T12:00:{number // 10 % 60:02d}Z"}
        for number in range(count)
    ]


@dataclass
class PagedApi:
    """Serves `records` in the given style. `instead` replaces the answer to the n-th call (from 1)."""

    style: str
    records: list[Record]
    cap: int = SERVER_CAP
    instead: dict[int, Response | Fault] = field(default_factory=dict)
    calls: int = 0

    def install(self, server: HttpsServer) -> None:
        server.on(PATH, self)

    def __call__(self, request: Request) -> Response | Fault:
        self.calls += 1
        if self.calls in self.instead:
            return self.instead[self.calls]
        return getattr(self, f"_{self.style}")(request)

    def _window(self, query: Mapping[str, str], start: int) -> list[Record]:
        return self._window_of(self.records[start:], query)

    def _window_of(self, records: list[Record], query: Mapping[str, str]) -> list[Record]:
        return records[: min(int(query.get("limit", "1000")), self.cap)]

    def _none(self, request: Request) -> Response:
        return json_response(self.records)

    def _page_number(self, request: Request) -> Response:
        page = int(request.query["page"])
        return json_response({"data": self._window(request.query, (page - 1) * self.cap)})

    def _offset(self, request: Request) -> Response:
        start = int(request.query["offset"])
        window = self._window(request.query, start)
        return json_response({"data": window, "meta": {"total": len(self.records)}})

    def _cursor(self, request: Request) -> Response:
        start = int(request.query.get("cursor", "at-0").removeprefix("at-"))
        following = start + self.cap
        token = f"at-{following}" if following < len(self.records) else None
        return json_response({"data": self._window(request.query, start), "paging": {"next": token}})

    def _next_link(self, request: Request) -> Response:
        return self._linked(request, lambda link: ({"data": [], "links": {"next": link}}, {}))

    def _link_header(self, request: Request) -> Response:
        def header(link: str | None) -> dict[str, str]:
            return {"Link": f'<{PATH}?start=0>; rel="first", <{link}>; rel="next"'} if link else {}

        return self._linked(request, lambda link: ({"data": []}, header(link)))

    def _linked(
        self, request: Request, shape: Callable[[str | None], tuple[dict[str, Any], dict[str, str]]]
    ) -> Response:
        start = int(request.query.get("start", "0"))
        following = start + self.cap
        document, headers = shape(f"{PATH}?start={following}" if following < len(self.records) else None)
        return json_response({**document, "data": self._window(request.query, start)}, headers=headers)

    def _keyset(self, request: Request) -> Response:
        after = (request.query.get("changed_after", ""), request.query.get("after_id", ""))
        later = [record for record in self.records if (record["updated_at"], record["id"]) > after]
        return json_response({"data": self._window_of(later, request.query)})

    def _key(self, request: Request) -> Response:
        ordered = sorted(self.records, key=lambda record: record["id"])
        later = [record for record in ordered if record["id"] > request.query.get("after_id", "")]
        return json_response({"data": self._window_of(later, request.query)})


OPTIONS: dict[str, dict[str, Any]] = {
    "none": {"records_path": "", "pagination": {"type": "none"}},
    "page_number": {"records_path": "data", "pagination": {"type": "page_number"}},
    "offset": {"records_path": "data", "pagination": {"type": "offset", "total_path": "meta.total"}},
    "cursor": {"records_path": "data", "pagination": {"type": "cursor", "cursor_path": "paging.next"}},
    "next_link": {"records_path": "data", "pagination": {"type": "next_link", "next_path": "links.next"}},
    "link_header": {"records_path": "data", "pagination": {"type": "link_header"}},
    "keyset": {"records_path": "data", "pagination": {"type": "keyset"}},
    "key": {"records_path": "data", "pagination": {"type": "key"}},
}
"""The connector's options for each style."""
