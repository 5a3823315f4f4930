# SPDX-License-Identifier: Apache-2.0
"""Which containers a list shows, and in which order: the filters and sort keys of `GET /containers`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from zun.api.paging import ALL_PROJECTS, IGNORED_NAMES, PAGING_NAMES, Order, PageQuery
from zun.api.rendering import ContainerViewer
from zun.model.container_view import BY_NAME, KEYS
from zun.model.errors import Denied, Invalid
from zun.model.fields import Field, by_wire
from zun.model.rules import LIST_BOOLEAN, text
from zun.store.view import ContainerEntry

_ANY = "Only containers that have exactly this; may be given more than once."


class ListQuery(PageQuery, frozen=True):
    """All parameters of `GET /containers`. Filters are read with all their values by `wanted`."""

    all_projects: Annotated[bool, ALL_PROJECTS] = False
    name: Annotated[str | None, Field(rule=text(), doc=_ANY)] = None
    image: Annotated[str | None, Field(rule=text(), doc=_ANY)] = None
    project_id: Annotated[str | None, Field(rule=text(), doc=_ANY)] = None
    user_id: Annotated[str | None, Field(rule=text(), doc=_ANY)] = None
    memory: Annotated[str | None, Field(rule=text(), doc=_ANY)] = None
    host: Annotated[str | None, Field(rule=text(), doc=f"{_ANY} For administrators.")] = None
    task_state: Annotated[str | None, Field(rule=text(), doc=_ANY)] = None
    status: Annotated[str | None, Field(rule=text(), doc=_ANY)] = None
    auto_remove: Annotated[bool | None, Field(rule=LIST_BOOLEAN, doc=_ANY)] = None


KNOWN = frozenset(by_wire(ListQuery)) | IGNORED_NAMES
FILTERS = frozenset(by_wire(ListQuery)) - PAGING_NAMES - {"all_projects"}

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
    return {name: frozenset(_value(name, each) for each in texts) for name, texts in query.items() if name in FILTERS}


def _value(name: str, written: str) -> Any:
    if name == "auto_remove":
        return LIST_BOOLEAN.parse(name, written, code="invalid-value")
    if name == "task_state" and written in ("None", "null", ""):
        return None
    return written


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
