"""The `push` options: what is wrong with them, all at once, and what they mean."""

from __future__ import annotations

from typing import Any

import pytest

from kwiksync_ops.connectors.rest.options import option_faults
from kwiksync_ops.connectors.rest.push_options import parse_push
from kwiksync_ops.connectors.target import Repeat
from kwiksync_ops.vocabulary import Action

CREATE = {"method": "POST", "path": "/t"}
UPDATE = {"method": "PATCH", "path": "/t/{key}"}


@pytest.mark.parametrize(
    ("push", "said"),
    [
        ({}, ""),
        ({"repeat": "upsert"}, "set create, update, delete or bulk"),
        ({"create": {"method": "GET", "path": "/t"}}, "push.create.method"),
        ({"creat": CREATE}, "push.creat: is an unknown key. Did you mean 'create'?"),
        ({"update": {"method": "PUT", "path": "/t"}}, "put {key} into it"),
        ({"create": CREATE, "read": {"path": "/t"}}, "put {key} into it"),
        ({"create": CREATE, "confirm": {"by": "job", "path": "/j"}}, "a path with {job}"),
        ({"create": CREATE, "confirm": {"by": "read"}}, "set read"),
        ({"create": CREATE, "repeat": "look"}, "set read"),
        ({"create": CREATE, "find": {"path": "/t", "param": "q", "field": "ref"}}, "set correlation_field"),
        ({"create": CREATE, "correlation_field": "ref", "find": {"path": "/t", "field": "ref"}}, "where our id goes"),
        ({"update": {"method": "POST", "path": "/rpc", "body": {"id": "${key:int}"}}}, ""),
        (
            {"update": {"method": "POST", "path": "/rpc", "body": {"id": "${id}"}}},
            "put {key} into it, or ${key} into its",
        ),
        ({"create": {**CREATE, "body": {"f": "${field}"}}}, "push.create.body: ${field} is not known here"),
        ({"bulk": {"path": "/b", "body": {"all": "${fields}"}}}, "push.bulk.body: ${fields} is not known here"),
        ({"create": CREATE, "repeat": "twice"}, "push.repeat"),
        ({"bulk": {"path": "/b", "records": 0}}, "push.bulk.records"),
    ],
)
def test_a_fault_is_named_with_its_place(push: dict[str, Any], said: str) -> None:
    faults = option_faults({"push": push})
    assert (said in "\n".join(faults)) == bool(faults or not said), faults
    assert bool(faults) == bool(said)


def test_options_become_values_with_defaults() -> None:
    push = parse_push(
        {
            "create": CREATE,
            "update": UPDATE,
            "bulk": {"path": "/b", "actions": ["create"], "results_path": "data.results", "id_path": "ref"},
            "key_path": "record.id",
            "repeat": "look",
        }
    )
    assert push.repeat is Repeat.LOOK
    assert push.key_path == ("record", "id")
    assert push.bulk is not None
    assert (push.bulk.results_path, push.bulk.id_path, push.bulk.records) == (("data", "results"), ("ref",), 1000)
    assert (push.is_bulk(Action.CREATE), push.is_bulk(Action.UPDATE)) == (True, False)
    assert push.endpoint(Action.UPDATE) is push.update
    assert push.endpoint(Action.DELETE) is None
    assert parse_push({"create": CREATE}).repeat is Repeat.NEVER


def test_a_call_with_a_body_is_a_post_unless_said_otherwise() -> None:
    body = {"id": "${key}"}
    push = parse_push({"read": {"path": "/rpc", "body": body}, "find": {"path": "/t", "param": "q", "field": "ref"}})
    assert push.read is not None
    assert push.find is not None
    assert (push.read.method, push.read.body, push.find.method, push.find.body) == ("POST", body, "GET", None)
