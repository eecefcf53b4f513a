"""What a system tells about itself: a module for each kind, and a sample that is one page."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest

from kwiksync_ops.batch import Page, Reject
from kwiksync_ops.connectors.discovery import Sample, first_page
from kwiksync_ops.connectors.registry import KINDS
from kwiksync_ops.connectors.source import ReadRequest


class PagedSource:
    """Counts the pages that were asked for, and knows whether the read was ended."""

    def __init__(self, *pages: Page) -> None:
        self._pages = pages
        self.given = 0
        self.is_ended = False

    def read(self, request: ReadRequest) -> Iterator[Page]:
        try:
            for page in self._pages:
                self.given += 1
                yield page
        finally:
            self.is_ended = True

    def check(self) -> str:
        return "here"

    def close(self) -> None: ...


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_asked(kind: str) -> None:
    assert callable(import_module(f"kwiksync_ops.connectors.{kind}.discovery").open_discovery)


def test_a_sample_is_one_page_and_the_read_ends_there() -> None:
    reject = Reject("ERR_008", "It is sick.")
    source = PagedSource(
        Page(1, [{"id": 1}], is_last=False, resume={}, rejects=[reject]), Page(2, [], is_last=True, resume={})
    )
    assert first_page(source, ReadRequest("a", "id")) == Sample([{"id": 1}], is_complete=False, problem="It is sick.")
    assert (source.given, source.is_ended) == (1, True)


def test_the_only_page_is_a_complete_sample() -> None:
    source = PagedSource(Page(1, [{"id": 1}], is_last=True, resume={}))
    assert first_page(source, ReadRequest("a", "id")).is_complete
    assert first_page(PagedSource(), ReadRequest("a", "id")) == Sample([], is_complete=True)
