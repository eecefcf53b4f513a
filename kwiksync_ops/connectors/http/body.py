"""The bytes of an answer, decompressed within a limit."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

GZIP = 31
ZLIB = 15
PIECE = 256 * 1024
ACCEPT_ENCODING = "gzip"


def read_body(pieces: Iterable[bytes], encoding: str, *, max_bytes: int) -> bytes:
    """All pieces together, decompressed.

    Raises:
        ValueError: it is larger than `max_bytes`, not what its encoding says, or cut off.
    """
    name = encoding.strip().lower()
    if name in ("gzip", "x-gzip"):
        pieces = _inflated(pieces, GZIP)
    elif name == "deflate":
        pieces = _inflated(pieces, ZLIB)
    elif name not in ("", "identity"):
        raise ValueError(f"the answer is encoded as {encoding!r}, though only gzip was asked for")
    return _joined(pieces, max_bytes)


def _joined(pieces: Iterable[bytes], max_bytes: int) -> bytes:
    total = 0
    kept: list[bytes] = []
    for piece in pieces:
        total += len(piece)
        if total > max_bytes:
            raise ValueError(f"the answer is larger than {max_bytes:,} bytes after decompression")
        kept.append(piece)
    return b"".join(kept)


def _inflated(pieces: Iterable[bytes], window: int) -> Iterator[bytes]:
    """Never more than `PIECE` bytes at a time, so that a small bomb can't fill the memory."""
    inflater = zlib.decompressobj(window)
    has_begun = False
    for piece in pieces:
        data, is_pending = piece, bool(piece)
        while is_pending:
            if inflater.eof:
                inflater = zlib.decompressobj(window)
            has_begun = True
            try:
                output = inflater.decompress(data, PIECE)
            except zlib.error as exc:
                raise ValueError("the answer is not valid gzip data, though it says so") from exc
            yield output
            data = inflater.unconsumed_tail or inflater.unused_data
            is_pending = bool(data) or (len(output) == PIECE and not inflater.eof)
    if has_begun and not inflater.eof:
        raise ValueError("the gzip data is cut off")
