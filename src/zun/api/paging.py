# SPDX-License-Identifier: Apache-2.0
"""Pages of a list: `limit`, `marker`, `sort_key`, `sort_dir`, and the link to the next page.

A page begins after the marker's place in the order, not after the marker itself: it goes on even when the marker no longer matches
the filters, and three pages show each item once. The next link keeps all filters.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from zun.model.errors import Invalid
from zun.model.fields import Field, by_wire
from zun.model.rules import LIST_BOOLEAN, integer, one_of, text

T = TypeVar("T")

IGNORED_NAMES = frozenset({"resource_url", "expand"})
"""Leftovers that old clients may send; they never meant anything."""


class PageQuery(msgspec.Struct, frozen=True, omit_defaults=True):
    """The paging parameters of every paged list."""

    limit: Annotated[int | None, Field(rule=integer(1), doc="Most items on the page.")] = None
    marker: Annotated[str | None, Field(rule=text(1, 255), doc="uuid of the last item of the page before.")] = None
    sort_key: Annotated[str | None, Field(rule=text(1, 64), doc="What to sort by.")] = None
    sort_dir: Annotated[str, Field(rule=one_of("asc", "desc"), doc="Direction.")] = "asc"


PAGING_NAMES = frozenset(by_wire(PageQuery))

ALL_PROJECTS = Field(rule=LIST_BOOLEAN, doc="Everybody's, not only those of one's own project; for administrators.")


class ScopeQuery(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whose things a list shows."""

    all_projects: Annotated[bool, ALL_PROJECTS] = False


class Order(msgspec.Struct, Generic[T], frozen=True):
    """How a collection sorts. `keys` maps each sort key to the value it sorts by; `tie` makes the order total."""

    keys: Mapping[str, Callable[[T], Any]]
    tie: Callable[[T], tuple[Any, ...]]
    default: str = "id"


class Page(msgspec.Struct, Generic[T], frozen=True):
    """The items of a page; `more`: the limit was reached, so there may be a next one."""

    items: list[T]
    more: bool


def rank(value: Any) -> tuple[Any, ...]:
    """A value that compares with any other of its column: absent before everything, compound values by their text."""
    if value is None:
        return (0,)
    if isinstance(value, bool | int | float):
        return (1, value)
    return (2, value if isinstance(value, str) else msgspec.json.encode(value).decode())


def select(
    items: Sequence[T],
    query: PageQuery,
    order: Order[T],
    max_limit: int,
    marker: T | None = None,
    *,
    ordered: bool = False,
) -> Page[T]:
    """The page of `items` after `marker`. `ordered`: they come in the default order. Raises `Invalid` for an unknown sort key."""
    sort_key = query.sort_key or order.default
    position = _position(sort_key, order)
    descending = query.sort_dir == "desc"
    if descending or sort_key != order.default or not ordered:
        items = sorted(items, key=position, reverse=descending)
    if marker is not None:
        after = position(marker)
        items = [item for item in items if (position(item) < after if descending else position(item) > after)]
    limit = min(query.limit or max_limit, max_limit)
    return Page(list(items[:limit]), len(items) >= limit)


def _position(sort_key: str, order: Order[T]) -> Callable[[T], Any]:
    if sort_key == order.default:
        return order.tie
    value = order.keys.get(sort_key)
    if value is None:
        raise Invalid(
            f"'{sort_key}' is no sort key here; sort by one of {', '.join(sorted([order.default, *order.keys]))}.",
            code="invalid-parameter-value",
        )
    return lambda item: (rank(value(item)), order.tie(item))


def next_link(
    page: Page[Any], *, last: str, url: str, query: Mapping[str, list[str]], default_key: str = "id"
) -> str | None:
    """The URL of the page after the item `last`, with everything that was asked for; None when this is the last page."""
    if not page.more or not page.items:
        return None
    kept = [(name, value) for name, values in query.items() if name not in PAGING_NAMES for value in values]
    paging = [
        ("sort_key", query.get("sort_key", [default_key])[-1]),
        ("sort_dir", query.get("sort_dir", ["asc"])[-1]),
        ("limit", str(len(page.items))),
        ("marker", last),
    ]
    return f"{url}?{urlencode(kept + paging)}"
