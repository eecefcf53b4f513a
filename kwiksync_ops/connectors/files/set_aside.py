"""Bad files: moved into a folder of their own, each with its reason beside it, where the place lets us."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kwiksync_ops.connectors.files.listing import Pattern
from kwiksync_ops.connectors.files.place import FileInfo, Place
from kwiksync_ops.errors import KwikSyncError

log = logging.getLogger(__name__)

REASON = ".reason.json"
_MAX_REASON_BYTES = 64 * 1024


@dataclass(frozen=True)
class BadFile:
    """`name` is where it lies now; `digest` is empty where it was not read to its end."""

    name: str
    file: FileInfo
    message: str
    digest: str = ""


def set_aside(place: Place, folder: str, source: str, bad: BadFile, now: datetime) -> BadFile:
    """Move the file and write its reason beside it. Where that can't be done, it stays where it is."""
    if not folder:
        return bad
    new = f"{folder.strip('/')}/{bad.name}"
    reason = {
        "file": bad.name,
        "source": source,
        "size": bad.file.size,
        "sha256": bad.digest,
        "reason": bad.message,
        "set_aside": now.isoformat(),
    }
    try:
        if place.find(new):
            new = f"{folder.strip('/')}/{now:%Y%m%dT%H%M%S%f}/{bad.name}"
        place.write(f"{new}{REASON}", json.dumps(reason, ensure_ascii=False, indent=1).encode())
        place.move(bad.name, new)
    except (KwikSyncError, OSError) as exc:
        log.warning("%s can't be moved to %s: %s", bad.name, new, exc)
        return bad
    return BadFile(new, bad.file, bad.message, bad.digest)


def lying_aside(listed: Mapping[str, FileInfo], folder: str, pattern: Pattern) -> Iterator[tuple[str, FileInfo]]:
    """Of the folder's files those that the pattern means, by the name of their reason."""
    folder = folder.strip("/")
    for name, file in listed.items():
        inner = name.removeprefix(f"{folder}/")
        if f"{name}{REASON}" in listed and (pattern.means(inner) or pattern.means(inner.partition("/")[2])):
            yield f"{name}{REASON}", file


def read_reason(place: Place, name: str, source: str) -> dict[str, Any] | None:
    """What was written beside a file of this table; None where it is another's, or can't be read."""
    try:
        with place.open(name) as file:
            reason = json.loads(file.read(_MAX_REASON_BYTES))
    except (ValueError, OSError):
        return None
    return reason if isinstance(reason, dict) and reason.get("source") == source else None
