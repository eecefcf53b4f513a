"""GitHub's GraphQL API for the issues of one repository, written from its public schema; the engine is a real one."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError

from tests.support.graphql_app import GraphqlApp, connection
from tests.support.https_server import HttpsServer, Request, Response, json_response

SCHEMA = """
scalar DateTime
enum IssueState { OPEN CLOSED }
enum IssueOrderField { CREATED_AT UPDATED_AT COMMENTS }
enum OrderDirection { ASC DESC }
input IssueOrder { field: IssueOrderField!, direction: OrderDirection! }
input IssueFilters { since: DateTime, states: [IssueState!] }
interface Node { id: ID! }
interface Actor { login: String! }
type User implements Node & Actor { id: ID!, login: String! }
type Milestone implements Node { id: ID!, title: String! }
type Issue implements Node {
  id: ID!, number: Int!, title: String!, body: String!, state: IssueState!
  createdAt: DateTime!, updatedAt: DateTime!, closedAt: DateTime, author: Actor, milestone: Milestone
}
type PageInfo { hasNextPage: Boolean!, endCursor: String }
type IssueConnection { nodes: [Issue], pageInfo: PageInfo!, totalCount: Int! }
type Repository implements Node {
  id: ID!
  issues(first: Int, after: String, orderBy: IssueOrder, filterBy: IssueFilters): IssueConnection!
}
input CreateIssueInput { repositoryId: ID!, title: String!, body: String, clientMutationId: String }
input UpdateIssueInput { id: ID!, title: String, body: String, state: IssueState, clientMutationId: String }
type CreateIssuePayload { issue: Issue }
type UpdateIssuePayload { issue: Issue }
type Query {
  repository(owner: String!, name: String!): Repository
  node(id: ID!): Node
  viewer: User!
}
type Mutation {
  createIssue(input: CreateIssueInput!): CreateIssuePayload
  updateIssue(input: UpdateIssueInput!): UpdateIssuePayload
}
"""
REPOSITORY = ("my-company", "my-repository", "R_kgDOExample")
MOST = 100


@dataclass
class GitHub:
    """`issues` by node id. `tell` is the type of the error that the next call meets."""

    token: str
    issues: dict[str, dict[str, Any]] = field(default_factory=dict)
    tell: str = ""
    calls: int = 0

    def serve(self, server: HttpsServer) -> None:
        app = GraphqlApp(SCHEMA, _Root(self))

        def answer(request: Request) -> Response:
            self.calls += 1
            if request.headers.get("Authorization") != f"Bearer {self.token}":
                return json_response({"message": "Bad credentials"}, 401)
            if not request.headers.get("User-Agent"):
                return json_response({"message": "Please make sure your request has a User-Agent header"}, 403)
            if self.tell:
                kind, self.tell = self.tell, ""
                return json_response({"data": None, "errors": [{"type": kind, "message": f"{kind} it is"}]})
            return _with_types(app(request))

        server.on("/graphql", answer)

    def add(self, number: int, **fields: Any) -> None:
        at = f"2026-01-15T12:{number // 60:02d}:{number % 60:02d}Z"
        self.issues[f"I_{number}"] = {
            "__typename": "Issue",
            "id": f"I_{number}",
            "number": number,
            "title": f"Issue {number}",
            "body": "",
            "state": "OPEN",
            "createdAt": at,
            "updatedAt": at,
            "author": {"__typename": "User", "login": "anna"},
            **fields,
        }


class _Root:
    def __init__(self, github: GitHub) -> None:
        self._github = github
        self._numbers = itertools.count(1000)

    def repository(self, info: Any, owner: str, name: str) -> Any:
        if (owner, name) != REPOSITORY[:2]:
            raise GraphQLError(f"Could not resolve to a Repository with the name '{owner}/{name}'.")
        return {"id": REPOSITORY[2], "issues": self._issues}

    def _issues(self, info: Any, first: int, after: str | None = None, **options: Any) -> Any:
        if first > MOST:
            raise GraphQLError(f"Requesting {first} records exceeds the `first` limit of {MOST} records.")
        assert options["orderBy"] == {"field": "UPDATED_AT", "direction": "ASC"}
        since = (options.get("filterBy") or {}).get("since") or ""
        found = [issue for issue in self._github.issues.values() if issue["updatedAt"] >= since]
        return connection(found, first, after, position=lambda issue: (issue["updatedAt"], issue["number"]))

    def node(self, info: Any, id: str) -> Any:  # noqa: A002  # the schema calls it so
        return self._known(id)

    def viewer(self, info: Any) -> Any:
        return {"id": "U_1", "login": "anna"}

    def createIssue(self, info: Any, input: dict[str, Any]) -> Any:  # noqa: A002, N802
        if input["repositoryId"] != REPOSITORY[2]:
            raise GraphQLError("Could not resolve to a node with the global id")
        number = next(self._numbers)
        self._github.add(number, title=input["title"], body=input.get("body") or "")
        return {"issue": self._github.issues[f"I_{number}"]}

    def updateIssue(self, info: Any, input: dict[str, Any]) -> Any:  # noqa: A002, N802
        issue = self._known(input["id"])
        issue.update({name: value for name, value in input.items() if value is not None})
        return {"issue": issue}

    def _known(self, key: str) -> dict[str, Any]:
        if key not in self._github.issues:
            raise GraphQLError(f"Could not resolve to a node with the global id of '{key}'")
        return self._github.issues[key]


def _with_types(answer: Response) -> Response:
    """GitHub says the type of an error beside its message."""
    told = json.loads(answer.body)
    for error in told.get("errors", ()):
        if error["message"].startswith("Could not resolve"):
            error["type"] = "NOT_FOUND"
    return json_response(told)
