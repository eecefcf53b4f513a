"""A file's content at hand: hashed, unpacked, and within its limits before the first record of it is read."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from kwiksync_ops.connectors.files.options import FileLimits
from kwiksync_ops.connectors.files.place import FileInfo, Place
from kwiksync_ops.errors import ValidationError

PIECE = 1024 * 1024
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Copy:
    """`file` holds the unpacked content, from its start, and can be read in any order."""

    file: BinaryIO
    digest: str


@contextmanager
def opened(place: Place, info: FileInfo, limits: FileLimits) -> Iterator[Copy]:
    """The content of a file. A local one that is not packed is read where it is, all others from a temporary file.

    Raises:
        ValidationError: it is larger than the limits allow, or is no whole gzip file.
    """
    if info.size > limits.max_file_bytes:
        raise ValidationError(f"it has {info.size:,} bytes; the limit is {limits.max_file_bytes:,}.")
    with place.open(info.name) as raw, TemporaryFile() as spool:
        hashing = _Hashing(raw, limits.max_file_bytes)
        start = hashing.read(2)
        hashing.again = start
        if start == _GZIP:
            _unpack(hashing, spool, limits.max_unpacked_bytes)
            content = cast(BinaryIO, spool)
        elif isinstance(raw, BufferedReader):
            _drain(hashing)
            content = raw
        else:
            _copy(hashing, cast(BinaryIO, spool))
            content = cast(BinaryIO, spool)
        content.seek(0)
        yield Copy(content, hashing.digest())


class _Hashing:
    """A file that is read once from its start, and hashed meanwhile."""

    def __init__(self, raw: BinaryIO, max_bytes: int) -> None:
        self._raw = raw
        self._left = max_bytes
        self._hash = hashlib.sha256()
        self.again = b""

    def read(self, size: int = PIECE) -> bytes:
        if self.again:
            piece, self.again = self.again, b""
            return piece
        piece = self._raw.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise ValidationError("it grew over the limit while it was read.")
        self._hash.update(piece)
        return piece

    def digest(self) -> str:
        return self._hash.hexdigest()


def _unpack(packed: _Hashing, spool: BinaryIO, max_bytes: int) -> None:
    try:
        with gzip.GzipFile(fileobj=cast(BinaryIO, packed)) as unpacked:
            _copy(unpacked, spool, max_bytes)
    except EOFError as exc:
        raise ValidationError("its gzip data is cut off.") from exc
    except (gzip.BadGzipFile, zlib.error) as exc:
        raise ValidationError(f"its gzip data is broken: {exc}.") from exc
    _drain(packed)


def _copy(source: BinaryIO | gzip.GzipFile | _Hashing, sink: BinaryIO, max_bytes: int | None = None) -> None:
    total = 0
    while piece := source.read(PIECE):
        total += len(piece)
        if max_bytes is not None and total > max_bytes:
            raise ValidationError(f"it unpacks to more than {max_bytes:,} bytes.")
        sink.write(piece)


def _drain(source: _Hashing) -> None:
    while source.read():
        pass
