# SPDX-License-Identifier: Apache-2.0
"""Which versions of Zun may work on a store: one number, so that an old process never misreads what a newer one made of it.

Records may gain members at any time, which old processes keep and need not understand. A change that an old process would
misread raises `UNDERSTOOD`; once no old process runs any more, the first newer one raises what the store needs.
"""

import msgspec

from zun.model.errors import Unsupported
from zun.store import codec, keys
from zun.store.interface import Put, Store, absent

UNDERSTOOD = 1
"""The newest meaning of the records that this version knows."""


class StoreSchema(msgspec.Struct, omit_defaults=True, frozen=True):
    """What lies at `v/schema`. Only versions that understand `needs` may work on the store; `by` made it so (for people)."""

    needs: int
    by: str = ""
    v: int = 1


async def check_schema(store: Store, version: str) -> bool:
    """Whether the store says what it needs. Raises `Unsupported` when that is more than this version knows, `Unavailable`, `Timeout`."""
    found = await store.get(keys.SCHEMA)
    if found is None:
        return False
    schema = codec.decode(StoreSchema, found.value)
    if schema.needs > UNDERSTOOD:
        raise Unsupported(
            f"The store was made by Zun {schema.by or 'of a newer version'}, whose records this version ({version}) would misread "
            f"(it knows records up to {UNDERSTOOD}, these are {schema.needs}). Upgrade Zun on this machine, or restore a backup made before the upgrade."
        )
    return True


async def claim_schema(store: Store, version: str) -> None:
    """The same; and a store that says nothing learns what it needs. For those who may write `v/`."""
    if not await check_schema(store, version):
        schema = StoreSchema(needs=UNDERSTOOD, by=version)
        await store.transact([absent(keys.SCHEMA)], [Put(keys.SCHEMA, codec.encode(schema))])
        await check_schema(store, version)  # another process may have been first
