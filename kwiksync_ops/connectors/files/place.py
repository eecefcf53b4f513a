"""The places that files lie in, as the connector sees them: a folder on this machine, in S3, or on an SFTP server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class FileInfo:
    """A file as a place lists it.

    Attributes:
        name: path below the connection's folder, with slashes.
        modified: when its content was last changed, as the place says.
        version: the same as long as the place sees no change: size, times, and what else it has.
        touched: when anything of it was last changed, by a clock that nobody can set; None where that is not known.
    """

    name: str
    size: int
    modified: datetime
    version: str
    touched: datetime | None = None


class Place(Protocol):
    """The connection's folder: nothing outside of it is read or written.

    All methods raise errors of `kwiksync_ops.errors`, a file that is not there FileNotFoundError.
    """

    url: str
    """For people: no credentials in it."""

    calls: int
    """How many calls over a network were made so far."""

    shows_half_files: bool
    """Whether a file is seen while somebody writes it."""

    def files(self, folder: str, *, deep: bool) -> list[FileInfo]:
        """The files of a folder (empty: the connection's own), `deep` those of its folders too. No hidden ones."""
        ...

    def find(self, name: str) -> FileInfo | None: ...

    def open(self, name: str) -> BinaryIO:
        """The file's bytes; a local one can be read in any order."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Make or replace a file, whole or not at all, with the folders that lead to it."""
        ...

    def move(self, name: str, new: str) -> None:
        """Rename a file, with the folders that lead to its new name."""
        ...

    def close(self) -> None: ...


def is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))
