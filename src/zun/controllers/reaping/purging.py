# SPDX-License-Identifier: Apache-2.0
"""History of containers that are gone is kept for a while, then forgotten: page by page, so that it burdens nobody."""

from collections.abc import AsyncIterator

from zun.model.errors import Internal
from zun.model.records import ActionRecord
from zun.store import codec, keys
from zun.store.interface import Delete, KeyValue, Op, Store

_PAGE = 120
"""One transaction's worth."""

_EXPIRES = b'"expires_at"'


async def expired(store: Store, now: float) -> AsyncIterator[list[Op]]:
    """The deletions of history that is too old, a transaction's worth at a time. Raises `Unavailable`, `Timeout`."""
    after, more = "", True
    while more:
        page = await store.range(keys.ACTIONS, start_after=after, limit=_PAGE)
        ops: list[Op] = [Delete(item.key) for item in page.items if _is_expired(item, now)]
        if ops:
            yield ops
        after, more = (page.items[-1].key if page.items else ""), page.more


def _is_expired(item: KeyValue, now: float) -> bool:
    """A record nobody can read is kept: somebody newer may have written it."""
    if _EXPIRES not in item.value:
        return False
    try:
        expires_at = codec.decode(ActionRecord, item.value).expires_at
    except Internal:
        return False
    return expires_at is not None and expires_at <= now
