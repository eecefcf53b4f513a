"""Reading a rule's config: each key is asked for by its type, and every fault is kept for one report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.mapping.faults import shown


@dataclass(frozen=True)
class MappingFault:
    """What is wrong in a mapping: the rule's position in `mapping.rules` (None: the mapping), the key, the problem."""

    rule: int | None
    key: str
    problem: str
    label: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.label, self.key, self.problem) if part)


class FaultList:
    """Collects the faults of one rule."""

    def __init__(self, rule: int | None = None, label: str = "") -> None:
        self._rule = rule
        self._label = label
        self.faults: list[MappingFault] = []

    def add(self, key: str, problem: str) -> None:
        self.faults.append(MappingFault(self._rule, key, problem, self._label))


def suggestion(word: object, choices: Iterable[str]) -> str:
    """` Did you mean 'priority'?`, or all choices where none is near."""
    known = list(choices)
    return did_you_mean(word, known) or f" Known are {', '.join(known)}."


class RuleConfig:
    """A rule's `config`. What is missing or has the wrong type is a fault, and a stand-in is returned."""

    def __init__(self, config: Mapping[str, Any], faults: FaultList) -> None:
        self._config = config
        self._faults = faults
        self._asked: set[str] = set()

    def fault(self, key: str, problem: str) -> None:
        self._faults.add(f"config.{key}", problem)

    def get(self, key: str) -> Any:
        self._asked.add(key)
        return self._config.get(key)

    def has(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._config

    def text(self, key: str, default: str | None = None) -> str:
        """Text; without a default it must be there and not be empty."""
        value = self.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            self.fault(key, "is missing." if value is None else f"must be text, found {shown(value)}.")
        elif default is None and not value.strip():
            self.fault(key, "is empty.")
        return value if isinstance(value, str) else ""

    def choice(self, key: str, choices: Iterable[str]) -> str:
        """One of the choices; the first one where it is not set."""
        known = list(choices)
        value = self.get(key)
        if value is not None and value not in known:
            self.fault(key, f"{shown(value)} is unknown.{suggestion(value, known)}")
        return value if value in known else known[0]

    def whole_number(self, key: str, default: int, *, minimum: int, maximum: int) -> int:
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum:
            return value
        self.fault(key, f"must be a whole number from {minimum} to {maximum}, found {shown(value)}.")
        return default

    def refuse_unknown_keys(self) -> None:
        for key in self._config:
            if key not in self._asked:
                hint = suggestion(key, sorted(self._asked)) if self._asked else " This transform takes no config."
                self.fault(key, f"is an unknown key.{hint}")
