# SPDX-License-Identifier: Apache-2.0
"""What a node told of actions, read so that a node which tells nonsense harms nobody: what cannot be read was never told."""

import logging

from zun.model.errors import Internal
from zun.model.records import ActionResult
from zun.store import codec, keys
from zun.store.interface import KeyValue, Store

_LOG = logging.getLogger(__name__)
MOST = 2_000
"""So many results of one container are looked at; an agent keeps far fewer."""


async def result_of(store: Store, node: str, uuid: str, request_id: str) -> ActionResult | None:
    """What the node told of one action. Raises `Unavailable`, `Timeout`."""
    found = await store.get(keys.action_result(node, uuid, request_id))
    return _read(found) if found is not None else None


async def results_of(store: Store, node: str, uuid: str) -> dict[str, ActionResult]:
    """What the node told of a container's actions, by request id. Raises `Unavailable`, `Timeout`."""
    prefix = keys.action_results(node, uuid)
    found = await store.range(prefix, limit=MOST)
    read = {item.key.removeprefix(prefix): _read(item) for item in found.items}
    return {request_id: result for request_id, result in read.items() if result is not None}


def _read(found: KeyValue) -> ActionResult | None:
    try:
        return codec.decode(ActionResult, found.value)
    except Internal as error:
        _LOG.error("What lies at %s is left out: %s", found.key, error.message)
        return None
