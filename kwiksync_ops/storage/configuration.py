"""App settings: rows of `configuration`, each with a type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage.models import CONFIGURATION

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "integer": int,
    "decimal": Decimal,
    "string": str,
    "json": (dict, list),
}


@dataclass(frozen=True)
class AppSetting:
    """A row of `configuration`, its value in its type."""

    key: str
    value: Any
    description: str | None
    updated_on: datetime
    updated_by: str
    mod_count: int


def read_setting(connection: sa.Connection, key: str) -> AppSetting | None:
    row = connection.execute(sa.select(CONFIGURATION).where(CONFIGURATION.c.key == key)).one_or_none()
    return _setting(row) if row else None


def list_settings(connection: sa.Connection, prefix: str = "") -> list[AppSetting]:
    """The settings whose key begins so, by key."""
    wanted = CONFIGURATION.c.key.startswith(prefix, autoescape=True)
    rows = connection.execute(sa.select(CONFIGURATION).where(wanted).order_by(CONFIGURATION.c.key))
    return [_setting(row) for row in rows]


def write_setting(
    connection: sa.Connection, key: str, value: Any, *, who: str, now: datetime, description: str | None = None
) -> bool:
    """Set it; False where it had that value and description already. Without a description the old one stays."""
    old = read_setting(connection, key)
    text, value_type = _text(value), _type_of(value)
    if old is None:
        row = {"key": key, "value": text, "value_type": value_type, "description": description}
        connection.execute(CONFIGURATION.insert().values(row | _stamp(now, who, 0)))
        return True
    description = old.description if description is None else description
    if (_text(old.value), _type_of(old.value), old.description) == (text, value_type, description):
        return False
    changed = {"value": text, "value_type": value_type, "description": description}
    stamp = _stamp(now, who, old.mod_count + 1)
    connection.execute(CONFIGURATION.update().where(CONFIGURATION.c.key == key).values(changed | stamp))
    return True


def _stamp(now: datetime, who: str, mod_count: int) -> dict[str, Any]:
    return {"sys_updated_on": now, "sys_updated_by": who, "sys_mod_count": mod_count}


def _setting(row: sa.Row[Any]) -> AppSetting:
    return AppSetting(
        key=row.key,
        value=_value(row.value, row.value_type),
        description=row.description,
        updated_on=row.sys_updated_on,
        updated_by=row.sys_updated_by,
        mod_count=row.sys_mod_count,
    )


def _type_of(value: Any) -> str:
    for name, types in _TYPES.items():
        if isinstance(value, types):
            return name
    raise TypeError(f"A setting can't hold a {type(value).__name__}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, Decimal) else json.dumps(value)


def _value(text: str, value_type: str) -> Any:
    match value_type:
        case "string":
            return text
        case "decimal":
            return Decimal(text)
        case _:
            return json.loads(text)
