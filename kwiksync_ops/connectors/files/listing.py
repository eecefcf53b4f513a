"""Which files a read is about: those that its pattern means, that are whole, in the order of the options."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.files.options import FilesOptions, path_fault
from kwiksync_ops.connectors.files.place import FileInfo, Place, is_hidden
from kwiksync_ops.errors import ConfigurationError

log = logging.getLogger(__name__)

_MAX_NAME_BYTES = 1000
"""What the hub can keep."""

_WILD = frozenset("*?[")


class Pattern:
    """`tickets_*.csv`, `2026/*/tickets.csv`; ** stands for any number of folders. Case counts."""

    def __init__(self, text: str) -> None:
        problem = path_fault(text) if text else "There is no file pattern."
        if problem:
            raise ConfigurationError(problem, remedy="Set the table's source to a pattern such as tickets_*.csv.")
        self._parts = tuple(part for part in text.split("/") if part not in ("", "."))
        fixed = next((at for at, part in enumerate(self._parts[:-1]) if _WILD & set(part)), len(self._parts) - 1)
        self.folder = "/".join(self._parts[:fixed])
        self.is_deep = len(self._parts) - fixed > 1

    def listed(self, place: Place) -> list[FileInfo]:
        """The files of the folder in which all that are meant lie."""
        return place.files(self.folder, deep=self.is_deep)

    def means(self, name: str) -> bool:
        return _means(self._parts, tuple(name.split("/")))


def _means(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**":
        return _means(pattern[1:], parts) or _means(pattern, parts[1:])
    return fnmatchcase(parts[0], pattern[0]) and _means(pattern[1:], parts[1:])


def candidates(listed: Sequence[FileInfo], pattern: Pattern, options: FilesOptions, clock: Clock) -> list[FileInfo]:
    """Of the files of the pattern's folder those that it means and that have their done-marker, if one is asked for.

    They are in order; those that changed within `min_age_s` are not among them.
    """
    names = {file.name for file in listed}
    newest = clock.now() - timedelta(seconds=options.min_age_s)
    found = [
        file
        for file in listed
        if pattern.means(file.name)
        and _is_short(file.name)
        and not _is_left_alone(file.name, options)
        and (not options.done_marker or _marker(file.name, options) in names)
        and (not options.min_age_s or file.modified <= newest)
    ]
    return sorted(found, key=lambda file: order_key(file, options))


def order_key(file: FileInfo, options: FilesOptions) -> list[str]:
    """JSON, by which files are put into order; fixed as long as the file is the same."""
    at = file.modified.isoformat(timespec="microseconds") if options.order == "modified" else ""
    return [at, file.name]


def settled(place: Place, pattern: Pattern, options: FilesOptions, clock: Clock, new: list[FileInfo]) -> list[FileInfo]:
    """Those of the new files that look the same at a second look: nobody writes them now."""
    if not new or not place.shows_half_files or not options.settle_s:
        return new
    quiet = clock.now() - timedelta(seconds=options.settle_s)
    if all(file.touched and file.touched <= quiet for file in new):
        return new
    clock.sleep(options.settle_s)
    again = {file.name: file.version for file in pattern.listed(place)}
    kept = [file for file in new if again.get(file.name) == file.version]
    for file in new:
        if again.get(file.name) != file.version:
            log.info("%s is being written; the next sync looks at it again", file.name)
    return kept


def _is_short(name: str) -> bool:
    is_short = len(name.encode()) <= _MAX_NAME_BYTES
    if not is_short:
        log.warning("%s… is left alone: its name is longer than %d bytes", name[:100], _MAX_NAME_BYTES)
    return is_short


def _is_left_alone(name: str, options: FilesOptions) -> bool:
    base = name.rpartition("/")[2]
    rejected = options.rejected_folder.strip("/")
    return (
        is_hidden(name)
        or any(fnmatchcase(base, pattern) for pattern in options.ignore)
        or bool(rejected and name.startswith(f"{rejected}/"))
    )


def _marker(name: str, options: FilesOptions) -> str:
    path = PurePosixPath(name)
    marker = options.done_marker.replace("{name}", path.name).replace("{stem}", path.name.partition(".")[0])
    return str(path.with_name(marker))
