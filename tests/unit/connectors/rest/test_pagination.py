from __future__ import annotations

from typing import Any

import pytest

from kwiksync_ops.connectors.http.page_watch import DistinctCount
from kwiksync_ops.connectors.rest.pagination import (
    Cursor,
    EndOfRead,
    Keyset,
    LinkHeader,
    NextLink,
    Offset,
    PageNumber,
    PageView,
    SinglePage,
)


def page(count: int = 2, envelope: Any = None, **settings: Any) -> PageView:
    return PageView(count, envelope or {}, settings.pop("headers", {}), **settings)


def test_page_numbers_count_on_until_an_empty_page() -> None:
    paging = PageNumber(50, 0)
    assert paging.values(paging.first()) == {"size": 50, "page": 0}
    assert paging.following({"page": 4}, page(count=1)) == {"page": 5}
    assert paging.following({"page": 4}, page(count=0)) is None


def test_offsets_go_on_by_what_came() -> None:
    paging = Offset(50)
    assert paging.values({"offset": 7}) == {"size": 50, "offset": 7}
    assert paging.following({"offset": 7}, page(count=3)) == {"offset": 10}
    assert paging.following({"offset": 7}, page(count=0)) is None


@pytest.mark.parametrize(("token", "following"), [("abc", "abc"), (7, 7), (0, 0)])
def test_a_cursor_token_goes_into_the_parameter(token: Any, following: Any) -> None:
    paging = Cursor(50, ("meta", "next"))
    state = paging.following(paging.first(), page(envelope={"meta": {"next": token}}))
    assert state is not None
    assert paging.values(state) == {"size": 50, "cursor": following}


@pytest.mark.parametrize("envelope", [{}, {"meta": None}, *({"meta": {"next": end}} for end in (None, "", False))])
def test_no_cursor_token_ends_the_read_even_after_a_full_page(envelope: Any) -> None:
    paging = Cursor(2, ("meta", "next"))
    assert paging.following({"cursor": "x"}, page(envelope=envelope)) is None


def test_an_empty_page_with_a_token_does_not_end_the_read() -> None:
    paging = Cursor(2, ("next",))
    assert paging.following({"cursor": "x"}, page(count=0, envelope={"next": "y"})) == {"cursor": "y"}


@pytest.mark.parametrize("token", [True, {}, ["a"]])
def test_a_cursor_token_of_another_kind_is_nonsense(token: Any) -> None:
    with pytest.raises(ValueError, match="neither a text nor a number"):
        Cursor(2, ("next",)).following({"cursor": "x"}, page(envelope={"next": token}))


def test_a_next_link_is_followed_until_there_is_none() -> None:
    paging = NextLink(2, ("links", "next"))
    assert paging.following({"link": None}, page(envelope={"links": {"next": "/x?p=2"}})) == {"link": "/x?p=2"}
    assert paging.following({"link": "/x"}, page(envelope={"links": {"next": None}})) is None
    with pytest.raises(ValueError, match="not a text"):
        paging.following({"link": "/x"}, page(envelope={"links": {"next": 7}}))


@pytest.mark.parametrize(
    ("header", "link"),
    [
        ('<https://h/a?p=2>; rel="next"', "https://h/a?p=2"),
        ("</a?p=1>; rel=prev, </a?p=3>; rel=next", "/a?p=3"),
        ('</a?offset=-1>; rel="prev", </a?x=1,2>; rel="next last"', "/a?x=1,2"),
        ('</a>; rel="last"', None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_the_link_header_names_the_next_page(header: str, link: str | None) -> None:
    state = LinkHeader(2).following({"link": None}, page(headers={"Link": header}))
    assert state == (None if link is None else {"link": link})


def test_keyset_goes_on_after_the_last_record() -> None:
    paging = Keyset(2, {"after": "t1"})
    assert paging.values(paging.first()) == {"size": 2, "after": "t1"}
    state = paging.following(paging.first(), page(last_cursor="t2", last_key=7))
    assert state is not None
    assert paging.values(state) == {"size": 2, "after": "t2", "after_id": 7}
    assert paging.following(state, page(count=0)) is None


@pytest.mark.parametrize(("cursor", "key"), [(None, "1"), ("t", None), ("t", ""), ({}, "1"), ("t", True)])
def test_keyset_without_a_position_is_nonsense(cursor: Any, key: Any) -> None:
    with pytest.raises(ValueError, match="to go on after"):
        Keyset(2, {}).following({}, page(last_cursor=cursor, last_key=key))


def test_has_more_decides() -> None:
    end = EndOfRead(2, has_more_path=("more",))
    paging = PageNumber(2, 1)
    count = DistinctCount()
    assert end.after(paging, {"page": 1}, page(envelope={"more": False}), count) is None
    assert end.after(paging, {"page": 1}, page(envelope={"more": True}), count) == {"page": 2}
    with pytest.raises(ValueError, match="and not where"):
        end.after(paging, {"page": 1}, page(count=0, envelope={"more": True}), count)
    with pytest.raises(ValueError, match="true or false at 'more'"):
        end.after(paging, {"page": 1}, page(envelope={"moar": True}), count)


def test_a_total_ends_counted_reads_only() -> None:
    end = EndOfRead(2, total_path=("total",))
    count = DistinctCount()
    count.add(["a", "b"])
    view = page(envelope={"total": 2, "next": "t"})
    assert end.after(PageNumber(2, 1), {"page": 1}, view, count) is None
    assert end.after(Cursor(2, ("next",)), {"cursor": None}, view, count) == {"cursor": "t"}


def test_a_record_that_came_twice_does_not_count_towards_the_total() -> None:
    end = EndOfRead(2, total_path=("total",))
    count = DistinctCount()
    count.add(["a", "a"])
    assert end.after(Offset(2), {"offset": 0}, page(envelope={"total": 2}), count) == {"offset": 2}


@pytest.mark.parametrize("total", [None, -1, True, "x", "²", 1.5])
def test_a_total_that_is_none_is_nonsense(total: Any) -> None:
    with pytest.raises(ValueError, match="how many records there are at 'total'"):
        EndOfRead(2, total_path=("total",)).total(page(envelope={"total": total}))


def test_a_short_page_ends_a_read_only_when_configured() -> None:
    paging = PageNumber(3, 1)
    count = DistinctCount()
    assert EndOfRead(3).after(paging, {"page": 1}, page(), count) == {"page": 2}
    assert EndOfRead(3, short_page_is_last=True).after(paging, {"page": 1}, page(), count) is None


def test_a_single_page_is_all() -> None:
    assert SinglePage().following({}, page()) is None
