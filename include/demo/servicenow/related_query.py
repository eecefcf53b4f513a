"""The parts of an encoded query that ask for records of other tables: `RLQUERY…^ENDRLQUERY` and `JOIN…!…`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

RELATED_LIST = re.compile(
    r"\^?RLQUERY(?P<table>\w+)\.(?P<field>\w+),(?P<operator>[<>!=]=?)(?P<count>\d+)(?:,m2m)?(?P<query>.*?)\^ENDRLQUERY"
)
JOIN = re.compile(r"\^?JOIN\w+\.(?P<own>\w+)=(?P<table>\w+)\.(?P<field>\w+)!(?P<query>.*?)(?=\^?ORDERBY|$)")
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Related:
    """So many records of `table` that match `query` must have in `field` what the record has in `own_field`."""

    text: str
    table: str
    field: str
    own_field: str
    query: str
    operator: str
    count: int

    def holds(self, count: int) -> bool:
        return COMPARE[self.operator](count, self.count)


def split(text: str) -> tuple[str, list[Related]]:
    """The query without such parts, and these."""
    related = [_related_list(match) for match in RELATED_LIST.finditer(text)]
    text = RELATED_LIST.sub("", text)
    related += [_join(match) for match in JOIN.finditer(text)]
    return JOIN.sub("", text), related


def _related_list(match: re.Match[str]) -> Related:
    query = match["query"].removeprefix("^")
    return Related(match[0], match["table"], match["field"], "sys_id", query, match["operator"], int(match["count"]))


def _join(match: re.Match[str]) -> Related:
    return Related(match[0], match["table"], match["field"], match["own"], match["query"], ">", 0)
