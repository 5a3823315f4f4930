# SPDX-License-Identifier: Apache-2.0
"""Listing the store for the view: page by page at one revision, and only what differs from what is held.

After a compaction the changes in between are lost as such; comparing tells their outcome: nothing is invented, and
nothing that still matters is lost.
"""

from collections.abc import AsyncIterator

from zun.store.interface import Event, KeyValue, Store
from zun.store.view_state import HELD_PREFIXES, ViewState

PAGE_KEYS = 1000


async def list_differences(
    store: Store, state: ViewState, known_revision: int, revision: int
) -> AsyncIterator[list[Event]]:
    """The changes that bring `state` (as of `known_revision`) to `revision`, in no order; a page at a time, deletions last.

    Raises `Compacted` when the store's history was cut meanwhile: begin again. What was taken in until then does no harm.
    """
    gone = {key: held for key, held in state.held() if held}
    for prefix in HELD_PREFIXES:
        after, more = "", True
        while more:
            page = await store.range(prefix, start_after=after, limit=PAGE_KEYS, revision=revision)
            changed = []
            for kv in page.items:
                held = gone.pop(kv.key, None)
                if held != kv.mod_revision and (held is not None or kv.mod_revision > known_revision):
                    changed.append(Event(kv, deleted=False))
            yield changed
            more = page.more
            after = page.items[-1].key if page.items else ""
    yield [Event(KeyValue(key, b"", 0, revision, 0), deleted=True) for key in gone]
