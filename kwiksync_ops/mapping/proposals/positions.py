"""Places that are written into one text: which notation it is, and the scripts that take it apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SHARE = 0.9


@dataclass(frozen=True)
class PositionNotation:
    """`latitude` and `longitude` are JavaScript expressions over `found`, the match of `pattern`."""

    name: str
    pattern: str
    latitude: str
    longitude: str

    def script(self, column: str) -> str:
        expression = self.latitude if column == "latitude" else self.longitude
        return (
            "(function(value, record) {\n  if (value === null) return null;\n"
            f"  const found = /^{self.pattern}$/.exec(value);\n"
            f'  if (!found) throw new Error("not a position written as {self.name}");\n'
            f"  return ({expression}).toFixed(6);\n}})(value, record)"
        )


NOTATIONS = (
    PositionNotation(
        "5230N 01323E",
        r"(\d{2})([0-5]\d)([NS]) (\d{3})([0-5]\d)([EW])",
        '(found[3] === "S" ? -1 : 1) * (Number(found[1]) + Number(found[2]) / 60)',
        '(found[6] === "W" ? -1 : 1) * (Number(found[4]) + Number(found[5]) / 60)',
    ),
    PositionNotation(
        "52.5, 13.4",
        r"\s*([+-]?\d{1,2}\.\d+)\s*[,;]\s*([+-]?\d{1,3}\.\d+)\s*",
        "Number(found[1])",
        "Number(found[2])",
    ),
    PositionNotation(
        "POINT (13.4 52.5)",
        r"POINT ?\((-?\d+(?:\.\d+)?) (-?\d+(?:\.\d+)?)\)",
        "Number(found[2])",
        "Number(found[1])",
    ),
)


def detect_position(texts: Sequence[str]) -> PositionNotation | None:
    """The notation of nine in ten of the texts; None where they are no positions."""
    for notation in NOTATIONS:
        read = re.compile(notation.pattern).fullmatch
        if texts and sum(read(text) is not None for text in texts) >= _SHARE * len(texts):
            return notation
    return None
