"""A GraphQL server: the reference implementation runs the queries, over records that a test gives."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from graphql import GraphQLError, build_schema, graphql_sync

from tests.support.https_server import Request, Response, json_response

Position = Callable[[Any], Any]


class GraphqlApp:
    """Answers at one path, with status 200 for errors too. `root` has a method for each query and mutation."""

    def __init__(self, definition: str, root: Any) -> None:
        self._schema = build_schema(definition)
        self._root = root

    def __call__(self, request: Request) -> Response:
        asked = json.loads(request.body)
        result = graphql_sync(
            self._schema, asked["query"], root_value=self._root, variable_values=asked.get("variables")
        )
        return json_response(result.formatted)


def connection(records: Iterable[Any], first: int, after: str | None, *, position: Position) -> dict[str, Any]:
    """A page of records in the order of their position, as Relay's cursor connections have it."""
    ordered = sorted(records, key=position)
    if after is not None:
        ordered = [record for record in ordered if position(record) > _decoded(after)]
    nodes = ordered[:first]
    return {
        "nodes": nodes,
        "totalCount": len(ordered),
        "pageInfo": {
            "hasNextPage": len(ordered) > first,
            "endCursor": _encoded(position(nodes[-1])) if nodes else None,
        },
    }


def told(message: str, code: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})


def _encoded(position: Sequence[Any]) -> str:
    return base64.b64encode(json.dumps(position).encode()).decode()


def _decoded(cursor: str) -> tuple[Any, ...]:
    return tuple(json.loads(base64.b64decode(cursor)))
