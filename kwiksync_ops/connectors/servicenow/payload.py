"""A delivery as ServiceNow takes it: texts, references by sys_id, journal entries apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kwiksync_ops.connectors.servicenow.finder import Finder
from kwiksync_ops.connectors.servicenow.options import PushOptions, ReferenceOptions, ServiceNowOptions
from kwiksync_ops.connectors.servicenow.values import text_of
from kwiksync_ops.connectors.target import Delivery
from kwiksync_ops.vocabulary import Action


@dataclass(frozen=True)
class Prepared:
    """What is sent of a delivery: `notes` are journal entries by field; `fault` says why nothing can be."""

    delivery: Delivery
    fields: Mapping[str, str]
    notes: Mapping[str, str]
    fault: str | None = None


class References:
    """Finds the sys_ids of records that a payload names in another way; what was found once is remembered."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._known: dict[ReferenceOptions, dict[str, str]] = {}

    def find(self, options: ServiceNowOptions, by: ReferenceOptions, values: set[str]) -> Mapping[str, str | None]:
        """sys_ids by value, folded to one case as most instances compare; None where several records have it."""
        known = self._known.setdefault(by, {})
        asked = {value for value in values if value.casefold() not in known}
        found: dict[str, str | None] = {}
        for row in self._finder.rows(options, by.table, by.field, asked, ("sys_id",)) if asked else ():
            value = str(row.get(by.field, "")).casefold()
            found[value] = str(row.get("sys_id")) if value not in found else None
        known |= {value: sys_id for value, sys_id in found.items() if sys_id}
        return {**found, **known}


def prepare(
    options: ServiceNowOptions, push: PushOptions, references: References, deliveries: Sequence[Delivery]
) -> list[Prepared]:
    """Raises what looking for references raises; nothing was sent then."""
    sys_ids = {name: references.find(options, by, _values_of(deliveries, name)) for name, by in push.references.items()}
    return [_prepared(push, sys_ids, delivery) for delivery in deliveries]


def notes_of(push: PushOptions, delivery: Delivery) -> dict[str, str]:
    """The journal entries of a delivery, by field."""
    found = {name: delivery.payload[name] for name in push.journal_fields if name in delivery.payload}
    return {name: text_of(value) for name, value in found.items() if value not in (None, "")}


def _values_of(deliveries: Sequence[Delivery], name: str) -> set[str]:
    values = (delivery.payload.get(name) for delivery in deliveries)
    return {value for value in values if isinstance(value, str) and value}


def _prepared(push: PushOptions, sys_ids: Mapping[str, Mapping[str, str | None]], delivery: Delivery) -> Prepared:
    fields: dict[str, str] = {}
    for name, value in delivery.payload.items():
        try:
            text = text_of(value)
        except ValueError as exc:
            return Prepared(delivery, {}, {}, f"{name} is {exc}.")
        if text and name in sys_ids:
            sys_id = sys_ids[name].get(text.casefold())
            if sys_id is None:
                is_known = text.casefold() in sys_ids[name]
                return Prepared(delivery, {}, {}, _unresolved(push, name, text, is_known=is_known))
            text = sys_id
        if name not in push.journal_fields:
            fields[name] = text
    if push.correlation_field and (delivery.action == Action.CREATE or push.by == "import_set"):
        fields[push.correlation_field] = delivery.record_id
    return Prepared(delivery, fields, notes_of(push, delivery))


def _unresolved(push: PushOptions, name: str, value: str, *, is_known: bool) -> str:
    by = push.references[name]
    found = "several records" if is_known else "no record"
    return f"{name}: {by.table} has {found} with {by.field} {value!r}."
