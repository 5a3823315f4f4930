# SPDX-License-Identifier: Apache-2.0
"""Which containers a list shows, and in which order: the filters and sort keys of `GET /containers`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from zun.api.paging import IGNORED_NAMES, PAGING_NAMES, Order
from zun.api.rendering import ContainerViewer
from zun.model.container_view import BY_NAME, KEYS
from zun.model.errors import Denied, Invalid
from zun.model.rules import LIST_BOOLEAN
from zun.store.view import ContainerEntry

FILTERS = frozenset({"name", "image", "project_id", "user_id", "memory", "host", "task_state", "status", "auto_remove"})
KNOWN = FILTERS | PAGING_NAMES | IGNORED_NAMES | {"all_projects"}

Wanted = Mapping[str, frozenset[Any]]

_HELD: Mapping[str, Callable[[ContainerEntry], Any]] = {
    "name": lambda entry: entry.name,
    "project_id": lambda entry: entry.project_id,
    "host": lambda entry: entry.node or None,
    "uuid": lambda entry: entry.uuid,
    "created_at": lambda entry: entry.created_at,
}
"""What the view's index holds; everything else needs the records."""


def wanted(query: Mapping[str, list[str]]) -> Wanted:
    """The filters of a query; a repeated one means any of its values. Raises `Invalid` for parameters there are not."""
    for name in query:
        if name not in KNOWN:
            raise Invalid(
                f"There is no query parameter '{name[:64]}' here; known are: {', '.join(sorted(KNOWN - IGNORED_NAMES))}.",
                code="invalid-value",
            )
    return {name: frozenset(_value(name, text) for text in texts) for name, texts in query.items() if name in FILTERS}


def _value(name: str, text: str) -> Any:
    if name == "auto_remove":
        return LIST_BOOLEAN.parse(name, text, code="invalid-value")
    if name == "task_state" and text in ("None", "null", ""):
        return None
    return text


def check_visible(names: Iterable[str], hidden: frozenset[str]) -> None:
    """Who may not see a key may not ask about it. Raises `Denied`."""
    for name in names:
        if name in hidden:
            raise Denied(f"You may not filter or sort by '{name}': the policy rule {BY_NAME[name].policy} refuses you.")


class ContainerOrder:
    """Reads keys of the view for filters and sorting, cheaply where the index has them."""

    def __init__(self, viewer: ContainerViewer) -> None:
        self._viewer = viewer
        keys = {key.name: self._reader(key.name) for key in KEYS}
        self.order: Order[ContainerEntry] = Order(keys, lambda entry: (entry.created_at, entry.uuid))

    def matching(self, entries: Iterable[ContainerEntry], filters: Wanted) -> list[ContainerEntry]:
        """Those that have one of the wanted values in each filtered key."""
        readers = [(self._reader(name), values) for name, values in filters.items()]
        return [entry for entry in entries if all(read(entry) in values for read, values in readers)]

    def _reader(self, name: str) -> Callable[[ContainerEntry], Any]:
        if name in _HELD:
            return _HELD[name]
        value = BY_NAME[name].value
        return lambda entry: value(self._viewer.snapshot(entry))
