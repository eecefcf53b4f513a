"""What came so far in a read: pages that come again are a loop, records that come again count once."""

from __future__ import annotations

import json
from array import array
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

State = Mapping[str, Any]
"""JSON: where a page is. Each way of paging has its own keys."""


class LoopWatch:
    """Remembers where a read was and what came; either again is a loop."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def note_state(self, state: State) -> None:
        self._note(("state", json.dumps(state, sort_keys=True)), "leads to a page that was read before")

    def note_content(self, identities: tuple[Hashable, ...]) -> None:
        """Keys and change times of a page's records, in order."""
        if identities:
            self._note(("content", identities), "repeats the records of an earlier page")

    def _note(self, mark: object, complaint: str) -> None:
        digest = hash(mark)
        if digest in self._seen:
            raise ValueError(f"page loop: it {complaint}")
        self._seen.add(digest)


class DistinctCount:
    """How many different keys came: exact but for hash collisions, 1 in 10 million reads of a million keys.

    Keeps 8 bytes a key. A read that was resumed knows how many came before, and not which.
    """

    def __init__(self, before: int = 0) -> None:
        self._before = before
        self._digests = array("q")

    @property
    def received(self) -> int:
        return self._before + len(self._digests)

    def add(self, keys: Iterable[Hashable]) -> None:
        self._digests.extend(map(hash, keys))

    def has_reached(self, total: int) -> bool:
        return self.received >= total and self.distinct() >= total

    def distinct(self) -> int:
        import numpy

        if not self._digests:
            return self._before
        digests = numpy.frombuffer(self._digests, "q")
        digests.sort()  # in its place, since their order says nothing: a million keys are not copied
        return self._before + 1 + int(numpy.count_nonzero(digests[1:] != digests[:-1]))
