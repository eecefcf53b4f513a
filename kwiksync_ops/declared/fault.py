"""What is wrong in a file that an operator edits: where, what, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kwiksync_ops.errors import ConfigurationError

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a file to a value."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where, what, and what to write instead. `line` 0 means the file as a whole."""

    path: Path
    key: KeyPath
    problem: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part)
        return f"{place}: {key_text(self.key)}: {self.problem}" if self.key else f"{place}: {self.problem}"


@dataclass(frozen=True)
class DeclaredFile:
    """A parsed file. `lines` holds the line of each key and list element by its path."""

    path: Path
    value: Any
    lines: Mapping[KeyPath, int]
    double_keys: tuple[Fault, ...] = ()

    def fault(self, key: KeyPath, problem: str) -> Fault:
        """A fault at a key; a key that is missing is placed at the line of what should hold it."""
        known = next((key[:length] for length in range(len(key), -1, -1) if key[:length] in self.lines), ())
        return Fault(self.path, key, problem, self.lines.get(known, 0))


def file_error(path: Path, faults: Iterable[Fault]) -> ConfigurationError:
    """One error with all faults, in the order of their lines; its fact `places` has them as they are."""
    ordered = sorted(faults, key=lambda fault: (fault.line, fault.column))
    lines = tuple(dict.fromkeys(str(fault) for fault in ordered))
    count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
    remedy = f"Correct {path}, then run kwiksync plan."
    return ConfigurationError(f"{path} has {count}:", faults=lines, remedy=remedy, path=str(path), places=ordered)


def key_text(key: KeyPath) -> str:
    """`("tables", 0, "key")` as `tables[0].key`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """` Did you mean 'timezone'?`, or nothing where no choice is near."""
    by_lower = {choice.lower(): choice for choice in choices}
    near = get_close_matches(str(word).lower(), list(by_lower), n=1, cutoff=0.6)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""
