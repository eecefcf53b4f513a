from __future__ import annotations

import json
from decimal import Decimal

import pytest

from kwiksync_ops.connectors.odata.batch import Operation, json_call, multipart_call, results_of

CREATE = Operation("POST", "Orders", {"Content-Type": "application/json"}, {"amount": Decimal("1.50"), "name": "ü"})
DELETE = Operation("DELETE", "Orders('A%2F1')", {"If-Match": 'W/"1"'})


def answer(*parts: bytes, boundary: str = "b") -> bytes:
    mark = f"--{boundary}\r\n".encode()
    return b"".join(mark + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()


def part(status: int, body: bytes = b"", headers: bytes = b"") -> bytes:
    head = b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    return head + f"HTTP/1.1 {status} Status\r\n".encode() + headers + b"\r\n" + body


def change_set(inner: bytes) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=c\r\n\r\n" + answer(inner, boundary="c")


def test_each_operation_is_a_change_set_of_its_own() -> None:
    call = multipart_call([CREATE, DELETE])
    text = call.body.decode()
    boundary = call.content_type.partition("boundary=")[2]
    assert text.count(f"--{boundary}\r\n") == 2
    assert text.endswith(f"--{boundary}--\r\n")
    assert text.count("Content-Type: multipart/mixed; boundary=changeset_") == 2
    assert "POST Orders HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n" in text
    assert '{"amount":1.50,"name":"ü"}' in text
    assert "DELETE Orders('A%2F1') HTTP/1.1\r\nIf-Match: W/\"1\"\r\n\r\n" in text


def test_a_batch_of_json_names_its_operations() -> None:
    call = json_call([CREATE, DELETE])
    requests = json.loads(call.body, parse_float=Decimal)["requests"]
    assert [request["id"] for request in requests] == ["1", "2"]
    assert requests[0]["body"] == CREATE.content
    assert "body" not in requests[1]


def test_results_come_in_the_order_of_the_operations_from_change_sets_and_in_their_place() -> None:
    body = answer(
        change_set(part(201, '{"name":"ü"}'.encode(), b'ETag: W/"1"\r\n')),
        part(400, b'{"error":1}'),
        change_set(part(204)),
    )
    results = results_of("multipart/mixed; boundary=b", body, 4)
    assert [result and result.status for result in results] == [201, 400, 204, None]
    assert results[0] is not None
    assert (results[0].body.decode(), results[0].headers["etag"]) == ('{"name":"ü"}', 'W/"1"')


def test_results_of_json_are_found_by_their_names() -> None:
    responses = [{"id": "2", "status": 204}, {"id": "1", "status": 201, "headers": {"ETag": "x"}, "body": {"a": 1.5}}]
    results = results_of("application/json", json.dumps({"responses": responses}).encode(), 3)
    assert [result and result.status for result in results] == [201, 204, None]
    assert results[0] is not None
    assert (results[0].body, results[0].headers["etag"]) == (b'{"a":1.5}', "x")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/mixed; boundary=b", answer(part(201))[:-6]),
        ("multipart/mixed; boundary=b", b""),
        ("multipart/mixed", answer(part(201))),
        ("multipart/mixed; boundary=b", answer(part(201), part(201), part(201))),
        ("multipart/mixed; boundary=b", answer(b"Content-Type: application/http\r\n\r\nnonsense")),
        (
            "multipart/mixed; boundary=b",
            answer(b"Content-Type: multipart/mixed; boundary=c\r\n\r\n" + answer(part(201), part(201), boundary="c")),
        ),
        ("application/json", b"{}"),
        ("application/json", b'{"responses": [{"id": "1"}]}'),
        ("text/html", b"<html>"),
    ],
)
def test_an_answer_that_is_not_that_of_the_batch_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        results_of(content_type, body, 2)
