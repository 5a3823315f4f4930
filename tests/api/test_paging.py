# SPDX-License-Identifier: Apache-2.0
"""Pages: each item once, whatever the order, also when the marker itself has changed."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zun.api.paging import Order, Page, PageQuery, next_link, select
from zun.model.errors import Invalid

Item = tuple[int, str | None]
ORDER: Order[Item] = Order({"name": lambda item: item[1]}, lambda item: (item[0],))


def walk(items: list[Item], limit: int, sort_key: str | None, sort_dir: str) -> list[Item]:
    found: list[Item] = []
    marker: Item | None = None
    while True:
        query = PageQuery(limit=limit, sort_key=sort_key, sort_dir=sort_dir)
        page = select(items, query, ORDER, 1000, marker)
        found += page.items
        if not page.more or not page.items:
            return found
        marker = page.items[-1]


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=30),
    st.integers(1, 8),
    st.sampled_from([None, "id", "name"]),
    st.sampled_from(["asc", "desc"]),
)
def test_walking_the_pages_meets_each_item_once_in_order(
    names: list[str | None], limit: int, sort_key: str | None, sort_dir: str
) -> None:
    items = list(enumerate(names))
    whole = select(items, PageQuery(sort_key=sort_key, sort_dir=sort_dir), ORDER, 1000).items
    assert walk(items, limit, sort_key, sort_dir) == whole
    assert sorted(whole) == sorted(items) if None not in names else len(whole) == len(items)


def test_a_marker_that_is_no_longer_listed_still_tells_where_to_go_on() -> None:
    items: list[Item] = [(1, "a"), (3, "c"), (4, "d")]
    assert select(items, PageQuery(limit=1), ORDER, 10, marker=(2, "b")).items == [(3, "c")]


def test_absent_values_sort_before_all_others() -> None:
    items: list[Item] = [(1, "b"), (2, None), (3, "a")]
    assert [item[0] for item in select(items, PageQuery(sort_key="name"), ORDER, 10).items] == [2, 3, 1]


def test_the_limit_is_capped() -> None:
    page = select([(n, "x") for n in range(5)], PageQuery(limit=100), ORDER, 3)
    assert (len(page.items), page.more) == (3, True)


def test_an_unknown_sort_key_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        select([], PageQuery(sort_key="colour"), ORDER, 10)
    assert caught.value.code == "invalid-parameter-value"


def test_the_next_link_keeps_what_was_asked() -> None:
    page = Page([(1, "a"), (2, "b")], more=True)
    query = {"status": ["Running", "Stopped"], "limit": ["2"], "sort_key": ["name"], "all_projects": ["1"]}
    link = next_link(page, last="m", url="http://zun/v1/containers", query=query)
    assert link is not None
    assert parse_qs(urlsplit(link).query) == {
        "status": ["Running", "Stopped"],
        "all_projects": ["1"],
        "sort_key": ["name"],
        "sort_dir": ["asc"],
        "limit": ["2"],
        "marker": ["m"],
    }


def test_the_last_page_has_no_next_link() -> None:
    assert next_link(Page([(1, "a")], more=False), last="m", url="x", query={}) is None
