# SPDX-License-Identifier: Apache-2.0
"""Which versions of Zun may work on a store: one number, so that an old process never misreads what a newer one made of it.

Records may gain members at any time, which old processes keep and need not understand. A change that an old process would
misread raises `UNDERSTOOD`; once no old process runs any more, the first newer one raises what the store needs.

The same record says which store it is. A store that was restored from a backup is another one, also where its keys lie in the
same etcd: who knew it before knows things that never happened there.
"""

import msgspec

from zun.base.ids import new_uuid
from zun.model.errors import Unavailable, Unsupported
from zun.store import codec, keys
from zun.store.interface import Put, Store, absent

UNDERSTOOD = 1
"""The newest meaning of the records that this version knows."""


class StoreSchema(msgspec.Struct, omit_defaults=True, frozen=True):
    """What lies at `v/schema`. Only versions that understand `needs` may work on the store; `by` made it so (for people).

    `id` tells this store from every other. `restoring_since`: a backup is being put into it, and nobody may work on it before that is done.
    """

    needs: int
    by: str = ""
    id: str = ""
    restoring_since: float | None = None
    v: int = 1


async def check_schema(store: Store, version: str) -> StoreSchema | None:
    """What the store says of itself; None when it is new.

    Raises `Unsupported` when it needs more than this version knows, `Unavailable` also while a backup is put into it, `Timeout`.
    """
    found = await store.get(keys.SCHEMA)
    if found is None:
        return None
    schema = codec.decode(StoreSchema, found.value)
    if schema.needs > UNDERSTOOD:
        raise Unsupported(
            f"The store was made by Zun {schema.by or 'of a newer version'}, whose records this version ({version}) would misread "
            f"(it knows records up to {UNDERSTOOD}, these are {schema.needs}). Upgrade Zun on this machine, or restore a backup made before the upgrade."
        )
    if schema.restoring_since is not None:
        raise Unavailable(
            "A backup is being put into the store, which is not whole yet; should nobody be doing that any more, run `zund restore --force` again."
        )
    return schema


async def claim_schema(store: Store, version: str, *, store_id: str | None = None) -> StoreSchema:
    """The same; and a store that says nothing learns what it needs and which one it is (random, or `store_id`). For those who may write `v/`."""
    while (schema := await check_schema(store, version)) is None:
        new = StoreSchema(needs=UNDERSTOOD, by=version, id=new_uuid() if store_id is None else store_id)
        await store.transact([absent(keys.SCHEMA)], [Put(keys.SCHEMA, codec.encode(new))])
    return schema


async def known_schema(store: Store, version: str) -> StoreSchema:
    """The same for those who may not write it: raises `Unavailable` for a store that says nothing.

    A node that took an empty store for its own would take all its containers for unwished.
    """
    schema = await check_schema(store, version)
    if schema is None:
        raise Unavailable(
            "The store holds nothing yet: start an API server or a controller, or restore a backup into it; this process waits."
        )
    return schema
