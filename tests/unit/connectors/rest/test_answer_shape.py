"""Answers of APIs that nobody described."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwiksync_ops.connectors.rest.answer_shape import shape_of
from kwiksync_ops.connectors.rest.options import option_faults

ROWS = [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (ROWS, ""),
        ({"data": ROWS}, "data"),
        ({"data": {"items": ROWS}, "meta": {"total": 9}}, "data.items"),
        ({"links": [{"rel": "self"}], "results": ROWS}, "results"),
        ({"incidents": ROWS, "page": 1}, "incidents"),
        ({"warnings": [], "incidents": ROWS}, "incidents"),
        ({"value": []}, "value"),
    ],
)
def test_the_records_are_found_wherever_they_stand(document: Any, path: str) -> None:
    assert shape_of(document, {}).records_path == path


@pytest.mark.parametrize(
    "document", [{"id": 1}, {"names": ["a"]}, 5, None, "text", {"data": {"id": 1}}, {"data": {"": [], "a.b": []}}]
)
def test_an_answer_without_a_list_of_records_says_what_it_has(document: Any) -> None:
    with pytest.raises(ValueError, match="no list of records"):
        shape_of(document, {})


@pytest.mark.parametrize(
    ("around", "pagination"),
    [
        ({"links": {"next": "https://a/b?page=2"}}, {"type": "next_link", "next_path": "links.next"}),
        ({"_links": {"next": {"href": "/b?page=2"}}}, {"type": "next_link", "next_path": "_links.next.href"}),
        ({"nextLink": "/b?skip=2"}, {"type": "next_link", "next_path": "nextLink"}),
        ({"next_cursor": "abc"}, {"type": "cursor", "cursor_param": "cursor", "cursor_path": "next_cursor"}),
        (
            {"meta": {"nextPageToken": "abc"}},
            {"type": "cursor", "cursor_param": "pageToken", "cursor_path": "meta.nextPageToken"},
        ),
        ({"page": 1, "pages": 9}, {"type": "page_number", "page_param": "page"}),
        ({"page": 0, "total_pages": 9}, {"type": "page_number", "page_param": "page", "first_page": 0}),
        ({"offset": 0, "total": 9}, {"type": "offset", "offset_param": "offset", "total_path": "total"}),
        ({"skip": 0, "has_more": True}, {"type": "offset", "offset_param": "skip", "has_more_path": "has_more"}),
        ({"next": None, "total": 2}, None),
        ({"took": 3}, None),
    ],
)
def test_how_pages_follow_each_other_is_told_by_what_stands_beside_the_records(
    around: dict[str, Any], pagination: dict[str, Any] | None
) -> None:
    assert shape_of({"data": ROWS, **around}, {}).pagination == pagination


def test_a_link_header_leads_on_where_the_answer_has_no_link_of_its_own() -> None:
    headers = {"Link": '<https://a/b?page=2>; rel="next"'}
    assert shape_of(ROWS, headers).pagination == {"type": "link_header"}
    told = shape_of({"data": ROWS, "links": {"next": "https://a/b?page=2"}}, headers).pagination
    assert told == {"type": "next_link", "next_path": "links.next"}


def test_that_there_is_more_is_noticed_even_where_no_way_to_it_is_told() -> None:
    assert shape_of({"data": ROWS, "has_more": True}, {}).says_more
    assert shape_of({"data": ROWS, "total": 3}, {}).says_more
    assert not shape_of({"data": ROWS, "total": 2, "has_more": False}, {}).says_more
    assert not shape_of(ROWS, {}).says_more


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "next", "total", "page", "has_more", "links", "a.b", ""]), inner)
    ),
    max_leaves=10,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the answer
@given(DOCUMENTS)
def test_no_answer_makes_the_look_at_it_fail(document: Any) -> None:
    try:
        shape = shape_of(document, {})
    except ValueError:
        return
    assert option_faults({"records_path": shape.records_path, "pagination": shape.pagination or {"type": "none"}}) == ()
