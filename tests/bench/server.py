"""The system that both sides read: an HTTPS server whose pages are rendered once into files and sent as they lie there.

`server.py FOLDER RECORDS` prints its port when it is ready, and ends when its standard input does.
`/base/tickets?page=1` is how the records are first; under `/changed` every hundredth of them is different.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 1_000
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


def answer(connection: ssl.SSLSocket, sets: dict[str, Pages]) -> None:
    """Answer the requests of one client until it goes."""
    with connection, connection.makefile("rb") as requests:
        while line := requests.readline():
            while requests.readline() not in (b"\r\n", b""):
                pass
            target = urlsplit(line.split()[1].decode())
            page = int(parse_qs(target.query).get("page", ["1"])[0])
            body = sets[target.path.split("/")[1]].read(page)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)


def _serve(listener: socket.socket, context: ssl.SSLContext, sets: dict[str, Pages]) -> None:
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_talk, args=(client, context, sets), daemon=True).start()


def _talk(client: socket.socket, context: ssl.SSLContext, sets: dict[str, Pages]) -> None:
    try:
        answer(context.wrap_socket(client, server_side=True), sets)
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
    threading.Thread(target=_serve, args=(listener, context, sets), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
