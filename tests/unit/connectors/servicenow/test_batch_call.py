from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from kwiksync_ops.connectors.servicenow.batch_call import CALL_BYTES, Item, ItemAnswer, decode, encode, in_calls


def answer(**document: Any) -> bytes:
    return json.dumps({"batch_request_id": "1", **document}).encode()


def test_items_carry_their_bodies_in_base64() -> None:
    (element,) = json.loads(encode([Item("d1", "POST", "/api/now/v2/table/incident", b'{"a":"1"}')]))["rest_requests"]
    assert (element["id"], element["method"], element["url"]) == ("d1", "POST", "/api/now/v2/table/incident")
    assert base64.b64decode(element["body"]) == b'{"a":"1"}'


def test_a_call_without_a_body_has_none() -> None:
    (element,) = json.loads(encode([Item("d1", "DELETE", "/api/now/v2/table/incident/1")]))["rest_requests"]
    assert "body" not in element


def test_answers_are_told_apart_by_id_and_what_was_left_is_named() -> None:
    body = base64.b64encode(b'{"result":{}}').decode()
    serviced = [{"id": "a", "status_code": 201, "body": body}, {"id": "b", "status_code": 500, "error_message": "no"}]
    answers, left = decode(answer(serviced_requests=serviced, unserviced_requests=["c", "a"]))
    assert answers == {"a": ItemAnswer(201, b'{"result":{}}'), "b": ItemAnswer(500, b"", "no")}
    assert left == {"c"}


@pytest.mark.parametrize("status", ["201", None, 2.5])
def test_a_status_that_is_no_number_says_nothing(status: Any) -> None:
    answers, _ = decode(answer(serviced_requests=[{"id": "a", "status_code": status}]))
    assert answers["a"].status == 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "Expecting value"),
        (b"[]", "no lists"),
        (answer(serviced_requests={}), "no lists"),
        (json.dumps({"error": {"message": "Transaction cancelled"}}).encode(), "Transaction cancelled"),
        (b'{"a":' * 100_000, "nested too deep"),
    ],
)
def test_what_is_no_answer_to_a_batch_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode(body)


def test_a_body_that_is_not_base64_is_none() -> None:
    answers, _ = decode(answer(serviced_requests=[{"id": "a", "status_code": 200, "body": "%%%"}]))
    assert answers["a"] == ItemAnswer(200, b"")


def test_items_share_calls_as_far_as_their_size_allows() -> None:
    large = Item("large", "POST", "/", b"x" * (CALL_BYTES // 2))
    small = Item("small", "POST", "/", b"x")
    assert in_calls([small, large, large, small]) == [[small, large], [large, small]]
    assert in_calls([]) == []
