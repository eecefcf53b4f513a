"""The system that both sides read: an HTTPS server whose pages are rendered once into files and sent as they lie there.

`server.py FOLDER RECORDS` prints its port when it is ready, and ends when its standard input does.
`/base/tickets?page=1` is how the records are first; under `/changed` every hundredth of them is different.
`/sink/bulk` takes in records, `/sink/calls` tells how many came and when, `/sink/reset` forgets it.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 1_000
WINDOW_S = 60.0
CHANGED_EACH = 100
START = datetime(2026, 1, 1, tzinfo=UTC)
STATES = ("New", "Active", "Awaiting User Info", "Resolved", "Closed")
PRIORITIES = ("1 - Critical", "2 - High", "3 - Moderate", "4 - Low")


def ticket(number: int, *, is_changed: bool = False) -> dict[str, Any]:
    """A ticket of twelve fields: eleven that are mapped, and when it changed."""
    opened = START + timedelta(minutes=number % 200_000)
    changed = START + timedelta(days=180 if is_changed else 150, seconds=number)
    state = STATES[number % 4]
    return {
        "ticket_id": f"T-{number:08d}",
        "ticket_number": f"INC{number % 10_000_000:07d}",
        "description": f"Gate {number % 977} at site {number % 241} does not answer, réf. {number * 7919 % 1_000_003}",
        "symptom": f"Symptom {number % 525}; reported by phone, group {number % 79}",
        "state": "Closed" if is_changed else state,
        "priority": PRIORITIES[number % 4],
        "category": f"Category {number % 59}",
        "assigned_to": f"Resolver {number % 233}",
        "opened_at": _day_first(opened),
        "due_at": _day_first(opened + timedelta(days=7)),
        "closed_at": _day_first(opened + timedelta(days=3)) if is_changed or state == "Resolved" else None,
        "updated_at": f"{changed:%Y-%m-%dT%H:%M:%SZ}",
    }


def _day_first(moment: datetime) -> str:
    return f"{moment.day}/{moment.month}/{moment.year} {moment:%H:%M}"


class Pages:
    """The pages of one set of records, in a file."""

    def __init__(self, path: Path, records: int, *, is_changed: bool) -> None:
        self._path = path
        self._spans: list[tuple[int, int]] = []
        with path.open("wb") as file:
            for start in range(0, records, PAGE):
                numbers = range(start, min(start + PAGE, records))
                page = {
                    "total": records,
                    "pages": -(-records // PAGE),
                    "has_more": numbers.stop < records,
                    "data": [
                        ticket(number, is_changed=is_changed and number % CHANGED_EACH == 0) for number in numbers
                    ],
                }
                body = json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()
                self._spans.append((file.tell(), len(body)))
                file.write(body)

    def read(self, page: int) -> bytes:
        start, length = self._spans[page - 1]
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(length)


class Sink:
    """What was pushed: counted, and forgotten."""

    def __init__(self) -> None:
        self._records = 0
        self._calls: list[float] = []

    def answer(self, what: str, body: bytes) -> bytes:
        match what:
            case "bulk":
                self._calls.append(time.monotonic())
                return self._take(json.loads(body)["records"])
            case "reset":
                self._records = 0
                self._calls.clear()
        return json.dumps(self._told()).encode()

    def _take(self, records: list[dict[str, Any]]) -> bytes:
        first = self._records
        self._records += len(records)
        results = [
            {"index": at, "id": record.get("id") or f"S-{first + at:08d}", "status": 200 if "id" in record else 201}
            for at, record in enumerate(records)
        ]
        return json.dumps({"results": results}).encode()

    def _told(self) -> dict[str, Any]:
        """`minutes` are those that are over, from the first call on."""
        calls = self._calls
        first = calls[0] if calls else 0.0
        minutes = [0] * (int((time.monotonic() - first) // WINDOW_S) if calls else 0)
        for at in calls:
            if (minute := int((at - first) // WINDOW_S)) < len(minutes):
                minutes[minute] += 1
        within = (bisect_left(calls, at + WINDOW_S) - place for place, at in enumerate(calls))
        return {"records": self._records, "minutes": minutes, "most_in_60_s": max(within, default=0)}


def answer(connection: ssl.SSLSocket, sets: dict[str, Pages], sink: Sink) -> None:
    """Answer the requests of one client until it goes."""
    with connection, connection.makefile("rb") as requests:
        while line := requests.readline():
            length = 0
            while (header := requests.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            target = urlsplit(line.split()[1].decode())
            place, what = target.path.split("/")[1:3]
            if place == "sink":
                body = sink.answer(what, requests.read(length))
            else:
                body = sets[place].read(int(parse_qs(target.query).get("page", ["1"])[0]))
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)


def _serve(listener: socket.socket, context: ssl.SSLContext, sets: dict[str, Pages], sink: Sink) -> None:
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_talk, args=(client, context, sets, sink), daemon=True).start()


def _talk(client: socket.socket, context: ssl.SSLContext, sets: dict[str, Pages], sink: Sink) -> None:
    try:
        answer(context.wrap_socket(client, server_side=True), sets, sink)
    except OSError as exc:
        print(f"A client went: {exc}", file=sys.stderr)


def main() -> None:
    folder, records = Path(sys.argv[1]), int(sys.argv[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    sets = {
        name: Pages(folder / f"{name}.pages", records, is_changed=name == "changed") for name in ("base", "changed")
    }
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(listener, context, sets, Sink()), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
