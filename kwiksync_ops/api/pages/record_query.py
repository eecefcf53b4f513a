"""What a list of records was asked for by its address, in the same words as the REST API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request
from pydantic import BaseModel, Field

from kwiksync_ops.api.pages.formats import field_text
from kwiksync_ops.api.pages.record_views import title_of
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services import records
from kwiksync_ops.storage.record_search import AnyOf, Condition, OtherField
from kwiksync_ops.vocabulary import RecordTable

SIGNS = {"=": "is", "!=": "is not", "~": "contains", ">=": "is at least", "<=": "is at most"}
COMPARED = {**SIGNS, "<": "is less than", ">": "is more than"}
COMPARED_IN_TIME = {**SIGNS, "<": "is before", ">": "is after", "<=": "is not after", ">=": "is not before"}
MAX_FILTERS = 20


class ListQuery(BaseModel):
    """Of the address; any other parameter is a field that is to be equal. The last three make one more filter."""

    q: str = Field(default="", max_length=200)
    filter: list[str] = Field(default=[], max_length=MAX_FILTERS)
    sort: str = Field(default="", max_length=80)
    cursor: str = Field(default="", max_length=1_000)
    looked: int = Field(default=0, ge=0)
    field: str = Field(default="", max_length=80)
    sign: str = "="
    value: str = Field(default="", max_length=300)


ListQueryDep = Annotated[ListQuery, Query()]


@dataclass(frozen=True)
class Asked:
    """`chosen` are fields that are to be equal, `filters` conditions such as `quantity>=10`."""

    q: str = ""
    chosen: Mapping[str, str] = field(default_factory=dict)
    filters: tuple[str, ...] = ()
    sort: str = ""

    @property
    def is_filtered(self) -> bool:
        return bool(self.q or self.chosen or self.filters)

    @property
    def query(self) -> dict[str, Any]:
        """For `Links.page`."""
        return {**self.chosen, "q": self.q, "filter": list(self.filters), "sort": self.sort}

    @property
    def as_csv(self) -> str:
        """The query of the REST route that streams the same records."""
        named = {name: value for name, value in self.query.items() if value and name != "sort"}
        return urlencode({**named, "format": "csv"}, doseq=True)

    def sorted_by(self, sort: str) -> Asked:
        return replace(self, sort=sort)

    def without(self, *filters: str) -> Asked:
        return replace(self, filters=tuple(text for text in self.filters if text not in filters))

    def with_(self, *filters: str) -> Asked:
        return replace(self, filters=tuple(dict.fromkeys((*self.filters, *filters))))

    def unchosen(self, name: str) -> Asked:
        return replace(self, chosen={other: value for other, value in self.chosen.items() if other != name})


def read_asked(request: Request, query: ListQuery) -> Asked:
    own = set(ListQuery.model_fields)
    chosen = {name: value.strip() for name, value in request.query_params.items() if name not in own}
    asked = Asked(
        q=query.q.strip(),
        chosen={name: value for name, value in chosen.items() if value},
        filters=tuple(dict.fromkeys(text for text in query.filter if text)),
        sort=query.sort,
    )
    return asked.with_(f"{query.field}{_sign(query.sign)}{query.value.strip()}") if query.field else asked


def conditions_of(table: RecordTable, asked: Asked) -> list[Condition | AnyOf]:
    """Raises ConfigurationError for a field that the table does not have, and for a value that is none of it."""
    texts = [*(f"{name}={value}" for name, value in asked.chosen.items()), *asked.filters]
    named: list[Condition | AnyOf] = [records.parse_condition(table, text) for text in texts]
    return [*named, records.search_condition(table, asked.q)] if asked.q else named


def in_words(table: RecordTable, text: str) -> str:
    """`due_date<2026-12-01` as `Due date is before 2026-12-01`."""
    condition = records.parse_condition(table, text)
    column = records.find_column(table, condition.field)
    compared = (COMPARED_IN_TIME if column.type in ("date", "datetime") else COMPARED)[condition.operator]
    value = condition.value
    told = title_of(value.name).lower() if isinstance(value, OtherField) else field_text(value, table.name, column.name)
    return f"{title_of(column)} {compared} {'empty' if value is None else told}"


def _sign(text: str) -> str:
    if text not in SIGNS:
        raise ConfigurationError(f"{text!r} compares nothing.", remedy=f"There are: {' '.join(SIGNS)}.")
    return text
