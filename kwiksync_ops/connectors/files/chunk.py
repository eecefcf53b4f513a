"""What a reader of a format gives: a piece of a file, as records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kwiksync_ops.batch import Reject, SourceRecord
from kwiksync_ops.connectors.files.options import FileLimits
from kwiksync_ops.errors import ValidationError

PAYLOAD_CHARS = 65_536


@dataclass(frozen=True)
class Chunk:
    """`rows` is how many rows of the file it took, `numbers` where each record stood among all of them, from 1."""

    rows: int
    records: list[SourceRecord]
    numbers: list[int] | range
    rejects: list[Reject] = field(default_factory=list)


def text_fault(text: str, limits: FileLimits) -> str | None:
    """Why no hub can keep the text, if so."""
    if "\0" in text:
        return "holds a NUL character"
    if not text.isascii() and not _is_unicode(text):
        return "holds bytes that are no text in the encoding of the file"
    return f"is longer than {limits.max_string:,} characters" if len(text) > limits.max_string else None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()  # a search for surrogates takes ten times as long
    except UnicodeEncodeError:
        return False
    return True


def rejected(message: str, *, field: str | None = None, key: Any = None, payload: Any = None) -> Reject:
    """A row rejected; what is no text in it is shown escaped."""
    return Reject(
        code=ValidationError.code,
        message=message,
        field=field,
        external_id=None if key in (None, "") else printable(str(key))[:255],
        payload=printable(payload[:PAYLOAD_CHARS]) if isinstance(payload, str) else payload,
    )


def printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def header_of(cells: list[Any], named: tuple[str, ...], key: str) -> tuple[str, ...]:
    """The names of the columns: given, or from the file.

    Raises:
        ValidationError: a name stands twice, or the key is not among them.
    """
    names = named or tuple(str(cell if cell is not None else "").strip() for cell in cells)
    names = tuple(name or f"column_{number}" for number, name in enumerate(names, start=1))
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValidationError(f"two of its columns have the name {printable(twice[0])[:100]!r}.")
    if key not in names:
        shown = ", ".join(printable(name)[:40] for name in names[:12])
        raise ValidationError(
            f"it has no column {key!r}; it has {shown}{', …' if len(names) > 12 else ''}. "
            "See delimiter, encoding and header_row."
        )
    return names
