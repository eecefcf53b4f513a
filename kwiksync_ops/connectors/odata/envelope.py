"""What stands around the records of an answer: where they are, the link to more, the count of all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kwiksync_ops.connectors.http.json_path import MISSING, Path, value_at
from kwiksync_ops.connectors.odata.edm import Version

RECORDS: Mapping[Version, Path] = {"v2": ("d", "results"), "v4": ("value",)}
_LINKS: Mapping[Version, tuple[Path, ...]] = {
    "v2": (("d", "__next"),),
    "v4": (("@odata.nextLink",), ("@nextLink",)),
}
_TOTALS: Mapping[Version, tuple[Path, ...]] = {
    "v2": (("d", "__count"),),
    "v4": (("@odata.count",), ("@count",)),
}


def link_in(envelope: Any, version: Version) -> str | None:
    """The link to the next page. Raises ValueError where it is none."""
    found = _first(envelope, _LINKS[version])
    if found is None or isinstance(found, str):
        return found or None
    raise ValueError("its next link is no text")


def total_in(envelope: Any, version: Version) -> int | None:
    """How many records there are in all, where the answer says so. Raises ValueError where it is no number."""
    found = _first(envelope, _TOTALS[version])
    try:
        return None if found is None else int(found)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"its count is {str(found)[:40]!r}, no number") from exc


def _first(envelope: Any, paths: Iterable[Path]) -> Any:
    found = (value_at(envelope, path) for path in paths)
    return next((value for value in found if value is not MISSING and value is not None), None)
