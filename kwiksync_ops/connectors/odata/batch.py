"""Many operations in one call: `$batch` as multipart (both versions) and as JSON (version 4.01).

Each operation stands alone: in a change set of its own, or in none. So one that is refused holds up no other.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from email.message import Message
from email.parser import BytesParser
from typing import Any

import msgspec
from requests.structures import CaseInsensitiveDict

CRLF = b"\r\n"
_JSON = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Operation:
    """One change. `path` is relative to the service and percent-encoded; `content` is what the body says."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: Mapping[str, Any] | None = None

    @property
    def body(self) -> bytes | None:
        return None if self.content is None else _JSON.encode(self.content)


@dataclass(frozen=True)
class Result:
    """The answer to one operation."""

    status: int
    headers: Mapping[str, str] = field(default_factory=CaseInsensitiveDict)
    body: bytes = b""


@dataclass(frozen=True)
class BatchCall:
    content_type: str
    body: bytes


def multipart_call(operations: Sequence[Operation]) -> BatchCall:
    boundary = f"batch_{uuid.uuid4().hex}"
    parts = [_change_set(number, operation) for number, operation in enumerate(operations, 1)]
    return BatchCall(f"multipart/mixed; boundary={boundary}", _joined(boundary, parts))


def json_call(operations: Sequence[Operation]) -> BatchCall:
    requests = [
        {
            "id": str(number),
            "method": operation.method,
            "url": operation.path,
            "headers": dict(operation.headers),
            **({} if operation.content is None else {"body": operation.content}),
        }
        for number, operation in enumerate(operations, 1)
    ]
    return BatchCall("application/json", _JSON.encode({"requests": requests}))


def results_of(content_type: str, body: bytes, count: int) -> list[Result | None]:
    """The results in the order of the operations, None where the answer has none.

    Raises:
        ValueError: the answer is not that of a batch.
    """
    if content_type.lower().startswith("multipart/mixed"):
        found: list[Result | None] = [*_multipart_results(content_type, body)]
    else:
        found = _json_results(body, count)
    if len(found) > count:
        raise ValueError(f"{count} operations were sent, and {len(found)} results came")
    return found + [None] * (count - len(found))


def _change_set(number: int, operation: Operation) -> bytes:
    boundary = f"changeset_{uuid.uuid4().hex}"
    body = operation.body
    headers = dict(operation.headers) | ({} if body is None else {"Content-Length": str(len(body))})
    lines = [f"{operation.method} {operation.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    request = _head(*lines) + (body or b"")
    head = _head("Content-Type: application/http", "Content-Transfer-Encoding: binary", f"Content-ID: {number}")
    return _head(f"Content-Type: multipart/mixed; boundary={boundary}") + _joined(boundary, [head + request])


def _head(*lines: str) -> bytes:
    return CRLF.join(line.encode("utf-8") for line in lines) + CRLF * 2


def _joined(boundary: str, parts: Sequence[bytes]) -> bytes:
    mark = b"--" + boundary.encode()
    return b"".join(mark + CRLF + part + CRLF for part in parts) + mark + b"--" + CRLF


def _multipart_results(content_type: str, body: bytes) -> list[Result]:
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode("latin-1") + CRLF * 2 + body)
    closing = f"--{message.get_boundary()}--".encode()
    if not message.is_multipart() or not body.rstrip().endswith(closing):
        raise ValueError("the answer to a batch is not in parts, or cut off")
    return [_result(_leaf(part)) for part in message.get_payload() if isinstance(part, Message)]


def _leaf(part: Message) -> Message:
    """A change set answers with parts of its own, or, where it failed, with one answer in its place."""
    inner = part.get_payload()
    if not part.is_multipart():
        return part
    if not isinstance(inner, list) or len(inner) != 1 or not isinstance(inner[0], Message):
        raise ValueError("a change set of one operation does not have one result")
    return inner[0]


def _result(part: Message) -> Result:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        raise ValueError("a result has no content")  # noqa: TRY004  # it is the answer that is wrong
    line, _, rest = payload.lstrip().replace(CRLF, b"\n").partition(b"\n")
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError(f"a result begins {line[:40]!r}, not with a status")
    head, _, body = rest.partition(b"\n\n") if not rest.startswith(b"\n") else (b"", b"", rest[1:])
    return Result(int(words[1]), _headers(head), body.strip())


def _headers(head: bytes) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in head.decode("utf-8", "replace").split("\n"))
    return CaseInsensitiveDict({name.strip(): value.strip() for name, _, value in pairs if name.strip()})


def _json_results(body: bytes, count: int) -> list[Result | None]:
    document = json.loads(body, parse_float=Decimal)
    responses = document.get("responses") if isinstance(document, dict) else None
    if not isinstance(responses, list):
        raise ValueError("there is no list of responses")  # noqa: TRY004  # it is the answer that is wrong
    by_id = {str(one.get("id")): one for one in responses if isinstance(one, dict)}
    return [_json_result(by_id.get(str(number))) for number in range(1, count + 1)]


def _json_result(response: Any) -> Result | None:
    if response is None:
        return None
    status, headers, body = response.get("status"), response.get("headers") or {}, response.get("body")
    if not isinstance(status, int) or isinstance(status, bool) or not isinstance(headers, dict):
        raise ValueError("a response has no status")  # noqa: TRY004  # it is the answer that is wrong
    told = CaseInsensitiveDict({str(name): str(value) for name, value in headers.items()})
    content = b"" if body is None else body.encode() if isinstance(body, str) else _JSON.encode(body)
    return Result(status, told, content)
